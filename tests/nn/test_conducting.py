"""A start in which every path from a gene to an output conducts, and the prior that holds weights around it."""

from __future__ import annotations

import keras
import numpy as np
import pandas as pd
import pytest
from keras import ops
from sklearn.linear_model import LogisticRegression

from kpnn.errors import SettingsError
from kpnn.nn import adapt_normalization, biases, build_kpnn, edge_weights, fit_kpnn, predict, set_edge_weights
from kpnn.nn.layer import sparse_dag
from kpnn.pkn import Dag

SMOOTH = ("sigmoid", "tanh", "softsign", "silu", "softplus", "hard_sigmoid", "linear", "elu")


def chain(length: int) -> Dag:
    """One gene below a chain of neurons."""
    nodes = ["O", *(f"H{level}" for level in range(length)), "G_gene"]
    return Dag.from_edges(pd.DataFrame({"parent": nodes[:-1], "child": nodes[1:]}), outputs=["O"])


@pytest.mark.parametrize("activation", SMOOTH)
def test_at_rest_every_weighted_sum_is_zero(activation, random_dag):
    dag = random_dag(70)
    model = build_kpnn(dag, initializer="conducting", hidden_activation=activation, dtype="float64")
    before, _ = sparse_dag(model).node_values(np.zeros((1, len(dag.inputs))))
    np.testing.assert_allclose(ops.convert_to_numpy(before), 0.0, atol=1e-12)


@pytest.mark.parametrize("activation", SMOOTH)
def test_a_small_change_of_a_gene_passes_a_chain_of_any_length_undiminished(activation):
    for length in (1, 4, 30):
        dag = chain(length)
        settings = {"hidden_activation": activation, "output_activation": "linear", "dtype": "float64"}
        model = build_kpnn(dag, initializer="conducting", **settings)
        lowest = (f"H{length - 1}", "G_gene")
        set_edge_weights(model, {lowest: 1.0})
        up, down = (float(ops.convert_to_numpy(model(np.array([[step]])))[0, 0]) for step in (1e-5, -1e-5))
        assert (up - down) / 2e-5 == pytest.approx(1.0, rel=1e-3)


def test_children_of_a_neuron_share_what_it_conducts_whatever_their_activations():
    pairs = [("O", "A"), ("O", "B"), ("O", "C"), ("O", "D"), *((hidden, f"{hidden}_gene") for hidden in "ABCD")]
    dag = Dag.from_edges(pd.DataFrame(pairs, columns=["parent", "child"]), outputs=["O"])
    model = build_kpnn(dag, initializer="conducting", activations={"A": "tanh", "B": "tanh"})
    weights = edge_weights(model)
    # Four neurons: 1 / (slope at 0 * sqrt(4)); the sigmoid's slope is 1/4 and it rests at 1/2.
    assert [weights["O", child] for child in "ABCD"] == [0.5, 0.5, 2.0, 2.0]
    assert biases(model)["O"] == -2.0
    assert all(weights[hidden, f"{hidden}_gene"] == 0.0 for hidden in "ABCD")


def test_the_start_is_the_same_for_every_seed_and_training_leaves_it(random_cells):
    dag = chain(3)
    X, y = random_cells(dag, 40, 71)
    models = [build_kpnn(dag, initializer="conducting", seed=seed) for seed in (1, 2)]
    pd.testing.assert_series_equal(*(edge_weights(model) for model in models))
    history = fit_kpnn(models[0], X, y, max_epochs=30, learning_rate=0.01)
    assert history.loss[-1] < history.loss[0]


def test_a_deep_chain_that_a_random_start_cannot_train_is_trained():
    dag, rng = chain(12), np.random.default_rng(0)
    x = rng.normal(size=(200, 1))
    y = (x[:, 0] > 0).astype(float)
    losses = {}
    for initializer in ("glorot_uniform", "conducting"):
        model = build_kpnn(dag, initializer=initializer, hidden_activation="sigmoid", seed=3)
        losses[initializer] = fit_kpnn(model, x, y, max_epochs=100, learning_rate=0.01).loss[-1]
    assert losses["glorot_uniform"] > 0.69  # log 2: nothing learned
    assert losses["conducting"] < 0.1


def two_outputs_above_the_same_neurons() -> Dag:
    pairs = [(output, f"H{i}") for output in ("A", "B") for i in range(4)] + [(f"H{i}", f"G{i}_gene") for i in range(4)]
    return Dag.from_edges(pd.DataFrame(pairs, columns=["parent", "child"]), outputs=["A", "B"])


def test_outputs_that_do_not_exclude_each_other_start_in_directions_of_their_own_as_long_as_one_output_s():
    dag = two_outputs_above_the_same_neurons()
    models = [build_kpnn(dag, initializer="conducting", seed=seed) for seed in (1, 2)]
    starts = [edge_weights(model) for model in models]
    directions = np.array([[start[output] for output in "AB"] for start in starts])
    np.testing.assert_allclose(np.linalg.norm(directions, axis=-1), 4.0)  # 1 / the sigmoid's slope
    unlike = directions.reshape(4, 4) / 4.0
    assert np.abs(unlike @ unlike.T - np.eye(4)).max() < 0.99
    assert all(
        biases(model)["A"] == pytest.approx(-0.5 * start["A"].sum())
        for model, start in zip(models, starts, strict=True)
    )


def test_two_outputs_that_contradict_each_other_do_not_take_back_what_the_other_teaches_the_neurons_they_share():
    """Started alike they would ask for opposite changes of every neuron below, whose sum is 0."""
    dag, rng = two_outputs_above_the_same_neurons(), np.random.default_rng(0)
    x = rng.normal(size=(200, 4))
    one = (x.sum(axis=1) > 0).astype(float)
    for seed in range(3):
        model = build_kpnn(dag, initializer="conducting", seed=seed)
        history = fit_kpnn(model, x, np.stack([one, 1 - one], axis=1), max_epochs=20, learning_rate=0.03)
        assert history.loss[-1] < 0.55  # log 2 = 0.69: nothing learned


def test_under_a_strong_prior_the_network_is_ridge_regression_on_the_genes(random_cells):
    """Two regulators below an output: weights to regulators stay, and with them one variance for each one's genes."""
    genes = {"A": 4, "B": 9}
    pairs = [("O", name) for name in genes] + [(name, f"{name}{i}_gene") for name, n in genes.items() for i in range(n)]
    dag = Dag.from_edges(pd.DataFrame(pairs, columns=["parent", "child"]), outputs=["O"])
    X, _ = random_cells(dag, 300, 72)
    dense = X.toarray() - X.toarray().mean(axis=0)
    y = (dense @ np.random.default_rng(1).normal(size=13) > 0).astype(float)
    strength = 3000.0  # so strong that every neuron stays where it is as good as linear
    model = build_kpnn(dag, initializer="conducting", hidden_activation="tanh", weight_prior=strength, dtype="float64")
    fit_kpnn(model, dense, y, max_epochs=3000, batch_size=300, learning_rate=1e-4)
    # Along a path of weight 1 / sqrt(2), a gene of n has the prior variance 1 / (2 * n * strength) of its effect.
    n_of = np.array([genes[node[0]] for node in dag.inputs])
    scale = np.sqrt(1.0 / (2 * n_of))
    ridge = LogisticRegression(C=1 / strength, tol=1e-10, max_iter=10_000).fit(dense * scale, y)
    expected = ridge.decision_function(dense * scale)
    found = predict(model, dense)["O"].to_numpy()
    found = np.log(found / (1 - found))
    assert np.corrcoef(found, expected)[0, 1] > 0.9999
    np.testing.assert_allclose(found - found.mean(), expected - expected.mean(), atol=0.02 * np.abs(expected).max())


def test_gradients_of_the_prior_around_the_start_are_those_of_kerass_own_loss(random_dag, random_cells):
    dag = random_dag(73, signs=True)
    X, y = random_cells(dag, 30, 73)
    for signed in (False, True):
        model = build_kpnn(
            dag, initializer="conducting", weight_prior=2.0, signed=signed, hidden_activation="tanh", dtype="float64"
        )
        moved = edge_weights(model) + (0.0 if signed else 0.3)
        if not signed:
            set_edge_weights(model, moved.to_dict())
        adapt_normalization(model, X)
        layer = sparse_dag(model)
        loss = keras.losses.BinaryCrossentropy(from_logits=True)(y, layer.logits(X.toarray())) + sum(model.losses)
        loss.backward()
        expected, before = np.array(layer.kernel.value.grad), np.array(ops.convert_to_numpy(layer.kernel))
        history = fit_kpnn(model, X, y, max_epochs=1, batch_size=30, optimizer="sgd", learning_rate=1.0)
        assert history.loss[0] == pytest.approx(float(loss.detach()), rel=1e-6)
        np.testing.assert_allclose(before - ops.convert_to_numpy(layer.kernel), expected, rtol=1e-5, atol=1e-8)


def test_a_signed_network_starts_with_the_signs_of_its_edges(random_dag):
    dag = random_dag(74, signs=True)
    weights = edge_weights(build_kpnn(dag, initializer="conducting", signed=True)).to_numpy()
    signs = dag.edges["sign"].to_numpy()
    np.testing.assert_array_equal(np.sign(weights[signs != 0]), signs[signs != 0])


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "selu"])
def test_an_activation_with_a_corner_at_rest_is_refused_with_what_to_take(activation):
    with pytest.raises(SettingsError, match=f"smooth at 0, which {activation} is not; choose another activation"):
        build_kpnn(chain(2), initializer="conducting", hidden_activation=activation)
