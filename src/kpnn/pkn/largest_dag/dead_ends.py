"""Edges that no DAG can hold, because every path through one of their ends passes some node twice.

A node whose paths from the outputs all lead over u, and whose paths to the inputs all lead back over u, lies on cycles
alone. Both are questions of dominators. What is left may still hold such nodes: to find them all is NP-complete
(Fortune, Hopcroft and Wyllie 1980, doi:10.1016/0304-3975(80)90009-2).
"""

from __future__ import annotations

import networkx as nx
import numpy as np

from kpnn.pkn.paths import PathEdges

_OUTSIDE = -1
"""A node before all starts."""


def without_dead_ends(paths: PathEdges, parent: np.ndarray, child: np.ndarray) -> np.ndarray:
    """Which of the usable edges lead to and from nodes that may lie on a path, shape (n_usable,), bool.

    Args:
        paths: roles of the nodes.
        parent: upper end of each usable edge, shape (n_usable,).
        child: lower end of each, shape (n_usable,).
    """
    is_open = np.ones(len(parent), dtype=bool)
    outputs, inputs = np.flatnonzero(paths.is_output), np.flatnonzero(paths.is_input)
    while True:
        above = _dominators(parent[is_open], child[is_open], outputs)
        below = _dominators(child[is_open], parent[is_open], inputs)
        dead = np.zeros(len(paths.is_input), dtype=bool)
        for node in set(parent[is_open].tolist()) | set(child[is_open].tolist()):
            dead[node] = node not in above or node not in below or not above[node].isdisjoint(below[node])
        dead[outputs] = dead[inputs] = False
        hits = is_open & (dead[parent] | dead[child])
        if not hits.any():
            return is_open
        is_open &= ~hits


def _dominators(tails: np.ndarray, heads: np.ndarray, starts: np.ndarray) -> dict[int, frozenset[int]]:
    """The nodes, itself not counted, that every path from a start to a node passes."""
    graph = nx.DiGraph(zip(tails.tolist(), heads.tolist(), strict=True))
    graph.add_edges_from((_OUTSIDE, start) for start in starts.tolist())
    immediate = nx.immediate_dominators(graph, _OUTSIDE)
    found: dict[int, frozenset[int]] = {_OUTSIDE: frozenset()}
    for node in immediate:
        waiting = [node]
        while waiting[-1] not in found:
            waiting.append(immediate[waiting[-1]])
        for one in reversed(waiting[:-1]):
            above = immediate[one]
            found[one] = found[above] | ({above} - {_OUTSIDE})
    return found
