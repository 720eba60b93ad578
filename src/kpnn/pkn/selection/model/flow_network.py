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
    open_classes, priced = (
        ((), np.empty(0, dtype=np.int64))
        if reduced.reach
        else (
            reduced.open_classes,
            reduced.priced_edges,
        )
    )
    core = np.flatnonzero(reduced.is_core)
    outputs, hidden = np.flatnonzero(reduced.is_output), np.flatnonzero(node_column != NO_COLUMN)
    tails = [np.full(len(outputs), source), outputs, hidden, n + reduced.parent[core]]
    heads = [outputs, n + outputs, n + hidden, reduced.child[core]]
    columns = [np.full(2 * len(outputs), NO_COLUMN), node_column[hidden], edge_column[core]]
    classes = source + 1 + np.arange(len(open_classes))
    for node, position in zip(classes, open_classes, strict=True):
        parents = reduced.classes[position].parents
        tails.append(n + parents)
        heads.append(np.full(len(parents), node))
        columns.append(np.full(len(parents), NO_COLUMN))
    tails.append(n + reduced.parent[priced])
    heads.append(reduced.child[priced])
    columns.append(edge_column[priced])
    inputs = np.unique(reduced.child[priced])
    return FlowNetwork(
        n_nodes=source + 1 + len(classes),
        source=source,
        tail=np.concatenate(tails),
        head=np.concatenate(heads),
        column=np.concatenate(columns),
        targets=np.concatenate([classes, inputs, hidden]),
        target_column=np.concatenate([np.full(len(classes) + len(inputs), NO_COLUMN), node_column[hidden]]),
    )


def network_from_one_output(
    reduced: ReducedPkn,
    output: int,
    node_column: np.ndarray,
    edge_column: np.ndarray,
    groups: Sequence[tuple[GeneClass, np.ndarray]],
) -> FlowNetwork:
    """From one output down to the inputs that must reach it; as `network_from_outputs`, which has them all as sources.

    Args:
        reduced: the presolved PKN.
        output: node code of the output.
        node_column: column of each node's x, shape (n_nodes,).
        edge_column: column of each usable edge's y, shape (n_usable,); NO_COLUMN: the arc is always open.
        groups: inputs that share their parents, each with the columns of the edges from these, or NO_COLUMN.
    """
    n = len(node_column)
    row = int(np.flatnonzero(reduced.reach.outputs == output)[0])
    is_wanted = reduced.reach.inputs[row]
    wanted = [(group, columns) for group, columns in groups if is_wanted[group.genes[0]]]
    core = np.flatnonzero(reduced.is_core)
    priced = reduced.priced_edges[is_wanted[reduced.child[reduced.priced_edges]]]
    others = reduced.reach.outputs[reduced.reach.outputs != output]
    hidden = np.flatnonzero(node_column != NO_COLUMN)
    targets = 2 * n + np.arange(len(wanted))
    tails = [others, hidden, n + reduced.parent[core], n + reduced.parent[priced]]
    heads = [n + others, n + hidden, reduced.child[core], reduced.child[priced]]
    columns = [np.full(len(others), NO_COLUMN), node_column[hidden], edge_column[core], edge_column[priced]]
    for target, (group, group_columns) in zip(targets, wanted, strict=True):
        tails.append(n + group.parents)
        heads.append(np.full(len(group.parents), target))
        columns.append(group_columns)
    targets = np.concatenate([targets, np.unique(reduced.child[priced])])
    return FlowNetwork(
        n_nodes=2 * n + len(wanted),
        source=n + output,
        tail=np.concatenate(tails),
        head=np.concatenate(heads),
        column=np.concatenate(columns),
        targets=targets,
        target_column=np.full(len(targets), NO_COLUMN),
    )


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
    from_source = np.full(len(always_served) + len(codes) + len(priced), source)
    tails = [outputs + n, hidden + n, reduced.child[core], from_source]
    heads = [outputs, hidden, n + reduced.parent[core]]
    heads += [n + always_served, n + codes, n + reduced.parent[priced]]
    columns = [np.full(len(outputs), NO_COLUMN), node_column[hidden], edge_column[core]]
    columns += [np.full(len(always_served), NO_COLUMN), serve_columns, edge_column[priced]]
    return FlowNetwork(
        n_nodes=source + 1,
        source=source,
        tail=np.concatenate(tails),
        head=np.concatenate(heads),
        column=np.concatenate(columns),
        targets=n + np.concatenate([outputs, hidden]),
        target_column=np.concatenate([np.full(len(outputs), NO_COLUMN), node_column[hidden]]),
    )
