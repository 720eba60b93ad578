"""The forward pass for Keras: every neuron of a DAG, level by level, differentiable on every backend.

The compiled kernels (`kpnn.nn.engine.kernels`) compute the same for training and prediction on a CPU; this one serves
Keras's own `fit` and `predict`, other accelerators, and gradients by whatever a backend can differentiate.

Tensors here are nodes x cells, so that a level is a block of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from kpnn.nn.activations import BY_CODE
from kpnn.nn.dropout import Kept
from kpnn.nn.engine.layout import Layout
from kpnn.nn.engine.products import gene_product, segment_sum


class Parameters(NamedTuple):
    """What a pass multiplies with and adds.

    Attributes:
        weights: weight of each edge, shape (n_edges,).
        biases: bias of each neuron, shape (n_neurons,).
    """

    weights: Any
    biases: Any


class Dropping(NamedTuple):
    """Dropout of one pass.

    Attributes:
        kept: how likely everything is kept.
        random_numbers: what the draws come from.
    """

    kept: Kept
    random_numbers: keras.random.SeedGenerator

    def drop(self, values: Any, kept: np.ndarray) -> Any:
        """Drops entries of `values` (rows x cells) that row i keeps with probability kept[i], and scales the rest."""
        if np.all(kept == 1):
            return values
        dtype = keras.backend.standardize_dtype(values.dtype)
        chances = ops.convert_to_tensor(kept[:, None], dtype=dtype)
        drawn = keras.random.uniform(ops.shape(values), dtype=dtype, seed=self.random_numbers)
        return ops.where(drawn < chances, values / chances, ops.zeros_like(values))


def forward(
    inputs: Any, parameters: Parameters, layout: Layout, activation_codes: np.ndarray, dropping: Dropping
) -> tuple[Any, Any]:
    """Computes every neuron.

    Args:
        inputs: cells x input nodes, dense.
        parameters: weights and biases.
        layout: the DAG's arrays.
        activation_codes: of each neuron.
        dropping: what is dropped.

    Returns:
        Pre-activations and activations, both cells x neurons.
    """
    kept, weights = dropping.kept, parameters.weights
    genes = dropping.drop(ops.transpose(inputs), kept.inputs)
    sums = _sums_over_genes(genes, weights, layout, dropping)
    pre_activations: list[Any] = []
    activations: list[Any] = []
    seen: list[Any] = []  # activations as parents see them: after dropout of neurons
    for level in layout.levels:
        z = ops.take(sums, level.neurons, axis=0) + ops.take(parameters.biases, level.neurons)[:, None]
        if len(level.edges):
            below = ops.concatenate(seen, axis=0)
            terms = ops.take(below, level.children, axis=0) * ops.take(weights, level.edges)[:, None]
            terms = dropping.drop(terms, kept.edges[level.edges])
            z = z + segment_sum(terms, level.parents, len(level.neurons))
        a = _activate(z, activation_codes[level.neurons])
        pre_activations.append(z)
        activations.append(a)
        seen.append(dropping.drop(a, kept.neurons[level.neurons]))
    return _in_order_of_neurons(pre_activations, layout), _in_order_of_neurons(activations, layout)


def _sums_over_genes(genes: Any, weights: Any, layout: Layout, dropping: Dropping) -> Any:
    """What genes add to each neuron, neurons x cells."""
    edges = layout.gene_edges
    children, parents = layout.children[edges], layout.parents[edges]
    kept = dropping.kept.edges[edges]
    if np.all(kept == 1):
        return gene_product(genes, ops.take(weights, edges), children, parents, layout.n_neurons)
    # Dropped edges differ from cell to cell, so this is not a product of two matrices.
    terms = ops.take(genes, children, axis=0) * ops.take(weights, edges)[:, None]
    return segment_sum(dropping.drop(terms, kept), parents, layout.n_neurons)


def _activate(z: Any, codes: np.ndarray) -> Any:
    """Applies each row's activation to z."""
    present = np.unique(codes)
    if len(present) == 1:
        return BY_CODE[int(present[0])].in_keras(z)
    rows = [np.flatnonzero(codes == code) for code in present]
    parts = [BY_CODE[int(code)].in_keras(ops.take(z, at, axis=0)) for code, at in zip(present, rows, strict=True)]
    return ops.take(ops.concatenate(parts, axis=0), np.argsort(np.concatenate(rows)), axis=0)


def _in_order_of_neurons(levels: Sequence[Any], layout: Layout) -> Any:
    """Levels in computing order, neurons x cells, as cells x neurons in the DAG's order."""
    return ops.transpose(ops.take(ops.concatenate(levels, axis=0), layout.place, axis=0))
