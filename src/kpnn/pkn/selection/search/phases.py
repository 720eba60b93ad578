"""Phases of a search: cuts tighten the relaxation, then solutions are built, repaired and improved by swaps.

Each phase is a function of the problem and the state, and changes the state alone. What decides is measured: most PKNs
are proven optimal after the relaxation, so that the later phases are for those with thousands of undecided nodes.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace

import numpy as np

from kpnn.pkn.selection.bounds.cuts import violated_cuts
from kpnn.pkn.selection.bounds.relaxation import Relaxation
from kpnn.pkn.selection.model.programme import SolverRequest
from kpnn.pkn.selection.model.rows import LinearRows
from kpnn.pkn.selection.search.hub_heuristic import HubHeuristic
from kpnn.pkn.selection.search.state import SearchProblem, SearchState

_log = logging.getLogger(__name__)

_LEAST_GAIN = 1e-4
"""Share of the bound that ten rounds of cuts must add for more rounds on the relaxation."""
_LONG_ROUND = 1.0
"""Seconds from which each round must close a share of the gap."""
_LEAST_SHARE = 0.02
"""That share."""
_REPAIRS_IN_VAIN = 8
"""Repairs in a row without gain that end the phase."""
_HUB_REPAIRS_IN_VAIN = 60
"""The same around hubs."""
_REPAIR_SHARE = 0.2
"""Most of the time limit that repairs may take."""
_SWAPS = 100_000
"""Swaps of one local search, about half a second on ten thousand hidden nodes."""
_SEARCHES_IN_VAIN = 10
"""The same of local searches."""
_SEARCH_SHARE = 0.25
"""Most of the time limit that local search may take."""
_WORTH_SWAPPING = 500
"""Columns from which loading the compiled local search pays."""
_MANY_COLUMNS = 3_000
"""Undecided columns beyond which neighbourhoods are searched before the whole."""
_SMALL_GAP = 0.003
"""Gap below which the whole is likely to be solved at once."""
_NEIGHBOURHOODS_IN_VAIN = 40
"""The same of neighbourhoods."""
_NEIGHBOURHOOD_SECONDS = 5.0
"""Most that one neighbourhood may take."""
_LIKELY = 1e-3
"""Value in the relaxation from which a column takes part in neighbourhoods."""


def build_from(problem: SearchProblem, state: SearchState, x: np.ndarray) -> None:
    """Builds a solution guided by any values of the columns, and takes it if it is cheaper."""
    if problem.heuristic is not None:
        state.guide = problem.heuristic.nodes_of(x)
        state.take_if_cheaper(problem.heuristic.solution(problem.heuristic.build(state.guide)))
    if problem.hub_heuristic is not None:
        for solution in problem.hub_heuristic.solutions(x):
            state.take_if_cheaper(solution)
            if state.is_done(problem):
                return


def cut_relaxation(problem: SearchProblem, state: SearchState) -> None:
    """Adds violated cuts to the relaxation until there are none or they are not worth their time."""
    formulation, limits = problem.formulation, problem.limits
    relaxation = Relaxation(formulation, threads=limits.threads, seed=limits.seed)
    bounds: list[float] = []
    while not state.is_done(problem):
        clock = time.monotonic()
        outcome = relaxation.solve(problem.seconds_left)
        state.is_infeasible = outcome.is_infeasible
        if not outcome.is_infeasible:
            state.raise_bound(outcome.bound)
        if outcome.x is None:
            return
        bounds.append(outcome.bound + formulation.constant)
        build_from(problem, state, outcome.x)
        state.relaxed = outcome
        state.fix_columns()
        cuts = violated_cuts(problem.separators, outcome.x, seconds=problem.seconds_left)
        _log.debug("round %d: best %g, bound %.4f, %d cuts", state.rounds, state.objective, bounds[-1], len(cuts))
        has_stalled = _has_stalled(bounds, state.objective, time.monotonic() - clock)
        if not len(cuts) or has_stalled or problem.seconds_left < 0.5 * limits.time_limit:
            return
        state.rounds += 1
        state.rows.extend(cuts)
        relaxation.add(cuts)


def _has_stalled(bounds: list[float], objective: float, seconds: float) -> bool:
    """More rounds of cuts on the relaxation are not worth their time."""
    if seconds > _LONG_ROUND and len(bounds) > 1 and np.isfinite(objective):
        return bounds[-1] - bounds[-2] < _LEAST_SHARE * (objective - bounds[-1])
    return len(bounds) > 10 and bounds[-1] - bounds[-11] < _LEAST_GAIN * abs(bounds[-1])


def repair_best(problem: SearchProblem, state: SearchState) -> None:
    """Takes a random share of the nodes out and repairs, until many repairs in a row gain nothing."""
    heuristic = problem.heuristic
    if problem.hub_heuristic is not None and state.best is not None:
        _repair_around_hubs(problem, problem.hub_heuristic, state)
    if heuristic is None or state.best is None:
        return
    kept = heuristic.nodes_of(state.best) > 0.5
    clock, in_vain = time.monotonic(), 0
    while in_vain < _REPAIRS_IN_VAIN and not state.is_done(problem):
        if time.monotonic() - clock > _REPAIR_SHARE * problem.limits.time_limit:
            return
        share = (0.02, 0.05, 0.1, 0.2)[in_vain % 4]
        repaired = heuristic.perturb(kept, state.guide, state.rng, share)
        x = heuristic.solution(repaired)
        # One that costs the same is a new place to start from, though no gain.
        if state.cost_of(x) <= state.objective + 1e-9:
            kept = repaired
        in_vain = 0 if state.take_if_cheaper(x) else in_vain + 1


def _repair_around_hubs(problem: SearchProblem, heuristic: HubHeuristic, state: SearchState) -> None:
    """As `repair_best`, for a formulation with a hub; not where one question settles what is left."""
    if state.objective - state.bound <= state.least_gain:
        return
    best = state.best
    assert best is not None
    likely = best if state.relaxed is None or state.relaxed.x is None else state.relaxed.x
    clock, in_vain = time.monotonic(), 0
    while in_vain < _HUB_REPAIRS_IN_VAIN and not state.is_done(problem):
        if time.monotonic() - clock > _REPAIR_SHARE * problem.limits.time_limit:
            return
        x = heuristic.perturb(best, likely, state.rng, (0.05, 0.1, 0.2)[in_vain % 3])
        if x is not None and state.cost_of(x) <= state.objective + 1e-9:
            best = x
        in_vain = 0 if x is not None and state.take_if_cheaper(x) else in_vain + 1


def swap_nodes(problem: SearchProblem, state: SearchState) -> None:
    """Swaps nodes of the best solution for others, until many searches in a row gain nothing."""
    formulation, heuristic = problem.formulation, problem.heuristic
    if heuristic is None or state.best is None or state.gap <= _SMALL_GAP:
        return
    if formulation.n_columns < _WORTH_SWAPPING:
        return
    # Here, because numba takes half a second to load, more than most selections need.
    from kpnn.pkn.selection.search.local_search import LocalSearch, is_cover

    if not is_cover(formulation.rows):
        return
    state.fix_columns()
    local = LocalSearch(formulation.cost, is_fixed=formulation.low > 0.5, is_allowed=state.high > 0.5)
    # Not the cuts so far: they are many, and loops that do arise are cut off one by one.
    rows = LinearRows.joined(formulation.rows)
    kept, clock, in_vain = state.best > 0.5, time.monotonic(), 0
    while in_vain < _SEARCHES_IN_VAIN and not state.is_done(problem):
        if time.monotonic() - clock > _SEARCH_SHARE * problem.limits.time_limit:
            return
        kept = local.run(rows, kept, n_swaps=_SWAPS, seed=int(state.rng.integers(2**31)))
        nodes = heuristic.nodes_of(kept.astype(float))
        rows.extend(heuristic.rows_against_loops(nodes > 0.5))
        has_gained = state.take_if_cheaper(heuristic.solution(heuristic.build(nodes)))
        in_vain = 0 if has_gained else in_vain + 1


def search_neighbourhoods(problem: SearchProblem, state: SearchState) -> None:
    """Large formulations only: frees a random share of the kept nodes and solves what is left exactly."""
    formulation, heuristic = problem.formulation, problem.heuristic
    state.fix_columns()
    n_undecided = int((state.high > formulation.low).sum())
    if heuristic is None or state.best is None or n_undecided < _MANY_COLUMNS:
        return
    likely = np.zeros(formulation.n_columns, dtype=bool)
    if state.relaxed is not None and state.relaxed.x is not None:
        likely = state.relaxed.x > _LIKELY
    share, in_vain = 0.3, 0
    while in_vain < _NEIGHBOURHOODS_IN_VAIN and state.gap > _SMALL_GAP and not state.is_done(problem):
        best = state.best
        freed = state.rng.random(formulation.n_columns) < share
        clock = time.monotonic()
        seconds = min(_NEIGHBOURHOOD_SECONDS, problem.seconds_left)
        outcome = problem.solver(
            SolverRequest(
                formulation,
                state.rows,
                low=np.where((best > 0.5) & ~freed & formulation.is_integer, 1.0, formulation.low),
                high=np.where(likely | (best > 0.5) | ~formulation.is_integer, state.high, 0.0),
                limits=replace(problem.limits, time_limit=seconds, gap=0.0),
                absolute_gap=state.absolute_gap,
                start=best,
            )
        )
        has_gained = False
        if outcome.x is not None:
            has_gained = state.take_if_cheaper(heuristic.solution(heuristic.build(heuristic.nodes_of(outcome.x))))
        in_vain = 0 if has_gained else in_vain + 1
        # A neighbourhood should be as large as can be solved in a few seconds.
        if not outcome.is_optimal:
            share = max(0.05, 0.8 * share)
        elif time.monotonic() - clock < _NEIGHBOURHOOD_SECONDS / 4:
            share = min(0.9, 1.05 * share)
    state.fix_columns()
