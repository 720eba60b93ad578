"""Solving the compact statement: cuts on the relaxation first, then on integer solutions, until nothing is violated."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from kpnn.errors import SelectionError
from kpnn.pkn.highs import MilpOutcome, Relaxation
from kpnn.pkn.separation import Separator, cycle_cuts
from kpnn.pkn.statement import Rows, Statement

_log = logging.getLogger(__name__)

Milp = Callable[..., MilpOutcome]
_LEAST_GAIN = 1e-4
"""Share of the bound that ten rounds of cuts must add for more rounds on the relaxation."""


@dataclass(frozen=True)
class Limits:
    """When to stop, and with what.

    Attributes:
        time_limit: seconds in all.
        gap: relative gap at which the search may stop; 0 asks for a proof.
        threads: most threads; 0 leaves it to the solver.
        seed: random seed of the solver.
    """

    time_limit: float = 60.0
    gap: float = 0.0
    threads: int = 0
    seed: int = 0


@dataclass
class Search:
    """State of one search: rows so far, best solution, bound.

    Attributes:
        statement: what is solved.
        rows: the statement's rows and all cuts.
        best: values of the columns of the best feasible solution, or None.
        objective: its cost, the constant included.
        bound: no DAG costs less than this.
        rounds: rounds of cuts.
        seconds: by phase.
    """

    statement: Statement
    rows: Rows
    best: np.ndarray | None = None
    objective: float = np.inf
    bound: float = -np.inf
    rounds: int = 0
    is_infeasible: bool = False
    seconds: dict[str, float] = field(default_factory=dict)

    def offer(self, x: np.ndarray) -> None:
        """Takes a feasible solution if it is cheaper than the best."""
        value = float(self.statement.cost @ x) + self.statement.constant
        if value < self.objective - 1e-9:
            self.best, self.objective = np.where(self.statement.is_integer, np.round(x), x), value

    def raise_bound(self, value: float) -> None:
        """Takes a bound of the statement's columns if it is better; rounds it up where costs are whole numbers."""
        value += self.statement.constant
        if self.statement.has_whole_costs and np.isfinite(value):
            value = math.ceil(value - 1e-6)
        self.bound = float(max(self.bound, min(value, self.objective)))

    @property
    def gap(self) -> float:
        """(objective - bound) / objective."""
        return np.inf if self.best is None else max(0.0, (self.objective - self.bound) / max(self.objective, 1e-12))


def solve_compact(statement: Statement, milp: Milp, limits: Limits) -> Search:
    """Solves a statement with its cuts.

    Args:
        statement: the statement.
        milp: solves the statement with given rows to integrality (see `highs.solve_with_highs`).
        limits: when to stop.

    Returns:
        The search; `best` is None where none was found in time or none exists.
    """
    start = time.monotonic()
    search = Search(statement, Rows())
    search.rows.extend(statement.rows)
    if not statement.n_columns:
        search.is_infeasible = any(low > 0 for low in statement.rows.low)
        if not search.is_infeasible:
            search.offer(np.empty(0))
            search.raise_bound(0.0)
        return search
    separators = [Separator(network) for network in statement.networks]

    def left() -> float:
        return limits.time_limit - (time.monotonic() - start)

    if separators:
        _cut_relaxation(search, separators, limits, left)
    search.seconds["relaxation"] = time.monotonic() - start
    if not search.is_infeasible:
        _cut_integer(search, separators, milp, limits, left)
    search.seconds["integer"] = time.monotonic() - start - search.seconds["relaxation"]
    return search


def _cut_relaxation(search: Search, separators: list[Separator], limits: Limits, left: Callable[[], float]) -> None:
    relaxation = Relaxation(search.statement, threads=limits.threads, seed=limits.seed)
    bounds: list[float] = []
    while left() > 0:
        outcome = relaxation.solve(left())
        search.is_infeasible = outcome.is_infeasible
        if outcome.x is None:
            return
        search.raise_bound(outcome.bound)
        bounds.append(outcome.bound + search.statement.constant)
        cuts = _violated(separators, outcome.x)
        if not len(cuts):
            return
        search.rounds += 1
        search.rows.extend(cuts)
        relaxation.add(cuts)
        _log.debug("round %d: bound %.4f, %d cuts", search.rounds, bounds[-1], len(cuts))
        if len(bounds) > 10 and bounds[-1] - bounds[-11] < _LEAST_GAIN * abs(bounds[-1]):
            return


def _cut_integer(
    search: Search, separators: list[Separator], milp: Milp, limits: Limits, left: Callable[[], float]
) -> None:
    statement = search.statement
    absolute_gap = 0.999 if statement.has_whole_costs else 1e-6
    while left() > 0 and not (search.best is not None and search.gap <= limits.gap + 1e-12):
        outcome = milp(
            statement,
            search.rows,
            start=search.best,
            time_limit=left(),
            absolute_gap=absolute_gap,
            relative_gap=limits.gap,
            threads=limits.threads,
            seed=limits.seed,
        )
        search.is_infeasible = outcome.is_infeasible
        if outcome.is_infeasible:
            return
        search.raise_bound(outcome.bound)
        if outcome.x is None:
            return
        x = np.where(statement.is_integer, np.round(outcome.x), outcome.x)
        cuts = _violated(separators, x)
        cuts.extend(cycle_cuts(statement, x))
        if not len(cuts):
            search.offer(x)
            search.raise_bound(outcome.bound)
            if outcome.is_optimal:
                return
            continue
        search.rounds += 1
        search.rows.extend(cuts)
        _log.debug("integer round %d: bound %.4f, %d cuts", search.rounds, search.bound, len(cuts))


def _violated(separators: list[Separator], x: np.ndarray) -> Rows:
    cuts = Rows()
    for separator in separators:
        cuts.extend(separator.cuts(x))
    return cuts


def require_solution(search: Search, time_limit: float) -> np.ndarray:
    """The best solution.

    Raises:
        SelectionError: there is none.
    """
    if search.best is not None:
        return search.best
    if search.is_infeasible:
        raise SelectionError("no DAG satisfies all demands together")
    raise SelectionError(
        f"no DAG found within time_limit={time_limit:g} s (bound so far {search.bound:g}); "
        "allow more time or relax the demands"
    )
