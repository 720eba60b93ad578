"""The proof: integer programmes whose solutions are cut off until one violates no cut."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np

from kpnn.pkn.selection.bounds.cuts import cycle_cuts, violated_cuts
from kpnn.pkn.selection.model.programme import SolverRequest
from kpnn.pkn.selection.search.phases import build_from
from kpnn.pkn.selection.search.state import SearchProblem, SearchState

_log = logging.getLogger(__name__)

_FEW_COLUMNS = 2_000
"""Undecided columns up to which the solver gets a try before any heuristic search."""
_TRY_SECONDS = 1.0
_TRY_SHARE = 0.05
"""Most of the time limit for it."""
_LEAST_SLICE = 10.0
"""Seconds that an integer round may take in any case."""


def try_integer_rounds(problem: SearchProblem, state: SearchState) -> None:
    """Small formulations first go to the solver for a second, which is often all that they need."""
    state.fix_columns()
    if int((state.high > problem.formulation.low).sum()) > _FEW_COLUMNS:
        return
    elapsed = problem.limits.time_limit - problem.seconds_left
    seconds = min(_TRY_SECONDS, _TRY_SHARE * problem.limits.time_limit)
    solve_in_integer_rounds(replace(problem, limits=replace(problem.limits, time_limit=elapsed + seconds)), state)


def solve_in_integer_rounds(problem: SearchProblem, state: SearchState) -> None:
    """Solves with the rows so far, cuts off a solution that is cyclic or not connected, and solves again."""
    formulation = problem.formulation

    def note_bound(value: float) -> None:
        if np.isfinite(value):
            state.raise_bound(value)

    while not state.is_done(problem):
        left = problem.seconds_left
        outcome = problem.solver(
            SolverRequest(
                formulation,
                state.rows,
                low=formulation.low,
                high=state.high,
                # Half of the time, so that something is left to cut off what this round finds.
                limits=replace(problem.limits, time_limit=max(left / 2, min(left, _LEAST_SLICE))),
                absolute_gap=state.absolute_gap,
                start=state.best,
                on_progress=note_bound,
            )
        )
        if outcome.is_infeasible:
            # Columns are fixed so that only better solutions remain: there is none.
            state.is_infeasible = state.best is None
            state.bound = state.objective
            return
        state.raise_bound(outcome.bound)
        if outcome.x is None:
            continue
        x = np.where(formulation.is_integer, np.round(outcome.x), outcome.x)
        cuts = violated_cuts(problem.separators, x)
        cuts.extend(cycle_cuts(formulation, x))
        if not len(cuts):
            state.take_if_cheaper(x)
            if outcome.is_optimal:
                return
            continue
        build_from(problem, state, x)
        state.rounds += 1
        state.rows.extend(cuts)
        _log.debug(
            "integer round %d: best %g, bound %g, %d cuts", state.rounds, state.objective, state.bound, len(cuts)
        )
