"""What a search works on, which never changes, and how far it has come, which every phase changes."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from threading import Event

import numpy as np

from kpnn.errors import SelectionError
from kpnn.pkn.selection.bounds.cuts import Separator
from kpnn.pkn.selection.model.formulation import Formulation
from kpnn.pkn.selection.model.programme import Solver, SolverOutcome
from kpnn.pkn.selection.model.rows import LinearRows
from kpnn.pkn.selection.search.heuristic import NodeHeuristic
from kpnn.pkn.selection.search.hub_heuristic import HubHeuristic
from kpnn.pkn.selection.settings import SolveLimits
from kpnn.stopping import asked_to_stop


@dataclass(frozen=True, eq=False)
class SearchProblem:
    """What is solved, by what, and until when.

    Attributes:
        formulation: what is solved.
        solver: solves programmes to integrality.
        limits: when to stop.
        started: `time.monotonic()` when the time limit began to run.
        separators: find violated cuts, one for each flow network.
        heuristic: builds solutions; node form only, and only where any output will do for an input.
        hub_heuristic: the same for a formulation with a hub.
        asked: set where the search is to stop.
    """

    formulation: Formulation
    solver: Solver
    limits: SolveLimits
    started: float
    separators: tuple[Separator, ...]
    heuristic: NodeHeuristic | None
    hub_heuristic: HubHeuristic | None
    asked: Event = field(default_factory=asked_to_stop)

    @classmethod
    def of(cls, formulation: Formulation, solver: Solver, limits: SolveLimits, started: float) -> SearchProblem:
        """Prepares what the phases share."""
        separators = tuple(Separator(network) for network in formulation.networks)
        can_build = not formulation.has_edge_form and not formulation.reduced.reach
        heuristic = NodeHeuristic(formulation) if can_build else None
        hub_heuristic = None if formulation.hub is None else HubHeuristic(formulation)
        return cls(formulation, solver, limits, started, separators, heuristic, hub_heuristic)

    @property
    def seconds_left(self) -> float:
        """Until the time limit; none where the search is asked to stop."""
        return 0.0 if self.asked.is_set() else self.limits.time_limit - (time.monotonic() - self.started)


@dataclass
class SearchState:
    """How far a search has come.

    Attributes:
        formulation: what is solved.
        rows: the formulation's rows and all cuts.
        high: upper bounds of the columns; 0 where no solution better than the best can keep the column.
        rng: decides all that is random.
        guide: how likely each node is to be kept, shape (n_nodes,), from the last fractional or integer solution.
        best: values of the columns of the best feasible solution, or None.
        objective: its cost, the constant included; without one, what a solution must cost less than.
        bound: no DAG costs less than this.
        rounds: rounds of cuts.
        relaxed: the last relaxation that was solved to the end.
        is_infeasible: no DAG exists.
        phase: what is going on.
        seconds: by phase.
    """

    formulation: Formulation
    rows: LinearRows
    high: np.ndarray
    rng: np.random.Generator
    guide: np.ndarray
    best: np.ndarray | None = None
    objective: float = np.inf
    bound: float = -np.inf
    rounds: int = 0
    relaxed: SolverOutcome | None = None
    is_infeasible: bool = False
    phase: str = "start"
    seconds: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, formulation: Formulation, seed: int) -> SearchState:
        """The state before the first phase."""
        rows = LinearRows.joined(formulation.rows)
        guide = np.zeros(len(formulation.reduced.pkn.nodes))
        state = cls(formulation, rows, formulation.high, np.random.default_rng(seed), guide)
        if formulation.n_columns:
            state.raise_bound(formulation.least_cost)
        return state

    def take_if_cheaper(self, x: np.ndarray) -> bool:
        """Makes a feasible solution the best if it is cheaper than the best so far; says whether it was."""
        value = self.cost_of(x)
        if not value < self.objective - 1e-9:
            return False
        self.best, self.objective = np.where(self.formulation.is_integer, np.round(x), x), value
        return True

    def cost_of(self, x: np.ndarray) -> float:
        """Cost of a solution, the constant included."""
        return float(self.formulation.cost @ x) + self.formulation.constant

    def raise_bound(self, value: float) -> None:
        """Takes a bound of the formulation's columns if it is better; rounds it up where costs are whole numbers."""
        value += self.formulation.constant
        if self.formulation.has_whole_costs and np.isfinite(value):
            value = math.ceil(value - 1e-6)
        self.bound = float(max(self.bound, min(value, self.objective)))

    def fix_columns(self) -> None:
        """Sets columns to 0 that cannot be in any solution better than the best (reduced-cost fixing)."""
        formulation, relaxed = self.formulation, self.relaxed
        if not np.isfinite(self.objective) or relaxed is None or relaxed.reduced_cost is None:
            return
        # Keeping a column costs at least its reduced cost more than the relaxation; only this much is left.
        slack = self.objective - (relaxed.bound + formulation.constant) - self.least_gain
        hopeless = formulation.is_integer & (relaxed.reduced_cost > slack + 1e-6) & (formulation.low < 0.5)
        self.high = np.where(hopeless, 0.0, self.high)

    @property
    def least_gain(self) -> float:
        """The least by which one solution can be cheaper than another."""
        return 1.0 if self.formulation.has_whole_costs else 0.0

    @property
    def absolute_gap(self) -> float:
        """Where best and bound are this close, no solution between them can be cheaper."""
        return max(1e-6, self.least_gain - 1e-3)

    @property
    def gap(self) -> float:
        """(objective - bound) / objective."""
        if not np.isfinite(self.objective):
            return np.inf
        return max(0.0, (self.objective - self.bound) / max(self.objective, 1e-12))

    def is_done(self, problem: SearchProblem) -> bool:
        """Nothing is left to do, or no time to do it."""
        return self.is_infeasible or problem.seconds_left <= 0 or self.gap <= max(problem.limits.gap, 1e-9)

    def describe(self, problem: SearchProblem) -> str:
        """One line on the state of the search."""
        wanted = f" below {self.objective:g}" if np.isfinite(self.objective) else ""
        best = f"no DAG{wanted} yet" if self.best is None else f"best {self.objective:g}, gap {self.gap:.2%}"
        return (
            f"{time.monotonic() - problem.started:.0f} s, {self.phase}, {best}, bound {self.bound:g}, "
            f"{self.rounds} rounds of cuts"
        )

    def require_best(self, time_limit: float) -> np.ndarray:
        """The best solution.

        Raises:
            SelectionError: there is none.
        """
        if self.best is not None:
            return self.best
        advice = ""
        if self.formulation.reduced.reach:
            advice = "; reach=every may ask for paths that together close a cycle, reach=any asks for less"
        if self.is_infeasible:
            raise SelectionError(f"no DAG satisfies all demands together{advice}")
        raise SelectionError(
            f"no DAG found within time_limit={time_limit:g} s (bound so far {self.bound:g}); "
            f"allow more time or relax the demands{advice}"
        )
