"""Exact answers about the solutions that cost at most a given amount."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from kpnn.pkn.selection.bounds.cuts import Separator, cycle_cuts, violated_cuts
from kpnn.pkn.selection.model.programme import Solver, SolverRequest
from kpnn.pkn.selection.model.rows import NO_COLUMN, LinearRows
from kpnn.pkn.selection.search.state import SearchState
from kpnn.pkn.selection.settings import SolveLimits


@dataclass(frozen=True)
class CheapestSolution:
    """The cheapest of the solutions within a cost by another objective.

    Attributes:
        x: values of the columns, or None.
        is_proven: x is best, or without x: there is none. False: time ran out.
    """

    x: np.ndarray | None
    is_proven: bool


class SolutionsWithinCost:
    """The solutions of a solved formulation that cost at most a given amount."""

    def __init__(self, search: SearchState, solver: Solver, limits: SolveLimits, most_cost: float) -> None:
        """Prepares questions about the formulation of a finished search.

        Args:
            search: solved to optimality.
            solver: the solver.
            limits: the time limit counts from now, for all questions together.
            most_cost: most cost of a solution, the formulation's constant included.
        """
        formulation = search.formulation
        self._search, self._solver, self._limits = search, solver, limits
        self._deadline = time.monotonic() + limits.time_limit
        self._separators = [Separator(network) for network in formulation.networks]
        slack = 0.1 if formulation.has_whole_costs else 1e-6 * max(1.0, abs(most_cost))
        self.n_columns = formulation.n_columns
        self._rows = LinearRows()
        priced = np.flatnonzero(formulation.cost)
        if len(priced) and np.isfinite(most_cost):
            self._rows.add(priced, formulation.cost[priced], -np.inf, most_cost - formulation.constant + slack)
        self._low, self._high = self._tightened_bounds(most_cost)
        self.node_columns = formulation.node_column[formulation.node_column != NO_COLUMN]
        self.node_codes = np.flatnonzero(formulation.node_column != NO_COLUMN)

    @property
    def seconds_left(self) -> float:
        """Until the time limit."""
        return self._deadline - time.monotonic()

    def forbid_node_set(self, x: np.ndarray) -> None:
        """From now on, leaves out the solutions that keep exactly these nodes."""
        self._rows.extend(self.other_node_set(x))

    def cheapest(
        self, cost: np.ndarray, extra: LinearRows | None = None, start: np.ndarray | None = None
    ) -> CheapestSolution:
        """The solution within the cost that is cheapest by another objective.

        Args:
            cost: the objective, shape (n_columns,), whole numbers.
            extra: further rows for this question alone.
            start: a feasible solution, where one is known.
        """
        formulation = replace(self._search.formulation, cost=np.asarray(cost, dtype=float))
        while self.seconds_left > 0:
            rows = LinearRows.joined(self._search.rows, self._rows, extra or LinearRows())
            if not self.n_columns:
                return CheapestSolution(None if any(low > 0 for low in rows.low) else np.empty(0), True)
            limits = replace(self._limits, time_limit=self.seconds_left, gap=0.0)
            # The objective takes whole numbers only: within half a unit of the bound the best is found.
            request = SolverRequest(formulation, rows, self._low, self._high, limits, absolute_gap=0.5, start=start)
            outcome = self._solver(request)
            if outcome.is_infeasible:
                return CheapestSolution(None, True)
            if outcome.x is None:
                return CheapestSolution(None, False)
            x = np.where(formulation.is_integer, np.round(outcome.x), outcome.x)
            cuts = violated_cuts(self._separators, x)
            cuts.extend(cycle_cuts(formulation, x))
            if not len(cuts):
                return CheapestSolution(x, outcome.is_optimal)
            self._search.rows.extend(cuts)
        return CheapestSolution(None, False)

    def _tightened_bounds(self, most_cost: float) -> tuple[np.ndarray, np.ndarray]:
        """Bounds of the columns, after what the relaxation's reduced costs exclude for this cost."""
        formulation, relaxed = self._search.formulation, self._search.relaxed
        if relaxed is None or relaxed.reduced_cost is None or not np.isfinite(most_cost):
            return formulation.low, formulation.high
        slack = most_cost - (relaxed.bound + formulation.constant) + 1e-6
        out = formulation.is_integer & (relaxed.reduced_cost > slack) & (formulation.low < 0.5)
        always = formulation.is_integer & (-relaxed.reduced_cost > slack) & (formulation.high == 1.0)
        return np.where(always, 1.0, formulation.low), np.where(out, 0.0, formulation.high)

    def other_node_set(self, x: np.ndarray) -> LinearRows:
        """One row, which every other node set satisfies and this one does not."""
        rows = LinearRows()
        kept = x[self.node_columns] > 0.5
        rows.add(self.node_columns, np.where(kept, -1.0, 1.0), 1.0 - float(kept.sum()))
        return rows
