"""One table of activations: Keras, the compiled kernels and float64 arithmetic compute the same functions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from keras import ops

from kpnn.nn import build_kpnn, node_activations, output_gradients, set_edge_weights
from kpnn.nn.activations import ACTIVATIONS, BY_CODE
from kpnn.nn.engine import kernels
from kpnn.pkn import Dag

POINTS = np.concatenate([np.linspace(-9.0, 9.0, 181) + 0.013, [-3.0 - 1e-9, 3.0 + 1e-9, -40.0, 40.0]])
"""Points on both sides of every corner, and in the tails."""


@pytest.fixture(scope="module")
def chain():
    """OUT reads Y, Y reads X, X reads a gene: all weights 1, all biases 0."""
    edges = pd.DataFrame({"parent": ["OUT", "Y", "X"], "child": ["Y", "X", "A_gene"]})
    return Dag.from_edges(edges, outputs=["OUT"])


def test_every_code_of_the_kernels_has_one_row_in_the_table():
    names = [name for name in vars(kernels) if name.lower() in ACTIVATIONS]
    assert len(names) == len(ACTIVATIONS) == len(BY_CODE) == 11
    for name in names:
        assert getattr(kernels, name) == ACTIVATIONS[name.lower()].code
    assert all(row.name == name for name, row in ACTIVATIONS.items())


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_all_three_ways_of_computing_an_activation_agree(name, chain):
    activation = ACTIVATIONS[name]
    expected = activation.function(POINTS)
    of_keras = ops.convert_to_numpy(activation.in_keras(torch.tensor(POINTS)))
    np.testing.assert_allclose(of_keras, expected, rtol=1e-12, atol=1e-14)
    model = build_kpnn(
        chain, hidden_activation="linear", activations={"Y": name}, output_activation="linear", dtype="float64"
    )
    set_edge_weights(model, {("Y", "X"): 1.0, ("X", "A_gene"): 1.0, ("OUT", "Y"): 1.0})
    compiled = node_activations(model, POINTS[:, None], ["Y"])["Y"].to_numpy()
    np.testing.assert_allclose(compiled, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_all_three_ways_of_differentiating_an_activation_agree(name, chain):
    activation = ACTIVATIONS[name]
    slopes = activation.derivative(POINTS)
    numerical = (activation.function(POINTS + 1e-6) - activation.function(POINTS - 1e-6)) / 2e-6
    away_from_corners = np.abs(np.abs(POINTS) - 3.0) > 1e-5
    np.testing.assert_allclose(slopes[away_from_corners], numerical[away_from_corners], atol=1e-6)
    z = torch.tensor(POINTS, requires_grad=True)
    activation.in_keras(z).sum().backward()
    np.testing.assert_allclose(slopes, z.grad, rtol=1e-7, atol=1e-13)  # torch holds a sixth in float32
    model = build_kpnn(
        chain, hidden_activation="linear", activations={"Y": name}, output_activation="linear", dtype="float64"
    )
    # A weight of 1e-3 holds OUT's probability at a half, so that it does not hide the slope.
    set_edge_weights(model, {("Y", "X"): 1.0, ("X", "A_gene"): 1.0, ("OUT", "Y"): 1e-3})
    _, y, x = (chain.neurons.index(node) for node in ("OUT", "Y", "X"))
    gradients = output_gradients(model, POINTS[:, None])[0]
    np.testing.assert_allclose(gradients[:, x], gradients[:, y] * slopes, rtol=1e-9, atol=1e-15)


def test_at_a_corner_all_take_the_slope_from_below(chain):
    for name in ("relu", "leaky_relu"):
        z = torch.zeros(1, dtype=torch.float64, requires_grad=True)
        ACTIVATIONS[name].in_keras(z).sum().backward()
        np.testing.assert_array_equal(ACTIVATIONS[name].derivative(np.zeros(1)), z.grad)
