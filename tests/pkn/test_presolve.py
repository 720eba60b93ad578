"""Presolve decides what can be decided, loses no optimum, and says what it did."""

from __future__ import annotations

import pandas as pd
import pytest
from brute_force import AllSubsets, Case
from hypothesis import given, settings
from pkn_strategies import cases, pkn_of

from kpnn.errors import SelectionError
from kpnn.pkn import Pkn, SelectionRules
from kpnn.pkn.selection.model.compact_form import formulate
from kpnn.pkn.selection.presolve import ReducedPkn, presolve


def pkn(*pairs: tuple[str, str], **roles: list[str]) -> Pkn:
    return Pkn.from_edges(pd.DataFrame(pairs, columns=["parent", "child"]), **roles)


def names(reduced: ReducedPkn, mask) -> list[str]:  # type: ignore[no-untyped-def]
    return [name for name, is_true in zip(reduced.pkn.nodes, mask, strict=True) if is_true]


def open_parents(reduced: ReducedPkn) -> list[list[str]]:
    return [[reduced.pkn.nodes[code] for code in reduced.classes[i].parents] for i in reduced.open_classes]


def test_the_only_parent_of_an_input_is_forced_and_so_is_its_only_parent() -> None:
    reduced = presolve(pkn(("R", "A"), ("A", "B"), ("R", "C"), ("B", "g1"), ("C", "g2"), ("B", "g2")))
    assert names(reduced, reduced.is_forced) == ["A", "B"]
    assert reduced.open_classes == ()


def test_an_input_with_more_parents_than_another_input_is_dominated() -> None:
    pairs = [("R", name) for name in "ABCD"] + [("A", "g1"), ("B", "g1")]
    pairs += [("A", "g2"), ("B", "g2"), ("C", "g2"), ("C", "g3"), ("D", "g3")]
    assert open_parents(presolve(pkn(*pairs))) == [["A", "B"], ["C", "D"]]


def test_an_input_is_not_dominated_by_a_less_demanding_one() -> None:
    pairs = [("R", name) for name in "ABC"] + [("A", "g1"), ("B", "g1"), ("A", "g2"), ("B", "g2"), ("C", "g2")]
    assert open_parents(presolve(pkn(*pairs), SelectionRules(coverage=2))) == []  # g1 forces A and B, which serve g2
    pairs += [("R", "D"), ("D", "g1"), ("D", "g2")]
    assert open_parents(presolve(pkn(*pairs), SelectionRules(coverage=2))) == [["A", "B", "D"]]


def test_inputs_with_the_same_parents_are_one_class() -> None:
    reduced = presolve(pkn(("R", "A"), ("R", "B"), *[(p, f"g{i}") for p in "AB" for i in range(50)]))
    assert [(len(one.genes), len(one.parents)) for one in reduced.classes] == [(50, 2)]
    assert reduced.report.gene_classes == 1


def test_edges_that_lead_nowhere_or_back_to_the_only_output_are_useless() -> None:
    table = pd.DataFrame([("R", "A"), ("A", "g1"), ("A", "R"), ("A", "X"), ("Y", "A")], columns=["parent", "child"])
    reduced = presolve(Pkn.from_edges(table, inputs=["g1"], outputs=["R"]))
    assert reduced.report.edges_useless == 3
    assert reduced.report.nodes_useless == 2


def test_acyclicity_concerns_only_edges_inside_strong_components() -> None:
    pairs = [("R", "A"), ("A", "B"), ("B", "C"), ("C", "A"), ("C", "D"), ("D", "E"), ("E", "g1")]
    reduced = presolve(pkn(*pairs))
    on_cycle = {
        tuple(edge)
        for edge in reduced.pkn.edges.iloc[reduced.edge_ids[reduced.is_on_cycle]][["parent", "child"]].to_numpy()
    }
    assert on_cycle == {("A", "B"), ("B", "C"), ("C", "A")}
    assert (reduced.report.strong_components, reduced.report.largest_strong_component) == (1, 3)
    acyclic = presolve(pkn(("R", "A"), ("A", "B"), ("B", "g1")))
    assert acyclic.is_acyclic
    assert formulate(acyclic).networks == ()


def test_edges_on_paths_longer_than_the_depth_limit_are_useless() -> None:
    pairs = [("R", "A"), ("A", "g1"), ("A", "B"), ("B", "g1")]
    assert presolve(pkn(*pairs), SelectionRules(max_depth=2)).report.edges_useless == 2
    with pytest.raises(SelectionError, match="max_depth=1 is impossible: R, g1 needs a longer path"):
        presolve(pkn(*pairs), SelectionRules(max_depth=1))


@settings(max_examples=80, deadline=None)
@given(cases())
def test_what_presolve_forces_or_discards_agrees_with_every_feasible_dag(case: Case) -> None:
    truth = AllSubsets(case)
    rules = SelectionRules(**case.rules)
    try:
        reduced = presolve(pkn_of(case), rules)
    except SelectionError:
        assert truth.optimum is None
        return
    usable = {tuple(edge) for edge in reduced.pkn.edges.iloc[reduced.edge_ids][["parent", "child"]].to_numpy()}
    for edge in case.edges:
        if edge not in usable:
            assert not (truth.kept[edge] & truth.feasible).any()
    for used in truth.neuron_sets(float("inf")):
        assert set(names(reduced, reduced.is_forced)) <= used
