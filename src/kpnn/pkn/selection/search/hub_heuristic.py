"""Feasible solutions of the formulation with a hub: a hub, shortest paths up to the outputs, and a tree below it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from kpnn.pkn.graph import reachable
from kpnn.pkn.selection.model.formulation import Formulation
from kpnn.pkn.selection.model.rows import NO_COLUMN
from kpnn.pkn.selection.search.heuristic import NodeHeuristic

_HUBS = 4
"""Hubs tried for one solution of the relaxation; a tree takes some hundredths of a second."""
_SAME_HUB = 0.6
"""Share of the repairs that leave the hub where it is."""
_LEAST_WEIGHT = 1e-3
"""Of a node that a path uses anyway: nearly free, but of such paths the shorter one is taken."""


class HubHeuristic:
    """Builds DAGs around the hubs that a relaxation likes; prepared once per formulation."""

    def __init__(self, formulation: Formulation) -> None:
        assert formulation.hub is not None
        reduced = formulation.reduced
        self._formulation, self._columns = formulation, formulation.hub
        self._n = len(reduced.pkn.nodes)
        self._hidden = np.flatnonzero(formulation.node_column != NO_COLUMN)
        core = np.flatnonzero(reduced.is_core)
        self._parent, self._child = reduced.parent[core], reduced.child[core]
        self._n_tried = np.zeros(self._n, dtype=np.int64)

    def solutions(self, x: np.ndarray) -> Iterator[np.ndarray]:
        """Solutions around a few hubs: those that x likes best, less so the more often they were tried.

        Args:
            x: any values of the columns, shape (n_columns,).
        """
        likes = self._on_nodes(self._columns.hub, x) + 0.1 * self._on_nodes(self._columns.below, x)
        likes = (likes + 1e-3) / (1 + self._n_tried) ** 2
        for hub in self._hidden[np.argsort(-likes[self._hidden], kind="stable")][:_HUBS].tolist():
            self._n_tried[hub] += 1
            solution = self._around(hub, x)
            if solution is not None:
                yield solution

    def perturb(
        self, best: np.ndarray, likely: np.ndarray, rng: np.random.Generator, share: float
    ) -> np.ndarray | None:
        """Takes a random share of the kept nodes out, may move the hub, and repairs; None where that fails.

        Args:
            best: a solution.
            likely: values of the columns in the relaxation.
            rng: decides what is taken out.
            share: of the columns.
        """
        hub = int(self._hidden[np.argmax(best[self._columns.hub[self._hidden]])])
        if rng.random() > _SAME_HUB:
            hub = int(rng.choice(self._hidden))
        noise, is_out = rng.random(len(best)), rng.random(len(best)) < share
        # What was kept is nearly free, what was taken out is dear; noise makes every repair another one.
        guide = np.where(
            best > 0.5,
            np.where(is_out, 0.3 * noise, 0.999),
            np.clip(likely, 0.0, 0.9) * (0.5 + 0.5 * noise),
        )
        return self._around(hub, guide)

    def _around(self, hub: int, x: np.ndarray) -> np.ndarray | None:
        """A solution with this hub, or None where none was found."""
        reduced, columns = self._formulation.reduced, self._columns
        above = self._paths_up(hub, x)
        if above is None:
            return None
        barred = above | reduced.is_output
        open_edges = ~(barred[self._parent] | barred[self._child])
        is_below = reachable(self._parent[open_edges], self._child[open_edges], np.array([hub]), self._n)
        for position in reduced.open_classes:
            if not is_below[reduced.classes[position].parents].any():
                return None
        tree = NodeHeuristic(self._formulation, sources=np.array([hub]), barred=barred)
        below = tree.build(np.maximum(self._on_nodes(columns.below, x), 0.0))
        solution = np.zeros(self._formulation.n_columns)
        for column, kept in ((columns.kept, above | below), (columns.above, above), (columns.below, below)):
            nodes = self._hidden[kept[self._hidden]]
            solution[column[nodes]] = 1.0
        solution[columns.hub[hub]] = 1.0
        return solution

    def _paths_up(self, hub: int, x: np.ndarray) -> np.ndarray | None:
        """The nodes on cheapest paths from the hub up to all outputs, shape (n_nodes,), bool; None where one has none.

        Nodes that every DAG keeps are needed below the hub.
        """
        reduced = self._formulation.reduced
        above = np.zeros(self._n, dtype=bool)
        weight = np.clip(1.0 - self._on_nodes(self._columns.above, x), _LEAST_WEIGHT, 1.0)
        weight += 0.5 * self._on_nodes(self._columns.below, x)
        is_open = ~reduced.is_forced
        is_open[hub] = True
        usable = is_open[self._parent] & is_open[self._child] & (self._parent != hub)
        child, parent = self._child[usable], self._parent[usable]
        for output in reduced.reach.outputs.tolist():
            # Paths of other outputs are nearly free; an output leads no further.
            cost = np.where(above, _LEAST_WEIGHT, weight)[parent]
            graph = csr_array((cost, (child, parent)), shape=(self._n, self._n))
            distance, before = dijkstra(graph, indices=hub, return_predecessors=True)
            if not np.isfinite(distance[output]):
                return None
            node = int(before[output])
            while node != hub:
                above[node] = True
                node = int(before[node])
        return above

    def _on_nodes(self, column: np.ndarray, x: np.ndarray) -> np.ndarray:
        values = np.zeros(self._n)
        values[self._hidden] = x[column[self._hidden]]
        return values
