"""The sparse product of genes and weights on torch: CSR forward, a sampled product over existing edges backward."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
import torch

EDGES_AT_ONCE = 1 << 22
"""Elements (gene edges x cells) of the backward pass held at once."""


class _ByParent(NamedTuple):
    """Gene edges in the order of their parents, as int64 tensors.

    Attributes:
        edges: number of each edge in the order given, shape (n_edges,).
        starts: where each neuron's edges start, shape (n_neurons + 1,).
        children: input node of each edge, shape (n_edges,).
        parents: neuron of each edge, shape (n_edges,).
    """

    edges: torch.Tensor
    starts: torch.Tensor
    children: torch.Tensor
    parents: torch.Tensor


def sparse_product(
    genes: torch.Tensor, weights: torch.Tensor, children: np.ndarray, parents: np.ndarray, n_neurons: int
) -> torch.Tensor:
    """Does what `kpnn.nn.engine.products.gene_product` says."""
    order = np.argsort(parents, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(parents, minlength=n_neurons))])
    arrays = (order, starts, children[order].astype(np.int64), parents[order].astype(np.int64))
    by_parent = _ByParent(*(torch.as_tensor(array, device=genes.device) for array in arrays))
    return _SparseProduct.apply(genes, weights, by_parent)


def sum_rows(terms: torch.Tensor, segments: np.ndarray, n_segments: int) -> torch.Tensor:
    """Does what `kpnn.nn.engine.products.segment_sum` says; Keras's own on torch goes through float32 and a scatter."""
    index = torch.as_tensor(segments.astype(np.int64), device=terms.device)
    return torch.zeros((n_segments, terms.shape[1]), dtype=terms.dtype, device=terms.device).index_add(0, index, terms)


class _SparseProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, genes: torch.Tensor, weights: torch.Tensor, by_parent: _ByParent) -> torch.Tensor:
        shape = (len(by_parent.starts) - 1, genes.shape[0])
        values = weights[by_parent.edges]
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
            matrix = torch.sparse_csr_tensor(
                by_parent.starts, by_parent.children, values, shape, check_invariants=False
            )
        ctx.save_for_backward(genes, matrix)
        ctx.by_parent = by_parent
        return matrix @ genes

    @staticmethod
    def backward(ctx: Any, of_sums: torch.Tensor) -> Any:
        genes, matrix = ctx.saved_tensors
        edges, _, children, parents = ctx.by_parent
        of_genes = of_weights = None
        if ctx.needs_input_grad[0]:
            of_genes = torch.zeros_like(genes)
            of_genes.index_add_(0, children, of_sums[parents] * matrix.values()[:, None])
        if ctx.needs_input_grad[1]:
            of_weights = torch.empty(len(edges), dtype=genes.dtype, device=genes.device)
            step = max(1, EDGES_AT_ONCE // max(1, genes.shape[1]))
            for first in range(0, len(edges), step):
                part = slice(first, first + step)
                of_weights[edges[part]] = (of_sums[parents[part]] * genes[children[part]]).sum(1)
        return of_genes, of_weights, None
