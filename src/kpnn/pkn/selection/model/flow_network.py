"""The flow networks of a formulation: what is kept must be reached from a source, or a cut is violated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kpnn.pkn.selection.gene_classes import GeneClass
from kpnn.pkn.selection.model.rows import NO_COLUMN
from kpnn.pkn.selection.presolve import ReducedPkn


@dataclass(frozen=True, eq=False)
class FlowNetwork:
    """Arcs along which a node must be connected to the source; each arc is a column, or always open.

    Attributes:
        n_nodes: number of nodes, among them the source.
        source: node that everything must be reached from.
        tail, head: nodes of each arc.
        column: column whose value is the arc's capacity, or NO_COLUMN: its capacity is unlimited.
        targets: nodes that must be reached.
        target_column: column that says how much of the target is kept, or NO_COLUMN: all of it.
    """

    n_nodes: int
    source: int
    tail: np.ndarray
    head: np.ndarray
    column: np.ndarray
    targets: np.ndarray
    target_column: np.ndarray


class Arcs:
    """Arcs of a flow network, collected kind by kind."""

    def __init__(self) -> None:
        self._parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def add(self, tail: np.ndarray, head: np.ndarray, column: np.ndarray | None = None) -> None:
        """Adds arcs.

        Args:
            tail: where each begins, shape (n_arcs,).
            head: where each ends, shape (n_arcs,).
            column: whose values are their capacities, shape (n_arcs,); None: they are always open.
        """
        self._parts.append((tail, head, np.full(len(tail), NO_COLUMN) if column is None else column))

    def add_into(self, head: int | np.integer, tail: np.ndarray, column: np.ndarray | None = None) -> None:
        """Adds arcs that all end in one node, as `add` does."""
        self.add(tail, np.full(len(tail), head), column)

    def network(self, n_nodes: int, source: int, *targets: tuple[np.ndarray, np.ndarray | None]) -> FlowNetwork:
        """The network of all arcs so far.

        Args:
            n_nodes: number of nodes, among them the source.
            source: node that everything must be reached from.
            *targets: nodes that must be reached, and the columns that say how much of each is kept; None: all of it.
        """
        tail, head, column = (np.concatenate(part) for part in zip(*self._parts, strict=True))
        wanted = [np.full(len(nodes), NO_COLUMN) if columns is None else columns for nodes, columns in targets]
        ends = np.concatenate([nodes for nodes, _ in targets])
        return FlowNetwork(n_nodes, source, tail, head, column, ends, np.concatenate(wanted))


def network_from_outputs(reduced: ReducedPkn, node_column: np.ndarray, edge_column: np.ndarray) -> FlowNetwork:
    """From the outputs down to the kept hidden nodes and the inputs.

    Node v is split: its copy v' follows v along an arc whose capacity is x_v. A class of inputs is reached through any
    of its parents.

    Args:
        reduced: the presolved PKN.
        node_column: column of each node's x, shape (n_nodes,).
        edge_column: column of each usable edge's y, shape (n_usable,).
    """
    n = len(node_column)
    source = 2 * n
    # Inputs that must reach outputs of their own have networks of their own.
    open_classes, priced = reduced.open_classes, reduced.priced_edges
    if reduced.reach:
        open_classes, priced = (), priced[:0]
    core = np.flatnonzero(reduced.is_core)
    outputs, hidden = np.flatnonzero(reduced.is_output), np.flatnonzero(node_column != NO_COLUMN)
    arcs = Arcs()
    arcs.add(np.full(len(outputs), source), outputs)
    arcs.add(outputs, n + outputs)
    arcs.add(hidden, n + hidden, node_column[hidden])
    arcs.add(n + reduced.parent[core], reduced.child[core], edge_column[core])
    classes = source + 1 + np.arange(len(open_classes))
    for node, position in zip(classes, open_classes, strict=True):
        arcs.add_into(node, n + reduced.classes[position].parents)
    arcs.add(n + reduced.parent[priced], reduced.child[priced], edge_column[priced])
    inputs = np.unique(reduced.child[priced])
    targets = (classes, None), (inputs, None), (hidden, node_column[hidden])
    return arcs.network(source + 1 + len(classes), source, *targets)


@dataclass(frozen=True, eq=False)
class InputArcs:
    """Arcs from parents to the inputs of each group, one group after the other.

    Attributes:
        gene: an input of each group, shape (n_groups,).
        group: of each arc, ascending, shape (n_arcs,).
        tail: the parent, shape (n_arcs,).
        column: shape (n_arcs,).
    """

    gene: np.ndarray
    group: np.ndarray
    tail: np.ndarray
    column: np.ndarray

    @classmethod
    def of(cls, groups: Sequence[tuple[GeneClass, np.ndarray]]) -> InputArcs:
        """The arcs of all groups.

        Args:
            groups: inputs that share their parents, each with the columns of the edges from these, or NO_COLUMN.
        """
        none = np.empty(0, dtype=np.int64)
        return cls(
            np.array([group.genes[0] for group, _ in groups], dtype=np.int64),
            np.repeat(np.arange(len(groups)), [len(group.parents) for group, _ in groups]),
            np.concatenate([none, *(group.parents for group, _ in groups)]),
            np.concatenate([none, *(columns for _, columns in groups)]),
        )


def network_from_one_output(
    reduced: ReducedPkn, output: int, node_column: np.ndarray, edge_column: np.ndarray, into_inputs: InputArcs
) -> FlowNetwork:
    """From one output down to the inputs that must reach it; as `network_from_outputs`, which has them all as sources.

    Args:
        reduced: the presolved PKN.
        output: node code of the output.
        node_column: column of each node's x, shape (n_nodes,).
        edge_column: column of each usable edge's y, shape (n_usable,); NO_COLUMN: the arc is always open.
        into_inputs: the arcs into inputs that share their parents.
    """
    n = len(node_column)
    row = int(np.flatnonzero(reduced.reach.outputs == output)[0])
    is_wanted = reduced.reach.inputs[row]
    wanted = is_wanted[into_inputs.gene]
    core = np.flatnonzero(reduced.is_core)
    priced = reduced.priced_edges[is_wanted[reduced.child[reduced.priced_edges]]]
    others = reduced.reach.outputs[reduced.reach.outputs != output]
    hidden = np.flatnonzero(node_column != NO_COLUMN)
    arcs = Arcs()
    arcs.add(others, n + others)
    arcs.add(hidden, n + hidden, node_column[hidden])
    for edges in (core, priced):
        arcs.add(n + reduced.parent[edges], reduced.child[edges], edge_column[edges])
    target = 2 * n - 1 + np.cumsum(wanted)
    taken = wanted[into_inputs.group]
    arcs.add(n + into_inputs.tail[taken], target[into_inputs.group[taken]], into_inputs.column[taken])
    inputs = np.unique(reduced.child[priced])
    return arcs.network(2 * n + int(wanted.sum()), n + output, (target[wanted], None), (inputs, None))


def network_from_inputs(
    reduced: ReducedPkn,
    node_column: np.ndarray,
    edge_column: np.ndarray,
    serve: Sequence[tuple[int, int]],
    always_served: np.ndarray,
) -> FlowNetwork:
    """From the inputs up to the kept hidden nodes and the outputs, against the edges; v' comes before v here.

    Args:
        reduced: the presolved PKN.
        node_column: column of each node's x, shape (n_nodes,).
        edge_column: column of each usable edge's y, shape (n_usable,).
        serve: (node, column) where a column says that an input is kept for the node.
        always_served: neurons for which an input is left whatever the others take.
    """
    n = len(node_column)
    source = 2 * n
    core, priced = np.flatnonzero(reduced.is_core), reduced.priced_edges
    outputs, hidden = np.flatnonzero(reduced.is_output), np.flatnonzero(node_column != NO_COLUMN)
    codes = np.array([code for code, _ in serve], dtype=np.int64)
    serve_columns = np.array([column for _, column in serve], dtype=np.int64)
    arcs = Arcs()
    arcs.add(outputs + n, outputs)
    arcs.add(hidden + n, hidden, node_column[hidden])
    arcs.add(reduced.child[core], n + reduced.parent[core], edge_column[core])
    for served, column in (
        (always_served, None),
        (codes, serve_columns),
        (reduced.parent[priced], edge_column[priced]),
    ):
        arcs.add(np.full(len(served), source), n + served, column)
    return arcs.network(source + 1, source, (n + outputs, None), (n + hidden, node_column[hidden]))
