"""Sums along edges: plain ones for every backend, fast ones on torch."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops


def gene_product(genes: Any, weights: Any, children: np.ndarray, parents: np.ndarray, n_neurons: int) -> Any:
    """Sums weight * gene over the gene edges of every neuron, differentiable in genes and weights.

    Args:
        genes: input nodes x cells, dense.
        weights: weight of each gene edge, shape (n_gene_edges,).
        children: input node of each gene edge, ascending.
        parents: neuron of each gene edge.
        n_neurons: number of neurons.

    Returns:
        Neurons x cells.
    """
    if keras.backend.backend() == "torch" and genes.device.type != "meta":
        from kpnn.nn.engine.products_torch import sparse_product

        return sparse_product(genes, weights, children, parents, n_neurons)
    return plain_gene_product(genes, weights, children, parents, n_neurons)


def plain_gene_product(genes: Any, weights: Any, children: np.ndarray, parents: np.ndarray, n_neurons: int) -> Any:
    """The same as `gene_product` in `keras.ops` alone: gather, multiply, sum by segment."""
    terms = ops.take(genes, children, axis=0) * weights[:, None]
    return ops.segment_sum(terms, parents, num_segments=n_neurons)


def segment_sum(terms: Any, segments: np.ndarray, n_segments: int) -> Any:
    """Sums the rows of each segment, differentiable.

    Args:
        terms: rows x cells.
        segments: segment of each row.
        n_segments: number of segments.

    Returns:
        Segments x cells.
    """
    if keras.backend.backend() == "torch" and terms.device.type != "meta":
        from kpnn.nn.engine.products_torch import sum_rows

        return sum_rows(terms, segments, n_segments)
    return ops.segment_sum(terms, segments, num_segments=n_segments)
