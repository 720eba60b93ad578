"""Cuts that a solution of the formulation violates: disconnected nodes, found by maximum flow, and cycles."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, maximum_flow

from kpnn.pkn.graph import adjacency, strong_components
from kpnn.pkn.selection.model.flow_network import FlowNetwork
from kpnn.pkn.selection.model.formulation import Formulation
from kpnn.pkn.selection.model.rows import NO_COLUMN, LinearRows

_UNIT = 1_000_000
"""Capacity of a column at 1 in the integer flow problem."""
_LEAST_VIOLATION = 0.01
"""Cuts that are violated by less move the bound too little to be worth a row."""
_MOST_SECONDS = 5.0
"""Seconds of maximum flows in one round; a cut missed now is found in a later round."""
_MOST_CUTS = 500
"""Cuts of one network in one round."""


class Separator:
    """Finds violated cuts of one network; everything that does not depend on the solution is prepared once."""

    def __init__(self, network: FlowNetwork) -> None:
        self.network = network
        n = network.n_nodes
        order = np.lexsort((network.head, network.tail))
        self._tail, self._head, self._column = network.tail[order], network.head[order], network.column[order]
        indptr = np.searchsorted(self._tail, np.arange(n + 1))
        self._indptr, self._indices = indptr.astype(np.int32), self._head.astype(np.int32)

    def cuts(self, x: np.ndarray) -> LinearRows:
        """Rows that x violates: for each disconnected target a cut near the target and one near the source.

        Args:
            x: values of the columns, shape (n_columns,).
        """
        net = self.network
        # No target wants more than 1, so that 10 is as good as unlimited.
        value = np.where(self._column == NO_COLUMN, 10.0, x[np.maximum(self._column, 0)])
        # Rounding up the capacities only hides violations, it never invents one.
        capacity = np.ceil(np.clip(value, 0.0, 10.0) * _UNIT).astype(np.int32)
        wanted = np.where(net.target_column == NO_COLUMN, 1.0, x[np.maximum(net.target_column, 0)])
        rows = LinearRows()
        # Targets that no arc in use reaches need no flow: everything that leads to them is one side of a cut.
        in_use = capacity > _UNIT * 1e-6
        support = self._graph(in_use.astype(np.int8), in_use)
        reached = self._reached(support, net.source)
        # What is kept most is cut off first: those cuts are violated most.
        order = np.lexsort((np.arange(len(wanted)), -wanted))
        order = order[wanted[order] > _LEAST_VIOLATION]
        covered, near_source_is_cut = np.zeros(net.n_nodes, dtype=bool), False
        upwards = self._reverse(in_use) if not reached[net.targets[order]].all() else None
        for position in order:
            if len(rows) >= _MOST_CUTS:
                return rows
            target = net.targets[position]
            if upwards is None or reached[target] or covered[target]:
                continue
            side = self._reached(upwards, target)
            # Targets inside are cut off by the same arcs; their turn comes once these are mended.
            covered |= side
            self._add(rows, side, position)
            # All targets that are kept in any case share one cut near the source.
            is_always = net.target_column[position] == NO_COLUMN
            if not (is_always and near_source_is_cut):
                self._add(rows, ~reached, position)
            near_source_is_cut |= is_always
        # Along whole numbers, what is reached at all is reached in full.
        if not len(rows) and (np.abs(x - np.round(x)) > 1e-6).any():
            self._add_cuts_of_flows(rows, capacity, wanted, order, covered)
        return rows

    def _add_cuts_of_flows(
        self, rows: LinearRows, capacity: np.ndarray, wanted: np.ndarray, order: np.ndarray, covered: np.ndarray
    ) -> None:
        """Adds the least cuts of targets that get less flow than they want.

        Args:
            rows: what to add to.
            capacity: of each arc.
            wanted: of each target, from 0 to 1.
            order: positions of the targets, those that want most first.
            covered: nodes that cuts of this round lie around already; more are added.
        """
        net = self.network
        deadline = time.monotonic() + _MOST_SECONDS
        graph = self._graph(capacity, slice(None))
        for position in order:
            if len(rows) >= _MOST_CUTS or time.monotonic() > deadline:
                break
            target = net.targets[position]
            if covered[target]:
                continue
            result = maximum_flow(graph, net.source, target, method="dinic")
            if result.flow_value >= (wanted[position] - _LEAST_VIOLATION) * _UNIT:
                continue
            residual = graph - result.flow
            residual.data[residual.data < 0] = 0
            residual.eliminate_zeros()
            side = self._reached(residual.T.tocsr(), target)
            covered |= side
            self._add(rows, side, position)
            self._add(rows, ~self._reached(residual, net.source), position)

    def loop_cuts(self, x: np.ndarray) -> LinearRows:
        """Rows against loops that hang on nothing, one for every kept node of each.

        Args:
            x: whole numbers, shape (n_columns,).
        """
        net, rows = self.network, LinearRows()
        in_use = (self._column == NO_COLUMN) | (x[np.maximum(self._column, 0)] > 0.5)
        reached = self._reached(self._graph(in_use.astype(np.int8), in_use), net.source)
        adrift = in_use & ~reached[self._tail]
        tail, head = self._tail[adrift], self._head[adrift]
        label = strong_components(tail, head, net.n_nodes)
        hangs = np.zeros(net.n_nodes, dtype=bool)
        hangs[label[head[label[tail] != label[head]]]] = True
        is_kept = (net.target_column != NO_COLUMN) & (x[np.maximum(net.target_column, 0)] > 0.5)
        for position in np.flatnonzero(is_kept & ~reached[net.targets] & ~hangs[label[net.targets]]).tolist():
            self._add(rows, label == label[net.targets[position]], position)
        return rows

    def _graph(self, data: np.ndarray, arcs: slice | np.ndarray) -> csr_array:
        n = self.network.n_nodes
        if isinstance(arcs, slice):
            return csr_array((data, self._indices, self._indptr), shape=(n, n))
        indptr = np.searchsorted(self._tail[arcs], np.arange(n + 1)).astype(np.int32)
        return csr_array((data[arcs], self._indices[arcs], indptr), shape=(n, n))

    def _reverse(self, arcs: np.ndarray) -> csr_array:
        return adjacency(self._head[arcs], self._tail[arcs], self.network.n_nodes)

    def _reached(self, graph: csr_array, start: int) -> np.ndarray:
        reached = np.zeros(self.network.n_nodes, dtype=bool)
        reached[breadth_first_order(graph, start, return_predecessors=False)] = True
        return reached

    def _add(self, rows: LinearRows, side: np.ndarray, position: int) -> None:
        """The columns of the arcs into `side` sum up to at least the target's."""
        columns = np.unique(self._column[side[self._head] & ~side[self._tail]])
        if len(columns) and columns[0] == NO_COLUMN:
            return  # an arc of unlimited capacity leads in: nothing is violated
        target = self.network.target_column[position]
        if target == NO_COLUMN:
            rows.at_least(columns, 1.0)
        elif target not in columns:
            rows.needs_one(target, columns)


def cycle_cuts(formulation: Formulation, x: np.ndarray) -> LinearRows:
    """Rows that forbid the cycles among the kept edges of an integer solution: one cycle per component and edge."""
    rows = LinearRows()
    reduced = formulation.reduced
    column = formulation.edge_column
    kept = np.flatnonzero(reduced.is_on_cycle & (column != NO_COLUMN))
    kept = kept[x[column[kept]] > 0.5]
    if not len(kept):
        return rows
    n_nodes = len(reduced.pkn.nodes)
    tails, heads = reduced.parent[kept], reduced.child[kept]
    label = strong_components(tails, heads, n_nodes)
    graph = adjacency(tails, heads, n_nodes)
    by_pair = {(int(a), int(b)): int(column[e]) for a, b, e in zip(tails, heads, kept, strict=True)}
    seen: set[tuple[int, ...]] = set()
    for tail, head in by_pair:
        if label[tail] != label[head]:
            continue
        _, before = breadth_first_order(graph, head, return_predecessors=True)
        path = [tail]
        while path[-1] != head:
            path.append(int(before[path[-1]]))
        cycle = path[::-1]
        columns = tuple(sorted([by_pair[pair] for pair in pairwise(cycle)] + [by_pair[tail, head]]))
        if columns not in seen:
            seen.add(columns)
            rows.add(np.array(columns), np.ones(len(columns)), -np.inf, len(columns) - 1.0)
    return rows


def violated_cuts(separators: Sequence[Separator], x: np.ndarray, *, seconds: float = np.inf) -> LinearRows:
    """Cuts of all flow networks that x violates; after `seconds`, of those that were looked at by then."""
    cuts, started = LinearRows(), time.monotonic()
    for separator in separators:
        if time.monotonic() - started > seconds:
            break
        cuts.extend(separator.cuts(x))
    return cuts
