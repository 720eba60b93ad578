"""Searches on directed graphs: by edges in arrays of node codes, or by the names of each node's neighbours.

Whatever direction `tail -> head` stands for is the caller's choice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from graphlib import TopologicalSorter

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, connected_components, dijkstra


def adjacency(tails: np.ndarray, heads: np.ndarray, n_nodes: int) -> csr_array:
    """The graph as scipy's searches take it: ones at (tail, head), shape (n_nodes, n_nodes)."""
    return csr_array((np.ones(len(tails), dtype=np.int8), (tails, heads)), shape=(n_nodes, n_nodes))


def reachable(tails: np.ndarray, heads: np.ndarray, starts: np.ndarray, n_nodes: int) -> np.ndarray:
    """Which nodes can be reached from any start along tail -> head, starts included, shape (n_nodes,), bool."""
    # An extra node that leads to every start makes it one breadth-first search.
    rows = np.concatenate([tails, np.full(len(starts), n_nodes)])
    graph = adjacency(rows, np.concatenate([heads, starts]), n_nodes + 1)
    reached = np.zeros(n_nodes + 1, dtype=bool)
    reached[breadth_first_order(graph, n_nodes, return_predecessors=False)] = True
    return reached[:n_nodes]


def reached_from_each(tails: np.ndarray, heads: np.ndarray, starts: np.ndarray, n_nodes: int) -> np.ndarray:
    """Which nodes can be reached from each start along tail -> head, itself included, shape (n_starts, n_nodes), bool.

    All starts at once, as the bits of a row for each node: from 300 starts in 2,900 nodes fifteen times as fast as a
    search from each.
    """
    bits = np.zeros((n_nodes, 8 * -(-len(starts) // 64)), dtype=np.uint8)
    place = np.arange(len(starts))
    np.bitwise_or.at(bits, (starts, place // 8), (128 >> place % 8).astype(np.uint8))
    found = bits.view(np.uint64)
    order = np.argsort(heads, kind="stable")
    tails, (ends, firsts) = tails[order], np.unique(heads[order], return_index=True)
    is_new = np.ones(len(ends), dtype=bool)
    while is_new.any():
        arriving = np.bitwise_or.reduceat(found[tails], firsts, axis=0)
        is_new = (arriving & ~found[ends]).any(axis=1)
        found[ends] |= arriving
    return np.unpackbits(bits, axis=1, count=len(starts)).T.astype(bool)


def fewest_edges(tails: np.ndarray, heads: np.ndarray, starts: np.ndarray, n_nodes: int) -> np.ndarray:
    """Fewest edges from any start to every node along tail -> head, shape (n_nodes,); inf where there is no path."""
    return dijkstra(adjacency(tails, heads, n_nodes), indices=starts, unweighted=True, min_only=True)


def strong_components(tails: np.ndarray, heads: np.ndarray, n_nodes: int) -> np.ndarray:
    """Label of each node's strongly connected component, shape (n_nodes,).

    An edge lies on a cycle exactly if both of its ends have the same label.
    """
    _, label = connected_components(adjacency(tails, heads, n_nodes), directed=True, connection="strong")
    return label


def component_levels(tails: np.ndarray, heads: np.ndarray, n_nodes: int) -> np.ndarray:
    """Level of each node's strongly connected component, shape (n_nodes,), int64.

    An edge between components leads to a higher level; within one all nodes have the same.
    """
    label = strong_components(tails, heads, n_nodes)
    between = label[tails] != label[heads]
    above, below = label[tails][between], label[heads][between]
    level = np.zeros(n_nodes, dtype=np.int64)
    is_higher = np.ones(len(above), dtype=bool)
    while is_higher.any():
        is_higher = level[above] >= level[below]
        np.maximum.at(level, below[is_higher], level[above[is_higher]] + 1)
    return level[label]


def ranks_by_place(place: np.ndarray, *within: np.ndarray) -> np.ndarray:
    """Rank of each node among all by its place, shape (n_nodes,), int64; of equal places the lower code comes first.

    Args:
        place: of each node, shape (n_nodes,).
        *within: places among nodes of one place, the same ones by the next, and so on, each of shape (n_nodes,).
    """
    rank = np.empty(len(place), dtype=np.int64)
    rank[np.lexsort((np.arange(len(place)), *reversed(within), place))] = np.arange(len(place))
    return rank


def roots_of(edges: pd.DataFrame) -> list[str]:
    """Nodes without parents, sorted.

    Args:
        edges: columns `parent` and `child`.
    """
    return sorted(set(edges["parent"]) - set(edges["child"]))


def leaves_of(edges: pd.DataFrame) -> list[str]:
    """Nodes without children, sorted.

    Args:
        edges: columns `parent` and `child`.
    """
    return sorted(set(edges["child"]) - set(edges["parent"]))


def children_by_parent(edges: pd.DataFrame) -> dict[str, list[str]]:
    """The children of each node that has any, in the order of the edges.

    Args:
        edges: columns `parent` and `child`.
    """
    return edges.groupby("parent")["child"].agg(list).to_dict()


def parents_by_child(edges: pd.DataFrame) -> dict[str, list[str]]:
    """The parents of each node that has any, in the order of the edges.

    Args:
        edges: columns `parent` and `child`.
    """
    return edges.groupby("child")["parent"].agg(list).to_dict()


def longest_paths(neighbours: Mapping[str, Iterable[str]]) -> dict[str, int]:
    """Edges on the longest path from each node along its neighbours: with children, down to a leaf.

    Args:
        neighbours: children of each node, or parents; nodes without any may be left out.

    Raises:
        graphlib.CycleError: there is a cycle; `args[1]` lists its nodes.
    """
    longest: dict[str, int] = {}
    for node in TopologicalSorter(neighbours).static_order():
        longest[node] = 1 + max((longest[other] for other in neighbours.get(node, ())), default=-1)
    return longest


def reached_names(neighbours: Mapping[str, Iterable[str]], *starts: str) -> set[str]:
    """The names that can be reached from some along their neighbours, the starts included."""
    reached, waiting = set(starts), list(starts)
    while waiting:
        found = set(neighbours.get(waiting.pop(), ())) - reached
        reached |= found
        waiting += found
    return reached
