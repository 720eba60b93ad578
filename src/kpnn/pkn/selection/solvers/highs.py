"""HiGHS, called directly."""

from __future__ import annotations

import highspy
import numpy as np

from kpnn.errors import SelectionError
from kpnn.pkn.selection.model.programme import Programme, SolverOutcome, SolverRequest
from kpnn.pkn.selection.model.rows import LinearRows


def solve_with_highs(request: SolverRequest) -> SolverOutcome:
    """Solves a programme to integrality with HiGHS."""
    limits, on_progress = request.limits, request.on_progress
    solver = highs(limits.threads, limits.seed)
    solver.setOptionValue("time_limit", max(limits.time_limit, 0.01))
    solver.setOptionValue("mip_abs_gap", request.absolute_gap)
    solver.setOptionValue("mip_rel_gap", limits.gap)
    pass_model(
        solver,
        request.programme,
        request.rows,
        low=request.low,
        high=request.high,
        is_integer=request.programme.is_integer,
    )
    if request.start is not None:
        solution = highspy.HighsSolution()
        solution.col_value = request.start.tolist()
        solver.setSolution(solution)
    if on_progress is not None:
        # The programme's columns alone: a solution here may still be cut off.
        solver.cbMipLogging.subscribe(lambda event: on_progress(event.data_out.mip_dual_bound))
    run(solver)
    status, info = solver.getModelStatus(), solver.getInfo()
    found = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
    x = np.array(solver.getSolution().col_value) if found else None
    infeasible = status in (highspy.HighsModelStatus.kInfeasible, highspy.HighsModelStatus.kUnboundedOrInfeasible)
    optimal = status == highspy.HighsModelStatus.kOptimal
    if status == highspy.HighsModelStatus.kModelError:
        raise SelectionError("HiGHS rejects the formulation; please report the PKN that causes this")
    bound = np.inf if infeasible else float(info.mip_dual_bound)
    return SolverOutcome(x, bound, infeasible, optimal)


def highs(threads: int, seed: int) -> highspy.Highs:
    """A silent HiGHS with these settings."""
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("random_seed", seed)
    if threads:
        solver.setOptionValue("threads", threads)
    return solver


def run(solver: highspy.Highs) -> None:
    """Runs a HiGHS, whatever number of threads one before it had.

    Args:
        solver: with its programme and options.

    Raises:
        SelectionError: it does not begin.
    """
    if solver.run() != highspy.HighsStatus.kError or solver.getModelStatus() != highspy.HighsModelStatus.kNotset:
        return
    # HiGHS keeps its threads from one run of the calling thread to the next, and refuses to begin with another number.
    solver.resetGlobalScheduler(True)
    if solver.run() == highspy.HighsStatus.kError:
        raise SelectionError("HiGHS does not begin with these settings; please report the PKN that causes this")


def pass_model(
    solver: highspy.Highs,
    programme: Programme,
    rows: LinearRows,
    *,
    low: np.ndarray,
    high: np.ndarray,
    is_integer: np.ndarray,
) -> None:
    """Hands a programme to HiGHS.

    Args:
        solver: a HiGHS.
        programme: gives the objective.
        rows: all rows.
        low: lower bounds of the columns, shape (n_columns,).
        high: upper bounds of the columns, shape (n_columns,).
        is_integer: which columns are whole numbers, shape (n_columns,), bool.
    """
    matrix = rows.matrix(programme.n_columns)
    model = highspy.HighsLp()
    model.num_col_ = programme.n_columns
    model.num_row_ = len(rows)
    model.col_cost_ = programme.cost
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
