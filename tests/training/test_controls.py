"""Controls and baselines: what is shuffled, what stays, and that none sees more than the arms do."""

from threading import Event

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from scipy.stats import linregress

from kpnn.errors import SettingsError
from kpnn.pkn import Dag
from kpnn.stopping import StoppedError, stopped_by
from kpnn.training import baselines
from kpnn.training.activities import regulator_activities, regulon_of
from kpnn.training.baselines import fit_baseline
from kpnn.training.controls import (
    Arm,
    ControlSettings,
    Rivals,
    baseline_arms,
    control_arms,
    dense_dag,
    permuted_labels,
)
from kpnn.training.cross_validation import cross_validate
from kpnn.training.data import LabelledCells
from kpnn.training.results import FoldStore
from kpnn.training.settings import Hyperparameters


def run(arm, cells, folds, settings, root):
    untuned = settings.model_copy(update={"tuning": settings.tuning.model_copy(update={"n_trials": 0})})
    return cross_validate(arm, cells, folds, untuned, FoldStore(root))


NOTHING = {"rewired": 0, "permuted_genes": 0, "logistic": False}


def test_nothing_is_trained_where_all_is_off(dag):
    assert control_arms(ControlSettings(**NOTHING), dag) == []
    assert baseline_arms(ControlSettings(**NOTHING), dag, dag) == []


def test_the_nulls_and_the_plain_baseline_are_on_by_default(dag):
    kinds = [arm.name.rpartition("_")[0] or arm.name for arm in control_arms(ControlSettings(), dag, Rivals([dag] * 7))]
    assert kinds == ["rewired"] * 5 + ["permuted_genes"] * 5
    assert [arm.name for arm in baseline_arms(ControlSettings(), dag, dag)] == ["logistic"]


def test_every_control_that_is_on_becomes_an_arm(dag):
    numbers = {"rewired": 2, "alternative": 1, "permuted_genes": 2, "permuted_labels": 1}
    chosen = ControlSettings(**numbers, logistic=True, dense=True, size_curve=True)
    arms = control_arms(chosen, dag, Rivals(rewired=[dag] * 5, alternative=[dag], size_path=[dag] * 2))
    assert [arm.name for arm in baseline_arms(chosen, dag, dag)] == ["logistic", "dense"]
    assert [arm.name for arm in arms] == [
        "rewired_0",
        "rewired_1",
        "alternative_0",
        "permuted_genes_0",
        "permuted_genes_1",
        "permuted_labels_0",
        "size_path_0",
        "size_path_1",
    ]
    assert len({arm.dag.fingerprint for arm in arms[2:5]}) == 3


def test_controls_are_trained_by_the_selected_dags_recipe_unless_they_search(dag, cells, folds, settings, tmp_path):
    found = {f"repeat_0_fold_{fold}": Hyperparameters(learning_rate=0.02, dropout=0.1 * fold) for fold in range(5)}
    chosen = {"rewired": 1, "permuted_genes": 1, "size_curve": True}
    rivals = Rivals(rewired=[dag], size_path=[dag])
    arms = {arm.name: arm for arm in control_arms(ControlSettings(**chosen), dag, rivals, found)}
    assert {name for name, arm in arms.items() if arm.recipes} == {"rewired_0", "permuted_genes_0"}
    assert not any(arm.recipes for arm in control_arms(ControlSettings(search=True), dag, rivals, found))
    assert settings.tuning.n_trials > 0
    result = cross_validate(arms["rewired_0"], cells, folds, settings, FoldStore(tmp_path))
    for fold in result.folds:
        assert fold.hyperparameters == found[fold.name].model_dump()
        assert not len(fold.trials)


def test_another_recipe_is_another_result(dag, cells, folds, settings, tmp_path):
    names = [f"repeat_0_fold_{fold}" for fold in range(5)]
    store, seconds = FoldStore(tmp_path), []
    for rate in (0.02, 0.02, 0.001):
        arm = Arm("rewired_0", dag, recipes={name: Hyperparameters(learning_rate=rate) for name in names})
        seconds.append(tuple(fold.seconds for fold in cross_validate(arm, cells, folds, settings, store).folds))
    assert seconds[0] == seconds[1] != seconds[2]


def test_what_random_is_called_now_is_said():
    with pytest.raises(ValueError, match=r"`alternative`.*`rewired`"):
        ControlSettings(random=2)


def test_shuffled_genes_are_the_same_network_with_genes_in_other_places(dag, cells):
    [arm] = control_arms(ControlSettings(permuted_genes=1), dag)
    assert arm.cells_seen(cells) is cells
    assert (arm.dag.inputs, arm.dag.neurons, arm.dag.outputs) == (dag.inputs, dag.neurons, dag.outputs)
    before, after = (dict(list(one.edges.groupby("child"))) for one in (dag, arm.dag))
    assert any(set(before[gene]["parent"]) != set(after[gene]["parent"]) for gene in dag.inputs)
    # The network above the genes is the same, and every place in it is taken by one gene.
    columns = ["parent", "sign", "cost"]
    for hidden in dag.hidden:
        pd.testing.assert_frame_equal(before[hidden].reset_index(drop=True), after[hidden].reset_index(drop=True))
    places = [
        sorted(tuple(map(tuple, one[gene][columns].to_numpy())) for gene in dag.inputs) for one in (before, after)
    ]
    assert places[0] == places[1]


def test_shuffled_labels_are_not_predicted(dag, cells, folds, settings, tmp_path):
    arm = Arm("permuted_labels_0", dag, permute_labels=3)
    seen = arm.cells_seen(cells)
    assert seen.labels.sum() == cells.labels.sum()
    assert not np.array_equal(seen.labels, cells.labels)
    assert 0.2 < run(arm, cells, folds, settings, tmp_path).pooled_metrics()["roc_auc"] < 0.75


def test_labels_are_shuffled_within_donors_where_donors_hold_both_classes():
    rng = np.random.default_rng(0)
    labels = np.column_stack([np.arange(60) % 2, np.arange(60) % 3 == 0]).astype(np.float32)
    donors = np.repeat(["a", "b", "c", "d"], [5, 15, 20, 20])
    shuffled = permuted_labels(labels, donors, rng)
    assert not np.array_equal(shuffled, labels)
    for donor in "abcd":
        of_donor = donors == donor
        assert sorted(map(tuple, shuffled[of_donor])) == sorted(map(tuple, labels[of_donor]))


def test_donors_of_one_class_each_exchange_it_as_wholes():
    donors = np.repeat(list("abcdef"), [3, 9, 4, 7, 5, 2])
    labels = np.isin(donors, ["a", "b", "c"]).astype(np.float32)[:, None]
    drawn = [permuted_labels(labels, donors, np.random.default_rng(seed))[:, 0] for seed in range(20)]
    of_donors = [tuple(one[donors == donor].mean() for donor in "abcdef") for one in drawn]
    assert all(set(one) == {0.0, 1.0} and sum(one) == 3 for one in of_donors)
    assert len(set(of_donors)) > 5


def test_a_dense_network_is_fully_connected(dag):
    dense = dense_dag(dag, 7)
    assert len(dense.levels) == 3
    assert dense.inputs == dag.inputs
    assert dense.n_parameters == 7 * (len(dag.inputs) + 1) + 7 + 1


def test_the_neurons_of_a_dense_network_do_not_start_alike(dag, cells, folds, settings, tmp_path):
    recipe = {"initializer": "conducting", "learning_rate": 0.003}
    base = settings.hyperparameters.model_copy(update={"initializer": "conducting"})
    tuned = settings.tuning.model_copy(update={"n_trials": 1, "recipes": (recipe,)})
    alike = settings.model_copy(update={"hyperparameters": base, "tuning": tuned})
    [dense] = baseline_arms(ControlSettings(**NOTHING, dense=True, dense_hidden=3), dag, dag)
    result = cross_validate(dense, cells, folds, alike, FoldStore(tmp_path))
    assert {fold.hyperparameters["initializer"] for fold in result.folds} == {"glorot_uniform"}
    assert {fold.hyperparameters["learning_rate"] for fold in result.folds} == {0.003}


@pytest.mark.parametrize("name", ["logistic", "gradient_boosting"])
def test_a_baseline_predicts_on_the_arms_folds(name, dag, cells, folds, settings, tmp_path):
    result = run(Arm(name, dag, estimator=name), cells, folds, settings, tmp_path)
    assert result.pooled_metrics()["roc_auc"] > 0.8
    assert result.folds[0].n_edges == 0
    assert result.folds[0].model is None
    assert len(result.trials()) > 0
    again = FoldStore(tmp_path).load(0, 1)
    pd.testing.assert_frame_equal(again.predictions, result.folds[1].predictions)


@pytest.mark.parametrize("name", ["logistic", "gradient_boosting"])
def test_a_baseline_never_sees_the_held_out_cells(name, cells):
    rows = np.arange(120)
    training, held_out = rows[rows % 3 != 0], rows[rows % 3 == 0]
    inner = [(training[::2], training[1::2]), (training[1::2], training[::2])]
    before = fit_baseline(name, cells, inner, held_out, seed=1)
    spoiled = cells.expression.toarray()
    spoiled[held_out[1:]] = 99.0
    from dataclasses import replace

    other = replace(cells, store=csr_matrix(spoiled, dtype=np.float32))
    after = fit_baseline(name, other, inner, held_out, seed=1)
    assert before.probabilities[0] == pytest.approx(after.probabilities[0])
    assert before.hyperparameters == after.hyperparameters


@pytest.mark.parametrize(
    ("baseline", "name"),
    [("logistic", "LogisticRegression"), ("gradient_boosting", "HistGradientBoostingClassifier")],
)
def test_a_baseline_that_is_asked_to_stop_begins_no_further_fit(baseline, name, cells, monkeypatch):
    kind, asked, fits = getattr(baselines, name), Event(), []
    fit = kind.fit

    def asked_meanwhile(self, X, y):
        fits.append(self)
        asked.set()
        return fit(self, X, y)

    monkeypatch.setattr(kind, "fit", asked_meanwhile)
    rows = np.arange(120)
    with stopped_by(asked), pytest.raises(StoppedError):
        fit_baseline(baseline, cells, [(rows[::2], rows[1::4])], rows[3::4], 1)
    assert len(fits) == 1


@pytest.mark.parametrize("name", ["logistic", "gradient_boosting"])
def test_a_baseline_is_the_mean_logit_of_a_classifier_for_each_inner_fold(name, cells):
    rows = np.arange(120)
    training, held_out = rows[rows % 3 != 0], rows[rows % 3 == 0]
    inner = [(training[::2], training[1::2]), (training[1::2], training[::2])]
    fit = fit_baseline(name, cells, inner, held_out, seed=1)
    of_members = np.array(fit.of_members)
    assert of_members.shape == (2, 40, 1)
    logits = np.log(of_members) - np.log1p(-of_members)
    np.testing.assert_allclose(fit.probabilities, 1 / (1 + np.exp(-logits.mean(axis=0))), rtol=1e-6)


REGULON = Dag.from_edges(
    pd.DataFrame(
        [("C", "UP", 1), ("C", "DOWN", 1), ("C", "FEW", 1)]
        + [("UP", f"g{i}_gene", 1) for i in range(6)]
        + [("DOWN", f"g{i}_gene", -1 if i < 9 else 1) for i in range(3, 12)]
        + [("FEW", "g0_gene", 1), ("FEW", "g1_gene", 1)],
        columns=["parent", "child", "sign"],
    ),
    outputs=["C"],
)


def test_the_regulon_is_the_networks_regulators_that_have_enough_genes():
    regulon = regulon_of(REGULON)
    assert regulon.hidden == ("DOWN", "UP")
    assert set(regulon.inputs) == set(REGULON.inputs)
    signs = regulon.edges.set_index(["parent", "child"])["sign"]
    assert signs["DOWN", "g3_gene"] == -1
    few = Dag.from_edges(pd.DataFrame([("C", "A"), ("A", "g_gene")], columns=["parent", "child"]), outputs=["C"])
    with pytest.raises(SettingsError, match="no regulator of the network has 5 measured genes"):
        regulon_of(few)


def test_an_activity_is_the_t_value_of_the_slope_on_a_regulators_signs():
    pytest.importorskip("decoupler")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(5, len(REGULON.inputs))).astype(np.float32)
    X[3] = 0.0  # a cell without counts, of which nothing can be said
    names = np.array([f"cell{i}" for i in range(5)])
    cells = LabelledCells(csr_matrix(X), np.array([[0], [1], [0], [1], [1]], np.float32), names, REGULON.inputs, ("C",))
    activities = regulator_activities(cells, regulon_of(REGULON))
    assert activities.nodes == ("DOWN", "UP")
    signs = REGULON.edges[REGULON.edges["parent"] == "DOWN"].set_index("child")["sign"]
    slope = linregress(signs.reindex(REGULON.inputs).fillna(0), X[0])
    expected = slope.slope / slope.stderr
    assert activities.expression[0, 0] == pytest.approx(expected, rel=1e-4)
    assert activities.expression[3].nnz == 0
    np.testing.assert_array_equal(activities.labels, cells.labels)


def test_regulators_activities_are_a_baseline(dag, cells, folds, settings, tmp_path):
    pytest.importorskip("decoupler")
    arms = baseline_arms(ControlSettings(**NOTHING, tf_activity=True), dag, dag)
    assert [arm.name for arm in arms] == ["tf_activity"]
    result = run(arms[0], cells, folds, settings, tmp_path)
    assert result.folds[0].n_parameters == len(arms[0].dag.hidden) + 1
    assert 0.5 < result.pooled_metrics()["roc_auc"] <= 1.0


def test_activities_without_decoupler_are_refused_before_anything_runs(monkeypatch):
    monkeypatch.setattr("kpnn.training.controls.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'kpnn\[activity\]'"):
        ControlSettings(tf_activity=True)
