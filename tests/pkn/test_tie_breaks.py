"""Which of several optimal DAGs is chosen, and which regulator an input is tied to."""

from __future__ import annotations

import pandas as pd
import pytest
from brute_force import AllSubsets, Case
from hypothesis import given, settings
from hypothesis import strategies as st
from pkn_strategies import cases, pkn_of

from kpnn.errors import SelectionError
from kpnn.pkn import Pkn, select_dag
from kpnn.pkn.selection.even_spread import spread_evenly


@settings(max_examples=50, deadline=None)
@given(cases(with_rules=False))
def test_support_keeps_the_nodes_with_most_edges_to_inputs(case: Case) -> None:
    truth = AllSubsets(case)
    n_edges = {name: sum(a == name and b in case.inputs for a, b in case.edges) for edge in case.edges for name in edge}
    best = max(sum(n_edges[name] for name in used) for used in truth.neuron_sets(truth.optimum))
    selection = select_dag(pkn_of(case), tie_break="support", reach="any")
    assert sum(n_edges[name] for name in selection.dag.hidden) == best
    assert selection.is_unique


def regulators(n_genes: int) -> Pkn:
    pairs = [("R", a) for a in "ABC"]
    pairs += [(a, f"own{a}") for a in "ABC"] + [(a, f"g{i:02d}") for i in range(n_genes) for a in "ABC"]
    pairs += [("C", "ownC2")]
    return Pkn.from_edges(pd.DataFrame(pairs, columns=["parent", "child"]))


def test_support_ties_inputs_to_the_regulator_with_most_and_balanced_spreads_them() -> None:
    pkn = regulators(30)
    loads = {}
    for rule in ("support", "balanced"):
        edges = select_dag(pkn, tie_break=rule).dag.edges
        loads[rule] = edges[edges["parent"] != "R"]["parent"].value_counts().to_dict()
    assert loads["support"] == {"A": 1, "B": 1, "C": 32}
    assert sorted(loads["balanced"].values()) == [11, 11, 12]


def test_random_depends_on_the_seed_alone() -> None:
    pkn = regulators(30)
    dags = [select_dag(pkn, tie_break="random", seed=seed).dag.fingerprint for seed in (1, 1, 2, 3)]
    assert dags[0] == dags[1]
    assert len(set(dags)) == 3


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sets(st.integers(0, 3), min_size=1), min_size=1, max_size=5))
def test_spreading_is_as_even_as_brute_force(options: list[set[int]]) -> None:
    choices = [(100 + gene, sorted(parents), 1) for gene, parents in enumerate(options)]
    loads = pd.Series([parent for parent, _ in spread_evenly(choices, [])]).value_counts()
    least = min(_squares(assignment) for assignment in _all_assignments(options))
    assert int((loads**2).sum()) == least


def _all_assignments(options: list[set[int]]) -> list[list[int]]:
    found: list[list[int]] = [[]]
    for parents in options:
        found = [[*one, parent] for one in found for parent in parents]
    return found


def _squares(assignment: list[int]) -> int:
    return sum(assignment.count(parent) ** 2 for parent in set(assignment))


def test_a_rule_that_does_not_exist_is_refused() -> None:
    with pytest.raises(SelectionError):
        select_dag(regulators(1), tie_break="alphabetical")
