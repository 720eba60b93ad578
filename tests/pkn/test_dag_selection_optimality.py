"""The objective equals brute force, whatever the PKN, the demands, the solver and the method."""

from __future__ import annotations

import random
from dataclasses import replace
from importlib.util import find_spec

import pytest
from brute_force import AllSubsets, Case
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pkn_strategies import cases, pkn_of

from kpnn.errors import SelectionError
from kpnn.pkn import Pkn, select_dag


def check(case: Case, **options: object) -> None:
    truth = AllSubsets(case).optimum
    if truth is None:
        with pytest.raises(SelectionError):
            select_dag(pkn_of(case), **case.rules, **options)
        return
    selection = select_dag(pkn_of(case), **case.rules, **options)
    selection.verify()
    assert selection.status == "optimal"
    assert selection.objective == pytest.approx(truth)
    assert selection.bound == pytest.approx(truth)
    assert selection.dag.edges["cost"].sum() == pytest.approx(truth)


@settings(max_examples=1_000, deadline=None)
@given(cases())
def test_the_objective_equals_brute_force_with_demands(case: Case) -> None:
    check(case)


@settings(max_examples=1_000, deadline=None)
@given(cases(with_rules=False))
def test_the_objective_equals_brute_force_without_demands(case: Case) -> None:
    check(case)


@settings(max_examples=1_000, deadline=None)
@given(cases(n_outputs=(2, 3), reach="every"))
def test_with_every_output_kept_the_objective_equals_brute_force_with_demands(case: Case) -> None:
    check(case)


@settings(max_examples=1_000, deadline=None)
@given(cases(n_outputs=(2, 3), with_rules=False, reach="every"))
def test_with_every_output_kept_the_objective_equals_brute_force_without_demands(case: Case) -> None:
    check(case)


@settings(max_examples=60, deadline=None)
@given(cases(n_outputs=(1, 1)))
def test_with_one_output_every_and_any_are_the_same_dag(case: Case) -> None:
    assume(AllSubsets(case).optimum is not None)
    chosen = [
        select_dag(pkn_of(replace(case, reach=reach)), **case.rules | {"reach": reach}) for reach in ("any", "every")
    ]
    assert chosen[0].dag.fingerprint == chosen[1].dag.fingerprint


@settings(max_examples=60, deadline=None)
@given(cases(with_rules=False, unit_costs=True), st.sampled_from([2, 3]))
def test_the_objective_equals_brute_force_with_coverage(case: Case, coverage: int) -> None:
    check(replace(case, coverage=coverage))


@pytest.mark.parametrize("solver", ["SCIP", "GUROBI"])
def test_other_solvers_agree_with_brute_force(solver: str) -> None:
    pytest.importorskip({"SCIP": "pyscipopt", "GUROBI": "gurobipy"}[solver])

    @settings(max_examples=20, deadline=None)
    @given(cases(n_outputs=(1, 3)) | cases(n_outputs=(2, 3), reach="every"))
    def agree(case: Case) -> None:
        check(case, solver=solver)

    agree()


@settings(max_examples=30, deadline=None)
@given(cases(with_rules=False))
def test_cornetos_formulation_has_the_same_optimum(case: Case) -> None:
    flow = select_dag(pkn_of(case), method="acyclic_flow", reach="any")
    flow.verify()
    assert flow.objective == pytest.approx(select_dag(pkn_of(case), reach="any").objective)
    assert flow.objective == pytest.approx(AllSubsets(case).optimum)


@settings(max_examples=60, deadline=None)
@given(cases(with_rules=False), st.data())
def test_a_further_edge_never_raises_the_optimum(case: Case, data: st.DataObject) -> None:
    nodes = sorted({name for edge in case.edges for name in edge})
    possible = [(a, b) for a in nodes for b in nodes if a != b and a not in case.inputs and (a, b) not in case.edges]
    assume(possible)
    edge = data.draw(st.sampled_from(possible))
    more = replace(case, edges=(*case.edges, edge), costs=(*case.costs, 1.0))
    most = select_dag(pkn_of(case), reach="any").objective
    assert select_dag(pkn_of(more), reach="any").objective <= most + 1e-9


@settings(max_examples=60, deadline=None)
@given(
    cases() | cases(n_outputs=(2, 3), reach="every"),
    st.integers(0, 10_000),
    st.sampled_from(["support", "balanced", "random"]),
)
def test_the_order_of_the_edge_list_changes_nothing(case: Case, seed: int, tie_break: str) -> None:
    assume(AllSubsets(case).optimum is not None)
    order = list(range(len(case.edges)))
    random.Random(seed).shuffle(order)
    shuffled = Pkn.from_edges(case.table.iloc[order], inputs=case.inputs, outputs=case.outputs)
    one = select_dag(pkn_of(case), **case.rules, tie_break=tie_break, seed=7)
    other = select_dag(shuffled, **case.rules, tie_break=tie_break, seed=7)
    assert one.dag.fingerprint == other.dag.fingerprint


@settings(max_examples=15, deadline=None)
@given(cases() | cases(n_outputs=(2, 3), reach="every"))
def test_solvers_and_threads_choose_the_same_dag(case: Case) -> None:
    assume(AllSubsets(case).optimum is not None)
    others = [{"solver": name} for name, module in (("SCIP", "pyscipopt"), ("GUROBI", "gurobipy")) if find_spec(module)]
    chosen = {
        select_dag(pkn_of(case), **case.rules, **options).dag.fingerprint
        for options in ({}, {"threads": 1, "seed": 5}, *others)
    }
    assert len(chosen) == 1
