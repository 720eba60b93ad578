"""Orders of nodes along which many edges run down: what runs down one order closes no cycle.

A first order comes from a DAG, others from how much of each edge a relaxation keeps; then single nodes are moved to
where more of their edges run down, and shaken loose where that comes to an end.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from kpnn.pkn.graph import strong_components

_SHAKEN = 3
"""Nodes moved at random where no move gains anything."""
_TO_NEEDY = 0.5
"""Share of the random moves that are of nodes which lack an edge from above or down."""
_NO_PARENT = 1_000.0
"""What it costs that a node has no edge from above where it needs one: all that hangs on it alone would be lost."""
_NO_CHILD = 10.0
"""The same for edges down: the node itself would be lost."""


@dataclass(frozen=True, eq=False)
class CyclicEdges:
    """Edges among which cycles are, in node codes.

    Attributes:
        n_nodes: number of nodes.
        parent, child: ends of each edge between neurons, shape (n_edges,).
        is_on_cycle: whether both ends are in one strongly connected component, shape (n_edges,), bool.
        label: strongly connected component of each node, shape (n_nodes,).
        needs_parent, needs_child: nodes that one of these edges must lead into, or out of, shape (n_nodes,), bool.
    """

    n_nodes: int
    parent: np.ndarray
    child: np.ndarray
    is_on_cycle: np.ndarray
    label: np.ndarray
    needs_parent: np.ndarray
    needs_child: np.ndarray

    @classmethod
    def of(
        cls, n_nodes: int, parent: np.ndarray, child: np.ndarray, needs_parent: np.ndarray, needs_child: np.ndarray
    ) -> CyclicEdges:
        """Finds the components."""
        label = strong_components(parent, child, n_nodes)
        return cls(n_nodes, parent, child, label[parent] == label[child], label, needs_parent, needs_child)

    def falls(self, rank: np.ndarray) -> np.ndarray:
        """Edges that run down an order, shape (n_edges,), bool."""
        return rank[self.parent] < rank[self.child]


def guided_rank(edges: CyclicEdges, weight: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Ranks down which edges run as their weights have it, shape (n_nodes,).

    One edge after the other, those of most weight first, is made to run down unless that closes a cycle. Only what lies
    between its ends moves (Pearce and Kelly 2006, doi:10.1145/1187436.1210590).

    Args:
        edges: the edges.
        weight: of each edge, shape (n_edges,).
        rank: to start from, shape (n_nodes,); it puts components in computing order.
    """
    place = _by_component(edges, rank)
    inside = np.flatnonzero(edges.is_on_cycle)
    # Of edges of the same weight those that run down already come first: they stay as they are.
    inside = inside[np.lexsort((inside, ~edges.falls(place)[inside], -weight[inside]))]
    at = place.tolist()
    above: list[list[int]] = [[] for _ in at]
    below: list[list[int]] = [[] for _ in at]
    for tail, head in zip(edges.parent[inside].tolist(), edges.child[inside].tolist(), strict=True):
        low, high = at[head], at[tail]
        if low < high:
            after = _between(head, below, at, low, high)
            if tail in after:
                continue
            before = _between(tail, above, at, low, high)
            moved = sorted(before, key=at.__getitem__) + sorted(after, key=at.__getitem__)
            for node, new in zip(moved, sorted(at[node] for node in moved), strict=True):
                at[node] = new
        above[head].append(tail)
        below[tail].append(head)
    return np.array(at, dtype=np.int64)


def hung_rank(edges: CyclicEdges, rank: np.ndarray) -> np.ndarray:
    """The nearest ranks in which every node that needs a parent stands below one, shape (n_nodes,).

    Nodes come in the order of their ranks, but none before one of its parents has come.

    Args:
        edges: the edges; every node is below one that needs no parent.
        rank: of each node, shape (n_nodes,).
    """
    below: dict[int, list[int]] = {}
    for tail, head in zip(edges.parent.tolist(), edges.child.tolist(), strict=True):
        below.setdefault(tail, []).append(head)
    at = rank.tolist()
    ready = [(at[node], node) for node in np.flatnonzero(~edges.needs_parent).tolist()]
    heapq.heapify(ready)
    is_ready = ~edges.needs_parent
    hung = np.empty(edges.n_nodes, dtype=np.int64)
    for place in range(edges.n_nodes):
        _, node = heapq.heappop(ready)
        hung[node] = place
        for head in below.get(node, ()):
            if not is_ready[head]:
                is_ready[head] = True
                heapq.heappush(ready, (at[head], head))
    return hung


def _between(start: int, neighbours: list[list[int]], at: list[int], low: int, high: int) -> set[int]:
    """Nodes that are reached from a start without leaving the places from `low` to `high`."""
    reached, waiting = {start}, [start]
    while waiting:
        for other in neighbours[waiting.pop()]:
            if other not in reached and low <= at[other] <= high:
                reached.add(other)
                waiting.append(other)
    return reached


def _by_component(edges: CyclicEdges, inner: np.ndarray) -> np.ndarray:
    """Ranks by component first, in computing order, and by `inner` within each."""
    # scipy numbers the components against the edges, but does not promise it.
    between = ~edges.is_on_cycle
    tails, heads = edges.label[edges.parent[between]], edges.label[edges.child[between]]
    n_labels = int(edges.label.max(initial=-1)) + 1
    waiting = np.bincount(heads, minlength=n_labels)
    heads_of: dict[int, list[int]] = {}
    for tail, head in zip(tails.tolist(), heads.tolist(), strict=True):
        heads_of.setdefault(tail, []).append(head)
    ready = [label for label in range(n_labels) if waiting[label] == 0]
    place = np.empty(n_labels, dtype=np.int64)
    for position, label in enumerate(ready):
        place[label] = position
        for head in heads_of.get(label, ()):
            waiting[head] -= 1
            if waiting[head] == 0:
                ready.append(head)
    rank = np.empty(edges.n_nodes, dtype=np.int64)
    rank[np.lexsort((inner, place[edges.label]))] = np.arange(edges.n_nodes)
    return rank


def improved_rank(edges: CyclicEdges, rank: np.ndarray, rng: np.random.Generator, *, n_shakes: int) -> np.ndarray:
    """Ranks along which more edges run down, found by moving single nodes within their components.

    A node without an edge from above, or down, that needs one counts as a loss.

    Args:
        edges: the edges.
        rank: to start from, shape (n_nodes,); it puts components in computing order.
        rng: shakes the order where no move gains anything.
        n_shakes: how often.
    """
    search = _Moves(edges, _by_component(edges, rank), np.ones(len(edges.parent)))
    search.settle(search.movable)
    best = search.snapshot()
    for _ in range(n_shakes if len(search.movable) > 1 else 0):
        search.shake(rng)
        if search.value >= best.value - 1e-9:
            best = search.snapshot()
        else:
            search.restore(best)
    return best.place


class _Snapshot(NamedTuple):
    """An order, and what depends on it."""

    order: np.ndarray
    place: np.ndarray
    n_above: np.ndarray
    n_below: np.ndarray
    value: float


class _Moves:
    """An order that changes by moves of single nodes."""

    def __init__(self, edges: CyclicEdges, rank: np.ndarray, weight: np.ndarray) -> None:
        n = edges.n_nodes
        self._needs_parent, self._needs_child = edges.needs_parent.tolist(), edges.needs_child.tolist()
        self._is_needy = (edges.needs_parent, edges.needs_child)
        inside = np.flatnonzero(edges.is_on_cycle)
        self._above: list[list[tuple[int, float]]] = [[] for _ in range(n)]
        self._below: list[list[tuple[int, float]]] = [[] for _ in range(n)]
        for tail, head, value in zip(
            edges.parent[inside].tolist(), edges.child[inside].tolist(), weight[inside].tolist(), strict=True
        ):
            self._below[tail].append((head, value))
            self._above[head].append((tail, value))
        self.movable = np.unique(np.concatenate([edges.parent[inside], edges.child[inside]]))
        self._order = np.argsort(rank, kind="stable")
        self._place = np.empty(n, dtype=np.int64)
        self._place[self._order] = np.arange(n)
        falls = edges.falls(self._place)
        self._n_above = np.bincount(edges.child[falls], minlength=n)
        self._n_below = np.bincount(edges.parent[falls], minlength=n)
        self.value = float(weight[falls].sum())
        self.value -= _NO_PARENT * float(((self._n_above == 0) & edges.needs_parent).sum())
        self.value -= _NO_CHILD * float(((self._n_below == 0) & edges.needs_child).sum())

    def snapshot(self) -> _Snapshot:
        """The present order, to come back to."""
        return _Snapshot(self._order.copy(), self._place.copy(), self._n_above.copy(), self._n_below.copy(), self.value)

    def restore(self, snapshot: _Snapshot) -> None:
        """Comes back to an order."""
        self._order[:], self._place[:] = snapshot.order, snapshot.place
        self._n_above[:], self._n_below[:] = snapshot.n_above, snapshot.n_below
        self.value = snapshot.value

    def settle(self, nodes: np.ndarray) -> None:
        """Moves nodes, and the neighbours of what was moved, until no move gains anything."""
        queue, is_waiting = list(nodes.tolist()), set(nodes.tolist())
        for node in queue:
            is_waiting.discard(node)
            if not self._move(node):
                continue
            for other, _ in self._above[node] + self._below[node]:
                if other not in is_waiting:
                    is_waiting.add(other)
                    queue.append(other)

    def shake(self, rng: np.random.Generator) -> None:
        """Moves a few nodes past a random neighbour, then settles them and what is around them.

        Half of the time these are nodes that lack an edge from above or down, and the neighbour is one that gives it.
        """
        lacks_parent = self._is_needy[0] & (self._n_above == 0)
        lacks_child = self._is_needy[1] & (self._n_below == 0)
        needy = self.movable[(lacks_parent | lacks_child)[self.movable]]
        among = needy if len(needy) and rng.random() < _TO_NEEDY else self.movable
        touched: set[int] = set()
        for node in rng.choice(among, min(_SHAKEN, len(among)), replace=False).tolist():
            others = self._above[node] if lacks_parent[node] else self._below[node] if lacks_child[node] else []
            others = others or self._above[node] + self._below[node]
            self._put(node, int(self._place[others[rng.integers(len(others))][0]]))
            # The node itself stays for now, so that its neighbours make room.
            touched |= {name for name, _ in self._above[node] + self._below[node]}
        self.settle(np.array(sorted(touched), dtype=np.int64))

    def _move(self, node: int) -> bool:
        """Moves a node to the place where the edges that run down weigh most; says whether that gained anything."""
        gain, goal = self._best_place(node)
        if gain > 1e-9:
            self._put(node, goal)
        return gain > 1e-9

    def _best_place(self, node: int) -> tuple[float, int]:
        """What the best move of a node gains, and the place to move it to."""
        here = int(self._place[node])
        best, goal = 0.0, here
        for sign in (1, -1):
            # Down: edges from parents passed begin to fall, edges to children passed no longer do; up: the reverse.
            steps = [(int(self._place[other]), sign * value, other, True) for other, value in self._above[node]]
            steps += [(int(self._place[other]), -sign * value, other, False) for other, value in self._below[node]]
            value, n_above, n_below = 0.0, int(self._n_above[node]), int(self._n_below[node])
            own = self._own_penalty(node, n_above, n_below)
            passed = sorted((step for step in steps if (step[0] - here) * sign > 0), reverse=sign < 0)
            for position, (at, change, other, is_parent) in enumerate(passed):
                falls_then = change > 0
                turn = 1 if falls_then else -1
                value += change
                if is_parent:
                    n_above += turn
                    if self._needs_child[other] and self._n_below[other] == (0 if falls_then else 1):
                        value += turn * _NO_CHILD
                else:
                    n_below += turn
                    if self._needs_parent[other] and self._n_above[other] == (0 if falls_then else 1):
                        value += turn * _NO_PARENT
                if position + 1 < len(passed) and passed[position + 1][0] == at:
                    continue  # parent and child at once: both edges turn together
                gain = value + own - self._own_penalty(node, n_above, n_below)
                if gain > best + 1e-9:
                    best, goal = gain, at
        return best, goal

    def _own_penalty(self, node: int, n_above: int, n_below: int) -> float:
        return _NO_PARENT * (self._needs_parent[node] and n_above == 0) + _NO_CHILD * (
            self._needs_child[node] and n_below == 0
        )

    def _turned(self, node: int, goal: int) -> tuple[list[tuple[int, float]], list[tuple[int, float]]]:
        """Parents and children of a node that it passes on its way to a place."""
        here = int(self._place[node])
        low, high = min(here, goal), max(here, goal)
        return (
            [one for one in self._above[node] if low <= self._place[one[0]] <= high],
            [one for one in self._below[node] if low <= self._place[one[0]] <= high],
        )

    def _put(self, node: int, goal: int) -> None:
        above, below = self._turned(node, goal)
        here = int(self._place[node])
        sign = 1 if goal > here else -1
        around = {node, *(other for other, _ in above + below)}
        before = sum(self._own_penalty(one, self._n_above[one], self._n_below[one]) for one in around)
        for other, value in above:
            self._n_above[node] += sign
            self._n_below[other] += sign
            self.value += sign * value
        for other, value in below:
            self._n_below[node] -= sign
            self._n_above[other] -= sign
            self.value -= sign * value
        self.value += before - sum(self._own_penalty(one, self._n_above[one], self._n_below[one]) for one in around)
        if sign > 0:
            self._order[here:goal] = self._order[here + 1 : goal + 1]
        else:
            self._order[goal + 1 : here + 1] = self._order[goal:here]
        self._order[goal] = node
        low, high = min(here, goal), max(here, goal) + 1
        self._place[self._order[low:high]] = np.arange(low, high)
