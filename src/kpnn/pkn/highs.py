"""HiGHS on a statement whose rows grow: linear relaxations start from the last basis."""

from __future__ import annotations

import time

import highspy
import numpy as np

from kpnn.errors import SelectionError
from kpnn.pkn.milp import Milp, MilpOutcome
from kpnn.pkn.rows import Rows
from kpnn.pkn.statement import Statement

_LARGE = 15_000
"""Rows and columns of a statement beyond which its relaxation is solved by the interior point method."""


class Relaxation:
    """The linear relaxation of a statement, kept in HiGHS between rounds of cuts.

    Small statements use the simplex method, which goes on from the last basis after new rows; large ones the
    interior point method without crossover, and the bound is recomputed from its row duals so that it holds whatever
    the method's tolerance.
    """

    def __init__(self, statement: Statement, *, threads: int, seed: int) -> None:
        self._statement = statement
        self._rows = Rows()
        self._rows.extend(statement.rows)
        self._is_large = len(statement.rows) + statement.n_columns > _LARGE
        self._highs = highs(threads, seed)
        if self._is_large:
            self._highs.setOptionValue("solver", "ipm")
            self._highs.setOptionValue("run_crossover", "off")
        no_integers = np.zeros(statement.n_columns, dtype=bool)
        _pass_model(self._highs, statement, statement.rows, statement.low, statement.high, no_integers)

    def add(self, rows: Rows) -> None:
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

    def solve(self, time_limit: float) -> MilpOutcome:
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
            return MilpOutcome(None, np.inf, True, False)
        solution = self._highs.getSolution()
        if self._is_large and len(solution.row_dual) == len(self._rows):
            bound, reduced_cost = dual_bound(self._statement, self._rows, np.array(solution.row_dual))
        elif status == highspy.HighsModelStatus.kOptimal:
            bound, reduced_cost = self._highs.getInfo().objective_function_value, np.array(solution.col_dual)
        else:
            return MilpOutcome(None, -np.inf, False, False)
        x = np.array(solution.col_value) if status == highspy.HighsModelStatus.kOptimal else None
        return MilpOutcome(x, bound, False, x is not None, reduced_cost)


def dual_bound(statement: Statement, rows: Rows, duals: np.ndarray) -> tuple[float, np.ndarray]:
    """The bound that any multipliers of the rows prove, and the reduced costs that go with it.

    Args:
        statement: gives objective and bounds of the columns.
        rows: low <= A x <= high.
        duals: one multiplier per row; positive ones price `low`, negative ones `high`.
    """
    low, high = np.array(rows.low), np.array(rows.high)
    duals = np.where((duals > 0) & np.isfinite(low), duals, np.where((duals < 0) & np.isfinite(high), duals, 0.0))
    reduced_cost = statement.cost - rows.matrix(statement.n_columns).T @ duals
    sides = np.where(duals > 0, np.where(np.isfinite(low), low, 0.0), np.where(np.isfinite(high), high, 0.0))
    value = duals @ sides + np.minimum(reduced_cost * statement.low, reduced_cost * statement.high).sum()
    return float(value), reduced_cost


def solve_with_highs(milp: Milp) -> MilpOutcome:
    """Solves a programme to integrality with HiGHS."""
    limits, on_progress = milp.limits, milp.on_progress
    solver = highs(limits.threads, limits.seed)
    solver.setOptionValue("time_limit", max(limits.time_limit, 0.01))
    solver.setOptionValue("mip_abs_gap", milp.absolute_gap)
    solver.setOptionValue("mip_rel_gap", limits.gap)
    _pass_model(solver, milp.statement, milp.rows, milp.low, milp.high, milp.statement.is_integer)
    if milp.start is not None:
        solution = highspy.HighsSolution()
        solution.col_value = milp.start.tolist()
        solver.setSolution(solution)
    if on_progress is not None:
        # The statement's columns alone: a solution here may still be cut off.
        solver.cbMipLogging.subscribe(lambda event: on_progress(event.data_out.mip_dual_bound))
    solver.run()
    status, info = solver.getModelStatus(), solver.getInfo()
    found = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
    x = np.array(solver.getSolution().col_value) if found else None
    infeasible = status in (highspy.HighsModelStatus.kInfeasible, highspy.HighsModelStatus.kUnboundedOrInfeasible)
    optimal = status == highspy.HighsModelStatus.kOptimal
    if status == highspy.HighsModelStatus.kModelError:
        raise SelectionError("HiGHS rejects the statement; please report the PKN that causes this")
    bound = np.inf if infeasible else float(info.mip_dual_bound)
    return MilpOutcome(x, bound, infeasible, optimal)


def highs(threads: int, seed: int) -> highspy.Highs:
    """A silent HiGHS with these settings."""
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("random_seed", seed)
    if threads:
        solver.setOptionValue("threads", threads)
    return solver


def _pass_model(
    solver: highspy.Highs,
    statement: Statement,
    rows: Rows,
    low: np.ndarray,
    high: np.ndarray,
    is_integer: np.ndarray,
) -> None:
    matrix = rows.matrix(statement.n_columns)
    model = highspy.HighsLp()
    model.num_col_ = statement.n_columns
    model.num_row_ = len(rows)
    model.col_cost_ = statement.cost
    model.col_lower_ = low
    model.col_upper_ = high
    model.row_lower_ = np.array(rows.low)
    model.row_upper_ = np.array(rows.high)
    model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    model.a_matrix_.start_ = matrix.indptr.astype(np.int32)
    model.a_matrix_.index_ = matrix.indices.astype(np.int32)
    model.a_matrix_.value_ = matrix.data
    if is_integer.any():
        kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
        model.integrality_ = [kinds[int(flag)] for flag in is_integer]
    solver.passModel(model)
