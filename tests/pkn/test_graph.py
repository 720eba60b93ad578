"""Searches on graphs give what networkx gives."""

from __future__ import annotations

from graphlib import CycleError

import networkx as nx
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kpnn.pkn.graph import (
    component_levels,
    fewest_edges,
    longest_paths,
    ranks_by_place,
    reachable,
    reached_from_each,
    reached_names,
    strong_components,
)

N = 7
EDGES = st.sets(st.tuples(st.integers(0, N - 1), st.integers(0, N - 1)), min_size=1, max_size=16).map(sorted)
STARTS = st.sets(st.integers(0, N - 1), min_size=1, max_size=3).map(sorted)


def arrays(edges: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    tails, heads = np.array(edges).T
    return tails, heads


def graph_of(edges: list[tuple[int, int]]) -> nx.DiGraph:
    graph = nx.DiGraph(edges)
    graph.add_nodes_from(range(N))
    return graph


@given(EDGES, STARTS)
def test_reachable_nodes_and_their_distances(edges: list[tuple[int, int]], starts: list[int]) -> None:
    truth = nx.multi_source_dijkstra_path_length(graph_of(edges), set(starts))
    reached = reachable(*arrays(edges), np.array(starts), N)
    distance = fewest_edges(*arrays(edges), np.array(starts), N)
    assert set(np.flatnonzero(reached).tolist()) == set(truth)
    assert [truth.get(node, np.inf) for node in range(N)] == distance.tolist()


@given(EDGES, st.lists(st.integers(0, N - 1), max_size=3), st.sampled_from([1, 50]))
def test_nodes_reached_from_each_of_few_and_many_starts(
    edges: list[tuple[int, int]], starts: list[int], times: int
) -> None:
    reached = reached_from_each(*arrays(edges), np.array(starts * times, dtype=int), N)
    assert reached.shape == (len(starts) * times, N)
    for row, start in zip(reached, starts * times, strict=True):
        assert set(np.flatnonzero(row).tolist()) == nx.descendants(graph_of(edges), start) | {start}


@given(EDGES)
def test_edges_between_components_lead_to_higher_levels(edges: list[tuple[int, int]]) -> None:
    level, label = component_levels(*arrays(edges), N), strong_components(*arrays(edges), N)
    for tail, head in edges:
        assert level[tail] < level[head] if label[tail] != label[head] else level[tail] == level[head]
    assert level.min() == 0


def test_ranks_by_several_places_and_codes() -> None:
    assert ranks_by_place(np.array([1, 0, 1, 1]), np.array([2, 9, 1, 1])).tolist() == [3, 0, 1, 2]


@given(EDGES)
def test_strong_components(edges: list[tuple[int, int]]) -> None:
    label = strong_components(*arrays(edges), N)
    found = {frozenset(np.flatnonzero(label == one).tolist()) for one in label}
    assert found == {frozenset(nodes) for nodes in nx.strongly_connected_components(graph_of(edges))}


@given(EDGES, st.integers(0, N - 1))
def test_names_reached_along_neighbours(edges: list[tuple[int, int]], start: int) -> None:
    graph = graph_of(edges)
    children = {str(node): [str(child) for child in graph.successors(node)] for node in graph}
    assert reached_names(children, str(start)) == {str(node) for node in nx.descendants(graph, start) | {start}}


@given(EDGES)
def test_longest_paths_of_a_dag_end_at_its_leaves(edges: list[tuple[int, int]]) -> None:
    edges = [(tail, head) for tail, head in edges if tail < head]
    assume(edges)
    graph = nx.DiGraph(edges)
    longest = longest_paths({str(node): [str(child) for child in graph.successors(node)] for node in graph})
    for node in graph:
        below = nx.DiGraph(graph.subgraph(nx.descendants(graph, node) | {node}))
        assert longest[str(node)] == nx.dag_longest_path_length(below)


def test_longest_paths_of_a_cycle_are_refused() -> None:
    with pytest.raises(CycleError):
        longest_paths({"a": ["b"], "b": ["a"]})
