"""Dropout rules: how likely each edge, gene and node is kept.

Two rules, named for what they drop; both draw anew for every cell and step, and divide what is kept by its probability
of being kept, so that expectations stay as they are without dropout.

`edges` is the rule of `corneto.ml.build_dagnn`: every neuron drops its own copies of its children's values. Its gene
children form one group, its neuron children another; a group of two or more goes through dropout once, and where a
neuron has both groups their concatenation goes through it once more. An edge that passes dropout k times is kept with
probability (1 - rate)^k, independently of all others, which is how it is drawn here: once.

`nodes` is the rule of Fortelny & Bock 2020 (Genome Biology 21:190; KPNN_Function.py, its default settings): a gene is
dropped for all its parents together, and so is a hidden node; outputs are never dropped. A hidden node whose parents
have, all together, one child is always kept; with two children it is kept with probability 0.9 or more, with three 0.7
or more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from kpnn.errors import SettingsError
from kpnn.nn.engine.layout import Layout

RULES = ("edges", "nodes")
LEAST_KEPT = {1: 1.0, 2: 0.9, 3: 0.7}
"""Least probability of keeping a node, by the number of its parents' children (rule `nodes`)."""


class Kept(NamedTuple):
    """Probability of keeping each input node, edge and neuron, float64; all 1 where the rule drops something else."""

    inputs: np.ndarray
    edges: np.ndarray
    neurons: np.ndarray


@dataclass(frozen=True)
class Dropout:
    """What is dropped, and how often.

    Attributes:
        genes: rate for genes (rule `nodes`) or for edges from genes (rule `edges`), in [0, 1).
        nodes: rate for hidden nodes, or for edges from neurons, in [0, 1).
        on: the rule, `edges` or `nodes`.
    """

    genes: float = 0.0
    nodes: float = 0.0
    on: str = "edges"

    def __post_init__(self) -> None:
        if self.on not in RULES:
            raise SettingsError(f"dropout_on must be one of {', '.join(RULES)}, not {self.on!r}")
        for which in ("genes", "nodes"):
            rate = getattr(self, which)
            if not 0 <= rate < 1:
                raise SettingsError(f"the dropout rate of {which} must be at least 0 and below 1, not {rate!r}")

    def kept(self, layout: Layout) -> Kept:
        """How likely everything is kept."""
        return Kept(self.kept_inputs(layout), self.kept_edges(layout), self.kept_neurons(layout))

    def kept_edges(self, layout: Layout) -> np.ndarray:
        """Probability of keeping each edge, shape (n_edges,), float64; all 1 under rule `nodes`."""
        kept = np.ones(layout.n_edges)
        if self.on != "edges":
            return kept
        is_gene_edge = layout.children < layout.n_inputs
        n_genes = np.bincount(layout.parents[is_gene_edge], minlength=layout.n_neurons)
        n_nodes = layout.fan_in - n_genes
        both = (n_genes > 0) & (n_nodes > 0)
        for of_group, size, rate in ((is_gene_edge, n_genes, self.genes), (~is_gene_edge, n_nodes, self.nodes)):
            times = (size >= 2).astype(int) + both
            kept[of_group] = (1.0 - rate) ** times[layout.parents[of_group]]
        return kept

    def kept_inputs(self, layout: Layout) -> np.ndarray:
        """Probability of keeping each input node, shape (n_inputs,), float64; all 1 under rule `edges`."""
        return np.full(layout.n_inputs, 1.0 - self.genes if self.on == "nodes" else 1.0)

    def kept_neurons(self, layout: Layout) -> np.ndarray:
        """Probability of keeping each neuron, shape (n_neurons,), float64; all 1 under rule `edges`."""
        kept = np.ones(layout.n_neurons)
        if self.on != "nodes" or self.nodes == 0:
            return kept
        children_of = np.split(layout.children, np.cumsum(layout.fan_in)[:-1])
        is_neuron_edge = layout.children >= layout.n_inputs
        parents_of: dict[int, list[int]] = {}
        for parent, child in zip(layout.parents[is_neuron_edge], layout.children[is_neuron_edge], strict=True):
            parents_of.setdefault(int(child) - layout.n_inputs, []).append(int(parent))
        outputs = set(layout.outputs.tolist())
        for neuron, parents in parents_of.items():
            if neuron not in outputs:
                siblings = len(np.unique(np.concatenate([children_of[parent] for parent in parents])))
                kept[neuron] = max(1.0 - self.nodes, LEAST_KEPT.get(siblings, 0.0))
        return kept
