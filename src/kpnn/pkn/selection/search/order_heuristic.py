"""Feasible DAGs where inputs must reach outputs of their own: cheapest paths along edges that run down one order.

Whatever paths are chosen among such edges close no cycle. Orders come from a node in the middle, as in
`search.hub_heuristic`: what leads to it stands above, by distance, and everything else below.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from kpnn.pkn.graph import fewest_edges
from kpnn.pkn.selection.presolve import ReducedPkn

_NEARLY_FREE = 1e-3
"""Share of its cost at which an edge that is kept already counts."""
_MIDDLES = 12


def cheapest_paths_along_orders(reduced: ReducedPkn, rng: np.random.Generator) -> np.ndarray | None:
    """Positions (in `edge_ids`) of the edges of the cheapest DAG found, or None where no order leaves all paths.

    It knows nothing of limits on depth or parents: what it finds must be checked against these.

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
    found = [edges for edges in (_along(reduced, rank) for rank in ranks) if edges is not None]
    return min(found, key=lambda edges: float(reduced.cost[edges].sum()), default=None)


def _in_order(reduced: ReducedPkn, place: np.ndarray) -> np.ndarray:
    """Ranks by place, shape (n_nodes,): outputs first, inputs last."""
    place = np.where(np.isfinite(place), place, np.nanmax(np.where(np.isfinite(place), place, np.nan)) + 1)
    place = np.where(reduced.is_input, np.inf, np.where(reduced.is_output, -np.inf, place))
    rank = np.empty(len(place), dtype=np.int64)
    rank[np.lexsort((np.arange(len(place)), place))] = np.arange(len(place))
    return rank


def _on_paths_up(reduced: ReducedPkn, middle: int, up: np.ndarray) -> np.ndarray:
    """The nodes on one shortest path from each output to the middle, shape (n_nodes,), bool."""
    lifted = np.zeros(len(up), dtype=bool)
    lifted[middle] = True
    nearer = up[reduced.parent] == up[reduced.child] + 1
    child_of: dict[int, int] = dict(zip(reduced.parent[nearer].tolist(), reduced.child[nearer].tolist(), strict=True))
    for node in reduced.reach.outputs.tolist():
        while node in child_of and node != middle:
            node = child_of[node]
            lifted[node] = True
    return lifted


def _along(reduced: ReducedPkn, rank: np.ndarray) -> np.ndarray | None:
    """Cheapest paths from each output to its inputs down the ranks, one output after the other; None where one lacks.

    Args:
        reduced: the presolved PKN.
        rank: of each node, shape (n_nodes,).
    """
    n_nodes = len(rank)
    falls = np.flatnonzero(rank[reduced.parent] < rank[reduced.child])
    parent, child = reduced.parent[falls], reduced.child[falls]
    edge_of = {pair: edge for pair, edge in zip(zip(parent.tolist(), child.tolist(), strict=True), falls.tolist())}
    kept = np.zeros(len(reduced.edge_ids), dtype=bool)
    kept[np.isin(reduced.edge_ids, reduced.must_edges)] = True
    for output, wanted in zip(reduced.reach.outputs.tolist(), reduced.reach.inputs, strict=True):
        cost = np.where(kept[falls], _NEARLY_FREE, 1.0) * reduced.cost[falls]
        graph = csr_array((cost, (parent, child)), shape=(n_nodes, n_nodes))
        distance, before = dijkstra(graph, indices=output, return_predecessors=True)
        genes = np.flatnonzero(wanted)
        if not np.isfinite(distance[genes]).all():
            return None
        for node in genes[np.argsort(distance[genes], kind="stable")].tolist():
            while node != output:
                above = int(before[node])
                edge = edge_of[above, node]
                node = above
                kept[edge] = True
    return _with_coverage(reduced, kept)


def _with_coverage(reduced: ReducedPkn, kept: np.ndarray) -> np.ndarray | None:
    """Adds edges from kept nodes to inputs that lack parents; None where there are too few."""
    is_kept = reduced.is_output.copy()
    is_kept[reduced.parent[kept]] = True
    n_parents = np.bincount(reduced.child[kept], minlength=len(is_kept))
    for edge in np.flatnonzero(~kept & ~reduced.is_core & is_kept[reduced.parent]):
        if n_parents[reduced.child[edge]] < reduced.coverage[reduced.child[edge]]:
            kept[edge] = True
            n_parents[reduced.child[edge]] += 1
    return np.flatnonzero(kept) if (n_parents >= reduced.coverage).all() else None
