"""Cross-validation: no leak from a held-out fold, resumption, the same results wherever it runs."""

from dataclasses import replace

import click
import numpy as np
import optuna
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sqlalchemy.exc import OperationalError

import kpnn.training.cross_validation as cross_validation_module
from kpnn.app.messages import as_messages
from kpnn.errors import CellsError, KpnnError
from kpnn.pkn import Dag
from kpnn.training.controls import Arm
from kpnn.training.cross_validation import Assignment, _bundles, cross_validate, cross_validate_arms
from kpnn.training.data import LabelledCells
from kpnn.training.fitting import cross_entropies, predict_rows
from kpnn.training.fold import FoldTask, fit_model
from kpnn.training.inner_folds import inner_splits
from kpnn.training.results import FoldStore, mean_curve, wide_predictions


def run(dag, cells, folds, settings, root, arm="full", **options):
    return cross_validate(Arm(arm, dag, **options), cells, folds, settings, FoldStore(root))


def set_execution(settings, **execution):
    return settings.model_copy(update={"execution": settings.execution.model_copy(update=execution)})


def weights_of(result, fold):
    import keras

    import kpnn.nn  # noqa: F401 - registers the layer

    with_file = next(f for f in result.folds if f.fold == fold)
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        path.write_bytes(with_file.model)
        return [np.asarray(w) for w in keras.saving.load_model(path).get_weights()]


def test_every_cell_is_predicted_once_and_the_signal_is_found(dag, cells, folds, settings, tmp_path):
    result = run(dag, cells, folds, settings, tmp_path)
    y, _, outputs, barcodes = wide_predictions(result.predictions())
    assert sorted(barcodes) == sorted(cells.barcodes)
    assert outputs == ["TCR"]
    truth = pd.Series(cells.labels[:, 0], index=cells.barcodes)
    assert (truth.reindex(barcodes).to_numpy() == y[:, 0]).all()
    assert result.pooled_metrics()["roc_auc"] > 0.85
    assert len(result.trials()) == 3 * 4
    assert set(result.trials()["state"]) <= {"complete", "pruned"}
    assert set(result.learning_curves()["fold"]) == {0, 1, 2}


def test_nothing_of_a_held_out_fold_reaches_its_model(dag, cells, folds, settings, tmp_path):
    before = run(dag, cells, folds, settings, tmp_path / "a")
    held_out = cells.rows_of(folds.loc[folds["fold"] == 1, "barcode"])
    perturbed = cells.expression.toarray()
    perturbed[held_out] = np.random.default_rng(9).random((len(held_out), perturbed.shape[1])) * 50
    labels = cells.labels.copy()
    labels[held_out] = 1 - labels[held_out]
    other = replace(cells, store=csr_matrix(perturbed, dtype=np.float32), labels=labels)
    elsewhere = settings.model_copy(
        update={"tuning": settings.tuning.model_copy(update={"storage": f"sqlite:///{tmp_path}/other.db"})}
    )
    after = run(dag, other, folds, elsewhere, tmp_path / "b")
    for one, same in zip(weights_of(before, 1), weights_of(after, 1), strict=True):
        assert np.array_equal(one, same)
    # The check can fail: the other folds trained on the perturbed cells.
    assert any(not np.array_equal(a, b) for a, b in zip(weights_of(before, 0), weights_of(after, 0), strict=True))


@pytest.mark.parametrize("executor", ["threads", "processes", "dask"])
def test_results_do_not_depend_on_the_executor(executor, dag, cells, folds, settings, tmp_path):
    here = run(dag, cells, folds, settings, tmp_path / "here")
    elsewhere = settings.model_copy(
        update={"tuning": settings.tuning.model_copy(update={"storage": f"sqlite:///{tmp_path}/{executor}.db"})}
    )
    spread = set_execution(elsewhere, executor=executor, n_workers=2)
    there = run(dag, cells, folds, spread, tmp_path / "there")
    pd.testing.assert_frame_equal(here.predictions(), there.predictions())
    for fold in (0, 1, 2):
        for a, b in zip(weights_of(here, fold), weights_of(there, fold), strict=True):
            assert np.array_equal(a, b)


def test_arms_trained_together_end_as_they_do_alone(dag, cells, folds, settings, tmp_path):
    shuffled = dag.with_inputs_shuffled(np.random.default_rng(3))
    arms = [Arm("pruned", dag), Arm("permuted_genes_0", shuffled), Arm("logistic", dag, "logistic")]
    untuned = settings.model_copy(update={"tuning": settings.tuning.model_copy(update={"n_trials": 0})})
    seen, whole = [], []
    assignments = [
        Assignment(arm, FoldStore(tmp_path / arm.name), lambda fold: seen.append((fold.arm, fold.fold)), whole.append)
        for arm in arms
    ]
    threaded = set_execution(untuned, executor="threads", n_workers=3)
    together = cross_validate_arms(assignments, cells, folds, threaded)
    assert sorted(seen) == sorted((arm.name, fold) for arm in arms for fold in (0, 1, 2))
    assert sorted(one.arm for one in whole) == sorted(arm.name for arm in arms)
    for arm, result in zip(arms, together, strict=True):
        alone = cross_validate(arm, cells, folds, untuned, FoldStore(tmp_path / "alone" / arm.name))
        pd.testing.assert_frame_equal(alone.predictions(), result.predictions())


def test_networks_that_see_the_same_cells_are_trained_in_one_go(dag, cells, folds, settings, tmp_path, monkeypatch):
    """Other edges on the same genes, as rewired networks have them; with a search or other labels they stay alone."""
    import kpnn.training.fold as fold_module

    edges = dag.edges[["parent", "child"]]
    extra = pd.DataFrame([("TCR", gene) for gene in dag.inputs], columns=["parent", "child"])
    other = Dag.from_edges(pd.concat([edges, extra]).drop_duplicates(), outputs=["TCR"])
    assert other.inputs == dag.inputs and len(other.edges) > len(dag.edges)
    untuned = settings.model_copy(update={"tuning": settings.tuning.model_copy(update={"n_trials": 0})})
    arms = [Arm("rewired_0", dag), Arm("permuted_labels_0", dag, permute_labels=3), Arm("rewired_1", other)]
    arms += [Arm(f"rewired_{number}", dag) for number in range(2, 6)]
    seen = []

    def spy(cells, fits, *how, fit=fold_module.fit_networks):
        seen.append(len(fits))
        return fit(cells, fits, *how)

    monkeypatch.setattr(fold_module, "fit_networks", spy)
    assignments = [Assignment(arm, FoldStore(tmp_path / arm.name)) for arm in arms]
    found = cross_validate_arms(assignments, cells, folds, untuned)
    members = untuned.fit.ensemble
    assert sorted(seen) == sorted([5 * members, members, members] * 3)
    for arm, result in zip(arms[:3], found, strict=False):
        alone = cross_validate(arm, cells, folds, untuned, FoldStore(tmp_path / "alone" / arm.name))
        pd.testing.assert_frame_equal(alone.predictions(), result.predictions())
        for one, same in zip(weights_of(alone, 1), weights_of(result, 1), strict=True):
            assert np.array_equal(one, same)
    task = FoldTask(0, 0, np.arange(3), np.arange(3), 1)
    assert _bundles(arms[2:4], [(0, task), (1, task)], untuned, 5) == [([0, 1], task)]
    assert _bundles(arms[2:4], [(0, task), (1, task)], settings, 5) == [([0], task), ([1], task)]  # each searches
    monkeypatch.setattr("kpnn.training.controls._MOST_EDGES_TOGETHER", 3)
    assert _bundles(arms[2:4], [(0, task), (1, task)], untuned, 5) == [([0], task), ([1], task)]


def test_of_networks_trained_in_one_go_the_one_that_fails_is_named_and_the_others_are_kept(
    dag, cells, folds, settings, tmp_path
):
    untuned = settings.model_copy(update={"tuning": settings.tuning.model_copy(update={"n_trials": 0})})
    wild = untuned.hyperparameters.model_copy(
        update={"learning_rate": 1e30, "hidden_activation": "relu", "initializer": "glorot_uniform"}
    )
    arms = [Arm("rewired_0", dag), Arm("rewired_1", dag, recipes={"repeat_0_fold_1": wild}), Arm("rewired_2", dag)]
    assignments = [Assignment(arm, FoldStore(tmp_path / arm.name)) for arm in arms]
    with pytest.raises(KpnnError, match=r"^arm rewired_1, repeat_0_fold_1: epoch .* are kept\)$"):
        cross_validate_arms(assignments, cells, folds, set_execution(untuned, executor="sequential"))
    kept = {arm.name: [FoldStore(tmp_path / arm.name).load(0, fold) is not None for fold in (0, 1)] for arm in arms}
    assert kept == {"rewired_0": [True, True], "rewired_1": [True, False], "rewired_2": [True, True]}


def test_finished_folds_are_not_trained_again(dag, cells, folds, settings, tmp_path, monkeypatch):
    first = run(dag, cells, folds, settings, tmp_path)

    def no_training(*_):
        raise AssertionError("a finished fold was trained again")

    monkeypatch.setattr(cross_validation_module, "train_fold", no_training)
    again = run(dag, cells, folds, settings, tmp_path)
    pd.testing.assert_frame_equal(first.predictions(), again.predictions())
    with pytest.raises(KpnnError, match="trained again"):
        run(dag, cells, folds, settings.model_copy(update={"resume": False}), tmp_path)


@pytest.mark.parametrize("dies_at", [2, 5, 9])
def test_an_interrupted_run_ends_as_an_uninterrupted_one(dies_at, dag, cells, folds, settings, tmp_path, monkeypatch):
    whole = run(dag, cells, folds, settings, tmp_path / "whole")
    interrupted = settings.model_copy(
        update={"tuning": settings.tuning.model_copy(update={"storage": f"sqlite:///{tmp_path}/interrupted.db"})}
    )
    import kpnn.training.fold as fold_module

    fits = fold_module.fit_networks
    calls = []

    def dies(*arguments):
        calls.append(1)
        if len(calls) == dies_at:  # in the first batch of fold 0, in its second, in fold 1
            raise KeyboardInterrupt
        return fits(*arguments)

    monkeypatch.setattr(fold_module, "fit_networks", dies)
    with pytest.raises(KeyboardInterrupt):
        run(dag, cells, folds, interrupted, tmp_path / "interrupted")
    monkeypatch.setattr(fold_module, "fit_networks", fits)
    resumed = run(dag, cells, folds, interrupted, tmp_path / "interrupted")
    pd.testing.assert_frame_equal(whole.predictions(), resumed.predictions())
    for fold in (0, 1):
        for a, b in zip(weights_of(whole, fold), weights_of(resumed, fold), strict=True):
            assert np.array_equal(a, b)
    same = [c for c in whole.trials() if c != "seconds"]
    pd.testing.assert_frame_equal(whole.trials()[same], resumed.trials()[same])


def test_other_data_are_not_taken_for_finished(dag, cells, folds, settings, tmp_path):
    first = run(dag, cells, folds, settings, tmp_path)
    other = replace(cells, store=cells.expression.power(2).astype(np.float32))
    second = run(dag, other, folds, settings, tmp_path)
    assert not first.predictions().equals(second.predictions())


@pytest.mark.parametrize(
    ("error", "said"),
    [(ValueError("a broken cell"), "ValueError: a broken cell"), (KpnnError("workers died"), "workers died")],
)
def test_a_failing_fold_names_itself_and_keeps_the_others(
    error, said, dag, cells, folds, settings, tmp_path, monkeypatch
):
    def fails_in_fold_2(shared, task, train=cross_validation_module.train_fold):
        if task.fold == 2:
            raise error
        return train(shared, task)

    monkeypatch.setattr(cross_validation_module, "train_fold", fails_in_fold_2)
    with pytest.raises(click.ClickException) as shown, as_messages():
        run(dag, cells, folds, settings, tmp_path)
    assert shown.value.message == f"arm full, repeat_0_fold_2: {said} (2 of 3 folds are kept)"
    assert FoldStore(tmp_path).load(0, 0) is not None
    assert FoldStore(tmp_path).load(0, 2) is None


def test_the_tutorials_protocol_is_untuned_and_marked(dag, cells, folds, settings, tmp_path):
    result = run(dag, cells, folds, settings.model_copy(update={"protocol": "tutorial"}), tmp_path)
    assert {fold.protocol for fold in result.folds} == {"tutorial"}
    assert len(result.trials()) == 0


def test_a_folds_model_is_the_mean_logit_of_its_members_in_one_file(dag, cells, folds, settings, tmp_path):
    from kpnn.nn import load_kpnn, members_of, predict

    fold = run(dag, cells, folds, settings, tmp_path).folds[1]
    model = load_kpnn(FoldStore(tmp_path).model_path(0, 1))
    held_out = cells.rows_of(folds.loc[folds["fold"] == 1, "barcode"])
    of_members = [predict(member, cells.expression[held_out])["TCR"].to_numpy(float) for member in members_of(model)]
    assert len(of_members) == 3
    logits = np.log(of_members) - np.log1p(-np.array(of_members))
    stated = fold.predictions["probability"].to_numpy()
    np.testing.assert_allclose(stated, 1 / (1 + np.exp(-logits.mean(axis=0))), atol=1e-6)
    for member, expected in enumerate(of_members):
        table = fold.member_predictions[fold.member_predictions["member"] == member]
        assert list(table["barcode"]) == list(fold.predictions["barcode"])
        np.testing.assert_allclose(table["probability"], expected, atol=1e-6)
    assert fold.n_parameters == dag.n_parameters
    assert set(fold.history["member"]) == {0, 1, 2}
    assert fold.n_epochs == fold.history.groupby("member").size().max()


def test_the_model_is_the_winning_trial_itself(dag, cells, folds, settings, tmp_path):
    result = run(dag, cells, folds, settings, tmp_path)
    for fold in result.folds:
        complete = fold.trials[fold.trials["state"] == "complete"]
        best = complete.loc[complete["value"].idxmin()]
        assert fold.hyperparameters["dropout"] == best["dropout"]
        assert fold.history.groupby("member")["val_loss"].min().mean() == pytest.approx(best["value"])


def test_a_single_network_is_stopped_on_one_inner_split(dag, cells, folds, settings, tmp_path):
    from kpnn.nn import load_kpnn, members_of

    single = settings.model_copy(update={"fit": settings.fit.model_copy(update={"ensemble": 1})})
    result = run(dag, cells, folds, single, tmp_path)
    assert len(members_of(load_kpnn(FoldStore(tmp_path).model_path(0, 0)))) == 1
    assert set(result.trials()["n_members"]) == {1}
    assert set(result.member_predictions()["member"]) == {0}


def test_the_members_curves_are_averaged_to_their_longest():
    history = pd.DataFrame({"member": [0, 0, 0, 1], "epoch": [1, 2, 3, 1], "loss": [4.0, 3, 2, 2], "val_loss": 1.0})
    curve = mean_curve(history)
    assert list(curve["epoch"]) == [1, 2, 3]
    assert list(curve["loss"]) == [3.0, 2.5, 2.0]


def test_folds_that_name_unknown_cells_are_an_error(dag, cells, folds, settings, tmp_path):
    with pytest.raises(CellsError, match="nobody"):
        run(dag, cells, folds.replace({"cell0": "nobody"}), settings, tmp_path)


def test_top_genes_are_chosen_among_the_training_cells(dag, cells, folds, settings, tmp_path):
    untuned = settings.model_copy(update={"top_genes": 6, "tuning": settings.tuning.model_copy(update={"n_trials": 0})})
    result = run(dag, cells, folds, untuned, tmp_path)
    assert all(fold.n_parameters < dag.n_parameters for fold in result.folds)


def test_fewer_folds_than_before_leave_no_old_ones_behind(dag, cells, folds, settings, tmp_path):
    untuned = settings.model_copy(update={"tuning": settings.tuning.model_copy(update={"n_trials": 0})})
    run(dag, cells, folds, untuned, tmp_path)
    run(dag, cells, folds.assign(fold=folds["fold"] % 2), untuned, tmp_path)
    assert sorted(p.name for p in tmp_path.glob("repeat_*")) == ["repeat_0_fold_0", "repeat_0_fold_1"]


def test_cells_streamed_from_disk_train_as_well_as_in_memory(dag, cells, folds, settings, tmp_path):
    from anndata import AnnData, read_h5ad

    obs = pd.DataFrame({"TCR": cells.labels[:, 0].astype("int8")}, index=cells.barcodes)
    var = pd.DataFrame({"node": list(cells.nodes)}, index=[node.removesuffix("_gene") for node in cells.nodes])
    AnnData(cells.expression, obs=obs, var=var).write_h5ad(tmp_path / "cells.h5ad")
    streamed = LabelledCells.from_anndata(read_h5ad(tmp_path / "cells.h5ad", backed="r"), ["TCR"])
    assert streamed.store.whole() is None
    longer = settings.model_copy(
        update={
            "fit": settings.fit.model_copy(update={"ensemble": 1, "max_epochs": 80, "patience": 20}),
            "tuning": settings.tuning.model_copy(update={"n_trials": 2}),
        }
    )
    result = run(dag, streamed, folds, longer, tmp_path / "streamed")
    in_memory = run(dag, cells, folds, longer, tmp_path / "memory")
    assert sorted(result.predictions()["barcode"]) == sorted(cells.barcodes)
    assert result.pooled_metrics()["roc_auc"] > 0.85
    assert result.pooled_metrics()["roc_auc"] == pytest.approx(in_memory.pooled_metrics()["roc_auc"], abs=0.05)
    shuffled = Arm("permuted_labels_0", dag, permute_labels=3).cells_seen(streamed)
    assert not np.array_equal(shuffled.labels, streamed.labels)


def test_a_database_that_restarts_between_two_arms_is_waited_for(dag, cells, folds, settings, tmp_path, monkeypatch):
    waits, answers = [], [OperationalError("SELECT 1", None, Exception("the database system is starting up"))]
    make = optuna.storages.RDBStorage.__init__

    def starting_up(*arguments, **options):
        if answers:
            raise answers.pop()
        make(*arguments, **options)

    monkeypatch.setattr("kpnn.training.trial_storage.time.sleep", waits.append)
    monkeypatch.setattr(optuna.storages.RDBStorage, "__init__", starting_up)
    tuned = {"storage": f"sqlite:///{tmp_path}/restarted.db", "n_trials": 1}
    brief = settings.model_copy(update={"tuning": settings.tuning.model_copy(update=tuned)})
    assert len(run(dag, cells, folds, brief, tmp_path).folds) == 3
    assert waits == [2.0]


@pytest.mark.parametrize("epoch_cells", [None, 10])
def test_configurations_are_compared_by_all_validation_cells_however_few_stopping_watches(
    dag, cells, settings, epoch_cells
):
    from kpnn.nn import members_of

    short = settings.model_copy(update={"fit": settings.fit.model_copy(update={"epoch_cells": epoch_cells})})
    fitted = fit_model(dag, cells, short)
    everything = np.arange(len(cells.barcodes))
    splits = inner_splits(
        cells, everything, short.fit, FoldTask(0, 0, everything, everything[:0], short.seed).fold_seed
    )
    assert min(len(validation) for _, validation in splits) > 10
    losses = [
        cross_entropies(predict_rows(member, cells, validation), cells.labels[validation]).mean()
        for member, (_, validation) in zip(members_of(fitted.model), splits, strict=True)
    ]
    assert fitted.loss == pytest.approx(np.mean(losses), rel=1e-4)
