"""An independent truth for DAG selection: every subset of the edges, judged by the definition alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

Edge = tuple[str, str]


@dataclass(frozen=True)
class Case:
    """A small problem. Inputs are leaves; outputs may have parents."""

    edges: tuple[Edge, ...]
    costs: tuple[float, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    keep_nodes: tuple[str, ...] = ()
    forbid_nodes: tuple[str, ...] = ()
    keep_edges: tuple[Edge, ...] = ()
    forbid_edges: tuple[Edge, ...] = ()
    max_depth: int | None = None
    max_parents: int | None = None
    coverage: int = 1
    reach: str = "every"

    @property
    def table(self) -> pd.DataFrame:
        parents, children = zip(*self.edges, strict=True)
        return pd.DataFrame({"parent": parents, "child": children, "cost": self.costs})

    @property
    def rules(self) -> dict[str, object]:
        names = ("keep_nodes", "forbid_nodes", "keep_edges", "forbid_edges", "max_depth", "max_parents", "coverage")
        return {name: getattr(self, name) for name in (*names, "reach")}


class AllSubsets:
    """All 2**n_edges edge sets at once: bit e of the row number says whether edge e is kept."""

    def __init__(self, case: Case) -> None:
        self.case = case
        n = len(case.edges)
        rows = np.arange(1 << n)
        self.kept = {edge: (rows >> i & 1).astype(bool) for i, edge in enumerate(case.edges)}
        self.cost = sum((self.kept[e] * c for e, c in zip(case.edges, case.costs, strict=True)), np.zeros(len(rows)))
        self.nodes = sorted({name for edge in case.edges for name in edge})
        self.feasible = self._feasible()

    @property
    def optimum(self) -> float | None:
        return float(self.cost[self.feasible].min()) if self.feasible.any() else None

    def neuron_sets(self, most_cost: float) -> dict[frozenset[str], float]:
        """The hidden nodes of every feasible edge set of at most this cost, with the least cost of each."""
        found: dict[frozenset[str], float] = {}
        hidden = set(self.nodes) - set(self.case.inputs) - set(self.case.outputs)
        for row in np.flatnonzero(self.feasible & (self.cost <= most_cost + 1e-9)):
            used = frozenset(name for e in self.case.edges if self.kept[e][row] for name in e if name in hidden)
            found[used] = min(found.get(used, np.inf), float(self.cost[row]))
        return found

    def least_neurons(self) -> int:
        return min(len(used) for used in self.neuron_sets(np.inf))

    def _reach(self, starts: Iterable[str], edges: Iterable[tuple[Edge, str, str]]) -> dict[str, np.ndarray]:
        starts, edges = set(starts), list(edges)
        size = len(self.cost)
        reached = {name: np.full(size, name in starts) for name in self.nodes}
        for _ in self.nodes:
            for edge, tail, head in edges:
                reached[head] = reached[head] | (self.kept[edge] & reached[tail])
        return reached

    def _feasible(self) -> np.ndarray:
        case = self.case
        down = self._reach(case.outputs, [(e, e[0], e[1]) for e in case.edges])
        up = self._reach(case.inputs, [(e, e[1], e[0]) for e in case.edges])
        good = np.ones(len(self.cost), dtype=bool)
        for name in case.inputs:
            good &= down[name]
        for name in case.outputs:
            good &= up[name]
        used = {name: np.zeros(len(self.cost), dtype=bool) for name in self.nodes}
        for edge in case.edges:
            # Every kept edge lies on a path from an output to an input.
            good &= ~self.kept[edge] | (down[edge[0]] & up[edge[1]])
            for name in edge:
                used[name] = used[name] | self.kept[edge]
        if case.reach == "every":
            good &= self._keeps_pairs()
        good &= self._acyclic()
        for name in case.keep_nodes:
            good &= used[name]
        for name in case.forbid_nodes:
            good &= ~used.get(name, np.zeros(len(self.cost), dtype=bool))
        for edge in case.keep_edges:
            good &= self.kept[edge]
        for edge in case.forbid_edges:
            good &= ~self.kept[edge]
        n_parents = {
            name: sum((self.kept[e].astype(int) for e in case.edges if e[1] == name), 0) for name in self.nodes
        }
        if case.max_parents is not None:
            for name in self.nodes:
                good &= n_parents[name] <= case.max_parents
        for name in case.inputs:
            good &= n_parents[name] >= min(case.coverage, self._available(name))
        if case.max_depth is not None:
            good &= self._depth() <= case.max_depth
        return good

    def _keeps_pairs(self) -> np.ndarray:
        """Each output is reached by every input that reaches it where all edges are kept, which is the last row."""
        good = np.ones(len(self.cost), dtype=bool)
        for output in self.case.outputs:
            down = self._reach([output], [(e, e[0], e[1]) for e in self.case.edges])
            for name in self.case.inputs:
                if down[name][-1]:
                    good &= down[name]
        return good

    def _acyclic(self) -> np.ndarray:
        left = {name: np.ones(len(self.cost), dtype=bool) for name in self.nodes}
        for _ in self.nodes:
            for name in self.nodes:
                held = np.zeros(len(self.cost), dtype=bool)
                for edge in self.case.edges:
                    if edge[1] == name:
                        held |= self.kept[edge] & left[edge[0]]
                left[name] = left[name] & held
        return ~np.any(list(left.values()), axis=0)

    def _depth(self) -> np.ndarray:
        depth = {name: np.zeros(len(self.cost), dtype=int) for name in self.nodes}
        for _ in self.nodes:
            for edge in self.case.edges:
                depth[edge[1]] = np.maximum(depth[edge[1]], np.where(self.kept[edge], depth[edge[0]] + 1, 0))
        return np.max(list(depth.values()), axis=0)

    def _available(self, name: str) -> int:
        """Parents of an input that an output reaches over permitted edges within the depth limit."""
        case = self.case
        permitted = [e for e in case.edges if e not in case.forbid_edges and not set(e) & set(case.forbid_nodes)]
        if len(case.outputs) == 1:
            permitted = [e for e in permitted if e[1] not in case.outputs]
        distance = dict.fromkeys(case.outputs, 0)
        for _ in self.nodes:
            for parent, child in permitted:
                if parent in distance:
                    distance[child] = min(distance.get(child, 99), distance[parent] + 1)
        most = 99 if case.max_depth is None else case.max_depth - 1
        return sum(1 for parent, child in permitted if child == name and distance.get(parent, 100) <= most)
