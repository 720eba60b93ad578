"""A DAG as flat index arrays: what every way of computing a KPNN shares."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd

from kpnn.pkn import Dag


class Level(NamedTuple):
    """Neurons that can be computed at once, because their children have been.

    Attributes:
        neurons: which, shape (n,).
        edges: the neuron edges into them, shape (m,).
        children: place of each edge's child in computing order, shape (m,).
        parents: place of each edge's parent within the level, shape (m,).
    """

    neurons: np.ndarray
    edges: np.ndarray
    children: np.ndarray
    parents: np.ndarray


@dataclass(frozen=True, eq=False)
class Layout:
    """Where every edge of a DAG starts and ends, in the orders in which a KPNN computes.

    Weights are in the order of `dag.edges`, biases in the order of `dag.neurons`. A *gene edge* has an input node as
    its child, a *neuron edge* a neuron.

    Attributes:
        n_inputs: number of input nodes, G.
        n_neurons: number of neurons, N.
        n_edges: number of edges, E.
        parents: neuron of each edge's parent, shape (E,), int32.
        children: child of each edge, shape (E,), int32: an input node is its column, a neuron is G + its position.
        signs: known sign of each edge, shape (E,), int8, 0 where unknown.
        outputs: neuron of each output, shape (n_outputs,), int32.
        order: neurons in computing order, shape (N,), int32.
        level_starts: where each level starts in `order`, shape (n_levels + 1,), int64.
        gene_edges: gene edges sorted by gene, then parent, shape (n_gene_edges,), int32.
        gene_starts: where each gene's edges start in `gene_edges`, shape (G + 1,), int64.
        neuron_edges: neuron edges sorted by the parent's place in `order`, shape (n_neuron_edges,), int32.
        neuron_starts: where the edges of `order[k]` start in `neuron_edges`, shape (N + 1,), int64.
    """

    n_inputs: int
    n_neurons: int
    n_edges: int
    parents: np.ndarray
    children: np.ndarray
    signs: np.ndarray
    outputs: np.ndarray
    order: np.ndarray
    level_starts: np.ndarray
    gene_edges: np.ndarray
    gene_starts: np.ndarray
    neuron_edges: np.ndarray
    neuron_starts: np.ndarray

    @classmethod
    @lru_cache(maxsize=4)
    def of(cls, dag: Dag) -> Layout:
        """Reads the arrays off a DAG, once: a search and an ensemble build many networks on the same."""
        n_inputs, n_neurons = len(dag.inputs), len(dag.neurons)
        neurons = pd.Index(dag.neurons)
        nodes = pd.Index([*dag.inputs, *dag.neurons])
        parents = neurons.get_indexer(dag.edges["parent"]).astype(np.int32)
        children = nodes.get_indexer(dag.edges["child"]).astype(np.int32)
        levels = [neurons.get_indexer(list(names)) for names in dag.levels[1:]]
        order = np.concatenate(levels).astype(np.int32)
        place = np.argsort(order)
        is_gene_edge = children < n_inputs
        gene_edges = np.flatnonzero(is_gene_edge)
        gene_edges = gene_edges[np.lexsort((parents[gene_edges], children[gene_edges]))]
        neuron_edges = np.flatnonzero(~is_gene_edge)
        neuron_edges = neuron_edges[np.argsort(place[parents[neuron_edges]], kind="stable")]
        return cls(
            n_inputs=n_inputs,
            n_neurons=n_neurons,
            n_edges=len(dag.edges),
            parents=parents,
            children=children,
            signs=dag.edges["sign"].to_numpy(np.int8),
            outputs=neurons.get_indexer(list(dag.outputs)).astype(np.int32),
            order=order,
            level_starts=_starts(np.array([len(level) for level in levels])),
            gene_edges=gene_edges.astype(np.int32),
            gene_starts=_starts(np.bincount(children[gene_edges], minlength=n_inputs)),
            neuron_edges=neuron_edges.astype(np.int32),
            neuron_starts=_starts(np.bincount(place[parents[neuron_edges]], minlength=n_neurons)),
        )

    @property
    def fan_in(self) -> np.ndarray:
        """Number of children of each neuron, shape (N,)."""
        return np.bincount(self.parents, minlength=self.n_neurons)

    @cached_property
    def place(self) -> np.ndarray:
        """Place of each neuron in computing order, shape (N,), int64."""
        return np.argsort(self.order)

    @cached_property
    def levels(self) -> tuple[Level, ...]:
        """The neurons, level by level from the genes up."""
        found = []
        for first, last in pairwise(self.level_starts):
            edges = self.neuron_edges[self.neuron_starts[first] : self.neuron_starts[last]]
            children = self.place[self.children[edges] - self.n_inputs]
            found.append(Level(self.order[first:last], edges, children, self.place[self.parents[edges]] - first))
        return tuple(found)


def _starts(counts: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
