"""The linear relaxation of a programme whose rows grow, and the bound that it proves."""

from __future__ import annotations

import time

import highspy
import numpy as np

from kpnn.pkn.selection.model.programme import Programme, SolverOutcome
from kpnn.pkn.selection.model.rows import LinearRows
from kpnn.pkn.selection.solvers.highs import highs, pass_model, run

_LARGE = 15_000
"""Rows and columns of a programme beyond which its relaxation is solved by the interior point method."""
_HUGE, _FEW_ITERATIONS = 500_000, 10
"""Entries of a programme beyond which the interior point method makes so many iterations only."""
_SOLVED = (highspy.HighsModelStatus.kOptimal, highspy.HighsModelStatus.kIterationLimit)


class Relaxation:
    """The linear relaxation of a programme, kept in HiGHS between rounds of cuts.

    Small programmes use the simplex method, which goes on from the last basis after new rows; large ones the
    interior point method without crossover, and the bound is recomputed from its row duals so that it holds whatever
    the method's tolerance.
    """

    def __init__(self, programme: Programme, *, threads: int, seed: int) -> None:
        self._programme = programme
        self._rows = LinearRows.joined(programme.rows)
        self._is_large = len(programme.rows) + programme.n_columns > _LARGE
        self._highs = highs(threads, seed)
        if self._is_large:
            self._highs.setOptionValue("solver", "ipm")
            self._highs.setOptionValue("run_crossover", "off")
            if sum(map(len, programme.rows.columns)) > _HUGE:
                # After some more HiGHS makes a basis to go on from, for minutes in which it does not look at the time.
                self._highs.setOptionValue("ipm_iteration_limit", _FEW_ITERATIONS)
        no_integers = np.zeros(programme.n_columns, dtype=bool)
        pass_model(
            self._highs,
            programme,
            programme.rows,
            low=programme.low,
            high=programme.high,
            is_integer=no_integers,
        )

    def add(self, rows: LinearRows) -> None:
        """Adds rows."""
        if not len(rows):
            return
        self._rows.extend(rows)
        matrix = rows.matrix(self._programme.n_columns)
        self._highs.addRows(
            len(rows),
            np.array(rows.low),
            np.array(rows.high),
            matrix.nnz,
            matrix.indptr[:-1].astype(np.int32),
            matrix.indices.astype(np.int32),
            matrix.data,
        )

    def solve(self, time_limit: float) -> SolverOutcome:
        """Solves the relaxation; without `x` where it was not solved to the end."""
        start = time.monotonic()
        # HiGHS counts the time limit over all runs of one instance.
        self._highs.setOptionValue("time_limit", self._highs.getRunTime() + max(time_limit, 0.01))
        run(self._highs)
        status = self._highs.getModelStatus()
        if self._is_large and status not in (*_SOLVED, highspy.HighsModelStatus.kTimeLimit):
            # Without crossover the interior point method may end imprecisely, and then does so in every round.
            self._is_large = False
            self._highs.setOptionValue("solver", "simplex")
            self._highs.clearSolver()
            return self.solve(time_limit - (time.monotonic() - start))
        if status == highspy.HighsModelStatus.kInfeasible:
            return SolverOutcome(None, np.inf, True, False)
        solution = self._highs.getSolution()
        if self._is_large and len(solution.row_dual) == len(self._rows):
            bound, reduced_cost = dual_bound(self._programme, self._rows, np.array(solution.row_dual))
        elif status == highspy.HighsModelStatus.kOptimal:
            bound, reduced_cost = self._highs.getInfo().objective_function_value, np.array(solution.col_dual)
        else:
            return SolverOutcome(None, -np.inf, False, False)
        x = np.array(solution.col_value) if status in _SOLVED else None
        return SolverOutcome(x, bound, False, x is not None, reduced_cost)


def dual_bound(programme: Programme, rows: LinearRows, duals: np.ndarray) -> tuple[float, np.ndarray]:
    """The bound that any multipliers of the rows prove, and the reduced costs that go with it.

    Args:
        programme: gives objective and bounds of the columns.
        rows: low <= A x <= high.
        duals: one multiplier per row; positive ones price `low`, negative ones `high`.
    """
    low, high = np.array(rows.low), np.array(rows.high)
    duals = np.where((duals > 0) & np.isfinite(low), duals, np.where((duals < 0) & np.isfinite(high), duals, 0.0))
    reduced_cost = programme.cost - rows.matrix(programme.n_columns).T @ duals
    sides = np.where(duals > 0, np.where(np.isfinite(low), low, 0.0), np.where(np.isfinite(high), high, 0.0))
    value = duals @ sides + np.minimum(reduced_cost * programme.low, reduced_cost * programme.high).sum()
    return float(value), reduced_cost
