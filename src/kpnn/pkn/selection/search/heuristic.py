"""Feasible solutions of the node form, guided by a relaxation: shortest paths, then pruning, then repair."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from kpnn.pkn.graph import strong_components
from kpnn.pkn.selection.model.formulation import Formulation
from kpnn.pkn.selection.model.rows import NO_COLUMN, LinearRows

_LEAST_WEIGHT = 1e-6
"""Weight of a node that is kept or certain: nearly free, but of such paths the shorter one is taken."""
_REFRESHES = 25
"""Parts of all demands; distances are computed anew whenever four of these are served."""


class NodeHeuristic:
    """Finds sets of kept neurons that serve every input and hang together; prepared once per formulation."""

    def __init__(
        self, formulation: Formulation, *, sources: np.ndarray | None = None, barred: np.ndarray | None = None
    ) -> None:
        """Prepares searches.

        Args:
            formulation: gives nodes, demands and columns.
            sources: node codes that everything must hang on; by default the outputs.
            barred: nodes that must not be used, shape (n_nodes,), bool.
        """
        reduced = formulation.reduced
        self._formulation = formulation
        self._n = len(reduced.pkn.nodes)
        is_open = reduced.is_core
        if barred is not None:
            is_open = is_open & ~(barred[reduced.parent] | barred[reduced.child])
        core = np.flatnonzero(is_open)
        order = core[np.lexsort((reduced.child[core], reduced.parent[core]))]
        self._tail, self._head = reduced.parent[order], reduced.child[order]
        self._indptr = np.searchsorted(self._tail, np.arange(self._n + 1)).astype(np.int32)
        self._sources = np.flatnonzero(reduced.is_output) if sources is None else sources
        self._is_always = self.nodes_of(formulation.low) > 0.5
        demands = [(reduced.classes[i].parents, reduced.classes[i].coverage) for i in reduced.open_classes]
        self._groups: list[np.ndarray] = []
        if len(reduced.priced_edges):
            gene_order = reduced.priced_edges[np.argsort(reduced.child[reduced.priced_edges], kind="stable")]
            genes, starts = np.unique(reduced.child[gene_order], return_index=True)
            self._groups = np.split(gene_order, starts[1:])
            demands += [
                (reduced.parent[group], int(reduced.coverage[gene]))
                for gene, group in zip(genes, self._groups, strict=True)
            ]
        self._choices = [parents for parents, _ in demands]
        self._need = np.array([need for _, need in demands], dtype=np.int64)
        lengths = [len(parents) for parents in self._choices]
        indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        indices = np.concatenate(self._choices) if demands else np.empty(0, dtype=np.int64)
        self._serves = csr_array(
            (np.ones(len(indices), dtype=np.int64), indices, indptr), shape=(len(demands), self._n)
        )
        by_node = self._serves.tocsc()
        self._rows_of = np.split(by_node.indices, by_node.indptr[1:-1])

    def build(self, likely: np.ndarray) -> np.ndarray:
        """A feasible set of kept nodes that prefers likely ones.

        Args:
            likely: between 0 and 1 for every node, shape (n_nodes,), such as the relaxation's x.

        Returns:
            Kept nodes, shape (n_nodes,), bool, pruned.
        """
        weight = np.clip(1.0 - likely, _LEAST_WEIGHT, 1.0)
        kept = self._connect(self._is_always.copy(), weight)
        # Of demands that are equally near, those with fewer choices come first.
        waiting = np.argsort(np.array([len(parents) for parents in self._choices]), kind="stable")
        count = self._serves @ kept.astype(np.int64)
        batch = max(1, len(waiting) // _REFRESHES)
        while True:
            waiting = waiting[count[waiting] < self._need[waiting]]
            if not len(waiting):
                break
            # Paths along kept nodes have become nearly free, so that distances are taken anew for every few demands.
            distance, before = self._paths(np.where(kept, _LEAST_WEIGHT, weight), self._sources)
            # Nearest demands first: what is close to the tree is cheap now and serves others on the way.
            nearest = np.array([distance[self._choices[row]].min() for row in waiting])
            for row in waiting[np.argsort(nearest, kind="stable")][: 4 * batch]:
                missing = int(self._need[row] - count[row])
                if missing <= 0:
                    continue
                parents = self._choices[row]
                parents = parents[~kept[parents]]
                # As in greedy set cover: a longer path is worth it where it serves more.
                gain = np.array([self._gain(code, count) for code in parents])
                for code in parents[np.argsort(distance[parents] / gain, kind="stable")][:missing]:
                    self._add_path(int(code), before, kept, count)
        return self._pruned(kept, weight)

    def perturb(self, kept: np.ndarray, likely: np.ndarray, rng: np.random.Generator, share: float) -> np.ndarray:
        """Takes a random share of the kept nodes out and repairs what that breaks."""
        out = kept & ~self._is_always & (rng.random(self._n) < share)
        # What was kept is nearly free, what was taken out is dear; noise makes every repair another one.
        noise = rng.random(self._n)
        guide = np.where(
            kept & ~out, 0.999, np.where(out, 0.3 * noise, np.clip(likely, 0.0, 0.9) * (0.5 + 0.5 * noise))
        )
        return self.build(guide)

    def solution(self, kept: np.ndarray) -> np.ndarray:
        """Values of the formulation's columns for a feasible set of kept nodes."""
        formulation, reduced = self._formulation, self._formulation.reduced
        x = np.zeros(formulation.n_columns)
        nodes = np.flatnonzero(formulation.node_column != NO_COLUMN)
        x[formulation.node_column[nodes]] = kept[nodes]
        for group in self._groups:
            usable = group[kept[reduced.parent[group]]]
            must = formulation.low[formulation.edge_column[usable]] > 0.5
            cheapest = usable[np.lexsort((reduced.cost[usable], ~must))]
            need = max(int(reduced.coverage[reduced.child[group[0]]]), int(must.sum()))
            x[formulation.edge_column[cheapest[:need]]] = 1.0
        return x

    def nodes_of(self, x: np.ndarray) -> np.ndarray:
        """The x of every node, shape (n_nodes,); 1 for sources, 0 for nodes without a column."""
        column = self._formulation.node_column
        values = np.zeros(len(column))
        values[column != NO_COLUMN] = x[column[column != NO_COLUMN]]
        values[self._sources] = 1.0
        return values

    def with_paths_from_every_output(self, kept: np.ndarray) -> np.ndarray:
        """Adds a shortest path from each output to a kept hidden node; so far one output may have served for all.

        Args:
            kept: shape (n_nodes,), bool.
        """
        kept = kept.copy()
        for output in self._sources:
            distance, before = self._paths(np.where(kept, _LEAST_WEIGHT, 1.0), np.array([output]))
            distance[~kept] = np.inf
            distance[self._sources] = np.inf
            code = int(distance.argmin())
            while np.isfinite(distance.min()) and code >= 0:
                kept[code] = True
                code = int(before[code])
        return kept

    def rows_against_loops(self, kept: np.ndarray) -> LinearRows:
        """Rows that kept nodes violate which form loops that hang on no output: a parent from outside is needed.

        Args:
            kept: shape (n_nodes,), bool; every node has a kept parent.
        """
        rows = LinearRows()
        distance, _ = self._paths(np.where(kept, _LEAST_WEIGHT, np.inf), self._sources)
        adrift = kept & ~np.isfinite(distance)
        if not adrift.any():
            return rows
        inside = adrift[self._tail] & adrift[self._head]
        tails, heads = self._tail[inside], self._head[inside]
        label = strong_components(tails, heads, self._n)
        has_kept_parent = np.zeros(self._n, dtype=bool)
        has_kept_parent[label[heads[label[tails] != label[heads]]]] = True
        column = self._formulation.node_column
        for loop in np.unique(label[adrift & ~has_kept_parent[label]]):
            is_in = adrift & (label == loop)
            ways_in = is_in[self._head] & ~is_in[self._tail]
            parents = np.unique(column[self._tail[ways_in]])
            for owner in column[is_in]:
                rows.needs_one(owner, parents)
        return rows

    def _paths(self, weight: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        graph = csr_array((weight[self._head], self._head.astype(np.int32), self._indptr), shape=(self._n, self._n))
        distance, before, _ = dijkstra(graph, indices=starts, min_only=True, return_predecessors=True)
        return distance, before

    def _gain(self, code: int, count: np.ndarray) -> int:
        rows = self._rows_of[code]
        return max(1, int((count[rows] < self._need[rows]).sum()))

    def _add_path(self, code: int, before: np.ndarray, kept: np.ndarray, count: np.ndarray) -> None:
        while code >= 0 and not kept[code]:
            kept[code] = True
            count[self._rows_of[code]] += 1
            code = int(before[code])

    def _connect(self, wanted: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Adds cheapest paths to all wanted nodes."""
        kept = np.zeros(self._n, dtype=bool)
        kept[self._sources] = True
        count = np.zeros(len(self._need), dtype=np.int64)
        # Later rounds lead through what the first ones kept.
        for _ in range(3):
            _, before = self._paths(np.where(wanted | kept, _LEAST_WEIGHT, weight), self._sources)
            missing = np.flatnonzero(wanted & ~kept)
            for code in missing:
                # A path may meet the tree at a node that is kept but was reached along another path: still connected.
                self._add_path(int(code), before, kept, count)
        return kept

    def _pruned(self, kept: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Drops nodes that no demand and no other kept node needs, the least likely first."""
        kept = kept.copy()
        count = self._serves @ kept.astype(np.int64)
        while True:
            inside = kept[self._tail] & kept[self._head]
            tails, heads = self._tail[inside], self._head[inside]
            graph = csr_array((weight[heads] + _LEAST_WEIGHT, (tails, heads)), shape=(self._n, self._n))
            distance, before, _ = dijkstra(graph, indices=self._sources, min_only=True, return_predecessors=True)
            kept &= np.isfinite(distance)
            count = self._serves @ kept.astype(np.int64)
            # Only leaves of the tree of shortest paths are dropped, so that all others stay connected; a node that
            # becomes a leaf by that is looked at as well.
            children = np.bincount(before[kept & (before >= 0)], minlength=self._n)
            leaves = [int(code) for code in np.flatnonzero(kept & (children == 0) & ~self._is_always)]
            leaves.sort(key=lambda code: (-weight[code], len(self._rows_of[code]), code))
            dropped = 0
            while leaves:
                code = leaves.pop(0)
                rows = self._rows_of[code]
                if (count[rows] <= self._need[rows]).any():
                    continue
                kept[code] = False
                count[rows] -= 1
                dropped += 1
                above = int(before[code])
                children[above] -= 1
                if children[above] == 0 and not self._is_always[above]:
                    leaves.append(above)
            if not dropped:
                return kept
