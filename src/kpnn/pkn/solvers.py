"""Solvers by name: HiGHS directly, which keeps its basis between rounds of cuts; SCIP and Gurobi through cvxpy."""

from __future__ import annotations

from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import numpy as np

from kpnn.errors import SelectionError
from kpnn.pkn.compact import Milp
from kpnn.pkn.highs import MilpOutcome, solve_with_highs
from kpnn.pkn.statement import Rows, Statement

SOLVERS = ("HIGHS", "SCIP", "GUROBI")
FREE_GUROBI = 2_000
"""Variables, and constraints, that Gurobi's free licence takes."""

_PACKAGES = {"SCIP": ("pyscipopt", "PySCIPOpt"), "GUROBI": ("gurobipy", "gurobipy")}


def find_solver(name: str) -> tuple[Milp, str]:
    """The solver of this name, and its name with version.

    Raises:
        SelectionError: there is no such solver, or it is not installed.
    """
    if name not in SOLVERS:
        raise SelectionError(f"solver must be one of {', '.join(SOLVERS)}, found {name!r}")
    if name == "HIGHS":
        return solve_with_highs, f"HIGHS (highspy {version('highspy')})"
    module, package = _PACKAGES[name]
    if find_spec(module) is None:
        raise SelectionError(f"solver {name} is not installed: `pip install {package}`, or choose HIGHS")
    return partial(_solve_with_cvxpy, name), f"{name} ({package} {version(package)}, cvxpy {version('cvxpy')})"


def _solve_with_cvxpy(
    name: str,
    statement: Statement,
    rows: Rows,
    *,
    low: np.ndarray,
    high: np.ndarray,
    start: np.ndarray | None,
    time_limit: float,
    absolute_gap: float,
    relative_gap: float,
    threads: int,
    seed: int,
) -> MilpOutcome:
    """As `highs.solve_with_highs`, for a solver that cvxpy knows."""
    import cvxpy as cp

    integer = np.flatnonzero(statement.is_integer)
    x = cp.Variable(statement.n_columns, integer=(integer,) if len(integer) else False, bounds=[low, high])
    if start is not None:
        x.value = start
    matrix = rows.matrix(statement.n_columns)
    row_low, row_high = np.array(rows.low), np.array(rows.high)
    below, above = np.isfinite(row_high), np.isfinite(row_low)
    constraints = []
    if above.any():
        constraints.append(matrix[above] @ x >= row_low[above])
    if below.any():
        constraints.append(matrix[below] @ x <= row_high[below])
    problem = cp.Problem(cp.Minimize(statement.cost @ x), constraints)
    options = solver_options(name, max(time_limit, 0.1), absolute_gap, relative_gap, threads, seed)
    try:
        problem.solve(solver=name, warm_start=start is not None, **options)
    except cp.error.SolverError as error:
        _explain(name, statement, rows, error)
        return MilpOutcome(None, -np.inf, False, False)
    if problem.status in ("infeasible", "infeasible_or_unbounded"):
        return MilpOutcome(None, np.inf, True, False)
    if x.value is None or problem.status == "infeasible_inaccurate":
        return MilpOutcome(None, -np.inf, False, False)
    return MilpOutcome(np.array(x.value), bound_of(name, problem), False, problem.status == "optimal")


def _explain(name: str, statement: Statement, rows: Rows, error: Exception) -> None:
    """Says what to do where the reason is known."""
    columns, n_rows = statement.n_columns, len(rows)
    if name == "GUROBI" and max(columns, n_rows) > FREE_GUROBI:
        raise SelectionError(
            f"Gurobi rejects a statement of {columns:,} variables and {n_rows:,} constraints; its free licence takes "
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


def solver_options(
    name: str, time_limit: float, absolute_gap: float, relative_gap: float, threads: int, seed: int
) -> dict[str, Any]:
    """What cvxpy passes on to a solver."""
    if name == "SCIP":
        parameters: dict[str, Any] = {
            "limits/time": time_limit,
            "limits/absgap": absolute_gap,
            "limits/gap": relative_gap,
            "randomization/randomseedshift": seed,
        }
        return {"scip_params": parameters | ({"lp/threads": threads} if threads else {})}
    if name == "GUROBI":
        import gurobipy

        return {
            "env": gurobipy.Env(params={"OutputFlag": 0}),
            "TimeLimit": time_limit,
            "MIPGapAbs": absolute_gap,
            "MIPGap": relative_gap,
            "Threads": threads,
            "Seed": seed,
        }
    return {
        "time_limit": time_limit,
        "mip_abs_gap": absolute_gap,
        "mip_rel_gap": relative_gap,
        "threads": threads,
        "random_seed": seed,
    }
