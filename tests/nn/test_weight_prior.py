"""A Gaussian prior on the weights, in units of how far they start and of the number of cells."""

from __future__ import annotations

import json
import zipfile

import keras
import numpy as np
import pandas as pd
import pytest
from keras import ops
from scipy.optimize import minimize

from kpnn.errors import ModelError, SettingsError
from kpnn.nn import adapt_normalization, build_kpnn, edge_weights, fit_kpnn, fit_kpnns, load_kpnn, set_edge_weights
from kpnn.nn.layer import sparse_dag
from kpnn.pkn import Dag


def by_hand(dag, weights, strength, n_cells, variance):
    """The penalty, edge by edge, from the fan-in of each parent."""
    fan_in = dag.edges["parent"].value_counts()
    terms = [weight**2 / variance(fan_in[parent]) for (parent, _), weight in weights.items()]
    return strength / (2 * n_cells * len(dag.outputs)) * sum(terms)


VARIANCES = {
    "glorot_uniform": lambda n: 2 / (n + 1),
    "lecun_uniform": lambda n: 1 / n,
    "he_uniform": lambda n: 2 / n,
    "standard_normal": lambda n: 1.0,
}


@pytest.mark.parametrize("initializer", VARIANCES)
def test_the_penalty_is_the_priors_in_training_and_in_kerass_own_loss(initializer, random_dag, random_cells):
    dag = random_dag(61)
    X, y = random_cells(dag, 45, 61)
    model = build_kpnn(dag, weight_prior=0.3, initializer=initializer, dtype="float64", seed=2)
    start = edge_weights(model)
    history = fit_kpnn(model, X, y, max_epochs=1, batch_size=45, learning_rate=1e-12)
    expected = by_hand(dag, start, 0.3, 45, VARIANCES[initializer])
    assert history.penalty[0] == pytest.approx(expected, rel=1e-6)
    assert float(sum(model.losses).detach()) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("initializer", VARIANCES)
def test_initial_weights_have_the_variance_that_the_prior_counts_in(initializer, random_dag):
    dag = random_dag(62)
    model = build_kpnn(dag, initializer=initializer)
    draws = np.array([edge_weights(build_kpnn(dag, initializer=initializer, seed=seed)) for seed in range(2000)])
    np.testing.assert_allclose(draws.var(axis=0), sparse_dag(model).start.variances, rtol=0.15)


def test_gradients_are_those_of_kerass_own_loss(random_dag, random_cells):
    dag = random_dag(63, signs=True)
    X, y = random_cells(dag, 30, 63)
    for signed in (False, True):
        settings = {"weight_prior": 2.0, "signed": signed, "dtype": "float64", "initializer": "standard_normal"}
        model = build_kpnn(dag, seed=4, **settings)
        adapt_normalization(model, X)
        layer = sparse_dag(model)
        cells = ops.convert_to_tensor(X.toarray(), dtype="float64")
        loss = keras.losses.BinaryCrossentropy(from_logits=True)(y, layer.logits(cells)) + sum(model.losses)
        loss.backward()
        expected = np.array(layer.kernel.value.grad)
        before = np.array(ops.convert_to_numpy(layer.kernel))
        history = fit_kpnn(model, X, y, max_epochs=1, batch_size=30, optimizer="sgd", learning_rate=1.0)
        assert history.loss[0] == pytest.approx(float(loss.detach()), rel=1e-6)
        np.testing.assert_allclose(before - ops.convert_to_numpy(layer.kernel), expected, rtol=1e-5, atol=1e-8)


def test_training_finds_the_most_probable_weights_under_the_prior(random_cells):
    # One neuron: logistic regression, whose posterior mode can be had from scipy.
    dag = Dag.from_edges(pd.DataFrame({"parent": "O", "child": [f"G{i}_gene" for i in range(5)]}), outputs=["O"])
    X, _ = random_cells(dag, 80, 3)
    y = (X @ np.array([1.0, -2.0, 0.0, 0.5, 1.0]) + np.random.default_rng(4).normal(size=80) > 0).astype(float)
    dense, strength, variance = X.toarray(), 5.0, 2 / (5 + 1)

    def minus_log_posterior(w):
        z = dense @ w[:5] + w[5]
        return np.sum(np.logaddexp(0, z) - y * z) + strength * np.sum(w[:5] ** 2) / (2 * variance)

    expected = minimize(minus_log_posterior, np.zeros(6), tol=1e-12).x
    model = build_kpnn(dag, weight_prior=strength, dtype="float64")
    fit_kpnn(model, X, y, max_epochs=4000, batch_size=80, learning_rate=0.02)
    np.testing.assert_allclose(edge_weights(model), expected[:5], atol=1e-4)


def test_each_model_of_a_batch_counts_its_own_cells(random_dag, random_cells):
    dag = random_dag(64)
    X, y = random_cells(dag, 60, 64)
    models = [build_kpnn(dag, weight_prior=1.0, seed=1) for _ in range(2)]
    rows = [np.arange(20), np.arange(60)]
    few, many = fit_kpnns(models, X, y, training_rows=rows)
    start = edge_weights(build_kpnn(dag, seed=1))
    alone = build_kpnn(dag, weight_prior=1.0, seed=1)
    history = fit_kpnn(alone, X[:20], y[:20])
    np.testing.assert_array_equal(history.penalty, few.penalty)
    np.testing.assert_array_equal(edge_weights(alone), edge_weights(models[0]))
    first = by_hand(dag, start, 1.0, 20, VARIANCES["glorot_uniform"])
    assert few.penalty[0] == pytest.approx(first, rel=1e-5)  # one step an epoch: still the initial weights
    assert many.penalty[0] == pytest.approx(first / 3, rel=0.05)


def test_kerass_own_fit_needs_to_know_how_many_cells_there_are(random_dag, random_cells):
    dag = random_dag(65)
    X, y = random_cells(dag, 40, 65)
    model = build_kpnn(dag, weight_prior=0.5)
    model.compile(optimizer=keras.optimizers.Adam(1e-2), loss="binary_crossentropy")
    with pytest.raises(ModelError, match=r"adapt_normalization\(model, X\) before Keras's own fit"):
        model.fit(X.toarray(), y, epochs=1, verbose=0)
    adapt_normalization(model, X)
    losses = model.fit(X.toarray(), y, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_a_file_keeps_the_prior_and_what_it_counts_against(random_dag, random_cells, tmp_path):
    dag = random_dag(66)
    X, y = random_cells(dag, 40, 66)
    model = build_kpnn(dag, weight_prior=0.5)
    fit_kpnn(model, X, y, max_epochs=2)
    model.save(tmp_path / "model.keras")
    loaded = load_kpnn(tmp_path / "model.keras")
    assert float(sum(loaded.losses).detach()) == pytest.approx(float(sum(model.losses).detach()), rel=1e-6)
    np.testing.assert_array_equal(fit_kpnn(loaded, X, y).penalty, fit_kpnn(model, X, y).penalty)


def test_a_file_from_before_there_was_a_prior_still_loads(random_dag, tmp_path):
    model = build_kpnn(random_dag(67))
    model.save(tmp_path / "new.keras")
    with zipfile.ZipFile(tmp_path / "new.keras") as new, zipfile.ZipFile(tmp_path / "old.keras", "w") as old:
        for name in new.namelist():
            content = new.read(name)
            if name == "config.json":
                config = json.loads(content)
                layer = next(each for each in config["config"]["layers"] if each["class_name"] == "SparseDag")
                for since in ("weight_prior", "n_training_cells"):
                    del layer["config"][since]
                content = json.dumps(config).encode()
            old.writestr(name, content)
    pd.testing.assert_series_equal(edge_weights(load_kpnn(tmp_path / "old.keras")), edge_weights(model))


def test_a_stronger_prior_gives_smaller_weights(chain_dag, random_cells):
    X, y = random_cells(chain_dag, 100, 1)
    sizes = []
    for strength in (0.0, 1.0, 100.0):
        model = build_kpnn(chain_dag, seed=3, weight_prior=strength)
        set_edge_weights(model, dict.fromkeys(edge_weights(model).index, 1.0))
        fit_kpnn(model, X, y, max_epochs=200, learning_rate=1e-2)
        sizes.append(float(np.abs(edge_weights(model)).sum()))
    assert sizes[0] > sizes[1] > 3 * sizes[2]


def test_a_strength_that_makes_no_sense_is_an_error(chain_dag):
    with pytest.raises(SettingsError, match="weight_prior must be 0 or more"):
        build_kpnn(chain_dag, weight_prior=-1.0)
