"""The prior knowledge network (PKN): directed edges from regulators down to measured genes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from kpnn.errors import PknError, some_names
from kpnn.pkn.edge_table import CleanUp, clean_edges
from kpnn.pkn.graph import reachable
from kpnn.pkn.input_nodes import gene_of


@dataclass(frozen=True, eq=False)
class Pkn:
    """A PKN with its inputs (measured genes, leaves) and outputs (classes).

    Attributes:
        edges: `parent`, `child`, `sign` (int8, 0 = unknown), `cost` (float64); sorted, each pair once.
        inputs: names of the input nodes, sorted.
        outputs: names of the output nodes, in the order in which they were given, else sorted.
        clean_up: what reading the edge table dropped.

    Examples:
        >>> edges = pd.DataFrame({"parent": ["TCR", "ZAP70"], "child": ["ZAP70", "CD69_gene"]})
        >>> Pkn.from_edges(edges).hidden
        ('ZAP70',)
    """

    edges: pd.DataFrame
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    clean_up: CleanUp = field(default_factory=CleanUp)

    @classmethod
    def from_edges(
        cls,
        edges: pd.DataFrame,
        *,
        inputs: Iterable[str] | None = None,
        outputs: Iterable[str] | None = None,
        source: str = "edge table",
    ) -> Pkn:
        """Makes a PKN from an edge table.

        Args:
            edges: columns `parent` and `child`, optionally `sign` and `cost`.
            inputs: the input nodes; by default all leaves (nodes without children).
            outputs: the output nodes; by default all roots (nodes without parents).
            source: what to call the table in errors.

        Returns:
            The PKN, its edges sorted, each pair once.

        Raises:
            PknError: the table is malformed, a named node is not in it, an input has children (a
                measured gene is not computed), or no input or output is left.
        """
        table, clean_up = clean_edges(edges, source)
        parents, children = set(table["parent"]), set(table["child"])
        chosen_inputs = sorted(children - parents) if inputs is None else sorted(set(inputs))
        chosen_outputs = sorted(parents - children) if outputs is None else list(dict.fromkeys(outputs))
        for role, chosen in (("input", chosen_inputs), ("output", chosen_outputs)):
            unknown = [name for name in chosen if name not in parents and name not in children]
            if unknown:
                raise PknError(f"{source}: {role} {some_names(unknown)} not among the nodes")
            if not chosen:
                raise PknError(
                    f"{source}: no {role} node; every node lies on a cycle or beyond one, so name the {role}s"
                )
        with_children = [name for name in chosen_inputs if name in parents]
        if with_children:
            raise PknError(f"{source}: input {some_names(with_children)} has children; an input must be a leaf")
        return cls(table, tuple(chosen_inputs), tuple(chosen_outputs), clean_up)

    @cached_property
    def nodes(self) -> tuple[str, ...]:
        """All node names, sorted."""
        return tuple(sorted(set(self.edges["parent"]) | set(self.edges["child"])))

    @cached_property
    def hidden(self) -> tuple[str, ...]:
        """Nodes that are neither input nor output, sorted."""
        return tuple(sorted(set(self.nodes) - set(self.inputs) - set(self.outputs)))

    def genes(self, suffix: str) -> tuple[str, ...]:
        """The genes of the inputs (see `gene_of`).

        Args:
            suffix: what to remove from an input's name.

        Returns:
            Shape (n_inputs,), in the order of `inputs`.
        """
        return tuple(gene_of(node, suffix) for node in self.inputs)

    @cached_property
    def parent_codes(self) -> np.ndarray:
        """Position in `nodes` of each edge's parent, shape (n_edges,)."""
        return pd.Index(self.nodes).get_indexer(self.edges["parent"])

    @cached_property
    def child_codes(self) -> np.ndarray:
        """Position in `nodes` of each edge's child, shape (n_edges,)."""
        return pd.Index(self.nodes).get_indexer(self.edges["child"])

    def pruned(self, measured: Iterable[str] | None = None) -> Pkn:
        """Keeps the nodes and edges on a path from an output down to a measured input: the lossless clean-up.

        Args:
            measured: input nodes to keep; those that reach no output are dropped. By default all inputs.

        Returns:
            A PKN in which every node lies on a path from an output down to an input.

        Raises:
            PknError: an output reaches none of the inputs, so nothing could be predicted from them.
        """
        wanted = set(self.inputs) if measured is None else set(self.inputs) & set(measured)
        index = pd.Index(self.nodes)
        below = reachable(self.parent_codes, self.child_codes, index.get_indexer(list(self.outputs)), len(index))
        starts = [code for code in index.get_indexer(sorted(wanted)) if below[code]]
        above = reachable(self.child_codes, self.parent_codes, np.asarray(starts, dtype=int), len(index))
        on_path = below & above
        cut_off = [name for name in self.outputs if not on_path[index.get_loc(name)]]
        if cut_off:
            raise PknError(f"output {some_names(cut_off)} has no path down to any of the {len(wanted)} input nodes")
        kept = on_path[self.parent_codes] & on_path[self.child_codes]
        inputs = tuple(name for name in self.inputs if name in wanted and on_path[index.get_loc(name)])
        return Pkn(self.edges[kept].reset_index(drop=True), inputs, self.outputs, self.clean_up)
