"""Feasible DAGs where inputs must reach outputs of their own: cheapest paths along edges that run down one order.

Whatever paths are chosen among such edges close no cycle. Orders come from a node in the middle, as in
`search.hub_heuristic`: what leads to it stands above, by distance, and everything else below.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from kpnn.pkn.graph import fewest_edges, ranks_by_place
from kpnn.pkn.selection.presolve import ReducedPkn

_NEARLY_FREE = 1e-3
"""Share of its cost at which an edge that is kept already counts."""
_MIDDLES = 12
"""Nodes near the outputs around which orders are made, two each."""
_REFINED = 3
"""Orders along which paths are searched for anew whenever some have been kept."""
_BATCHES = 20
"""Parts of the inputs after which that happens."""


def cheapest_paths_along_orders(reduced: ReducedPkn, rng: np.random.Generator) -> np.ndarray | None:
    """Positions (in `edge_ids`) of the edges of the cheapest DAG found, or None where no order leaves all paths.

    It knows nothing of limits on depth or parents, or of nodes that must be kept: what it finds must be checked.

    Args:
        reduced: the presolved PKN.
        rng: chooses the nodes in the middle.
    """
    n_nodes = len(reduced.pkn.nodes)
    outputs = reduced.reach.outputs
    down = fewest_edges(reduced.parent, reduced.child, outputs, n_nodes)
    ranks = [_in_order(reduced, down)]
    hidden = np.flatnonzero(~reduced.is_input & ~reduced.is_output & np.isfinite(down))
    # Near the outputs, where their paths are likely to meet.
    near = hidden[np.argsort(down[hidden] + rng.random(len(hidden)), kind="stable")]
    for middle in near[:_MIDDLES].tolist():
        up = fewest_edges(reduced.child, reduced.parent, np.array([middle]), n_nodes)
        below = fewest_edges(reduced.parent, reduced.child, np.array([middle]), n_nodes)
        for lifted in (_on_paths_up(reduced, middle, up), np.zeros(n_nodes, dtype=bool)):
            ranks.append(_in_order(reduced, np.where(lifted, -np.where(np.isfinite(up), up, 0.0), 1.0 + below)))
    rough = [(_cost_of(reduced, _along(reduced, rank, 1)), place) for place, rank in enumerate(ranks)]
    best = [place for cost, place in sorted(rough) if np.isfinite(cost)][:_REFINED]
    found = [_along(reduced, ranks[place], _BATCHES) for place in best]
    return min(found, key=lambda edges: _cost_of(reduced, edges), default=None)


def _cost_of(reduced: ReducedPkn, edges: np.ndarray | None) -> float:
    return np.inf if edges is None else float(reduced.cost[edges].sum())


def _in_order(reduced: ReducedPkn, place: np.ndarray) -> np.ndarray:
    """Ranks by place, shape (n_nodes,): outputs first, inputs last."""
    is_placed = np.isfinite(place)
    place = np.where(is_placed, place, place[is_placed].max() + 1)
    return ranks_by_place(np.where(reduced.is_input, np.inf, np.where(reduced.is_output, -np.inf, place)))


def _on_paths_up(reduced: ReducedPkn, middle: int, up: np.ndarray) -> np.ndarray:
    """The nodes on one shortest path from each output to the middle, shape (n_nodes,), bool."""
    lifted = np.zeros(len(up), dtype=bool)
    lifted[middle] = True
    nearer = np.isfinite(up[reduced.child]) & (up[reduced.parent] == up[reduced.child] + 1)
    child_of: dict[int, int] = dict(zip(reduced.parent[nearer].tolist(), reduced.child[nearer].tolist(), strict=True))
    for node in reduced.reach.outputs.tolist():
        while node in child_of and node != middle:
            node = child_of[node]
            lifted[node] = True
    return lifted


def _along(reduced: ReducedPkn, rank: np.ndarray, n_batches: int) -> np.ndarray | None:
    """Cheapest paths from each output to its inputs down the ranks, one output after the other; None where one lacks.

    Args:
        reduced: the presolved PKN.
        rank: of each node, shape (n_nodes,).
        n_batches: parts of the inputs; paths for a part know what was kept for those before it.
    """
    n_nodes = len(rank)
    falls = np.flatnonzero(rank[reduced.parent] < rank[reduced.child])
    parent, child = reduced.parent[falls], reduced.child[falls]
    edge_of = dict(zip(zip(parent.tolist(), child.tolist(), strict=True), falls.tolist(), strict=True))
    kept = np.isin(reduced.edge_ids, reduced.must_edges)

    def paths_from(starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        cost = np.where(kept[falls], _NEARLY_FREE, 1.0) * reduced.cost[falls]
        graph = csr_array((cost, (parent, child)), shape=(n_nodes, n_nodes))
        distance, before, _ = dijkstra(graph, indices=starts, min_only=True, return_predecessors=True)
        return distance, before

    def keep_path(node: int, before: np.ndarray) -> None:
        while before[node] >= 0:
            kept[edge_of[int(before[node]), node]] = True
            node = int(before[node])

    for output, wanted in zip(reduced.reach.outputs, reduced.reach.inputs, strict=True):
        genes = np.flatnonzero(wanted)
        for _ in range(n_batches):
            distance, before = paths_from(np.array([output]))
            if not np.isfinite(distance[genes]).all():
                return None
            genes = genes[np.argsort(distance[genes], kind="stable")]
            n_now = -(-int(wanted.sum()) // n_batches)
            for gene in genes[:n_now].tolist():
                keep_path(gene, before)
            genes = genes[n_now:]
            if not len(genes):
                break
    # Inputs that must have more parents get those that are nearest to what is kept.
    distance, before = paths_from(reduced.reach.outputs)
    n_parents = np.bincount(reduced.child[kept], minlength=n_nodes)
    into_inputs = falls[~kept[falls] & ~reduced.is_core[falls]]
    for edge in into_inputs[np.argsort(distance[reduced.parent[into_inputs]], kind="stable")].tolist():
        above, gene = int(reduced.parent[edge]), int(reduced.child[edge])
        if n_parents[gene] < reduced.coverage[gene] and np.isfinite(distance[above]):
            kept[edge] = True
            n_parents[gene] += 1
            keep_path(above, before)
    return np.flatnonzero(kept) if (n_parents >= reduced.coverage).all() else None
