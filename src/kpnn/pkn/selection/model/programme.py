"""What every solver is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kpnn.pkn.selection.model.rows import LinearRows
from kpnn.pkn.selection.settings import SolveLimits


@dataclass(frozen=True, eq=False)
class Programme:
    """A mixed-integer linear programme; a subclass says what its columns stand for.

    Attributes:
        cost: of each column, shape (n_columns,); their sum is to be least.
        low, high: bounds of the columns, shape (n_columns,).
        is_integer: which columns are whole numbers, shape (n_columns,), bool.
        rows: the rows, without cuts.
    """

    cost: np.ndarray
    low: np.ndarray
    high: np.ndarray
    is_integer: np.ndarray
    rows: LinearRows

    @property
    def n_columns(self) -> int:
        """Number of variables."""
        return len(self.cost)


@dataclass(frozen=True, eq=False)
class SolverRequest:
    """A programme to solve, with more rows and tighter bounds.

    Attributes:
        programme: gives objective and integrality.
        rows: all rows, cuts among them.
        low: lower bounds of the columns, at least the programme's, shape (n_columns,).
        high: upper bounds of the columns, at most the programme's, shape (n_columns,).
        limits: when to stop.
        absolute_gap: stop where best and bound are this close.
        start: values of the columns of a feasible solution, or None.
        on_progress: is told the bound (without a formulation's constant) as it rises, by solvers that can.
    """

    programme: Programme
    rows: LinearRows
    low: np.ndarray
    high: np.ndarray
    limits: SolveLimits
    absolute_gap: float
    start: np.ndarray | None = None
    on_progress: Callable[[float], None] | None = None


@dataclass(frozen=True, eq=False)
class SolverOutcome:
    """What a solver found.

    Attributes:
        x: values of the columns of the best solution, or None.
        bound: no solution of the rows costs less than this (without a formulation's constant).
        is_infeasible: the rows are proven to have no solution.
        is_optimal: x is proven optimal for the rows, within the gap asked for.
        reduced_cost: of each column, for a relaxation solved to the end, else None.
    """

    x: np.ndarray | None
    bound: float
    is_infeasible: bool
    is_optimal: bool
    reduced_cost: np.ndarray | None = None


Solver = Callable[[SolverRequest], SolverOutcome]
"""Solves a programme to integrality."""
