"""The same weights give the same network as corneto's build_dagnn: predictions, losses, gradients."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras import ops

from kpnn.nn import biases, build_kpnn, dag_of, edge_weights, fit_kpnn, predict

FEW = settings(
    max_examples=8, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def in_float64():
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    yield
    keras.config.set_floatx(before)


def gradients_by_one_step(model, X, y):
    """Gradients and loss of all cells, read off one step of gradient descent at rate 1."""
    weights, offsets = edge_weights(model), biases(model)
    history = fit_kpnn(model, X, y, max_epochs=1, batch_size=len(y), optimizer="sgd", learning_rate=1.0)
    return weights - edge_weights(model), offsets - biases(model), history.loss[0]


@FEW
@given(seed=st.integers(0, 10_000))
def test_the_same_weights_give_the_same_predictions(seed, random_dag, random_cells, build_peer, copy_weights):
    dag = random_dag(seed)
    X, _ = random_cells(dag, 30, seed)
    model, peer = build_kpnn(dag, seed=seed, initializer="standard_normal"), build_peer(dag)
    copy_weights(model, peer, dag)
    of_peer = ops.convert_to_numpy(peer(X.toarray().astype("float32")))
    np.testing.assert_allclose(predict(model, X).to_numpy(), of_peer, atol=1e-6)
    np.testing.assert_allclose(ops.convert_to_numpy(model(X.toarray())), of_peer, atol=1e-6)


@FEW
@given(seed=st.integers(0, 10_000))
def test_the_same_weights_give_the_same_losses_and_gradients(
    seed, random_dag, random_cells, build_peer, copy_weights, in_float64
):
    import torch

    dag = random_dag(seed)
    X, y = random_cells(dag, 20, seed)
    model = build_kpnn(dag, seed=seed, initializer="standard_normal", dtype="float64")
    peer = build_peer(dag)
    order = copy_weights(model, peer, dag)
    loss = keras.losses.BinaryCrossentropy()(y, peer(X.toarray()))
    loss.backward()
    of_weights, of_biases, our_loss = gradients_by_one_step(model, X, y)
    assert our_loss == pytest.approx(float(loss.detach()), rel=1e-6)
    for neuron, children in order.items():
        kernel, bias = (variable.value.grad for variable in peer.get_layer(neuron).trainable_variables)
        assert isinstance(kernel, torch.Tensor)
        np.testing.assert_allclose(
            [of_weights[neuron, child] for child in children], kernel[:, 0], rtol=1e-5, atol=1e-8
        )
        np.testing.assert_allclose(of_biases[neuron], bias[0], rtol=1e-5, atol=1e-8)


@FEW
@given(seed=st.integers(0, 10_000))
def test_parameters_are_one_weight_an_edge_and_one_bias_a_neuron_as_in_the_peer(seed, random_dag, build_peer):
    dag = random_dag(seed)
    model = build_kpnn(dag)
    assert (
        model.count_params() == len(dag.edges) + len(dag.neurons) == dag.n_parameters == build_peer(dag).count_params()
    )
    assert dag_of(model).fingerprint == dag.fingerprint


def test_a_few_epochs_of_adam_leave_the_same_weights_as_keras_leaves_in_the_peer(
    random_dag, random_cells, build_peer, copy_weights, in_float64
):
    dag = random_dag(3)
    X, y = random_cells(dag, 40, 3)
    model = build_kpnn(dag, seed=1, dtype="float64")
    peer = build_peer(dag)
    order = copy_weights(model, peer, dag)
    peer.compile(optimizer=keras.optimizers.Adam(1e-2), loss="binary_crossentropy")
    # One minibatch an epoch, so that the order of the cells does not matter.
    of_peer = peer.fit(X.toarray(), y, batch_size=40, epochs=15, verbose=0, shuffle=False).history["loss"]
    history = fit_kpnn(model, X, y, max_epochs=15, batch_size=40, learning_rate=1e-2)
    np.testing.assert_allclose(history.loss, of_peer, rtol=1e-6)
    weights = edge_weights(model)
    for neuron, children in order.items():
        kernel = peer.get_layer(neuron).get_weights()[0][:, 0]
        np.testing.assert_allclose([weights[neuron, child] for child in children], kernel, rtol=1e-4, atol=1e-5)
