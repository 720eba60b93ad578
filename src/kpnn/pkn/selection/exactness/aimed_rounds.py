"""The proof from below: is there a solution as cheap as the bound says, or one that costs one more, and so on."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np

from kpnn.pkn.selection.bounds.cuts import violated_cuts
from kpnn.pkn.selection.bounds.relaxation import Relaxation
from kpnn.pkn.selection.model.programme import SolverRequest
from kpnn.pkn.selection.model.rows import LinearRows
from kpnn.pkn.selection.search.phases import build_from
from kpnn.pkn.selection.search.state import SearchProblem, SearchState

_log = logging.getLogger(__name__)

_SLACK = 1e-6
"""What a reduced cost may be off by."""
_ROUNDS = 8
"""Rounds of cuts on the relaxation for each integer solution, which takes as long as many of them."""


def solve_in_aimed_rounds(problem: SearchProblem, state: SearchState) -> None:
    """Looks for solutions that cost what the bound says, and raises the bound where there are none.

    Little is left between the relaxation and such a cost, so that reduced costs decide nearly every column and the
    integer programme is small, however far the best solution so far is off. Only where costs are whole numbers, and for
    formulations whose networks say all that a solution must satisfy beyond its rows.
    """
    formulation, relaxed = problem.formulation, state.relaxed
    if not formulation.has_whole_costs or relaxed is None or relaxed.x is None:
        return
    relaxation: Relaxation | None = None
    cuts: LinearRows | None = violated_cuts(problem.separators, relaxed.x, seconds=problem.seconds_left)
    while cuts is not None and not state.is_done(problem):
        if len(cuts):
            state.rows.extend(cuts)
            if relaxation is None:
                relaxation = Relaxation(formulation, threads=problem.limits.threads, seed=problem.limits.seed)
                cuts = _since(state.rows, len(formulation.rows))
            if not _tighten(relaxation, cuts, problem, state):
                return
        cuts = _violated_at(state.bound - formulation.constant, problem, state)


def _tighten(relaxation: Relaxation, cuts: LinearRows, problem: SearchProblem, state: SearchState) -> bool:
    """Adds cuts to the relaxation, and what it violates then; says whether there is more to do and time for it."""
    for _ in range(_ROUNDS):
        relaxation.add(cuts)
        relaxed = relaxation.solve(problem.seconds_left)
        if relaxed.is_infeasible:
            state.is_infeasible, state.bound = state.best is None, state.objective
            return False
        if relaxed.x is None or relaxed.reduced_cost is None:
            return False
        state.relaxed = relaxed
        state.raise_bound(relaxed.bound)
        cuts = violated_cuts(problem.separators, relaxed.x, seconds=problem.seconds_left)
        if not len(cuts) or state.is_done(problem):
            break
        state.rows.extend(cuts)
    return True


def _violated_at(cost: float, problem: SearchProblem, state: SearchState) -> LinearRows | None:
    """Cuts that a solution of the rows of at most this cost violates.

    Without one, the bound is raised; one that violates none is the best. None where time is up.

    Args:
        cost: without the formulation's constant.
        problem: the problem.
        state: where the search is.
    """
    formulation, relaxed = problem.formulation, state.relaxed
    assert relaxed is not None and relaxed.reduced_cost is not None
    slack, reduced_cost = cost - relaxed.bound + _SLACK, relaxed.reduced_cost
    is_open = (formulation.low < 0.5) & (formulation.high > 0.5)
    rows = LinearRows.joined(state.rows)
    priced = np.flatnonzero(formulation.cost)
    rows.add(priced, formulation.cost[priced], -np.inf, cost + 0.1)
    outcome = problem.solver(
        SolverRequest(
            formulation,
            rows,
            low=np.where(is_open & (-reduced_cost > slack), 1.0, formulation.low),
            high=np.where(is_open & (reduced_cost > slack), 0.0, formulation.high),
            limits=replace(problem.limits, time_limit=problem.seconds_left, gap=0.0),
            # Any solution that costs no more will do.
            absolute_gap=abs(cost) + 1.0,
        )
    )
    if outcome.is_infeasible:
        _log.debug("aimed: none at %g", cost + formulation.constant)
        state.raise_bound(cost + 1.0)
        # Without any solution, the bound would rise for ever.
        state.is_infeasible = cost >= np.maximum(formulation.cost, 0.0) @ formulation.high
        return LinearRows()
    if outcome.x is None:
        return None
    x = np.round(outcome.x)
    cuts = violated_cuts(problem.separators, x)
    _log.debug("aimed: one at %g with %d cuts", cost + formulation.constant, len(cuts))
    if len(cuts):
        for separator in problem.separators:
            cuts.extend(separator.loop_cuts(x))
    else:
        state.take_if_cheaper(x)
        return LinearRows()
    build_from(problem, state, x)
    state.rounds += 1
    return cuts


def _since(rows: LinearRows, first: int) -> LinearRows:
    return LinearRows(rows.columns[first:], rows.values[first:], rows.low[first:], rows.high[first:])
