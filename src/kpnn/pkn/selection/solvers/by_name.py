"""Solvers by name: HiGHS directly, which keeps its basis between rounds of cuts; SCIP and Gurobi through cvxpy."""

from __future__ import annotations

from functools import partial
from importlib.metadata import version
from importlib.util import find_spec

from kpnn.errors import SelectionError
from kpnn.pkn.selection.model.programme import Solver
from kpnn.pkn.selection.settings import SOLVERS
from kpnn.pkn.selection.solvers.highs import solve_with_highs
from kpnn.pkn.selection.solvers.through_cvxpy import solve_with_cvxpy

_PACKAGES = {"SCIP": ("pyscipopt", "PySCIPOpt"), "GUROBI": ("gurobipy", "gurobipy")}


def find_solver(name: str) -> tuple[Solver, str]:
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
    return partial(solve_with_cvxpy, name), f"{name} ({package} {version(package)}, cvxpy {version('cvxpy')})"


def lets_others_run(solver: Solver) -> bool:
    """Whether other threads run while a solver is at work; cvxpy's keep Python's lock, and share one stdout."""
    return solver is solve_with_highs
