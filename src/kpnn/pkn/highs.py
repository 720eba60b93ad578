"""HiGHS on a statement whose rows grow: linear relaxations start from the last basis."""

from __future__ import annotations

from dataclasses import dataclass

import highspy
import numpy as np

from kpnn.errors import SelectionError
from kpnn.pkn.statement import Rows, Statement


@dataclass(frozen=True)
class MilpOutcome:
    """What a solver found.

    Attributes:
        x: values of the columns of the best solution, or None.
        reduced_cost: of each column, for a relaxation solved to the end, else None.
        bound: no solution of the rows costs less than this (without the statement's constant).
        is_infeasible: the rows are proven to have no solution.
        is_optimal: x is proven optimal for the rows, within the gap asked for.
    """

    x: np.ndarray | None
    bound: float
    is_infeasible: bool
    is_optimal: bool
    reduced_cost: np.ndarray | None = None


class Relaxation:
    """The linear relaxation of a statement, kept in HiGHS between rounds of cuts."""

    def __init__(self, statement: Statement, *, threads: int, seed: int) -> None:
        self._highs = highs(threads, seed)
        self._n = statement.n_columns
        _pass_model(self._highs, statement, statement.rows, statement.high, np.zeros(self._n, dtype=bool))

    def add(self, rows: Rows) -> None:
        """Adds rows."""
        if not len(rows):
            return
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
        """Solves the relaxation; its value is a bound only where it is solved to the end."""
        # HiGHS counts the time limit over all runs of one instance.
        self._highs.setOptionValue("time_limit", self._highs.getRunTime() + max(time_limit, 0.01))
        self._highs.run()
        status = self._highs.getModelStatus()
        if status == highspy.HighsModelStatus.kInfeasible:
            return MilpOutcome(None, np.inf, True, False)
        if status != highspy.HighsModelStatus.kOptimal:
            return MilpOutcome(None, -np.inf, False, False)
        value = self._highs.getInfo().objective_function_value
        solution = self._highs.getSolution()
        return MilpOutcome(np.array(solution.col_value), value, False, True, np.array(solution.col_dual))


def solve_with_highs(
    statement: Statement,
    rows: Rows,
    *,
    high: np.ndarray,
    start: np.ndarray | None,
    time_limit: float,
    absolute_gap: float,
    relative_gap: float,
    threads: int,
    seed: int,
) -> MilpOutcome:
    """Solves the statement with these rows to integrality.

    Args:
        statement: gives objective, bounds and integrality.
        rows: all rows, cuts among them.
        high: upper bounds of the columns, at most the statement's.
        start: values of the columns of a feasible solution, or None.
        time_limit: seconds.
        absolute_gap: stop where best and bound are this close.
        relative_gap: stop where they are this close as a share of the best.
        threads: most threads.
        seed: random seed of the solver.
    """
    solver = highs(threads, seed)
    solver.setOptionValue("time_limit", max(time_limit, 0.01))
    solver.setOptionValue("mip_abs_gap", absolute_gap)
    solver.setOptionValue("mip_rel_gap", relative_gap)
    _pass_model(solver, statement, rows, high, statement.is_integer)
    if start is not None:
        solution = highspy.HighsSolution()
        solution.col_value = start.tolist()
        solver.setSolution(solution)
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
    solver: highspy.Highs, statement: Statement, rows: Rows, high: np.ndarray, is_integer: np.ndarray
) -> None:
    matrix = rows.matrix(statement.n_columns)
    model = highspy.HighsLp()
    model.num_col_ = statement.n_columns
    model.num_row_ = len(rows)
    model.col_cost_ = statement.cost
    model.col_lower_ = statement.low
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
