"""SCIP and Gurobi, through cvxpy."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from kpnn.errors import SelectionError
from kpnn.pkn.selection.model.programme import Programme, SolverOutcome, SolverRequest
from kpnn.pkn.selection.model.rows import LinearRows
from kpnn.pkn.selection.progress import log_lines
from kpnn.pkn.selection.settings import SolveLimits

FREE_GUROBI = 2_000
"""Variables, and constraints, that Gurobi's free licence takes."""


def solve_with_cvxpy(name: str, request: SolverRequest) -> SolverOutcome:
    """As `highs.solve_with_highs`, for a solver that cvxpy knows; progress is the solver's own."""
    import cvxpy as cp

    programme, limits = request.programme, request.limits
    small = shrink(programme, request.rows, request.low, request.high)
    free, matrix, row_low, row_high = small.free, small.matrix, small.row_low, small.row_high
    if small.is_infeasible or not len(free):
        return small.outcome(np.empty(0), 0.0, is_optimal=True)
    integer = np.flatnonzero(programme.is_integer[free])
    x = cp.Variable(
        len(free), integer=(integer,) if len(integer) else False, bounds=[request.low[free], request.high[free]]
    )
    if request.start is not None:
        x.value = request.start[free]
    below, above = np.isfinite(row_high), np.isfinite(row_low)
    constraints = []
    if above.any():
        constraints.append(matrix[above] @ x >= row_low[above])
    if below.any():
        constraints.append(matrix[below] @ x <= row_high[below])
    problem = cp.Problem(cp.Minimize(programme.cost[free] @ x), constraints)
    options = solver_options(name, replace(limits, time_limit=max(limits.time_limit, 0.1)), request.absolute_gap)
    try:
        with log_lines(f"{name}: "), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # cvxpy's on reaching the time limit; the gap says it
            problem.solve(solver=name, warm_start=request.start is not None, verbose=name == "SCIP", **options)
    except cp.error.SolverError as error:
        _explain_licence(name, len(free), len(row_low), error)
        return SolverOutcome(None, -np.inf, False, False)
    if problem.status in ("infeasible", "infeasible_or_unbounded"):
        return SolverOutcome(None, np.inf, True, False)
    if x.value is None or problem.status == "infeasible_inaccurate":
        return SolverOutcome(None, -np.inf, False, False)
    return small.outcome(np.array(x.value), bound_of(name, problem), is_optimal=problem.status == "optimal")


@dataclass(frozen=True, eq=False)
class Shrunk:
    """A programme without the columns that are fixed and the rows that hold whatever the others are.

    Attributes:
        fixed: values of all columns; those of free ones do not count.
        free: columns that are not fixed.
        cost_of_fixed: what the fixed columns cost.
        matrix: the remaining rows, shape (n_rows, n_free), with their `row_low` and `row_high`.
        is_infeasible: a row cannot be satisfied.
    """

    fixed: np.ndarray
    free: np.ndarray
    cost_of_fixed: float
    matrix: csr_array
    row_low: np.ndarray
    row_high: np.ndarray
    is_infeasible: bool

    def outcome(self, values: np.ndarray, bound: float, *, is_optimal: bool) -> SolverOutcome:
        """The outcome for all columns."""
        if self.is_infeasible:
            return SolverOutcome(None, np.inf, True, False)
        x = self.fixed.copy()
        x[self.free] = values
        return SolverOutcome(x, bound + self.cost_of_fixed, False, is_optimal)


def shrink(programme: Programme, rows: LinearRows, low: np.ndarray, high: np.ndarray) -> Shrunk:
    """Leaves out fixed columns and redundant rows, so that small licences go further."""
    matrix = rows.matrix(programme.n_columns)
    row_low, row_high = np.array(rows.low), np.array(rows.high)
    positive, negative = matrix.maximum(0), matrix.minimum(0)
    least = positive @ low + negative @ high
    most = positive @ high + negative @ low
    needed = (least < row_low - 1e-9) | (most > row_high + 1e-9)
    impossible = (most < row_low - 1e-6) | (least > row_high + 1e-6)
    free = np.flatnonzero(high > low)
    is_fixed = high <= low
    shift = matrix[:, np.flatnonzero(is_fixed)] @ low[is_fixed]
    return Shrunk(
        fixed=np.where(is_fixed, low, 0.0),
        free=free,
        cost_of_fixed=float(programme.cost[is_fixed] @ low[is_fixed]),
        matrix=csr_array(matrix[:, free])[np.flatnonzero(needed)],
        row_low=(row_low - shift)[needed],
        row_high=(row_high - shift)[needed],
        is_infeasible=bool(impossible.any()),
    )


def _explain_licence(name: str, columns: int, n_rows: int, error: Exception) -> None:
    """Says what to do where the programme is too large for Gurobi's free licence."""
    if name == "GUROBI" and max(columns, n_rows) > FREE_GUROBI:
        raise SelectionError(
            f"Gurobi rejects a formulation of {columns:,} variables and {n_rows:,} constraints; its free licence takes "
            f"{FREE_GUROBI:,} of each. Choose solver HIGHS or SCIP, or install a full licence ({error})"
        ) from error


def bound_of(name: str, problem: Any) -> float:
    """The bound that a solver left behind in a solved cvxpy problem; minus infinity where it left none."""
    statistics = problem.solver_stats.extra_stats if problem.solver_stats is not None else None
    if statistics is None:
        return -np.inf
    if name == "SCIP":
        return float(statistics["model"].getDualbound())
    return float(statistics.mip_dual_bound if name == "HIGHS" else statistics.ObjBound)


def solver_options(name: str, limits: SolveLimits, absolute_gap: float) -> dict[str, Any]:
    """What cvxpy passes on to a solver."""
    if name == "SCIP":
        parameters: dict[str, Any] = {
            "limits/time": limits.time_limit,
            "limits/absgap": absolute_gap,
            "limits/gap": limits.gap,
            "randomization/randomseedshift": limits.seed,
        }
        return {"scip_params": parameters | ({"lp/threads": limits.threads} if limits.threads else {})}
    if name == "GUROBI":
        import gurobipy

        return {
            "env": gurobipy.Env(params={"OutputFlag": 0}),
            "TimeLimit": limits.time_limit,
            "MIPGapAbs": absolute_gap,
            "MIPGap": limits.gap,
            "Threads": limits.threads,
            "Seed": limits.seed,
        }
    return {
        "time_limit": limits.time_limit,
        "mip_abs_gap": absolute_gap,
        "mip_rel_gap": limits.gap,
        "threads": limits.threads,
        "random_seed": limits.seed,
    }
