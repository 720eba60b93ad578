"""The objective equals brute force, whatever the PKN and the demands."""

from __future__ import annotations

import pytest
from brute_force import AllSubsets, Case
from hypothesis import given, settings
from pkn_strategies import cases, pkn_of

from kpnn.errors import SelectionError
from kpnn.pkn import select_dag


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


@settings(max_examples=500, deadline=None)
@given(cases())
def test_the_objective_equals_brute_force_with_demands(case: Case) -> None:
    check(case)


@settings(max_examples=500, deadline=None)
@given(cases(with_rules=False))
def test_the_objective_equals_brute_force_without_demands(case: Case) -> None:
    check(case)
