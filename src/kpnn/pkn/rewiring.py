"""Degree-preserving rewiring of a PKN: the null model of the question whether the knowledge in its edges matters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from kpnn.errors import PknError, some_names
from kpnn.pkn.graph import reachable, strong_components
from kpnn.pkn.network import Pkn

TRIES_PER_EDGE = 20
"""Tried swaps after which a network has forgotten the one it came from: 10 would do (Milo et al. 2003,
arXiv:cond-mat/0312028), and where edges may not turn about half of the tries are in vain."""

_SHARE_AT_ONCE = 8
"""One edge in so many takes part in swaps that are tried at once: of more, many would meet."""
_MOST_REPAIRS = 1000
"""Rounds of swaps that bring loose edges back onto paths."""


@dataclass(frozen=True, eq=False)
class RewiredPkn:
    """A rewired PKN and how far it is from the one that it was made of.

    Attributes:
        pkn: every node has as many parents and children as before, among input nodes and among neurons alike.
        n_swaps: pairs of edges that exchanged their children.
        moved: share of the edges that the PKN before does not hold.
        lost: input nodes on no path from an output any more. Only a PKN with cycles can lose some.

    Examples:
        >>> import pandas as pd
        >>> from kpnn.pkn import Pkn, rewired_pkn
        >>> edges = [("R", "A"), ("R", "B"), ("A", "g1"), ("A", "g2"), ("B", "g3"), ("B", "g4")]
        >>> pkn = Pkn.from_edges(pd.DataFrame(edges, columns=["parent", "child"]))
        >>> rewired = rewired_pkn(pkn, seed=1)
        >>> rewired.n_swaps > 10, round(rewired.moved, 2), rewired.lost
        (True, 0.33, ())
    """

    pkn: Pkn
    n_swaps: int
    moved: float
    lost: tuple[str, ...] = ()


def rewired_pkn(pkn: Pkn, seed: int, n_swaps: int | None = None) -> RewiredPkn:
    """Rewires a PKN at random without changing any node's number of parents and children.

    Two edges a -> c and b -> d become a -> d and b -> c, again and again, where neither is there yet and neither is a
    loop. Edges to inputs are exchanged among themselves, and edges between neurons, so that inputs stay leaves, outputs
    stay as they are, and a node regulates as many genes as before: other ones. Sign and cost of an edge stay with its
    parent.

    A PKN without cycles stays without: its nodes are put into one of their computing orders, drawn at random, and no
    edge may turn against it. In a PKN with cycles the same holds for its strongly connected components, which do not
    grow. Where such a component comes loose from outputs or inputs, further swaps tie it in again.

    Args:
        pkn: pruned to paths from outputs to inputs (see `Pkn.pruned`).
        seed: of all draws.
        n_swaps: how many swaps to try; by default twenty for each edge. One that is in vain counts, so that every
            network of the same degrees is drawn alike.

    Returns:
        The rewired PKN and how much of it differs.

    Raises:
        PknError: an output of a PKN with cycles could not be tied in again.

    Examples:
        >>> import pandas as pd
        >>> from kpnn.pkn import Pkn
        >>> edges = [("R", "A"), ("R", "B"), ("A", "g1"), ("A", "g2"), ("B", "g3"), ("B", "g4")]
        >>> edges = pd.DataFrame(edges, columns=["parent", "child"])
        >>> rewired = rewired_pkn(Pkn.from_edges(edges), seed=1).pkn
        >>> rewired.edges.groupby("parent").size().to_dict()
        {'A': 2, 'B': 2, 'R': 2}
    """
    rng = np.random.default_rng(seed)
    is_input = np.isin(pkn.nodes, pkn.inputs)
    order = np.where(is_input, len(pkn.nodes), _computing_order(pkn, rng))
    parents, children = pkn.parent_codes.astype(np.int64), pkn.child_codes.astype(np.int64)
    swaps, done = _Swaps(parents, children.copy(), order), 0
    for among in (np.flatnonzero(is_input[children]), np.flatnonzero(~is_input[children])):
        tries = TRIES_PER_EDGE * len(among) if n_swaps is None else round(n_swaps * len(among) / len(children))
        done += swaps.carry_out(among, tries, rng)
    done += _tie_in(pkn, swaps, is_input, rng)
    return _described(pkn, swaps, done)


class _Swaps:
    """Edges of which pairs exchange their children; `children` changes in place.

    Attributes:
        parents: of each edge.
        children: of each edge.
        order: place of each node; no new edge leads from a later place to an earlier one.
    """

    def __init__(self, parents: np.ndarray, children: np.ndarray, order: np.ndarray) -> None:
        self.parents, self.children, self.order = parents, children, order

    def carry_out(self, among: np.ndarray, tries: int, rng: np.random.Generator) -> int:
        """Tries swaps at random; returns how many were possible.

        Args:
            among: positions of the edges that may be swapped with each other.
            tries: number of pairs that are drawn.
            rng: draws them.
        """
        if len(among) < 2:
            return 0
        done, at_once = 0, max(1, len(among) // (2 * _SHARE_AT_ONCE))
        for begun in range(0, tries, at_once):
            first, second = rng.choice(among, (2, min(at_once, tries - begun)), replace=False)
            possible = self.possible(first, second)
            self.exchange(first[possible], second[possible])
            done += int(possible.sum())
        return done

    def possible(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Which pairs can be swapped at once, shape (n_pairs,), bool.

        Args:
            first: positions of edges, shape (n_pairs,).
            second: those of their partners; no edge occurs twice.
        """
        a, b, c, d = self.parents[first], self.parents[second], self.children[first], self.children[second]
        there = np.sort(self._keys(self.parents, self.children))
        made = np.stack([self._keys(a, d), self._keys(b, c)])
        place = np.minimum(np.searchsorted(there, made), len(there) - 1)
        # An edge that two swaps would make is left to neither, but to the next round.
        _, back, number = np.unique(made, return_inverse=True, return_counts=True)
        is_new = (there[place] != made) & (number[back.reshape(made.shape)] == 1)
        in_order = (self.order[a] <= self.order[d]) & (self.order[b] <= self.order[c])
        return is_new.all(axis=0) & in_order & (a != d) & (b != c)

    def exchange(self, first: np.ndarray, second: np.ndarray) -> None:
        """Exchanges the children of pairs of edges; a second call with the same pairs takes it back."""
        self.children[first], self.children[second] = self.children[second], self.children[first]

    def _keys(self, parents: np.ndarray, children: np.ndarray) -> np.ndarray:
        return parents * len(self.order) + children


def _computing_order(pkn: Pkn, rng: np.random.Generator) -> np.ndarray:
    """A random place of each node at which no edge leads backwards, shape (n_nodes,); one place for each component."""
    component = strong_components(pkn.parent_codes, pkn.child_codes, len(pkn.nodes))
    pairs = np.stack([component[pkn.parent_codes], component[pkn.child_codes]])
    between = np.unique(pairs[:, pairs[0] != pairs[1]], axis=1)
    n_components = int(component.max()) + 1
    waits_for = np.bincount(between[1], minlength=n_components)
    children = np.split(between[1], np.searchsorted(between[0], np.arange(1, n_components)))
    place, ready = np.empty(n_components, dtype=np.int64), list(np.flatnonzero(waits_for == 0))
    for position in range(n_components):
        drawn = int(rng.integers(len(ready)))
        ready[drawn], ready[-1] = ready[-1], ready[drawn]
        chosen = ready.pop()
        place[chosen] = position
        waits_for[children[chosen]] -= 1
        ready += [child for child in children[chosen] if waits_for[child] == 0]
    return place[component]


def _tie_in(pkn: Pkn, swaps: _Swaps, is_input: np.ndarray, rng: np.random.Generator) -> int:
    """Swaps an edge of what came loose with one of what did not, while that helps; returns the number of swaps."""
    done, on_path = 0, _on_path(pkn, swaps)
    for first, second in _loose_and_tied(swaps, is_input, rng, on_path):
        if not swaps.possible(first, second)[0]:
            continue
        swaps.exchange(first, second)
        now = _on_path(pkn, swaps)
        if now.sum() > on_path.sum():
            on_path[:] = now
            done += 1
        else:
            swaps.exchange(first, second)
    return done


def _loose_and_tied(
    swaps: _Swaps, is_input: np.ndarray, rng: np.random.Generator, on_path: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of one edge that is on no path from an output to an input, and one that is, until none is loose."""
    for _ in range(_MOST_REPAIRS):
        if on_path.all():
            return
        tied = on_path[swaps.parents] & on_path[swaps.children]
        to_input = is_input[swaps.children]
        first = rng.choice(np.flatnonzero(~tied), 1)
        partners = np.flatnonzero(tied & (to_input == to_input[first]))
        if len(partners):
            yield first, rng.choice(partners, 1)


def _on_path(pkn: Pkn, swaps: _Swaps) -> np.ndarray:
    """Which nodes lie on a path from an output to an input, shape (n_nodes,), bool."""
    index = pd.Index(pkn.nodes)
    n_nodes = len(index)
    below = reachable(swaps.parents, swaps.children, index.get_indexer(list(pkn.outputs)), n_nodes)
    return below & reachable(swaps.children, swaps.parents, index.get_indexer(list(pkn.inputs)), n_nodes)


def _described(pkn: Pkn, swaps: _Swaps, n_swaps: int) -> RewiredPkn:
    names = np.asarray(pkn.nodes, dtype=object)
    edges = pkn.edges.assign(child=names[swaps.children])
    before = pd.MultiIndex.from_frame(pkn.edges[["parent", "child"]])
    moved = float((~pd.MultiIndex.from_frame(edges[["parent", "child"]]).isin(before)).mean())
    edges = edges.sort_values(["parent", "child"], ignore_index=True)
    on_path = dict(zip(pkn.nodes, _on_path(pkn, swaps), strict=True))
    cut_off = [name for name in pkn.outputs if not on_path[name]]
    if cut_off:
        raise PknError(f"rewired PKN: output {some_names(cut_off)} has no path down to any input; take another seed")
    lost = tuple(name for name in pkn.inputs if not on_path[name])
    whole = replace(pkn, edges=edges)
    return RewiredPkn(whole if all(on_path.values()) else whole.pruned(), n_swaps, moved, lost)
