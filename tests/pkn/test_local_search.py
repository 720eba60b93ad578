"""Local search: it returns a cover, never a dearer one, on small problems the cheapest; loops are cut off."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest
from brute_force import AllSubsets, Case
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pkn_strategies import cases, pkn_of

from kpnn.pkn import Pkn, SelectionRules, select_dag
from kpnn.pkn.selection import compact
from kpnn.pkn.selection.bounds import cuts
from kpnn.pkn.selection.model.compact_form import formulate
from kpnn.pkn.selection.model.rows import NO_COLUMN, LinearRows
from kpnn.pkn.selection.presolve import presolve
from kpnn.pkn.selection.search import phases
from kpnn.pkn.selection.search.heuristic import NodeHeuristic
from kpnn.pkn.selection.search.local_search import LocalSearch, is_cover
from kpnn.pkn.selection.settings import SolveLimits
from kpnn.pkn.selection.solvers.highs import solve_with_highs


@st.composite
def covers(draw: st.DrawFn) -> tuple[LinearRows, np.ndarray, int]:
    """LinearRows with and without an owner that all columns together satisfy, costs, and a number of columns."""
    n = draw(st.integers(2, 8))
    rows = LinearRows()
    for members in draw(st.lists(st.sets(st.integers(0, n - 1), min_size=1), min_size=1, max_size=8)):
        columns = np.array(sorted(members))
        owner = draw(st.none() | st.integers(0, n - 1))
        if owner is None or owner in members:
            rows.add(columns, np.ones(len(columns)), draw(st.integers(1, len(columns))))
        else:
            rows.add(np.append(columns, owner), np.append(np.ones(len(columns)), -1.0), 0.0)
    return rows, np.array(draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)), dtype=float), n


def holds(rows: LinearRows, kept: np.ndarray) -> bool:
    return bool((rows.matrix(len(kept)) @ kept.astype(float) >= np.array(rows.low)).all())


@settings(max_examples=150, deadline=None)
@given(covers(), st.integers(0, 1_000))
def test_on_small_problems_the_cheapest_cover_is_found(problem: tuple[LinearRows, np.ndarray, int], seed: int) -> None:
    rows, cost, n = problem
    every = [np.array(kept) for kept in product([False, True], repeat=n)]
    least = min(cost @ kept for kept in every if holds(rows, kept))
    search = LocalSearch(cost, is_fixed=np.zeros(n, dtype=bool), is_allowed=np.ones(n, dtype=bool))
    found = np.ones(n, dtype=bool)
    for turn in range(5):
        found = search.run(rows, found, n_swaps=400, seed=seed + turn)
        assert holds(rows, found)
    assert cost @ found == pytest.approx(least)


def test_fixed_columns_stay_and_forbidden_ones_stay_out() -> None:
    rows = LinearRows()
    rows.add(np.arange(4), np.ones(4), 1.0)
    search = LocalSearch(np.ones(4), is_fixed=np.arange(4) == 0, is_allowed=np.arange(4) != 3)
    found = search.run(rows, np.array([True, True, True, False]), n_swaps=50, seed=0)
    assert found.tolist() == [True, False, False, False]


def test_a_start_that_is_no_cover_is_mended() -> None:
    rows = LinearRows()
    rows.add(np.array([0, 1]), np.ones(2), 1.0)
    rows.add(np.array([2, 0]), np.array([1.0, -1.0]), 0.0)
    search = LocalSearch(np.array([1.0, 3.0, 1.0]), is_fixed=np.zeros(3, dtype=bool), is_allowed=np.ones(3, dtype=bool))
    found = search.run(rows, np.array([True, False, False]), n_swaps=50, seed=0)
    assert found.tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [([1.0, 1.0], 1.0, 2.0), ([2.0, 1.0], 1.0, np.inf), ([-1.0, -1.0], 0.0, np.inf), ([1.0, -1.0], 1.0, np.inf)],
)
def test_rows_that_state_no_cover_are_told_apart(values: list[float], low: float, high: float) -> None:
    rows = LinearRows()
    rows.add(np.array([0, 1]), np.array([1.0, 1.0]), 1.0)
    assert is_cover(rows)
    rows.add(np.array([0, 1]), np.array(values), low, high)
    assert not is_cover(rows)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases(with_rules=False, unit_costs=True, n_outputs=(1, 1)), st.integers(0, 1_000))
def test_rows_against_loops_cut_off_loops_and_no_dag(case: Case, seed: int) -> None:
    formulation = formulate(presolve(pkn_of(case), SelectionRules()))
    nodes = np.flatnonzero(formulation.node_column != NO_COLUMN)
    assume(len(nodes))
    heuristic = NodeHeuristic(formulation)
    rng = np.random.default_rng(seed)
    kept = formulation.reduced.is_output.copy()
    kept[nodes] = rng.random(len(nodes)) < 0.8
    reduced = formulation.reduced
    core = reduced.is_core
    while True:  # every kept node has a kept parent
        fed = np.zeros(len(kept), dtype=bool)
        fed[reduced.child[core & kept[reduced.parent]]] = True
        orphans = kept & ~fed & ~reduced.is_output
        if not orphans.any():
            break
        kept &= ~orphans
    rows = heuristic.rows_against_loops(kept)
    reached = reduced.is_output.copy()
    for _ in kept:
        reached[reduced.child[core & reached[reduced.parent]]] = True
        reached &= kept
    assert bool(len(rows)) == bool((kept & ~reached).any())
    x = kept[nodes][np.argsort(formulation.node_column[nodes])]
    for row in range(len(rows)):
        one = LinearRows([rows.columns[row]], [rows.values[row]], [rows.low[row]], [rows.high[row]])
        assert not holds(one, x)
    for names in AllSubsets(case).neuron_sets(np.inf):
        x = np.zeros(formulation.n_columns, dtype=bool)
        codes = [code for code in nodes if formulation.reduced.pkn.nodes[code] in names]
        x[formulation.node_column[codes]] = True
        assert holds(rows, x)


@settings(max_examples=100, deadline=None)
@given(cases(with_rules=False))
def test_with_local_search_the_optimum_is_the_same(case: Case) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(phases, "_WORTH_SWAPPING", 0)
        patch.setattr(phases, "_SMALL_GAP", -1.0)
        patch.setattr(phases, "_SWAPS", 50)
        selection = select_dag(pkn_of(case), **case.rules)
    selection.verify()
    assert selection.objective == pytest.approx(AllSubsets(case).optimum)


def test_local_search_finds_smaller_dags_than_repairs_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """All phases here end after steps in vain, far from the time limit, however slow the machine is."""
    monkeypatch.setattr(phases, "_LONG_ROUND", np.inf)
    monkeypatch.setattr(cuts, "_MOST_SECONDS", np.inf)
    formulation = formulate(presolve(random_cover(n_hidden=520, n_factors=156, n_genes=1_040)))
    how = (solve_with_highs, SolveLimits(time_limit=1e6, gap=0.0, threads=1, seed=0))
    repaired = compact.solve_compact(formulation, *how, phases=["relaxation", "repair"])
    # From where repairs end, as the search does.
    swapped = compact.solve_compact(
        formulation,
        *how,
        phases=["local_search"],
        known=compact.Known(start=repaired.best, least=repaired.bound),
    )
    assert swapped.bound == repaired.bound
    assert swapped.objective < repaired.objective


def random_cover(*, n_hidden: int, n_factors: int, n_genes: int) -> Pkn:
    """A PKN in which every gene has five regulators, so that presolve decides little."""
    rng = np.random.default_rng(0)
    hidden = np.array([f"P{place:04d}" for place in range(n_hidden)], dtype=object)
    pairs = {("root", name) for name in hidden[:10]}
    for child in hidden[10:]:
        pairs |= {(parent, child) for parent in rng.choice(hidden, 6, replace=False) if parent != child}
    for gene in range(n_genes):
        pairs |= {(parent, f"G{gene:04d}_gene") for parent in rng.choice(hidden[-n_factors:], 5, replace=False)}
    table = pd.DataFrame(sorted(pairs), columns=["parent", "child"])
    return Pkn.from_edges(table, outputs=["root"]).pruned()
