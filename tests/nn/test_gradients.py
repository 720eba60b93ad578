"""Compiled gradients against finite differences and against the plain keras.ops network."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from keras import ops

from kpnn.nn import (
    biases,
    build_kpnn,
    edge_weights,
    fit_kpnn,
    node_activations,
    output_gradients,
    predict,
    set_edge_weights,
)
from kpnn.nn.activations import ACTIVATIONS
from kpnn.nn.engine.products import gene_product, plain_gene_product
from kpnn.nn.layer import sparse_dag

CASES = {
    "plain": {},
    "penalties": {"kernel_l1": 0.03, "kernel_l2": 0.05, "bias_l1": 0.07, "bias_l2": 0.11},
    "standard": {"input_normalization": "standard"},
    "common": {"input_normalization": "common"},
    "signed": {"signed": True, "kernel_l1": 0.02, "kernel_l2": 0.04},
    "tanh": {"hidden_activation": "tanh"},
    "logits": {"output_activation": "linear"},
    "batch": {"input_normalization": "batch"},
    "prior": {"weight_prior": 0.7},
    "signed prior": {"weight_prior": 0.7, "signed": True, "bias_l2": 0.1},
}


def one_step(model, X, y, **settings):
    """Loss of all cells at the model's variables, and its gradient by the variables."""
    layer = sparse_dag(model)
    before = [np.array(ops.convert_to_numpy(variable)) for variable in (layer.kernel, layer.bias)]
    history = fit_kpnn(model, X, y, max_epochs=1, batch_size=X.shape[0], optimizer="sgd", learning_rate=1.0, **settings)
    after = [np.array(ops.convert_to_numpy(variable)) for variable in (layer.kernel, layer.bias)]
    for variable, value in zip((layer.kernel, layer.bias), before, strict=True):
        variable.assign(value)
    return history.loss[0], *(old - new for old, new in zip(before, after, strict=True))


@pytest.mark.parametrize("case", CASES)
def test_gradients_are_the_finite_differences_of_the_loss(case, random_dag, random_cells):
    dag = random_dag(11, signs=True)
    X, y = random_cells(dag, 7, 11)
    model = build_kpnn(dag, seed=3, initializer="standard_normal", dtype="float64", **CASES[case])
    layer = sparse_dag(model)
    settings = {"class_weight": {0: 0.5, 1: 2.0}}
    _, of_kernel, of_bias = one_step(model, X, y, **settings)
    for variable, gradient in ((layer.kernel, of_kernel), (layer.bias, of_bias)):
        values = np.array(ops.convert_to_numpy(variable))
        for place in range(len(values)):
            losses = []
            for change in (1e-5, -1e-5):
                changed = values.copy()
                changed[place] += change
                variable.assign(changed)
                losses.append(one_step(model, X, y, **settings)[0])
            variable.assign(values)
            assert gradient[place] == pytest.approx((losses[0] - losses[1]) / 2e-5, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_has_kerass_values_and_gradients(name, random_dag, random_cells):
    dag = random_dag(5)
    X, y = random_cells(dag, 12, 5)
    model = build_kpnn(dag, seed=2, initializer="standard_normal", dtype="float64", hidden_activation=name)
    layer = sparse_dag(model)
    logits, values = layer.node_values(ops.convert_to_tensor(X.toarray(), dtype="float64"))
    np.testing.assert_allclose(node_activations(model, X).to_numpy(), values.detach(), rtol=1e-10, atol=1e-12)
    losses = torch.nn.functional.binary_cross_entropy_with_logits(logits[:, layer.layout.outputs], torch.tensor(y))
    losses.backward()
    loss, of_kernel, of_bias = one_step(model, X, y)
    assert loss == pytest.approx(float(losses.detach()), rel=1e-10)
    np.testing.assert_allclose(of_kernel, layer.kernel.value.grad, rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(of_bias, layer.bias.value.grad, rtol=1e-7, atol=1e-10)


def test_single_neurons_can_have_their_own_activation(random_dag, random_cells):
    dag = random_dag(8)
    X, _ = random_cells(dag, 12, 8)
    model = build_kpnn(dag, seed=2, initializer="standard_normal", activations={"H1": "relu", "H4": "tanh"})
    plain = build_kpnn(dag, seed=2, initializer="standard_normal", hidden_activation="linear")
    assert (node_activations(model, X, ["H1"]) >= 0).all().all()
    np.testing.assert_allclose(ops.convert_to_numpy(model(X.toarray())), predict(model, X).to_numpy(), atol=1e-6)
    assert not np.allclose(predict(model, X), predict(plain, X))


def test_the_fast_product_on_torch_is_the_plain_one_gradients_included(random_dag, random_cells):
    dag = random_dag(4, n_genes=30)
    X, _ = random_cells(dag, 5, 4)
    layout = sparse_dag(build_kpnn(dag)).layout
    children, parents = layout.children[layout.gene_edges], layout.parents[layout.gene_edges]
    results = []
    for product in (gene_product, plain_gene_product):
        genes = torch.tensor(X.toarray().T.copy(), requires_grad=True)
        weights = torch.linspace(-1, 2, len(children), dtype=torch.float64, requires_grad=True)
        sums = product(genes, weights, children, parents, layout.n_neurons)
        (sums**2).sum().backward()
        results.append((sums.detach(), genes.grad, weights.grad))
    for fast, plain in zip(*results, strict=True):
        np.testing.assert_allclose(fast, plain, rtol=1e-5, atol=1e-6)  # Keras's own sum goes through float32


@pytest.mark.parametrize("output_activation", ["sigmoid", "linear"])
def test_output_gradients_are_changes_of_the_prediction_by_change_of_one_activation(
    output_activation, random_dag, random_cells
):
    dag = random_dag(21)
    X, _ = random_cells(dag, 6, 21)
    kinds = {"dtype": "float64", "output_activation": output_activation}
    model = build_kpnn(dag, seed=2, initializer="standard_normal", **kinds)
    gradients = output_gradients(model, X)
    # A change of a node's activation alone: nothing below it, so its bias moves a linear node by just that.
    for position, neuron in enumerate(dag.neurons):
        twin = build_kpnn(dag, seed=2, activations={neuron: "linear"}, **kinds)
        set_edge_weights(twin, edge_weights(model), biases(model))
        base = node_activations(model, X, [neuron])[neuron].to_numpy()
        for cell in range(2):
            changed = []
            for change in (1e-5, -1e-5):
                constant = edge_weights(model)[neuron] * 0.0
                set_edge_weights(
                    twin, {(neuron, child): 0.0 for child in constant.index}, {neuron: base[cell] + change}
                )
                changed.append(predict(twin, X[[cell]]).to_numpy()[0])
            slopes = (changed[0] - changed[1]) / 2e-5
            for output, name in enumerate(dag.outputs):
                if name == neuron and output_activation == "sigmoid":
                    assert gradients[output, cell, position] == 1  # the twin reads its linear output as a logit
                else:
                    assert gradients[output, cell, position] == pytest.approx(slopes[output], rel=1e-5, abs=1e-9)


def test_an_output_may_feed_another_neuron_with_its_activated_value():
    from kpnn.pkn import Dag

    edges = pd.DataFrame({"parent": ["LOW", "TOP"], "child": ["A_gene", "LOW"]})
    model = build_kpnn(Dag.from_edges(edges, outputs=["TOP", "LOW"]))
    set_edge_weights(model, {("LOW", "A_gene"): 2.0, ("TOP", "LOW"): 3.0}, {"LOW": -1.0, "TOP": 0.5})
    sigmoid = lambda z: 1 / (1 + np.exp(-z))  # noqa: E731
    low = sigmoid(2.0 * 0.75 - 1.0)
    predicted = predict(model, pd.DataFrame({"A": [0.75]}))
    assert list(predicted.columns) == ["TOP", "LOW"]
    np.testing.assert_allclose(predicted.to_numpy(), [[sigmoid(3.0 * low + 0.5), low]], rtol=1e-6)
