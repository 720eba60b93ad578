"""Training: repeatable, stopped early, weighted, stopped by a callback, honest about losses that are not finite."""

from __future__ import annotations

import random
from inspect import signature
from threading import Event, Thread

import keras
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csc_array, csr_array

from kpnn.errors import ModelError, SettingsError
from kpnn.nn import TrainingSettings, biases, build_kpnn, edge_weights, fit_kpnn, fit_kpnns, predict
from kpnn.nn.engine.kernels import GENES_AT_ONCE
from kpnn.nn.fit_data import fit_data, part_of
from kpnn.nn.lockstep import NetworkFit, in_lockstep
from kpnn.pkn import Dag
from kpnn.stopping import StoppedError, stopped_by


@pytest.fixture(scope="module")
def task(random_dag, random_cells):
    """A DAG with one output, 200 cells and a label that a linear rule decides."""
    dag = random_dag(30, n_genes=40, n_hidden=8, n_outputs=1)
    X, _ = random_cells(dag, 200, 30)
    effects = np.random.default_rng(1).normal(size=X.shape[1])
    scores = X @ effects
    return dag, X, (scores > np.median(scores)).astype(float)[:, None]


def weights_of(model):
    return np.concatenate([edge_weights(model).to_numpy(), biases(model).to_numpy()])


KINDS = [
    {},
    {"dropout": 0.3, "input_normalization": "standard"},
    {"dropout": 0.3, "dropout_on": "nodes", "input_normalization": "batch", "bias_l1": 1e-3, "kernel_l2": 1e-3},
]


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_weights_bit_for_bit_and_another_seed_others(kind, task):
    dag, X, y = task
    runs = []
    for seed in (7, 7, 8):
        np.random.seed(len(runs))  # noqa: NPY002 - the point: it must not matter
        model = build_kpnn(dag, seed=1, **kind)
        history = fit_kpnn(model, X[:150], y[:150], validation_data=(X[150:], y[150:]), max_epochs=5, seed=seed)
        runs.append((weights_of(model), history.loss, history.val_loss))
    for first, second in zip(runs[0], runs[1], strict=True):
        np.testing.assert_array_equal(first, second)
    assert not np.array_equal(runs[0][0], runs[2][0])


def test_building_and_training_leave_all_global_random_states_alone(task):
    dag, X, y = task
    keras.utils.set_random_seed(3)
    expected = random.random(), np.random.random(), float(torch.rand(1)), float(keras.random.uniform((1,))[0])  # noqa: NPY002
    keras.utils.set_random_seed(3)
    model = build_kpnn(dag, dropout=0.2)
    fit_kpnn(model, X, y, max_epochs=2)
    predict(model, X)
    found = random.random(), np.random.random(), float(torch.rand(1)), float(keras.random.uniform((1,))[0])  # noqa: NPY002
    assert found == expected


def test_an_epoch_ends_after_so_many_cells_and_the_next_draws_others(task):
    dag, X, y = task
    cells = fit_data(build_kpnn(dag), X, y, "training").part(np.arange(150))
    draws = [list(cells.blocks(np.random.default_rng([1, epoch]), 40)) for epoch in (1, 1, 2)]
    assert [[len(block.which) for block in blocks] for blocks in draws] == [[40]] * 3
    first, again, other = (set(blocks[0].which.tolist()) for blocks in draws)
    assert len(first) == len(other) == 40
    assert first == again != other
    assert len(next(cells.blocks(most=40)).which) == 40


def test_more_cells_than_there_are_in_an_epoch_change_no_bit_and_fewer_do(task):
    dag, X, y = task
    runs = {}
    for epoch_cells in (None, 150, 10_000, 64):
        model = build_kpnn(dag, seed=1, dropout=0.2)
        history = fit_kpnn(
            model, X[:150], y[:150], validation_data=(X[150:], y[150:]), max_epochs=4, epoch_cells=epoch_cells
        )
        runs[epoch_cells] = np.concatenate([weights_of(model), history.loss, history.val_loss])
    np.testing.assert_array_equal(runs[None], runs[150])
    np.testing.assert_array_equal(runs[None], runs[10_000])
    assert not np.array_equal(runs[None], runs[64])


def test_the_loss_of_a_short_epoch_is_the_mean_over_the_cells_that_it_saw(task):
    dag, X, y = task
    cells = fit_data(build_kpnn(dag), X, y, "training")
    settings = TrainingSettings(max_epochs=1, epoch_cells=50, batch_size=50, learning_rate=1e-12, seed=3)
    model = build_kpnn(dag, seed=1)
    (history,) = fit_kpnns([model], X, y, training_rows=[np.arange(200)], settings=settings)
    (block,) = cells.blocks(np.random.default_rng([3, 1, 1]), 50)
    seen = predict(model, X[block.which]).to_numpy()
    expected = -np.mean(np.where(y[block.which] > 0.5, np.log(seen), np.log1p(-seen)))
    assert history.loss[0] == pytest.approx(expected, rel=1e-4)


def test_early_stopping_looks_at_no_more_cells_than_an_epoch_trains_on_and_always_at_the_same(task):
    dag, X, y = task
    cells = fit_data(build_kpnn(dag), X, y, "training")

    def watched(seed: int, epoch_cells: int | None) -> set[int]:
        settings = TrainingSettings(epoch_cells=epoch_cells, seed=seed)
        fit = NetworkFit(build_kpnn(dag), settings, cells.part(np.arange(100)), cells.part(np.arange(100, 150)), 0)
        return set(next(fit.validation.blocks()).which.tolist())

    assert watched(1, None) == watched(1, 50) == set(range(100, 150))
    some = watched(1, 20)
    assert len(some) == 20
    assert some < set(range(100, 150))
    assert some == watched(1, 20) != watched(2, 20)
    model = build_kpnn(dag, seed=1)
    settings = TrainingSettings(max_epochs=1, epoch_cells=20, seed=1)
    (history,) = fit_kpnns(
        [model], X, y, training_rows=[np.arange(100)], validation_rows=[np.arange(100, 150)], settings=settings
    )
    rows = sorted(some)
    seen = predict(model, X[rows]).to_numpy()
    expected = -np.mean(np.where(y[rows] > 0.5, np.log(seen), np.log1p(-seen)))
    assert history.val_loss[0] == pytest.approx(expected, rel=1e-4)


def test_networks_with_epochs_of_different_lengths_are_not_computed_side_by_side(task):
    dag, X, y = task
    fits = [
        NetworkFit(build_kpnn(dag, seed=place), TrainingSettings(epoch_cells=epoch_cells), cells, None, place)
        for cells in [fit_data(build_kpnn(dag), X, y, "training")]
        for place, epoch_cells in enumerate([20, 20, 30])
    ]
    assert [[fit.place for fit in lockstep.fits] for lockstep in in_lockstep(fits, 1)] == [[0, 1], [2]]


def test_early_stopping_restores_the_best_weights(task):
    dag, X, y = task
    model = build_kpnn(dag, seed=1)
    noise = np.random.default_rng(0).random((50, 1)).round()  # labels that cannot be learned: validation gets worse
    history = fit_kpnn(
        model, X[:150], y[:150], validation_data=(X[150:], noise), max_epochs=400, patience=7, learning_rate=0.05
    )
    assert history.stopped_by == "patience"
    assert history.n_epochs == history.best_epoch + 7 < 400
    assert history.best_epoch == 1 + int(np.argmin(history.val_loss))
    probabilities = predict(model, X[150:]).to_numpy()
    loss = -np.mean(noise * np.log(probabilities) + (1 - noise) * np.log(1 - probabilities))
    assert loss == pytest.approx(history.val_loss.min(), rel=1e-5)


def test_training_for_exactly_the_best_epochs_gives_the_restored_weights(task):
    dag, X, y = task
    data = {"validation_data": (X[150:], 1 - y[150:]), "learning_rate": 0.01}
    long = build_kpnn(dag, seed=1, dropout=0.2)
    history = fit_kpnn(long, X[:150], y[:150], max_epochs=60, patience=20, **data)
    short = build_kpnn(dag, seed=1, dropout=0.2)
    fit_kpnn(short, X[:150], y[:150], max_epochs=history.best_epoch, patience=None, **data)
    np.testing.assert_array_equal(weights_of(long), weights_of(short))


def test_it_learns(task):
    dag, X, y = task
    model = build_kpnn(dag, seed=1, hidden_activation="tanh")
    fit_kpnn(model, X, y, max_epochs=300, learning_rate=0.02)
    assert ((predict(model, X).to_numpy() > 0.5) == y).mean() > 0.9


def test_without_validation_cells_all_epochs_are_made(task):
    dag, X, y = task
    history = fit_kpnn(build_kpnn(dag), X, y, max_epochs=4, patience=1)
    assert (history.n_epochs, history.best_epoch, history.stopped_by) == (4, 4, "max_epochs")
    assert np.isnan(history.val_loss).all()
    assert list(history.to_frame().columns) == ["loss", "penalty", "val_loss", "seconds"]
    assert history.to_frame().index.tolist() == [1, 2, 3, 4]


def test_a_callback_sees_every_epoch_and_stops_training(task):
    dag, X, y = task
    seen = []
    history = fit_kpnn(
        build_kpnn(dag), X, y, validation_data=(X, y), max_epochs=9, patience=None,
        callback=lambda epoch, loss: seen.append((epoch, loss)) or (epoch < 3),
    )  # fmt: skip
    assert history.stopped_by == "callback"
    assert seen == list(zip([1, 2, 3], history.val_loss, strict=True))


def test_class_weights_weigh_the_loss_as_scikit_learn_would(task):
    from sklearn.utils.class_weight import compute_class_weight

    dag, X, y = task
    rows = np.concatenate([np.flatnonzero(y[:, 0] == 1)[:20], np.flatnonzero(y[:, 0] == 0)])
    X, y = X[rows], y[rows]
    balanced = dict(
        zip([0, 1], compute_class_weight("balanced", classes=np.array([0, 1]), y=y[:, 0].astype(int)), strict=True)
    )
    probabilities = predict(build_kpnn(dag, seed=1), X).to_numpy()
    each = -(y * np.log(probabilities) + (1 - y) * np.log(1 - probabilities))
    for given in ("balanced", balanced, {0: 0.0, 1: 2.0}):
        weights = balanced if given == "balanced" else given
        expected = np.mean(np.where(y == 1, weights[1], weights[0]) * each)
        history = fit_kpnn(build_kpnn(dag, seed=1), X, y, max_epochs=1, batch_size=1000, class_weight=given)
        assert history.loss[0] == pytest.approx(expected, rel=1e-5)


def test_dense_sparse_and_named_cells_train_alike(task):
    dag, X, y = task
    shuffled = np.random.default_rng(2).permutation(X.shape[1])
    genes = [name.removesuffix("_gene") for name in dag.inputs]
    table = pd.DataFrame(X.toarray(), columns=genes).iloc[:, shuffled]
    labels = pd.DataFrame(y, columns=list(dag.outputs)).assign(other=1.0)
    fitted = []
    for data, truth in ((X, y), (X.toarray(), y[:, 0]), (csc_array(X), y), (table, labels), (X.astype(np.float32), y)):
        model = build_kpnn(dag, seed=1)
        fit_kpnn(model, data, truth, max_epochs=2)
        fitted.append(weights_of(model))
    for each in fitted[1:]:
        np.testing.assert_array_equal(fitted[0], each)


def test_a_batch_larger_than_the_lanes_of_the_kernels_is_one_step(task):
    dag, X, y = task
    one = build_kpnn(dag, seed=1, dtype="float64")
    fit_kpnn(one, X, y, max_epochs=1, batch_size=200, optimizer="sgd", learning_rate=0.5)
    start = weights_of(build_kpnn(dag, seed=1, dtype="float64"))
    parts = []
    for rows in (slice(0, 50), slice(50, 100), slice(100, 150), slice(150, 200)):
        part = build_kpnn(dag, seed=1, dtype="float64")
        fit_kpnn(part, X[rows], y[rows], max_epochs=1, batch_size=50, optimizer="sgd", learning_rate=0.5)
        parts.append(weights_of(part) - start)
    np.testing.assert_allclose(weights_of(one) - start, np.mean(parts, axis=0), rtol=1e-9, atol=1e-12)


def test_models_in_a_batch_end_as_they_do_alone_bit_for_bit(task):
    dag, X, y = task
    generator = np.random.default_rng(5)
    kinds = [*KINDS, {"signed": True, "gene_dropout": 0.5}]
    settings = [
        TrainingSettings(max_epochs=40, patience=3, learning_rate=0.05, seed=1),
        TrainingSettings(max_epochs=6, batch_size=17, learning_rate=0.01, seed=2, class_weight="balanced"),
        TrainingSettings(max_epochs=8, learning_rate=0.02, seed=3, optimizer="sgd"),
        TrainingSettings(max_epochs=5, batch_size=150, learning_rate=0.02, seed=4),
    ]
    splits = [np.split(generator.permutation(200), [140]) for _ in kinds]
    together = [build_kpnn(dag, seed=place, **kind) for place, kind in enumerate(kinds)]
    histories = fit_kpnns(
        together, X, y, training_rows=[each[0] for each in splits], validation_rows=[each[1] for each in splits],
        settings=settings, n_threads=3,
    )  # fmt: skip
    assert len({history.n_epochs for history in histories}) > 1
    for place, (kind, setting, (train, watch)) in enumerate(zip(kinds, settings, splits, strict=True)):
        alone = build_kpnn(dag, seed=place, **kind)
        arguments = {name: getattr(setting, name) for name in TrainingSettings.__dataclass_fields__}
        history = fit_kpnn(alone, X[train], y[train], validation_data=(X[watch], y[watch]), **arguments)
        np.testing.assert_array_equal(weights_of(alone), weights_of(together[place]))
        np.testing.assert_array_equal(history.loss, histories[place].loss)
        np.testing.assert_array_equal(history.val_loss, histories[place].val_loss)
        assert history.stopped_by == histories[place].stopped_by
        np.testing.assert_array_equal(predict(alone, X), predict(together[place], X))


@pytest.mark.parametrize("watched_from_outside", [False, True])
def test_one_thread_begins_no_other(task, monkeypatch, watched_from_outside):
    """A process without memory may never get another, and Python waits for it for ever."""
    dag, X, y = task
    fit_kpnn(build_kpnn(dag), X, y, max_epochs=1)  # what runs once in a process may take a thread

    def begin(self):
        raise AssertionError("a thread was begun")

    monkeypatch.setattr(Thread, "start", begin)
    histories = fit_kpnns(
        [build_kpnn(dag, seed=seed) for seed in (1, 2)],
        X,
        y,
        training_rows=[np.arange(100)] * 2,
        settings=TrainingSettings(max_epochs=2),
        callback=(lambda *_: True) if watched_from_outside else None,
        n_threads=1,
    )
    assert [history.n_epochs for history in histories] == [2, 2]


def test_networks_that_read_cells_together_become_what_each_would_alone(task):
    """Other edges, starts, penalties, rates and normalizations; they stop after different numbers of epochs."""
    dag, X, y = task
    generator = np.random.default_rng(3)
    kinds = [
        {"input_normalization": "standard", "weight_prior": 1.0},
        {"input_normalization": "common", "kernel_l2": 1e-3},
        {"input_normalization": "common", "dropout": 0.3, "dropout_on": "edges"},
        {"input_normalization": "standard", "signed": True, "hidden_activation": "tanh"},
        {"input_normalization": "standard", "node_dropout": 0.4, "gene_dropout": 0.0},
        {"input_normalization": "standard", "initializer": "conducting", "bias_l1": 1e-3},
        {"input_normalization": "standard", "gene_dropout": 0.2, "dropout_on": "nodes"},  # of genes: alone
        {"input_normalization": "batch"},  # by each minibatch: alone
        {"input_normalization": None},  # not centred: alone
    ]
    rates = [0.05, 0.3, 0.02, 0.01, 0.1, 0.2, 0.05, 0.05, 0.05]
    dags = [dag] * len(kinds)
    dags[1] = Dag.from_edges(dag.edges[["parent", "child"]].iloc[_without_one_gene_edge_each(dag)], outputs=dag.outputs)
    assert (dags[1].inputs, dags[1].outputs) == (dag.inputs, dag.outputs) and len(dags[1].edges) < len(dag.edges)
    training, watched = np.split(generator.permutation(200), [140])
    settings = [
        TrainingSettings(max_epochs=30, patience=2, learning_rate=rate, seed=1, learning_rate_schedule="plateau")
        for rate in rates
    ]
    models = [build_kpnn(one, seed=7, **kind) for one, kind in zip(dags, kinds, strict=True)]
    fits = [
        NetworkFit(model, setting, part_of(cells, training, ""), part_of(cells, watched, ""), place)
        for cells in [fit_data(models[0], X, y, "")]
        for place, (model, setting) in enumerate(zip(models, settings, strict=True))
    ]
    assert sorted(len(lockstep.fits) for lockstep in in_lockstep(fits, 1)) == [1, 1, 1, 3, 3]
    assert sorted(len(lockstep.fits) for lockstep in in_lockstep(fits, 7)) == [1, 1, 1, 1, 1, 2, 2]
    rows = {"training_rows": [training] * len(kinds), "validation_rows": [watched] * len(kinds)}
    models = [build_kpnn(one, seed=7, **kind) for one, kind in zip(dags, kinds, strict=True)]
    histories = fit_kpnns(models, X, y, settings=settings, n_threads=1, **rows)
    assert len({history.n_epochs for history in histories}) > 2
    for place, (one, kind) in enumerate(zip(dags, kinds, strict=True)):
        alone = build_kpnn(one, seed=7, **kind)
        arguments = {name: getattr(settings[place], name) for name in TrainingSettings.__dataclass_fields__}
        history = fit_kpnn(alone, X[training], y[training], validation_data=(X[watched], y[watched]), **arguments)
        np.testing.assert_array_equal(weights_of(alone), weights_of(models[place]))
        for curve in ("loss", "penalty", "val_loss"):
            np.testing.assert_array_equal(getattr(history, curve), getattr(histories[place], curve))
        assert (history.stopped_by, history.best_epoch) == (histories[place].stopped_by, histories[place].best_epoch)


def _without_one_gene_edge_each(dag: Dag) -> list[int]:
    """Rows of the edges but for one of each gene that has several."""
    last = {child: row for row, child in enumerate(dag.edges["child"])}
    times = dag.edges["child"].value_counts()
    dropped = {row for child, row in last.items() if child in dag.inputs and times[child] > 1}
    return [row for row in range(len(dag.edges)) if row not in dropped]


def test_a_network_that_fails_in_the_middle_leaves_those_beside_it_as_they_were(task):
    dag, X, y = task
    rows = {"training_rows": [np.arange(150)] * 3, "validation_rows": [np.arange(150, 200)] * 3}
    settings = [
        TrainingSettings(max_epochs=6, learning_rate=r, optimizer="sgd", batch_size=32) for r in (0.1, 1e30, 0.2)
    ]
    models = [build_kpnn(dag, hidden_activation="relu", seed=seed) for seed in range(3)]
    histories = fit_kpnns(models, X, y, settings=settings, not_finite="stop", n_threads=1, **rows)
    assert [history.stopped_by for history in histories] == ["max_epochs", "not_finite", "max_epochs"]
    for place in (0, 2):
        alone = build_kpnn(dag, hidden_activation="relu", seed=place)
        fit_kpnns([alone], X, y, settings=settings[place], **{name: which[:1] for name, which in rows.items()})
        np.testing.assert_array_equal(weights_of(alone), weights_of(models[place]))


def test_a_batchs_callback_prunes_one_model_and_the_others_go_on(task):
    dag, X, y = task
    seen = []

    def keep_going(place, epoch, loss):
        seen.append((place, epoch))
        return not (place == 1 and epoch == 2)

    models = [build_kpnn(dag, seed=seed) for seed in range(3)]
    rows = [np.arange(150)] * 3
    histories = fit_kpnns(
        models, X, y, training_rows=rows, validation_rows=[np.arange(150, 200)] * 3,
        settings=TrainingSettings(max_epochs=4), callback=keep_going,
    )  # fmt: skip
    assert [history.stopped_by for history in histories] == ["max_epochs", "callback", "max_epochs"]
    assert seen == [(0, 1), (1, 1), (2, 1), (0, 2), (1, 2), (2, 2), (0, 3), (2, 3), (0, 4), (2, 4)]


def test_a_loss_that_is_not_finite_stops_with_the_epoch_and_a_likely_cause(task):
    dag, X, y = task
    model = build_kpnn(dag, hidden_activation="relu")
    before = weights_of(model)
    with pytest.raises(
        ModelError, match=r"epoch \d+ of model 'kpnn'.*likely cause: the learning rate 1e\+30 is too high"
    ):
        fit_kpnn(model, X, y, max_epochs=50, learning_rate=1e30, optimizer="sgd")
    np.testing.assert_array_equal(weights_of(model), before)
    with pytest.raises(ModelError, match=r"expression reaches 1e[+]3[0-9] and is not normalized"):
        fit_kpnn(model, X / X.max() * 1e38, y, max_epochs=50, learning_rate=1.0)


def test_in_a_batch_a_loss_that_is_not_finite_can_stop_its_model_alone(task):
    dag, X, y = task
    models = [build_kpnn(dag, hidden_activation="relu", seed=seed) for seed in range(2)]
    settings = [TrainingSettings(max_epochs=9, learning_rate=rate, optimizer="sgd") for rate in (1e30, 1e-3)]
    rows = {"training_rows": [np.arange(150)] * 2, "validation_rows": [np.arange(150, 200)] * 2}
    histories = fit_kpnns(models, X, y, settings=settings, not_finite="stop", **rows)
    assert [history.stopped_by for history in histories] == ["not_finite", "max_epochs"]
    assert np.isfinite(weights_of(models[0])).all()
    with pytest.raises(ModelError, match="number 0"):
        fit_kpnns(models, X, y, settings=settings, **rows)


def test_a_very_confident_network_has_a_finite_and_exact_loss(chain_dag):
    from kpnn.nn import set_edge_weights

    model = build_kpnn(chain_dag)
    set_edge_weights(model, dict.fromkeys(edge_weights(model).index, 0.0), {"OUT": 200.0})
    history = fit_kpnn(model, np.ones((4, 2)), np.zeros(4), max_epochs=1)
    assert history.loss[0] == pytest.approx(200.0)  # clipped probabilities would say 16


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"y": np.ones(3)}, ModelError, r"labels of shape \(3,\) do not fit 200 cells and 1 outputs"),
        (
            {"y": np.full(200, 2.0)},
            ModelError,
            "labels must lie between 0 and 1; those of cell 0, 1, 2, 3, 4 and 195 more",
        ),
        ({"y": pd.DataFrame({"other": np.ones(200)})}, ModelError, "no labels for output"),
        ({"X": np.ones((200, 3))}, ModelError, "does not fit the model's 40 inputs"),
        ({"X": np.full((200, 40), np.nan)}, ModelError, "expression of cell 0, 1, 2, 3, 4 and 195 more is not finite"),
        ({"X": "cells"}, ModelError, "must be an AnnData, a DataFrame, an array or a sparse matrix, not str"),
        ({"max_epochs": 0}, SettingsError, "max_epochs must be a whole number of at least 1, not 0"),
        ({"batch_size": 0.5}, SettingsError, "batch_size"),
        ({"patience": 0}, SettingsError, "patience"),
        ({"epoch_cells": 0}, SettingsError, "epoch_cells must be a whole number of at least 1, not 0"),
        ({"learning_rate": 0.0}, SettingsError, "learning_rate"),
        ({"min_delta": -1.0}, SettingsError, "min_delta"),
        ({"optimizer": "lion"}, SettingsError, "optimizer must be one of adam, sgd"),
        ({"class_weight": "equal"}, SettingsError, "class_weight"),
        ({"class_weight": {1: 2.0}}, SettingsError, "class_weight must give a weight to 0 and to 1"),
        ({"class_weight": {0: -1.0, 1: 1.0}}, SettingsError, "class weights must be 0 or more"),
    ],
)
def test_what_does_not_fit_is_an_error_that_says_so(change, error, message, task):
    dag, X, y = task
    with pytest.raises(error, match=message):
        fit_kpnn(build_kpnn(dag), **{"X": X, "y": y, "max_epochs": 1, **change})


def test_what_does_not_fit_a_batch_is_an_error_that_says_so(task, chain_dag):
    dag, X, y = task
    model, rows = build_kpnn(dag), np.arange(10)
    for arguments, error, message in (
        ({"models": [model, build_kpnn(chain_dag)], "training_rows": [rows, rows]}, ModelError, "the same inputs"),
        ({"models": [model, model], "training_rows": [rows, rows]}, ModelError, "different models"),
        ({"models": [model], "training_rows": [rows, rows]}, SettingsError, "2 training_rows for 1 models"),
        ({"models": [model], "training_rows": [np.array([300])]}, SettingsError, "names row 300 of 200"),
        ({"models": [model], "training_rows": [np.array([])]}, SettingsError, "at least one row number"),
        ({"models": [model], "training_rows": [rows], "not_finite": "ignore"}, SettingsError, "not_finite"),
    ):
        with pytest.raises(error, match=message):
            fit_kpnns(X=X, y=y, **arguments)
    assert fit_kpnns([], X, y, training_rows=[]) == []


def test_only_outputs_that_are_probabilities_or_logits_are_trained(task):
    dag, X, y = task
    with pytest.raises(ModelError, match="must be sigmoid"):
        fit_kpnn(build_kpnn(dag, output_activation="relu"), X, y)
    logits = build_kpnn(dag, seed=1, output_activation="linear")
    sigmoid = build_kpnn(dag, seed=1)
    for model in (logits, sigmoid):
        fit_kpnn(model, X, y, max_epochs=2)
    np.testing.assert_array_equal(weights_of(logits), weights_of(sigmoid))
    np.testing.assert_allclose(predict(logits, X), predict(sigmoid, X), atol=1e-6)


def test_kerass_own_fit_trains_the_model_too(task):
    dag, X, y = task
    model = build_kpnn(dag, dropout=0.2, bias_l1=1e-3, hidden_activation="tanh", input_normalization="batch")
    model.compile(optimizer=keras.optimizers.Adam(1e-2), loss="binary_crossentropy")
    losses = model.fit(X.toarray(), y, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_a_dag_of_one_neuron_is_scikit_learns_logistic_regression(random_cells):
    from sklearn.linear_model import LogisticRegression

    from kpnn.pkn import Dag

    dag = Dag.from_edges(pd.DataFrame({"parent": "O", "child": [f"G{i}_gene" for i in range(5)]}), outputs=["O"])
    X, _ = random_cells(dag, 150, 3)
    noise = np.random.default_rng(4).normal(size=150)
    y = (X @ np.array([1.0, -2.0, 0.0, 0.5, 1.0]) + noise > 0).astype(float)
    model = build_kpnn(dag, kernel_l2=0.01, dtype="float64")
    fit_kpnn(model, X, y, max_epochs=3000, batch_size=150, learning_rate=0.02)
    peer = LogisticRegression(C=1 / (2 * 150 * 0.01), tol=1e-10, max_iter=10_000).fit(X.toarray(), y)
    np.testing.assert_allclose(edge_weights(model), peer.coef_[0], atol=1e-4)
    np.testing.assert_allclose(biases(model), peer.intercept_, atol=1e-4)


def test_networks_stop_when_their_thread_is_asked_to(task):
    dag, X, y = task
    model = build_kpnn(dag, seed=1)
    before, asked = weights_of(model), Event()
    asked.set()
    with stopped_by(asked), pytest.raises(StoppedError):
        fit_kpnn(model, X, y, max_epochs=5)
    np.testing.assert_array_equal(weights_of(model), before)
    assert fit_kpnn(model, X, y, max_epochs=2).n_epochs == 2


def test_a_fit_takes_what_is_left_out_from_the_settings_it_stands_for():
    usual = TrainingSettings()
    stated = {name: one.default for name, one in signature(fit_kpnn).parameters.items() if hasattr(usual, name)}
    assert stated == vars(usual)


@pytest.mark.parametrize("n_genes", [GENES_AT_ONCE, GENES_AT_ONCE + 1, 2 * GENES_AT_ONCE + 300])
def test_genes_beyond_those_made_dense_at_once_count_as_much(n_genes):
    # One neuron over all genes is logistic regression: what a step does to every weight is known.
    edges = pd.DataFrame({"parent": "O", "child": [f"G{place}_gene" for place in range(n_genes)]})
    dag = Dag.from_edges(edges, outputs=["O"])
    model = build_kpnn(dag, seed=3, dtype="float64", initializer="standard_normal")
    generator = np.random.default_rng(n_genes)
    X = generator.gamma(2.0, 0.02, (70, n_genes)) * (generator.random((70, n_genes)) < 0.1)
    X[0] = 0  # no entry at all; the last gene alone; entries at both sides of a border
    X[1, :-1] = 0
    X[2, GENES_AT_ONCE - 1 : GENES_AT_ONCE + 1] = 1.5
    y = generator.integers(0, 2, 70).astype(float)

    def weights():
        return edge_weights(model)["O"].loc[list(dag.inputs)].to_numpy()

    before = weights()
    p = 1 / (1 + np.exp(-(X @ before + biases(model).to_numpy())))
    np.testing.assert_allclose(predict(model, csr_array(X))["O"], p, rtol=1e-12)
    fit_kpnn(model, csr_array(X), y, max_epochs=1, batch_size=70, optimizer="sgd", learning_rate=1.0)
    np.testing.assert_allclose(before - weights(), X.T @ (p - y) / 70, rtol=1e-9, atol=1e-13)
