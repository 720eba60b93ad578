"""Bad input is an error that names the nodes; clean-ups are reported."""

from __future__ import annotations

import pandas as pd
import pytest

from kpnn.errors import SelectionError
from kpnn.pkn import Pkn, select_dag

PAIRS = [("R", "A"), ("R", "B"), ("A", "B"), ("A", "g1"), ("B", "g2"), ("B", "g1")]


def pkn(pairs: list[tuple[str, str]] | None = None, **roles: list[str]) -> Pkn:
    return Pkn.from_edges(pd.DataFrame(pairs or PAIRS, columns=["parent", "child"]), **roles)


def test_an_input_that_reaches_no_output_is_named() -> None:
    lost = pkn([*PAIRS, *[("X", f"g{i}") for i in range(3, 11)]], outputs=["R"])
    with pytest.raises(SelectionError, match=r"input g10, g3, g4, g5, g6 and 3 more has no path up to any output"):
        select_dag(lost)


def test_an_output_that_no_input_reaches_is_named() -> None:
    with pytest.raises(SelectionError, match="output S has no path down to any input"):
        select_dag(pkn([*PAIRS, ("S", "C"), ("C", "S")], outputs=["R", "S"]))


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"keep_nodes": ["X"]}, "keep_nodes: X not among the nodes"),
        ({"forbid_nodes": ["R"]}, "forbid_nodes: R is an input or output"),
        ({"keep_edges": [("A", "X")]}, "keep_edges: A -> X not among the edges"),
        ({"forbid_edges": [("g1", "A")]}, "forbid_edges: g1 -> A not among the edges"),
        ({"keep_nodes": ["A"], "forbid_nodes": ["A"]}, "A must be kept and must not be kept"),
        ({"keep_edges": [("R", "A")], "forbid_edges": [("R", "A")]}, "R -> A must be kept and must not be kept"),
        ({"keep_edges": [("R", "A")], "forbid_nodes": ["A"]}, "R -> A must be kept but one of its nodes"),
        ({"forbid_nodes": ["B"]}, "input g2 has no path up to any output left once the forbidden"),
        ({"forbid_edges": [("R", "A"), ("R", "B")]}, "input g1, g2 has no path"),
        ({"max_depth": 1}, "max_depth=1 is impossible: R, g1, g2 needs a longer path"),
        ({"keep_edges": [("A", "B")], "max_depth": 2}, "A -> B must be kept but lies on no permitted path"),
        ({"coverage": 2, "max_parents": 1}, "coverage=2 contradicts max_parents=1 for g1"),
        ({"max_parents": 1, "keep_edges": [("R", "B"), ("A", "B")]}, "no DAG satisfies all demands"),
        ({"max_depth": 0}, "max_depth must be a whole number of at least 1"),
        ({"coverage": 0}, "coverage must be a whole number of at least 1"),
        ({"coverage": 1.5}, "coverage must be a whole number"),
        ({"solver": "CPLEX"}, "solver must be one of HIGHS, SCIP, GUROBI"),
        ({"method": "greedy"}, "method must be one of compact, acyclic_flow"),
        ({"tie_break": "first"}, "tie_break must be one of support, balanced, random"),
        ({"time_limit": 0}, "time_limit must be above 0"),
        ({"gap": 1.0}, "gap must be at least 0 and below 1"),
    ],
)
def test_demands_that_make_no_sense_are_refused(rules: dict[str, object], message: str) -> None:
    with pytest.raises(SelectionError, match=message):
        select_dag(pkn(), **rules)


def test_a_kept_node_on_no_path_is_refused() -> None:
    with pytest.raises(SelectionError, match="X must be kept but lies on no permitted path"):
        select_dag(
            pkn([*PAIRS, ("A", "X"), ("X", "A"), ("X", "Y"), ("Y", "X")], inputs=["g1", "g2"], outputs=["R"]),
            keep_nodes=["X"],
            forbid_edges=[("A", "X")],
        )


def test_cornetos_formulation_refuses_demands_that_it_does_not_know() -> None:
    with pytest.raises(SelectionError, match="acyclic_flow knows forbid_nodes"):
        select_dag(pkn(), method="acyclic_flow", coverage=2)
    kept = select_dag(pkn(), method="acyclic_flow", keep_edges=[("A", "B")], forbid_edges=[("R", "B")])
    kept.verify()
    assert kept.objective == select_dag(pkn(), keep_edges=[("A", "B")], forbid_edges=[("R", "B")]).objective == 4


def test_duplicates_and_self_loops_are_cleaned_up_and_reported() -> None:
    messy = pkn([*PAIRS, ("A", "A"), ("R", "A")])
    assert messy.clean_up.self_loops == ("A",)
    assert messy.clean_up.duplicates == (("R", "A"),)
    assert select_dag(messy).dag.fingerprint == select_dag(pkn()).dag.fingerprint


def test_without_any_dag_in_time_the_error_says_so() -> None:
    names = [f"h{i:03d}" for i in range(120)]
    pairs = [("R", a) for a in names] + [(a, b) for a in names for b in names if a != b] + [(a, "g") for a in names]
    with pytest.raises(SelectionError, match=r"no DAG found within time_limit=0.001 s"):
        select_dag(pkn(pairs), time_limit=0.001, max_parents=1)


def test_at_the_gap_limit_the_gap_is_reported() -> None:
    selection = select_dag(pkn(), gap=0.5)
    selection.verify()
    assert selection.status in ("optimal", "gap_limit")
    assert selection.gap <= 0.5
