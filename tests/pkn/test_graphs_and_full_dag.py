"""PKNs to and from CORNETO's and networkx's graphs, and the DAG for the full arm."""

from __future__ import annotations

import networkx as nx
import pandas as pd
import pytest
from brute_force import Case
from hypothesis import given, settings
from pkn_strategies import cases, pkn_of

from kpnn.errors import PknError
from kpnn.pkn import (
    Pkn,
    extended_dag,
    from_corneto,
    from_networkx,
    select_dag,
    shortest_path_dag,
    to_corneto,
    to_networkx,
)


@settings(max_examples=50, deadline=None)
@given(cases(with_rules=False))
def test_a_pkn_survives_the_way_through_other_graphs(case: Case) -> None:
    pkn = pkn_of(case)
    for there_and_back in (from_networkx(to_networkx(pkn)), from_corneto(to_corneto(pkn))):
        pd.testing.assert_frame_equal(there_and_back.edges, pkn.edges)
        assert there_and_back.inputs == pkn.inputs
        assert sorted(there_and_back.outputs) == sorted(pkn.outputs)


def test_signs_and_the_computing_direction_survive() -> None:
    table = pd.DataFrame({"parent": ["R", "A"], "child": ["A", "g"], "sign": [1, -1], "cost": [1.0, 2.5]})
    pkn = Pkn.from_edges(table)
    assert to_networkx(pkn).edges["A", "g"] == {"sign": -1, "cost": 2.5}
    graph = to_corneto(pkn)
    assert [(set(a), set(b)) for a, b in graph.E] == [({"g"}, {"A"}), ({"A"}, {"R"}), (set(), {"g"}), ({"R"}, set())]
    assert from_corneto(graph).edges["sign"].tolist() == [-1, 1]


def test_an_undirected_graph_or_a_hyperedge_is_refused() -> None:
    import corneto as cn

    with pytest.raises(PknError, match="undirected"):
        from_networkx(nx.Graph([("R", "g")]))
    graph = cn.Graph()
    graph.add_edge(("g1", "g2"), "R")
    with pytest.raises(PknError, match="more than two nodes"):
        from_corneto(graph)


def test_undirected_edges_are_refused_in_graphs_in_memory_as_in_files() -> None:
    import corneto as cn
    import networkx as nx
    from corneto.graph import EdgeType

    graph = cn.Graph()
    graph.add_edge("g", "A")
    graph.add_edge("A", "R", type=EdgeType.UNDIRECTED)
    with pytest.raises(PknError, match=r"corneto graph: 1 edges are undirected \(R and A\)"):
        from_corneto(graph)
    mixed = nx.DiGraph([("R", "A"), ("A", "g")])
    mixed.edges["R", "A"]["directed"] = False
    with pytest.raises(PknError, match=r"networkx graph: 1 edges are undirected \(R and A\)"):
        from_networkx(mixed)
    mixed.edges["R", "A"]["directed"] = True
    assert from_networkx(mixed).outputs == ("R",)


@settings(max_examples=80, deadline=None)
@given(cases(with_rules=False))
def test_the_full_dag_keeps_every_input_and_output_and_all_of_an_acyclic_pkn(case: Case) -> None:
    pkn = pkn_of(case)
    full = shortest_path_dag(pkn)
    assert full.inputs == pkn.inputs
    assert full.outputs == pkn.outputs
    pairs = set(zip(full.edges["parent"], full.edges["child"], strict=True))
    assert pairs <= set(case.edges)
    if nx.is_directed_acyclic_graph(nx.DiGraph(case.edges)):
        assert pairs == set(case.edges)


def test_the_full_dag_of_a_cyclic_pkn_has_the_edges_from_one_level_to_the_next() -> None:
    pairs = [("R", "A"), ("R", "B"), ("A", "B"), ("B", "A"), ("A", "C"), ("B", "C"), ("C", "R"), ("C", "g"), ("A", "g")]
    pkn = Pkn.from_edges(pd.DataFrame(pairs, columns=["parent", "child"]), inputs=["g"], outputs=["R"])
    full = shortest_path_dag(pkn)
    assert sorted(zip(full.edges["parent"], full.edges["child"], strict=True)) == [("A", "g"), ("R", "A")]


def test_what_lies_nearer_to_another_output_is_not_lost_to_one() -> None:
    pairs = [("O", "A"), ("A", "g1"), ("P", "B"), ("B", "g2"), ("A", "B"), ("B", "A")]
    pkn = Pkn.from_edges(pd.DataFrame(pairs, columns=["parent", "child"]))
    full = shortest_path_dag(pkn).edges
    # A -> B leads O to g2; with B -> A, which would lead P to g1, it would be a cycle.
    assert set(pairs) - set(zip(full["parent"], full["child"], strict=True)) == {("B", "A")}


@settings(max_examples=80, deadline=None)
@given(cases(with_rules=False))
def test_the_full_dag_holds_all_edges_from_one_level_to_the_next_and_what_each_output_reaches_by_them(
    case: Case,
) -> None:
    pkn = pkn_of(case)
    whole = nx.DiGraph(case.edges)
    level: dict[str, int] = {}
    for output in pkn.outputs:
        for node, steps in nx.single_source_shortest_path_length(whole, output).items():
            level[node] = min(steps, level.get(node, steps))
    falls = nx.DiGraph([(u, v) for u, v in case.edges if level[u] + 1 == level[v]])
    falls.add_nodes_from(whole)
    full = nx.DiGraph(list(zip(*(shortest_path_dag(pkn).edges[end] for end in ("parent", "child")), strict=True)))
    inputs = set(pkn.inputs)
    for output in pkn.outputs:
        assert nx.descendants(falls, output) & inputs <= nx.descendants(full, output) & inputs


def test_a_cyclic_pkn_all_of_whose_nodes_are_in_the_dag_can_be_extended() -> None:
    pairs = [("h0", "g0"), ("h0", "o0"), ("o0", "g0"), ("o0", "h0"), ("o1", "g0"), ("o1", "h0")]
    pkn = Pkn.from_edges(pd.DataFrame(pairs, columns=["parent", "child"]), inputs=["g0"], outputs=["o0", "o1"])
    dag = select_dag(pkn, keep_edges=[("o1", "h0")], reach="any").dag
    assert set(dag.nodes) == set(pkn.nodes)
    edges = extended_dag(pkn, dag).edges
    assert set(pairs) - set(zip(edges["parent"], edges["child"], strict=True)) == {("h0", "o0")}
