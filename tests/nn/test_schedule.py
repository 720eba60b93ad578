"""When the learning rate is halved, and when early stopping begins to judge."""

from __future__ import annotations

import numpy as np
import pytest

from kpnn.errors import SettingsError
from kpnn.nn import TrainingSettings, biases, build_kpnn, edge_weights, fit_kpnn, fit_kpnns


@pytest.fixture(scope="module")
def task(random_dag, random_cells):
    dag = random_dag(70, n_genes=20, n_outputs=1)
    X, y = random_cells(dag, 80, 70)
    return dag, X, y[:, :1]


def weights_of(model):
    return np.concatenate([edge_weights(model).to_numpy(), biases(model).to_numpy()])


def rates_by_the_rule(val_losses, patience, rate, min_epochs=0):
    """The rule in plain words, epoch by epoch: the rate with which each epoch was made."""
    rates, best, best_epoch, changed = [], np.inf, 0, 0
    for epoch, loss in enumerate(val_losses, start=1):
        rates.append(rate)
        if loss < best:
            best, best_epoch = loss, epoch
        if epoch - max(best_epoch, changed, min_epochs) >= max(1, patience // 2):
            rate, changed = rate / 2, epoch
    return rates


@pytest.mark.parametrize(("patience", "min_epochs"), [(8, 0), (1, 0), (5, 9)])
def test_the_rate_is_halved_after_half_the_patience_without_improvement(patience, min_epochs, task):
    # Constant-rate fits, chained epoch by epoch at the rates that the rule gives, end with the same weights.
    dag, X, y = task
    watched = (X[60:], 1 - y[60:])  # what cannot be learned: the validation loss soon stands still
    settings = {"max_epochs": 20, "patience": patience, "batch_size": 60, "optimizer": "sgd", "min_epochs": min_epochs}
    model = build_kpnn(dag, seed=1, dtype="float64")
    history = fit_kpnn(
        model, X[:60], y[:60], validation_data=watched, learning_rate=0.8, learning_rate_schedule="plateau",
        **settings,
    )  # fmt: skip
    rates = rates_by_the_rule(history.val_loss, patience, 0.8, min_epochs)
    assert len(rates) == history.n_epochs
    if patience > 1:
        assert len(set(rates)) > 1
    chained = build_kpnn(dag, seed=1, dtype="float64")
    for epoch, rate in enumerate(rates, start=1):
        one = fit_kpnn(
            chained, X[:60], y[:60], validation_data=watched, max_epochs=1, batch_size=60, optimizer="sgd",
            learning_rate=rate, seed=epoch,
        )  # fmt: skip
        assert one.val_loss[0] == pytest.approx(history.val_loss[epoch - 1], rel=1e-9)


def test_a_constant_rate_is_what_it_was(task):
    dag, X, y = task
    fitted = []
    for given in ({}, {"learning_rate_schedule": "constant", "min_epochs": 0}):
        model = build_kpnn(dag, seed=1, dropout=0.2)
        fit_kpnn(model, X[:60], y[:60], validation_data=(X[60:], y[60:]), max_epochs=15, patience=3, **given)
        fitted.append(weights_of(model))
    np.testing.assert_array_equal(*fitted)


def test_patience_begins_to_count_after_the_least_number_of_epochs(task):
    dag, X, y = task
    watched = {"validation_data": (X[60:], 1 - y[60:]), "learning_rate": 0.05, "max_epochs": 100}
    early = fit_kpnn(build_kpnn(dag, seed=1), X[:60], y[:60], patience=4, **watched)
    late = fit_kpnn(build_kpnn(dag, seed=1), X[:60], y[:60], patience=4, min_epochs=30, **watched)
    assert early.n_epochs == early.best_epoch + 4 < 30
    assert late.stopped_by == "patience"
    assert late.n_epochs == max(late.best_epoch, 30) + 4
    np.testing.assert_array_equal(late.val_loss[: early.n_epochs], early.val_loss)


def test_in_a_batch_each_model_has_its_own_schedule_bit_for_bit_as_alone(task):
    dag, X, y = task
    rows = {"training_rows": [np.arange(60)] * 3, "validation_rows": [np.arange(60, 80)] * 3}
    settings = [
        TrainingSettings(max_epochs=30, patience=4, learning_rate=0.05, seed=1, learning_rate_schedule="plateau"),
        TrainingSettings(max_epochs=30, patience=4, learning_rate=0.05, seed=2, min_epochs=20),
        TrainingSettings(max_epochs=30, patience=4, learning_rate=0.05, seed=3),
    ]
    together = [build_kpnn(dag, seed=place) for place in range(3)]
    histories = fit_kpnns(together, X, 1 - y, settings=settings, n_threads=2, **rows)
    for place, setting in enumerate(settings):
        alone = build_kpnn(dag, seed=place)
        one = {name: [values[0]] for name, values in rows.items()}
        [history] = fit_kpnns([alone], X, 1 - y, settings=setting, **one)
        np.testing.assert_array_equal(weights_of(alone), weights_of(together[place]))
        np.testing.assert_array_equal(history.val_loss, histories[place].val_loss)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learning_rate_schedule": "cosine"}, "learning_rate_schedule must be one of constant, plateau, not 'cosine'"),
        ({"learning_rate_schedule": "plateau", "patience": None}, "give a patience"),
        ({"learning_rate_schedule": "plateau"}, "watches validation cells"),
        ({"min_epochs": -1}, "min_epochs must be a whole number of at least 0"),
    ],
)
def test_a_schedule_that_makes_no_sense_is_an_error(change, message, task):
    dag, X, y = task
    with pytest.raises(SettingsError, match=message):
        fit_kpnn(build_kpnn(dag), X, y, **change)
