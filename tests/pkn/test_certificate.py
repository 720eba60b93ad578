"""`verify` accepts what is selected and refuses every kind of mutation of it."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from kpnn.errors import SelectionError
from kpnn.pkn import Dag, DagSelection, Pkn, select_dag

EDGES = [
    ("R", "A"),
    ("R", "B"),
    ("R", "C"),
    ("A", "B"),
    ("B", "A"),
    ("C", "D"),
    ("D", "C"),
    ("A", "g1"),
    ("A", "g2"),
    ("B", "g2"),
    ("C", "g3"),
    ("D", "g3"),
    ("R", "g4"),
]


@pytest.fixture
def selection() -> DagSelection:
    pkn = Pkn.from_edges(pd.DataFrame(EDGES, columns=["parent", "child"]), outputs=["R"])
    return select_dag(pkn)


def with_edges(selection: DagSelection, edges: pd.DataFrame, **roles: tuple[str, ...]) -> DagSelection:
    dag = selection.dag
    mutated = Dag(edges.reset_index(drop=True), roles.get("inputs", dag.inputs), roles.get("outputs", dag.outputs))
    return replace(selection, dag=mutated, objective=float(edges["cost"].sum()), bound=0.0)


def plus(selection: DagSelection, *pairs: tuple[str, str]) -> pd.DataFrame:
    more = pd.DataFrame(pairs, columns=["parent", "child"]).assign(sign=0, cost=1.0)
    return pd.concat([selection.dag.edges, more], ignore_index=True)


def test_what_is_selected_holds(selection: DagSelection) -> None:
    selection.verify()
    assert selection.objective == 6  # R-A, R-C, A-g1, A-g2, C-g3, R-g4


def test_any_edge_left_out_is_noticed(selection: DagSelection) -> None:
    for row in selection.dag.edges.index:
        with pytest.raises(SelectionError):
            with_edges(selection, selection.dag.edges.drop(index=row)).verify()


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([("R", "D")], "not in the PKN"),
        ([("R", "B")], "lies on no path"),
        ([("R", "A")], "more than once"),
        ([("A", "B"), ("B", "A")], "not acyclic"),
        ([("C", "D"), ("D", "C")], "not acyclic"),
    ],
)
def test_a_wrong_edge_is_noticed(selection: DagSelection, pairs: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(SelectionError, match=message):
        with_edges(selection, plus(selection, *pairs)).verify()


def test_a_cycle_that_hangs_on_no_output_is_noticed(selection: DagSelection) -> None:
    edges = plus(selection, ("D", "C"), ("C", "D"))
    edges = edges[~((edges["parent"] == "R") & (edges["child"] == "C"))]
    with pytest.raises(SelectionError, match="not acyclic"):
        with_edges(selection, edges).verify()


def test_a_changed_sign_cost_or_role_is_noticed(selection: DagSelection) -> None:
    edges = selection.dag.edges
    for column, value in (("sign", 1), ("cost", 2.0)):
        changed = edges.copy()
        changed.loc[0, column] = value
        with pytest.raises(SelectionError, match=column):
            with_edges(selection, changed).verify()
    with pytest.raises(SelectionError, match="inputs differ"):
        with_edges(selection, edges, inputs=("g1", "g2", "g3")).verify()
    with pytest.raises(SelectionError, match="outputs are"):
        with_edges(selection, edges, outputs=("A",)).verify()


def test_a_wrong_objective_or_bound_is_noticed(selection: DagSelection) -> None:
    with pytest.raises(SelectionError, match="cost 6, not 5"):
        replace(selection, objective=5.0).verify()
    with pytest.raises(SelectionError, match="bound"):
        replace(selection, bound=7.0).verify()


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"keep_nodes": ("B",)}, "B must be kept and is not"),
        ({"forbid_nodes": ("A",)}, "A must not be kept and is"),
        ({"keep_edges": (("R", "B"),)}, "R -> B must be kept and is not"),
        ({"forbid_edges": (("R", "A"),)}, "R -> A must not be kept and is"),
        ({"max_depth": 1}, "deeper than 1"),
        ({"coverage": 2}, "input g2, g3 keeps fewer parents"),
    ],
)
def test_a_broken_demand_is_noticed(selection: DagSelection, rules: dict[str, object], message: str) -> None:
    with pytest.raises(SelectionError, match=message):
        replace(selection, rules=selection.rules.model_copy(update=rules)).verify()


def test_too_many_parents_are_noticed(selection: DagSelection) -> None:
    crowded = with_edges(selection, plus(selection, ("R", "B"), ("B", "g2")))
    crowded.verify()
    with pytest.raises(SelectionError, match="g2 has more than 1 parents"):
        replace(crowded, rules=selection.rules.model_copy(update={"max_parents": 1})).verify()


def test_a_regulator_that_no_output_reaches_does_not_count_as_available() -> None:
    table = pd.DataFrame([("R", "A"), ("A", "g"), ("R", "g")], columns=["parent", "child"])
    selection = select_dag(Pkn.from_edges(table), forbid_edges=[("R", "A")], coverage=2)
    selection.verify()
    assert selection.objective == 1
