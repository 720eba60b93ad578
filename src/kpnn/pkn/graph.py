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


def fewest_edges(tails: np.ndarray, heads: np.ndarray, starts: np.ndarray, n_nodes: int) -> np.ndarray:
    """Fewest edges from any start to every node along tail -> head, shape (n_nodes,); inf where there is no path."""
    return dijkstra(adjacency(tails, heads, n_nodes), indices=starts, unweighted=True, min_only=True)


def strong_components(tails: np.ndarray, heads: np.ndarray, n_nodes: int) -> np.ndarray:
    """Label of each node's strongly connected component, shape (n_nodes,).

    An edge lies on a cycle exactly if both of its ends have the same label.
    """
    _, label = connected_components(adjacency(tails, heads, n_nodes), directed=True, connection="strong")
    return label


def ranks_by_place(place: np.ndarray) -> np.ndarray:
    """Rank of each node among all by its place, shape (n_nodes,), int64; of equal places the lower code comes first."""
    rank = np.empty(len(place), dtype=np.int64)
    rank[np.lexsort((np.arange(len(place)), place))] = np.arange(len(place))
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
