"""Feasible DAGs where inputs must reach outputs of their own: cheapest paths along edges that run down one order.

Whatever paths are chosen among such edges close no cycle. Orders come from a node in the middle, as in
`search.hub_heuristic`: what leads to it stands above, by distance, and everything else below. An input that is reached
only through a node above the middle then lacks outputs: paths to the middle are sought anew, dearer through such nodes.
Edges that no path needs are left out (`search.needed_edges`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from kpnn.pkn.graph import component_levels, fewest_edges, ranks_by_place, reachable, reached_from_each
from kpnn.pkn.selection.presolve import ReducedPkn
from kpnn.pkn.selection.search.needed_edges import needed_edges

_NEARLY_FREE = 1e-3
"""Share of its cost at which an edge that is kept already counts."""
_ON_OFFER = 0.5
"""Share of the least cost of an edge below which a path runs along edges that are kept already."""
_MIDDLES, _MOST_MIDDLES = 12, 200
"""Nodes near the outputs around which orders are made, two each; and the same as long as none leaves all paths."""
_REROUTED, _MOST_REROUTED = 8, 60
"""Times that paths up to each of these are sought for."""
_REFINED = 3
"""Orders along which paths are searched for anew whenever some have been kept."""
_MOST_OUTPUTS = 100
"""Outputs beyond which paths for one after the other take longer than they gain."""
_BATCHES = 20
"""Parts of the inputs after which that happens."""


@dataclass(frozen=True, eq=False)
class _Order:
    """An order of the nodes.

    Attributes:
        rank: of each node, shape (n_nodes,); edges run from lower ranks to higher ones.
        middle: the node that it was made around; None: none.
    """

    rank: np.ndarray
    middle: int | None = None


def cheapest_paths_along_orders(
    reduced: ReducedPkn, rng: np.random.Generator, seconds: float = np.inf
) -> tuple[np.ndarray, np.ndarray] | None:
    """The cheapest DAG found: positions (in `edge_ids`) of its edges, and the ranks (n_nodes,) that they run down.

    None where no order leaves all paths.

    It knows nothing of limits on depth or parents, or of nodes that must be kept: what it finds must be checked.

    Args:
        reduced: the presolved PKN.
        rng: chooses the nodes in the middle.
        seconds: after which no further order is made where there is one, after five times as long in any case; after
            twice and three times as long, no further paths are looked for where there are some.
    """
    clock = _Clock(time.monotonic(), seconds)
    orders = _orders(reduced, rng, clock)
    # What must be kept may be what no path needs.
    can_spare = not len(reduced.must_edges) and not reduced.rules.keep_nodes
    goes_along = not can_spare or len(reduced.reach.outputs) <= _MOST_OUTPUTS
    rough: list[tuple[float, int, np.ndarray]] = []
    for place, order in enumerate(orders):
        if rough and clock.is_after(2):
            break
        edges = None
        if goes_along:
            edges = _along(reduced, order, 1, clock.time_of(2) if rough or can_spare else np.inf)
        if edges is None and can_spare:
            edges = needed_edges(reduced, _down(reduced, order.rank), order.rank)
        rough += _priced(reduced, edges, place)
    found: list[tuple[float, int, np.ndarray]] = []
    for _, place, rough_edges in sorted(rough, key=lambda one: one[:2])[:_REFINED]:
        order, tried = orders[place], [rough_edges]
        if goes_along and not clock.is_after(3):
            refined = _along(reduced, order, _BATCHES, clock.time_of(3))
            tried += [] if refined is None else [refined]
        for edges in [*tried, _down(reduced, order.rank)] if can_spare else tried:
            found += _priced(reduced, needed_edges(reduced, edges, order.rank) if can_spare else edges, place)
    if not found:
        return None
    _, place, edges = min(found, key=lambda one: one[:2])
    return edges, orders[place].rank


@dataclass(frozen=True)
class _Clock:
    """Parts of the time, one after the other.

    Attributes:
        started: `time.monotonic()` at the start.
        seconds: of one part.
    """

    started: float
    seconds: float

    def time_of(self, parts: int) -> float:
        """`time.monotonic()` after so many parts."""
        return self.started + parts * self.seconds

    def is_after(self, parts: int) -> bool:
        """Whether so many parts are over."""
        return time.monotonic() > self.time_of(parts)


def _orders(reduced: ReducedPkn, rng: np.random.Generator, clock: _Clock) -> list[_Order]:
    """Orders that leave all paths."""
    n_nodes = len(reduced.pkn.nodes)
    level = component_levels(reduced.parent, reduced.child, n_nodes)
    down = fewest_edges(reduced.parent, reduced.child, reduced.reach.outputs, n_nodes)
    by_distance = _in_order(reduced, level, down)
    orders = [] if _lacking(reduced, by_distance).any() else [_Order(by_distance)]
    hidden = np.flatnonzero(~reduced.is_input & ~reduced.is_output & np.isfinite(down))
    # Near the outputs, where their paths are likely to meet.
    near = hidden[np.argsort(down[hidden] + rng.random(len(hidden)), kind="stable")]
    for number, middle in enumerate(near[:_MOST_MIDDLES].tolist()):
        is_beyond = number >= _MIDDLES
        if (is_beyond or clock.is_after(1)) if orders else (is_beyond and clock.is_after(5)):
            break
        below = fewest_edges(reduced.parent, reduced.child, np.array([middle]), n_nodes)
        by_distance = _in_order(reduced, level, below)
        around = _around(reduced, middle, down, rng, _MOST_REROUTED if is_beyond else _REROUTED)
        if not _lacking(reduced, by_distance).any():
            orders.append(_Order(by_distance, middle))
        if around is not None:
            orders.append(_Order(around, middle))
    return orders


def _priced(reduced: ReducedPkn, edges: np.ndarray | None, place: int) -> list[tuple[float, int, np.ndarray]]:
    """Cost, place of the order and edges of a DAG along it; none where there is none."""
    return [] if edges is None else [(float(reduced.cost[edges].sum()), place, edges)]


def _down(reduced: ReducedPkn, rank: np.ndarray) -> np.ndarray:
    """Positions (in `edge_ids`) of the edges that run down the ranks."""
    return np.flatnonzero(rank[reduced.parent] < rank[reduced.child])


def _around(
    reduced: ReducedPkn, middle: int, down: np.ndarray, rng: np.random.Generator, most_rerouted: int
) -> np.ndarray | None:
    """Ranks around a node in the middle down which every input has its outputs, shape (n_nodes,); None: none found.

    Args:
        reduced: the presolved PKN.
        middle: the node.
        down: fewest edges from any output to each node, shape (n_nodes,).
        rng: chooses among paths of one length.
        most_rerouted: times that paths up to the middle are sought for.
    """
    n_nodes, parent, child = len(down), reduced.parent, reduced.child
    is_reached = np.isfinite(fewest_edges(parent, child, np.array([middle]), n_nodes))
    price = np.ones(n_nodes)
    for _ in range(most_rerouted):
        lengths = price[parent] + _NEARLY_FREE * rng.random(len(parent))
        upward = csr_array((lengths, (child, parent)), shape=(n_nodes, n_nodes))
        up, towards = dijkstra(upward, indices=middle, return_predecessors=True)
        lifted = _on_paths_up(reduced, middle, towards)
        runs = (~lifted[parent] | (parent == middle)) & ~lifted[child]
        below = fewest_edges(parent[runs], child[runs], np.array([middle]), n_nodes)
        # What the middle does not reach stands above all, what leads to it comes next, in the middle what is lifted.
        tier = np.where(is_reached, np.where(lifted, 0, 1), -1)
        aside = ~lifted[parent] & ~lifted[child]
        level = np.where(tier == 0, 0, component_levels(parent[aside], child[aside], n_nodes))
        place = np.where(
            tier == 1, np.where(np.isfinite(below), below, n_nodes + down), np.where(np.isfinite(up), -up, down)
        )
        rank = _in_order(reduced, tier, level, place)
        lacking = _lacking(reduced, rank)
        if not lacking.any():
            return rank
        free = ~lifted[child]
        price[lifted & reachable(child[free], parent[free], np.flatnonzero(lacking), n_nodes)] += 1.0
    return None


def _lacking(reduced: ReducedPkn, rank: np.ndarray) -> np.ndarray:
    """Which inputs do not reach all of their outputs along edges that run down the ranks, shape (n_nodes,), bool."""
    falls = rank[reduced.parent] < rank[reduced.child]
    parent, child = reduced.parent[falls], reduced.child[falls]
    is_below = reached_from_each(parent, child, reduced.reach.outputs, len(rank))
    return (reduced.reach.inputs & ~is_below).any(axis=0)


def _in_order(reduced: ReducedPkn, *places: np.ndarray) -> np.ndarray:
    """Ranks by place, and among nodes of one place by the next, shape (n_nodes,): outputs first, inputs last."""
    role = np.where(reduced.is_input, 1, np.where(reduced.is_output, -1, 0))
    return ranks_by_place(role, *places)


def _on_paths_up(reduced: ReducedPkn, middle: int, towards: np.ndarray) -> np.ndarray:
    """The nodes on a path from each output to the middle, which is one of them, shape (n_nodes,), bool.

    Args:
        reduced: the presolved PKN.
        middle: the node.
        towards: the next node on the way from each to the middle; negative where there is none.
    """
    lifted = np.zeros(len(towards), dtype=bool)
    lifted[middle] = True
    for node in reduced.reach.outputs.tolist():
        while node != middle and towards[node] >= 0:
            node = int(towards[node])
            lifted[node] = True
    return lifted


def _along(reduced: ReducedPkn, order: _Order, n_batches: int, deadline: float) -> np.ndarray | None:
    """Cheapest paths from each output to its inputs down the ranks, one output after the other.

    None where one lacks, or where time runs out.

    Paths from the middle to what several outputs want come first, so that outputs share them.

    Args:
        reduced: the presolved PKN.
        order: the ranks, and their middle.
        n_batches: parts of the inputs; paths for a part know what was kept for those before it.
        deadline: `time.monotonic()` after which no further output is looked at.
    """
    rank = order.rank
    n_nodes = len(rank)
    falls = _down(reduced, rank)
    parent, child = reduced.parent[falls], reduced.child[falls]
    edge_of = dict(zip(zip(parent.tolist(), child.tolist(), strict=True), falls.tolist(), strict=True))
    kept = np.isin(reduced.edge_ids, reduced.must_edges)
    offered = kept.copy()

    def paths_from(starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        cost = np.where(offered[falls], _NEARLY_FREE, 1.0) * reduced.cost[falls]
        graph = csr_array((cost, (parent, child)), shape=(n_nodes, n_nodes))
        distance, before, _ = dijkstra(graph, indices=starts, min_only=True, return_predecessors=True)
        return distance, before

    def take_path(node: int, before: np.ndarray, taken: np.ndarray) -> list[int]:
        passed = [node]
        while before[node] >= 0:
            edge = edge_of[int(before[node]), node]
            offered[edge] = taken[edge] = True
            node = int(before[node])
            passed.append(node)
        return passed

    def take_paths(start: int, wanted: np.ndarray, taken: np.ndarray) -> bool:
        left, n_now = wanted.copy(), 1
        while left.any():
            distance, before = paths_from(np.array([start]))
            if not np.isfinite(distance[left]).all():
                return False
            # What is on offer already; then the neurons that cost least per input, as long as distances hold about.
            free = left & (distance < _ON_OFFER * reduced.cost.min())
            for gene in np.flatnonzero(free).tolist():
                take_path(gene, before, taken)
            left &= ~free
            n_left = max(int(left.sum()) - n_now, 0)
            while left.sum() > n_left:
                open_ = np.isfinite(distance[parent]) & left[child]
                n_inputs = np.bincount(parent[open_], minlength=n_nodes)
                node = int(np.argmin(np.where(n_inputs > 0, distance / np.maximum(n_inputs, 1), np.inf)))
                distance[take_path(node, before, taken)] = 0.0
                own = falls[open_ & (parent == node)]
                offered[own] = taken[own] = True
                left[reduced.child[own]] = False
            # The first path may lead to much that is on offer already.
            n_now = -(-int(wanted.sum()) // n_batches)
        return True

    if order.middle is not None:
        below = reachable(parent, child, np.array([order.middle]), n_nodes)
        of_several = np.sum(reduced.reach.inputs, axis=0) > 1
        take_paths(order.middle, below & of_several, offered)
    for output, wanted in zip(reduced.reach.outputs.tolist(), reduced.reach.inputs, strict=True):
        if time.monotonic() > deadline or not take_paths(output, wanted, kept):
            return None
    # Inputs that must have more parents get those that are nearest to what is kept.
    offered = kept.copy()
    distance, before = paths_from(reduced.reach.outputs)
    n_parents = np.bincount(reduced.child[kept], minlength=n_nodes)
    into_inputs = falls[~kept[falls] & ~reduced.is_core[falls]]
    for edge in into_inputs[np.argsort(distance[reduced.parent[into_inputs]], kind="stable")].tolist():
        above, gene = int(reduced.parent[edge]), int(reduced.child[edge])
        if n_parents[gene] < reduced.coverage[gene] and np.isfinite(distance[above]):
            kept[edge] = True
            n_parents[gene] += 1
            take_path(above, before, kept)
    return np.flatnonzero(kept) if (n_parents >= reduced.coverage).all() else None
