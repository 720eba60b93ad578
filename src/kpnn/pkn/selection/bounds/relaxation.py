"""The linear relaxation of a formulation whose rows grow, and the bound that it proves."""

from __future__ import annotations

import time

import highspy
import numpy as np

from kpnn.pkn.selection.model.programme import SolverOutcome, Statement
from kpnn.pkn.selection.model.rows import LinearRows
from kpnn.pkn.selection.solvers.highs import highs, pass_model

_LARGE = 15_000
"""Rows and columns of a formulation beyond which its relaxation is solved by the interior point method."""


class Relaxation:
    """The linear relaxation of a formulation, kept in HiGHS between rounds of cuts.

    Small formulations use the simplex method, which goes on from the last basis after new rows; large ones the
    interior point method without crossover, and the bound is recomputed from its row duals so that it holds whatever
    the method's tolerance.
    """

    def __init__(self, formulation: Statement, *, threads: int, seed: int) -> None:
        self._formulation = formulation
        self._rows = LinearRows()
        self._rows.extend(formulation.rows)
        self._is_large = len(formulation.rows) + formulation.n_columns > _LARGE
        self._highs = highs(threads, seed)
        if self._is_large:
            self._highs.setOptionValue("solver", "ipm")
            self._highs.setOptionValue("run_crossover", "off")
        no_integers = np.zeros(formulation.n_columns, dtype=bool)
        pass_model(
            self._highs,
            formulation,
            formulation.rows,
            low=formulation.low,
            high=formulation.high,
            is_integer=no_integers,
        )

    def add(self, rows: LinearRows) -> None:
        """Adds rows."""
        if not len(rows):
            return
        self._rows.extend(rows)
        starts = np.concatenate([[0], np.cumsum([len(columns) for columns in rows.columns])])
        self._highs.addRows(
            len(rows),
            np.array(rows.low),
            np.array(rows.high),
            int(starts[-1]),
            starts[:-1].astype(np.int32),
            np.concatenate(rows.columns).astype(np.int32),
            np.concatenate(rows.values),
        )

    def solve(self, time_limit: float) -> SolverOutcome:
        """Solves the relaxation; without `x` where it was not solved to the end."""
        start = time.monotonic()
        # HiGHS counts the time limit over all runs of one instance.
        self._highs.setOptionValue("time_limit", self._highs.getRunTime() + max(time_limit, 0.01))
        self._highs.run()
        status = self._highs.getModelStatus()
        if self._is_large and status not in (highspy.HighsModelStatus.kOptimal, highspy.HighsModelStatus.kTimeLimit):
            # Without crossover the interior point method may end imprecisely, and then does so in every round.
            self._is_large = False
            self._highs.setOptionValue("solver", "simplex")
            self._highs.clearSolver()
            return self.solve(time_limit - (time.monotonic() - start))
        if status == highspy.HighsModelStatus.kInfeasible:
            return SolverOutcome(None, np.inf, True, False)
        solution = self._highs.getSolution()
        if self._is_large and len(solution.row_dual) == len(self._rows):
            bound, reduced_cost = dual_bound(self._formulation, self._rows, np.array(solution.row_dual))
        elif status == highspy.HighsModelStatus.kOptimal:
            bound, reduced_cost = self._highs.getInfo().objective_function_value, np.array(solution.col_dual)
        else:
            return SolverOutcome(None, -np.inf, False, False)
        x = np.array(solution.col_value) if status == highspy.HighsModelStatus.kOptimal else None
        return SolverOutcome(x, bound, False, x is not None, reduced_cost)


def dual_bound(formulation: Statement, rows: LinearRows, duals: np.ndarray) -> tuple[float, np.ndarray]:
    """The bound that any multipliers of the rows prove, and the reduced costs that go with it.

    Args:
        formulation: gives objective and bounds of the columns.
        rows: low <= A x <= high.
        duals: one multiplier per row; positive ones price `low`, negative ones `high`.
    """
    low, high = np.array(rows.low), np.array(rows.high)
    duals = np.where((duals > 0) & np.isfinite(low), duals, np.where((duals < 0) & np.isfinite(high), duals, 0.0))
    reduced_cost = formulation.cost - rows.matrix(formulation.n_columns).T @ duals
    sides = np.where(duals > 0, np.where(np.isfinite(low), low, 0.0), np.where(np.isfinite(high), high, 0.0))
    value = duals @ sides + np.minimum(reduced_cost * formulation.low, reduced_cost * formulation.high).sum()
    return float(value), reduced_cost
