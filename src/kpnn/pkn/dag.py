"""The directed acyclic graph (DAG) that becomes a network: genes below, outputs above, neurons between."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError

import numpy as np
import pandas as pd

from kpnn.errors import PknError, some_names
from kpnn.pkn.edge_table import clean_edges
from kpnn.pkn.graph import children_by_parent, longest_paths
from kpnn.pkn.input_nodes import gene_of


@dataclass(frozen=True, eq=False)
class Dag:
    """A DAG in which every node lies on a path from an input to an output.

    Attributes:
        edges: `parent`, `child`, `sign` (int8, 0 = unknown), `cost` (float64); sorted, each pair once.
        inputs: the leaves, sorted: the order of the columns that a network on this DAG reads.
        outputs: the output nodes, in the order of the columns that a network on this DAG predicts.

    Examples:
        >>> edges = pd.DataFrame({"parent": ["TCR", "ZAP70"], "child": ["ZAP70", "CD69_gene"]})
        >>> Dag.from_edges(edges, outputs=["TCR"]).levels
        (('CD69_gene',), ('ZAP70',), ('TCR',))
    """

    edges: pd.DataFrame
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @classmethod
    def from_edges(
        cls, edges: pd.DataFrame, *, outputs: Iterable[str] | None = None, source: str = "edge table"
    ) -> Dag:
        """Makes a DAG from an edge table; its leaves are the inputs.

        Args:
            edges: columns `parent` and `child`, optionally `sign` and `cost`.
            outputs: the output nodes; by default all roots. Every root must be one of them.
            source: what to call the table in errors.

        Returns:
            The DAG, its edges sorted, each pair once.

        Raises:
            PknError: the table is malformed, holds a cycle, or a root is not an output.
        """
        table, _ = clean_edges(edges, source)
        parents, children = set(table["parent"]), set(table["child"])
        roots = parents - children
        chosen = sorted(roots) if outputs is None else list(dict.fromkeys(outputs))
        missing = [name for name in chosen if name not in parents]
        if missing:
            raise PknError(f"{source}: output {some_names(missing)} has no children, or is not in the table")
        stray = sorted(roots - set(chosen))
        if stray:
            raise PknError(f"{source}: {some_names(stray)} reaches no output; prune the table or name it as an output")
        dag = cls(table, tuple(sorted(children - parents)), tuple(chosen))
        dag.levels  # noqa: B018 - a cycle is an error now, not at first use
        return dag

    def with_inputs_shuffled(self, rng: np.random.Generator) -> Dag:
        """The same network with its inputs at each other's places: its shape without the knowledge of which is where.

        Args:
            rng: draws the places.

        Returns:
            A DAG with the same inputs, neurons and outputs.

        Examples:
            >>> import numpy as np
            >>> edges = pd.DataFrame({"parent": ["R", "R", "A"], "child": ["A", "g1", "g2"]})
            >>> shuffled = Dag.from_edges(edges).with_inputs_shuffled(np.random.default_rng(3))
            >>> shuffled.edges[["parent", "child"]].to_numpy().tolist()
            [['A', 'g1'], ['R', 'A'], ['R', 'g2']]
        """
        order = rng.permutation(len(self.inputs))
        places = {name: self.inputs[place] for name, place in zip(self.inputs, order, strict=True)}
        children = self.edges["child"].map(lambda name: places.get(name, name))
        return Dag.from_edges(self.edges.assign(child=children), outputs=self.outputs)

    def genes(self, suffix: str) -> tuple[str, ...]:
        """The genes of the inputs (see `kpnn.pkn.gene_of`).

        Args:
            suffix: what to remove from an input's name.

        Returns:
            Shape (n_inputs,), in the order of `inputs`.
        """
        return tuple(gene_of(node, suffix) for node in self.inputs)

    @cached_property
    def neurons(self) -> tuple[str, ...]:
        """Hidden nodes and outputs, sorted."""
        return tuple(sorted(set(self.edges["parent"])))

    @cached_property
    def hidden(self) -> tuple[str, ...]:
        """Nodes that are neither input nor output, sorted."""
        return tuple(name for name in self.neurons if name not in set(self.outputs))

    @cached_property
    def nodes(self) -> tuple[str, ...]:
        """All node names, sorted."""
        return tuple(sorted((*self.inputs, *self.neurons)))

    @cached_property
    def levels(self) -> tuple[tuple[str, ...], ...]:
        """Nodes by the longest path down to an input: level 0 the inputs, then the neurons in computing order.

        Raises:
            PknError: there is a cycle; its nodes are named.
        """
        try:
            level = longest_paths(children_by_parent(self.edges))
        except CycleError as error:
            raise PknError(f"not a DAG: cycle {some_names(reversed(error.args[1]), 8)}") from None
        by_level: list[list[str]] = [[] for _ in range(max(level.values()) + 1)]
        for node in sorted(level):
            by_level[level[node]].append(node)
        return tuple(tuple(names) for names in by_level)

    @property
    def n_parameters(self) -> int:
        """Trainable parameters of a KPNN on this DAG: one weight per edge, one bias per neuron."""
        return len(self.edges) + len(self.neurons)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the edges (parent, child, sign) and the order of the outputs, in hexadecimal."""
        digest = hashlib.sha256()
        for parent, child, sign in zip(self.edges["parent"], self.edges["child"], self.edges["sign"], strict=True):
            digest.update(f"{parent}\t{child}\t{sign}\n".encode())
        digest.update("\t".join(self.outputs).encode())
        return digest.hexdigest()


def percent_saved(full: int, pruned: int) -> float:
    """How much smaller a network is than the full one, as CORNETO's tutorial counts it: (1 - pruned / full) * 100.

    Args:
        full: parameters or edges of the full network, at least 1.
        pruned: likewise, of the other.

    Returns:
        The difference as a percentage of the full network.

    Examples:
        >>> round(percent_saved(26236, 12778), 2)
        51.3
    """
    return 100.0 * (1.0 - pruned / full)
