"""All weights of an arm: what is trained again, on which cells, and what is said where that cannot be."""

from __future__ import annotations

from dataclasses import replace
from threading import Event

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy.sparse import csr_matrix

import kpnn.interpretation.controls as controls_module
import kpnn.interpretation.trained_fold as trained_fold
from kpnn.cells import CellsOnDisk
from kpnn.errors import SettingsError
from kpnn.interpretation import InterpretationSettings, TrainedFold, summarise_nodes, summarise_stability, weigh_arm
from kpnn.interpretation.concordance import lowest_correlations, lowest_over_networks
from kpnn.interpretation.frozen import FrozenNetwork
from kpnn.interpretation.held_out import weigh_held_out
from kpnn.interpretation.rewired import beside_rewired, nodes_in_rewired
from kpnn.interpretation.trained_fold import expression_for
from kpnn.interpretation.weights import gradient_weights
from kpnn.nn import build_ensemble, set_edge_weights
from kpnn.pkn import Dag
from kpnn.stopping import StoppedError, stopped_by
from kpnn.training.data import LabelledCells
from kpnn.training.orientation import oriented_activations, signs_of_network
from kpnn.training.refitting import Refit, refit
from kpnn.training.settings import EvaluationSettings, Hyperparameters

EDGES = [("OUT", "A"), ("OUT", "B"), ("OUT", "C"), *(("ABC"[gene % 3], f"G{gene}_gene") for gene in range(9))]
DAG = Dag.from_edges(pd.DataFrame(EDGES, columns=["parent", "child"]), outputs=["OUT"])
SETTINGS = InterpretationSettings(control_inputs=2, permuted_labels=2, seeds=3)
TRAINING = EvaluationSettings.model_validate(
    {"fit": {"max_epochs": 80, "ensemble": 1}, "execution": {"threads_per_fit": 1}}
)


def draw_cells(seed: int) -> LabelledCells:
    """120 cells of twelve donors; only A's genes tell the class."""
    rng = np.random.default_rng(seed)
    labels = np.arange(120) % 2
    X = rng.normal(size=(120, 9))
    X[:, [0, 3, 6]] += 1.5 * labels[:, None]
    barcodes = np.array([f"cell{number}" for number in range(120)])
    donors = np.array([f"donor{number // 10}" for number in range(120)])
    y = labels[:, None].astype(np.float32)
    return LabelledCells(csr_matrix(X, dtype=np.float32), y, barcodes, DAG.inputs, DAG.outputs, donors)


FREE = {"weight_prior": 0.0, "initializer": "glorot_uniform", "hidden_activation": "tanh"}
"""Networks that differ by where they start."""


@pytest.fixture(scope="module")
def arm() -> tuple[list[TrainedFold], LabelledCells]:
    """Two repeats of two folds."""
    cells, rows, chosen = draw_cells(0), np.arange(120), Hyperparameters(**FREE, learning_rate=0.03)
    held_out = [rows[rows // 20 % 2 == 0], rows[rows // 20 % 2 == 1], rows[:60], rows[60:]]
    training = [np.setdiff1d(rows, part) for part in held_out]
    models = refit([Refit(DAG, chosen, part, seed) for seed, part in enumerate(training)], cells, TRAINING)
    parts = zip(models, training, held_out, strict=True)
    return [TrainedFold(n // 2, n % 2, *of_fold, chosen) for n, of_fold in enumerate(parts)], cells


@pytest.fixture(scope="module")
def weights(arm):
    return weigh_arm(*arm, SETTINGS, TRAINING, draw_control=draw_cells)


def test_every_fold_gets_the_networks_that_were_asked_for(arm):
    folds, cells = arm
    weights = weigh_arm(folds, cells, SETTINGS, TRAINING, draw_control=draw_cells, alternatives=[DAG] * 20)
    for table in (weights.control, weights.permuted):
        assert set(map(tuple, table[["repeat", "fold", "replicate"]].to_numpy())) == {
            (repeat, fold, replicate) for repeat in (0, 1) for fold in (0, 1) for replicate in (0, 1)
        }
        assert not table["gradient"].duplicated().any()
    assert weights.by_seed.groupby("run")["node"].agg(list).tolist() == [["A", "B", "C"]] * 3
    assert weights.by_dag["run"].nunique() == SETTINGS.alternative_dags
    assert weights.notes == ()
    strong = weights.by_seed.set_index("node")["gradient"].abs().groupby(level=0).mean()
    noise = weights.permuted.set_index("node")["gradient"].abs().groupby(level=0).mean()
    assert strong["A"] > 2 * noise["A"]


def test_permuted_labels_stay_among_the_cells_of_a_donor(arm, monkeypatch):
    folds, cells = arm
    seen = []

    def spy(refits, cells, training, train=controls_module.refit):
        seen.append(cells.labels[:, 0])
        return train(refits, cells, training)

    monkeypatch.setattr(controls_module, "refit", spy)
    controls_module.on_permuted_labels(folds, cells, 2, TRAINING, seed=1)
    assert len(seen) == 4 and len({tuple(labels) for labels in seen}) == 4
    for labels in seen:
        assert not np.array_equal(labels, cells.labels[:, 0])
        assert [labels[cells.groups == donor].sum() for donor in np.unique(cells.groups)] == [5] * 12


def test_control_inputs_may_lie_on_disk(arm, tmp_path):
    folds, _ = arm

    def draw_on_disk(seed):
        drawn = draw_cells(seed)
        AnnData(drawn.expression).write_h5ad(tmp_path / f"{seed}.h5ad")
        return replace(drawn, store=CellsOnDisk.open(tmp_path / f"{seed}.h5ad"))

    rows = np.random.default_rng(1).permutation(40)
    mirrored = Dag.from_edges(pd.DataFrame(EDGES[::-1], columns=["parent", "child"]), outputs=["OUT"])
    for dag in (DAG, mirrored):
        on_disk = expression_for(dag, draw_on_disk(3), rows)
        assert (on_disk != expression_for(dag, draw_cells(3), rows)).nnz == 0
    brief = TRAINING.model_copy(update={"fit": TRAINING.fit.model_copy(update={"max_epochs": 8})})
    table = controls_module.on_control_inputs(folds[:2], draw_on_disk, 1, brief, seed=1)
    assert table.groupby("fold")["node"].agg(list).tolist() == [["A", "B", "C"]] * 2
    assert (table.loc[table["node"] == "A", "gradient"].abs() > 0).all()


def test_of_very_many_cells_an_even_share_says_what_neurons_do_on_average(arm, monkeypatch):
    folds, cells = arm
    nothing = InterpretationSettings(control_inputs=0, permuted_labels=0, seeds=0, alternative_dags=0)
    whole = weigh_arm(folds, cells, nothing, TRAINING, draw_control=draw_cells)
    monkeypatch.setattr(trained_fold, "_MOST_CELLS", 30)
    thinned = weigh_arm(folds, cells, nothing, TRAINING, draw_control=draw_cells)
    # Every second cell would be of one class only: the share is spread, not counted off.
    rows = folds[0].held_out[trained_fold.spread_over(60)]
    assert (len(rows), len(set(rows)), set(rows // 40)) == (30, 30, {0, 1, 2})
    assert set(cells.labels[rows, 0]) == {0, 1}
    network = FrozenNetwork.of(folds[0].model)
    expected = gradient_weights(network, network.genes_in(expression_for(DAG, cells, rows)))[0]
    by_node = thinned.per_fold.query("repeat == 0 and fold == 0").set_index("node")
    np.testing.assert_allclose(by_node["gradient"], expected[network.places_of(by_node.index)], rtol=1e-6)
    assert not np.allclose(thinned.per_fold["conductance"], whole.per_fold["conductance"], rtol=1e-3)
    # What cells say of neurons one by one is asked of all.
    pd.testing.assert_frame_equal(thinned.activations, whole.activations)
    pd.testing.assert_series_equal(thinned.per_fold["ablation"], whole.per_fold["ablation"])
    assert len(thinned.evidence["OUT"][0].labels) == 60


def test_weighing_ends_between_two_networks_when_it_is_asked_to_stop(arm):
    folds, cells = arm
    asked = Event()
    asked.set()
    with stopped_by(asked), pytest.raises(StoppedError):
        weigh_held_out(folds, cells, seed=1)


def test_nothing_is_trained_again_where_nothing_is_asked_for(arm):
    folds, cells = arm
    none = InterpretationSettings(control_inputs=0, permuted_labels=0, seeds=0, alternative_dags=0)
    weights = weigh_arm(folds, cells, none, TRAINING, draw_control=draw_cells, alternatives=[DAG])
    assert not any(len(table) for table in (weights.control, weights.permuted, weights.by_seed, weights.by_dag))
    table = summarise_nodes(weights, DAG, none).set_index("node")
    assert table[["control_share", "corrected", "permuted_weight"]].isna().all(axis=None)
    assert table.loc["A", "called"]
    stability = summarise_stability(weights, none)
    assert set(stability["between"]) == {"folds"} and "z" in set(stability["method"])


def test_what_cannot_be_trained_again_is_said_and_the_rest_stands(arm):
    folds, cells = arm

    def fails(seed):
        raise SettingsError("the cells hold -1")

    weights = weigh_arm(folds, cells, SETTINGS, TRAINING, draw_control=fails)
    assert weights.notes == ("No networks on control inputs: the cells hold -1",)
    assert len(weights.control) == 0 and len(weights.permuted) and len(weights.by_seed)


def test_further_networks_of_a_fold_only_weigh_its_nodes(arm, weights):
    folds, cells = arm
    none = InterpretationSettings(control_inputs=0, permuted_labels=0, seeds=0, alternative_dags=0)
    more = weigh_arm(folds, cells, none.model_copy(update={"replicates": 2}), TRAINING, draw_control=draw_cells)
    of_fold = more.per_fold.groupby(["repeat", "fold", "node"])
    assert (of_fold["member"].agg(list).map(tuple) == (0, 1, 2)).all()
    assert not more.per_fold["gradient"].duplicated().any()
    own = more.per_fold[more.per_fold["member"] == 0].reset_index(drop=True)
    pd.testing.assert_frame_equal(own, weights.per_fold)
    table = summarise_nodes(more, DAG, none).set_index("node")
    assert table.loc["A", "called"] and table["n_networks"].tolist() == [12] * 3


def test_agreement_is_the_lowest_over_the_networks_of_all_folds_of_a_repeat(arm):
    folds, cells = arm
    found = lowest_over_networks(folds, cells, DAG.hidden, 1)
    assert found.index.tolist() == [0, 1]
    oriented = [
        oriented_activations(one.model, cells.expression, signs_of_network(one.model, cells.expression))[
            list(DAG.hidden)
        ].to_numpy()
        for one in folds
    ]
    for repeat in (0, 1):
        by_hand = lowest_correlations(np.stack(oriented[2 * repeat : 2 * repeat + 2]))
        np.testing.assert_allclose(found.loc[repeat], by_hand, atol=1e-5)
    assert found["A"].min() > 0.5 and found[["B", "C"]].min(axis=None) < 0.5
    # The members of a fold's model are such networks too; a single network has none to agree with.
    pair = replace(folds[0], model=build_ensemble([one.model for one in folds[:2]]))
    np.testing.assert_allclose(lowest_over_networks([pair], cells, DAG.hidden, 1), found.iloc[:1], atol=1e-6)
    assert lowest_over_networks(folds[:1], cells, DAG.hidden, 1).isna().all(axis=None)


def test_q_values_are_benjamini_and_hochbergs(weights):
    table = summarise_nodes(weights, DAG, SETTINGS).sort_values("p_value", ignore_index=True)
    p = table["p_value"]
    scaled = [p[0] * 3 / 1, p[1] * 3 / 2, p[2] * 3 / 3]
    np.testing.assert_allclose(table["q_value"], [min(scaled), min(scaled[1:]), scaled[2]])


def test_nodes_that_cannot_reach_an_output_are_left_out_and_ties_share_a_rank():
    edges = [*EDGES, ("SECOND", "C"), ("C", "D"), ("D", "G8_gene"), ("C", "E"), ("E", "G8_gene")]
    dag = Dag.from_edges(pd.DataFrame(edges, columns=["parent", "child"]), outputs=["OUT", "SECOND"])
    first = draw_cells(0)
    other = np.random.default_rng(1).integers(0, 2, (120, 1)).astype(np.float32)
    cells = replace(first, labels=np.hstack([first.labels, other]), outputs=dag.outputs, groups=None)
    assert cells.nodes == dag.inputs
    rows, chosen = np.arange(120), Hyperparameters(**FREE, learning_rate=0.03)
    parts = (rows[:60], rows[60:])
    models = refit([Refit(dag, chosen, part, 1) for part in parts], cells, TRAINING)
    for model in models:  # two nodes that tell the same, and two that tell nothing
        set_edge_weights(model, {("D", "G8_gene"): 0.5, ("E", "G8_gene"): 0.5, ("C", "D"): 0.3, ("C", "E"): 0.3})
        set_edge_weights(model, {("OUT", "A"): 0.0, ("OUT", "B"): 0.0}, {"D": 0.0, "E": 0.0})
    folds = [
        TrainedFold(0, n, model, part, parts[1 - n], chosen)
        for n, (model, part) in enumerate(zip(models, parts, strict=True))
    ]
    none = InterpretationSettings(control_inputs=0, permuted_labels=0, seeds=0, alternative_dags=0, top=1)
    table = summarise_nodes(weigh_arm(folds, cells, none, TRAINING, draw_control=draw_cells), dag, none)
    assert set(table.loc[table["output"] == "SECOND", "node"]) == {"C", "D", "E"}
    of_out = table[table["output"] == "OUT"].set_index("node")
    assert set(of_out.index) == {"A", "B", "C", "D", "E"}
    assert of_out.loc["D", "rank"] == of_out.loc["E", "rank"] and of_out.loc["A", "rank"] == of_out.loc["B", "rank"]
    assert (of_out.loc[["A", "B"], ["z", "weight", "top_folds"]] == 0).all(axis=None)
    assert not of_out.loc[["A", "B"], "called"].any()


def test_a_node_is_called_where_its_activity_differs_and_the_networks_rest_on_it(weights):
    table = summarise_nodes(weights, DAG, SETTINGS).set_index("node")
    assert table.loc["A", "differs"] and table.loc["A", "rests"] and table.loc["A", "called"]
    assert table.loc["A", "conductance"] > table.loc["A", "permuted_conductance"]
    assert not table.loc[["B", "C"], "called"].any()
    assert table.loc["A", ["rank", "enrichment_rank"]].tolist() == [1, 1]
    # As much conductance in networks on noise: the networks rest on it only as far as they lose something without it.
    unspecific = replace(weights, enrichment=weights.enrichment.assign(enrichment_z=0.0))
    as_much = replace(unspecific, permuted=weights.per_fold.assign(replicate=0))
    needed = summarise_nodes(as_much, DAG, SETTINGS).set_index("node")
    assert needed.loc["A", "rests"] and not needed.loc[["B", "C"], "rests"].any()
    as_much = replace(as_much, per_fold=weights.per_fold.assign(ablation=weights.per_fold["ablation"] / 1000))
    unasked = summarise_nodes(as_much, DAG, SETTINGS).set_index("node").loc["A"]
    assert unasked["differs"] and not unasked["rests"] and not unasked["called"]


def test_a_node_that_others_stand_in_for_is_called_where_its_genes_differ_more_than_random_ones(weights):
    idle = weights.per_fold.assign(ablation=0.0)
    unneeded = replace(weights, per_fold=idle, permuted=weights.per_fold.assign(replicate=0))
    for z, called in ((2.0, True), (1.0, False)):
        known = replace(unneeded, enrichment=weights.enrichment.assign(enrichment_z=z))
        table = summarise_nodes(known, DAG, SETTINGS).set_index("node")
        assert not table["rests"].any()
        assert table["specific"].eq(called).all() and table.loc["A", "called"] == called
        assert not table.loc[["B", "C"], "called"].any()  # their activity does not differ


def test_what_flows_through_a_node_is_not_held_against_it_because_more_flows_through_others(weights):
    # Ten times as much through C: as a share A's part falls below that in networks on noise.
    other = weights.per_fold["node"] == "C"
    louder = weights.per_fold.assign(conductance=weights.per_fold["conductance"].where(~other, 10.0), ablation=0.0)
    table = summarise_nodes(replace(weights, per_fold=louder), DAG, SETTINGS).set_index("node")
    assert table.loc["A", "rests"]


def test_a_node_weighs_more_than_its_place_gives_it_or_is_marked_as_structure(weights):
    # Control inputs of this module tell the class by A's genes alone, as the cells do; those of noise by none.
    assert summarise_nodes(weights, DAG, SETTINGS).set_index("node").loc["A", "structure"]
    table = summarise_nodes(replace(weights, control=weights.permuted), DAG, SETTINGS).set_index("node")
    assert not table.loc["A", "structure"] and table.loc[["B", "C"], "structure"].all()
    unasked = replace(weights, control=weights.control.iloc[:0])
    assert summarise_nodes(unasked, DAG, SETTINGS)["structure"].isna().all()


def test_nodes_stand_by_what_networks_and_genes_tell_together(weights):
    table = summarise_nodes(weights, DAG, SETTINGS)
    expected = (table["z"] + table["enrichment_z"]) / np.sqrt(2)
    np.testing.assert_allclose(table["combined_z"], expected)
    assert table["rank"].tolist() == [1, 2, 3] and table["combined_z"].is_monotonic_decreasing
    # Where genes cannot be compared the networks alone order the nodes.
    blind = replace(weights, enrichment=weights.enrichment.assign(enrichment_z=np.nan))
    alone = summarise_nodes(blind, DAG, SETTINGS)
    np.testing.assert_allclose(alone["combined_z"], alone["z"] / np.sqrt(2))
    assert alone["z"].is_monotonic_decreasing


def test_nodes_of_rewired_networks_are_tested_as_the_arms_own_are(arm, weights):
    folds, cells = arm
    own = summarise_nodes(weights, DAG, SETTINGS)
    assert (own["n_rewired"] == 0).all() and own["beyond_rewired"].isna().all()
    # The arm's own networks in the place of rewired ones: every node stands exactly as it does here.
    beside = replace(weights, rewired=nodes_in_rewired([folds, folds], cells))
    table = summarise_nodes(beside, DAG, SETTINGS)
    assert (table["n_rewired"] == 2).all()
    np.testing.assert_allclose(table["rewired_z"], table["z"])
    np.testing.assert_allclose(table["rewired_z_max"], table["z"])


def test_a_nodes_place_without_knowledge_is_its_z_in_rewired_networks():
    keys = pd.MultiIndex.from_tuples([("OUT", "A"), ("OUT", "B"), ("OUT", "C")], names=["output", "node"])
    z = pd.Series([9.0, 2.0, 1.0], index=keys)
    rows = [(0, "A", 2.0), (1, "A", 4.0), (0, "B", 1.0), (1, "B", 3.0), (0, "D", 5.0)]
    rewired = pd.DataFrame(rows, columns=["replicate", "node", "z"]).assign(output="OUT")
    table = beside_rewired(z, rewired).droplevel("output")
    assert table["n_rewired"].tolist() == [2, 2, 0]
    assert table.loc["A", ["rewired_z", "rewired_z_max"]].tolist() == [3.0, 4.0]
    sd = np.sqrt((2 + 2) / 2)  # two sums of squares of 2, one degree of freedom each
    np.testing.assert_allclose(table["beyond_rewired"][["A", "B"]], np.array([6.0, 0.0]) / (sd * np.sqrt(1.5)))
    assert np.isnan(table.loc["C", "beyond_rewired"])


def test_a_node_by_which_networks_mean_different_things_is_not_called(weights):
    assert weights.agreement.shape == (2, len(weights.neurons))
    for agreement, called in ((0.6, True), (0.4, False)):
        alike = replace(weights, agreement=weights.agreement.assign(A=agreement))
        leader = summarise_nodes(alike, DAG, SETTINGS).set_index("node").loc["A"]
        assert leader["differs"] and leader["called"] == called and leader["agreement"] == agreement


def test_the_agreement_of_networks_is_the_lowest_correlation_of_a_pair():
    activations = np.random.default_rng(0).normal(size=(4, 30, 3))
    activations[:, :, 1] = np.arange(30)
    activations[2, :, 2] = 1.0
    found = lowest_correlations(activations)
    of_first = np.corrcoef(activations[:, :, 0])
    np.testing.assert_allclose(found[:2], [of_first.min(), 1.0])
    assert found[2] <= 0.0  # a network in which the node never varies agrees with none
    assert np.isnan(lowest_correlations(activations[:1])).all()
