"""Solving the compact statement: cuts on the relaxation first, then on integer solutions, until nothing is violated."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass, field, replace

import numpy as np

from kpnn.errors import SelectionError
from kpnn.pkn.heuristic import NodeHeuristic
from kpnn.pkn.highs import Relaxation
from kpnn.pkn.milp import Milp, MilpOutcome, Solver
from kpnn.pkn.progress import progress
from kpnn.pkn.rows import FREE, Rows
from kpnn.pkn.selection.settings import SolveLimits
from kpnn.pkn.separation import Separator, cycle_cuts
from kpnn.pkn.statement import Statement, state

_log = logging.getLogger(__name__)

_LEAST_GAIN = 1e-4
"""Share of the bound that ten rounds of cuts must add for more rounds on the relaxation."""
_LONG_ROUND = 1.0
"""Seconds from which each round must close a share of the gap."""
_LEAST_SHARE = 0.02
_START_SHARE = 0.25
"""Most of the time limit that the node form, and the edge form among its nodes, may take each."""
_REPAIRS_IN_VAIN = 8
_REPAIR_SHARE = 0.2
"""Most of the time limit that repairs may take."""
_SWAPS = 100_000
"""Swaps of one local search, about half a second on ten thousand hidden nodes."""
_SEARCHES_IN_VAIN = 10
_SEARCH_SHARE = 0.25
"""Most of the time limit that local search may take."""
_WORTH_SWAPPING = 500
"""Columns from which loading the compiled local search pays."""
_MANY_COLUMNS = 3_000
"""Undecided columns beyond which neighbourhoods are searched before the whole."""
_SMALL_GAP = 0.003
"""Gap below which the whole is likely to be solved at once."""
_NEIGHBOURHOODS_IN_VAIN = 40
_NEIGHBOURHOOD_SECONDS = 5.0
_LIKELY = 1e-3
"""Value in the relaxation from which a column takes part in neighbourhoods."""
_LEAST_SLICE = 10.0
"""Seconds that an integer round may take in any case."""


@dataclass
class Search:
    """State of one search: rows so far, best solution, bound.

    Attributes:
        statement: what is solved.
        rows: the statement's rows and all cuts.
        best: values of the columns of the best feasible solution, or None.
        objective: its cost, the constant included.
        bound: no DAG costs less than this.
        rounds: rounds of cuts.
        relaxed: the last relaxation that was solved to the end.
        is_infeasible: no DAG exists.
        seconds: by phase.
    """

    statement: Statement
    rows: Rows
    best: np.ndarray | None = None
    objective: float = np.inf
    bound: float = -np.inf
    rounds: int = 0
    relaxed: MilpOutcome | None = None
    is_infeasible: bool = False
    seconds: dict[str, float] = field(default_factory=dict)

    def offer(self, x: np.ndarray) -> None:
        """Takes a feasible solution if it is cheaper than the best."""
        value = float(self.statement.cost @ x) + self.statement.constant
        if value < self.objective - 1e-9:
            self.best, self.objective = np.where(self.statement.is_integer, np.round(x), x), value

    def raise_bound(self, value: float) -> None:
        """Takes a bound of the statement's columns if it is better; rounds it up where costs are whole numbers."""
        value += self.statement.constant
        if self.statement.has_whole_costs and np.isfinite(value):
            value = math.ceil(value - 1e-6)
        self.bound = float(max(self.bound, min(value, self.objective)))

    @property
    def least_gain(self) -> float:
        """The least by which one solution can be cheaper than another."""
        return 1.0 if self.statement.has_whole_costs else 0.0

    @property
    def gap(self) -> float:
        """(objective - bound) / objective."""
        return np.inf if self.best is None else max(0.0, (self.objective - self.bound) / max(self.objective, 1e-12))


def solve_compact(statement: Statement, solver: Solver, limits: SolveLimits, *, from_nodes: bool = True) -> Search:
    """Solves a statement with its cuts.

    Args:
        statement: the statement.
        solver: solves programmes to integrality (see `highs.solve_with_highs`).
        limits: when to stop.
        from_nodes: an edge form starts from the DAG and the bound of its node form.

    Returns:
        The search; `best` is None where none was found in time or none exists.
    """
    start = time.monotonic()
    search = Search(statement, Rows())
    search.rows.extend(statement.rows)
    if not statement.n_columns:
        search.is_infeasible = any(low > 0 for low in statement.rows.low)
        if not search.is_infeasible:
            search.offer(np.empty(0))
            search.raise_bound(0.0)
        return search
    if statement.has_edge_form and from_nodes:
        start_from_nodes(search, solver, limits)
    _Solving(search, solver, limits, start).run()
    return search


def start_from_nodes(search: Search, solver: Solver, limits: SolveLimits) -> None:
    """Gives the search of an edge form a bound and, in most cases, a DAG.

    The node form asks for less, so that its bound holds, and it is solved far sooner. A cheapest DAG among the nodes
    that it keeps is one of the cheapest of all or close to it.
    """
    statement, clock = search.statement, time.monotonic()
    some = replace(limits, time_limit=_START_SHARE * limits.time_limit)
    node_form = state(statement.reduced, edge_form=False)
    nodes = solve_compact(node_form, solver, some)
    if np.isfinite(nodes.bound):
        search.raise_bound(nodes.bound - statement.constant)
    if nodes.best is not None:
        heuristic = NodeHeuristic(node_form)
        kept = heuristic.with_ways_down(heuristic.nodes_of(nodes.best) > 0.5)
        left_out = statement.node_column[(statement.node_column != FREE) & ~kept]
        high = statement.high.copy()
        high[left_out] = 0.0
        among = solve_compact(replace(statement, high=high), solver, some, from_nodes=False)
        if among.best is not None:
            search.offer(among.best)
    search.seconds["nodes"] = time.monotonic() - clock


class _Solving:
    """The phases of one search, from the relaxation over ever better solutions to integer rounds with cuts."""

    def __init__(self, search: Search, solver: Solver, limits: SolveLimits, start: float) -> None:
        self.search, self.solver, self.limits, self.start = search, solver, limits, start
        statement = search.statement
        self.separators = [Separator(network) for network in statement.networks]
        self.heuristic = None if statement.has_edge_form else NodeHeuristic(statement)
        self.rng = np.random.default_rng(limits.seed)
        self.guide = np.zeros(len(statement.reduced.pkn.nodes))
        self.high = statement.high
        self.phase = "start"

    def run(self) -> None:
        self.build_from(np.zeros(self.search.statement.n_columns))
        phases = (
            ("relaxation", self.cut_relaxation),
            ("repair", self.improve_best),
            ("local_search", self.search_locally),
            ("neighbourhoods", self.search_neighbourhoods),
            ("integer", self.cut_integer),
        )
        with progress(self.describe):
            for name, phase in phases:
                clock, self.phase = time.monotonic(), name
                if not self.is_done:
                    phase()
                self.search.seconds[name] = time.monotonic() - clock

    def describe(self) -> str:
        """One line on the state of the search."""
        search = self.search
        best = "no DAG yet" if search.best is None else f"best {search.objective:g}"
        return (
            f"{time.monotonic() - self.start:.0f} s, {self.phase}, {best}, bound {search.bound:g}, "
            f"gap {search.gap:.2%}, {search.rounds} rounds of cuts"
        )

    def note_bound(self, value: float) -> None:
        """Takes a bound that a solver reports while it is at work."""
        if np.isfinite(value):
            self.search.raise_bound(value)

    @property
    def left(self) -> float:
        return self.limits.time_limit - (time.monotonic() - self.start)

    @property
    def absolute_gap(self) -> float:
        """Where best and bound are this close, no solution between them can be cheaper."""
        return max(1e-6, self.search.least_gain - 1e-3)

    @property
    def is_done(self) -> bool:
        search = self.search
        return search.is_infeasible or self.left <= 0 or search.gap <= max(self.limits.gap, 1e-9)

    def cut_relaxation(self) -> None:
        search = self.search
        relaxation = Relaxation(search.statement, threads=self.limits.threads, seed=self.limits.seed)
        bounds: list[float] = []
        while not self.is_done:
            clock = time.monotonic()
            outcome = relaxation.solve(self.left)
            search.is_infeasible = outcome.is_infeasible
            if not outcome.is_infeasible:
                search.raise_bound(outcome.bound)
            if outcome.x is None:
                return
            bounds.append(outcome.bound + search.statement.constant)
            self.build_from(outcome.x)
            search.relaxed = outcome
            self.fix_columns()
            cuts = violated_cuts(self.separators, outcome.x)
            _log.debug("round %d: best %g, bound %.4f, %d cuts", search.rounds, search.objective, bounds[-1], len(cuts))
            has_stalled = self.has_stalled(bounds, time.monotonic() - clock)
            if not len(cuts) or has_stalled or self.left < 0.5 * self.limits.time_limit:
                return
            search.rounds += 1
            search.rows.extend(cuts)
            relaxation.add(cuts)

    def has_stalled(self, bounds: list[float], seconds: float) -> bool:
        """More rounds of cuts on the relaxation are not worth their time."""
        if seconds > _LONG_ROUND and len(bounds) > 1:
            return bounds[-1] - bounds[-2] < _LEAST_SHARE * (self.search.objective - bounds[-1])
        return len(bounds) > 10 and bounds[-1] - bounds[-11] < _LEAST_GAIN * abs(bounds[-1])

    def fix_columns(self) -> None:
        """Sets columns to 0 that cannot be in any solution better than the best (reduced-cost fixing)."""
        search, statement, relaxed = self.search, self.search.statement, self.search.relaxed
        if search.best is None or relaxed is None or relaxed.reduced_cost is None:
            return
        slack = search.objective - (relaxed.bound + statement.constant) - search.least_gain
        hopeless = statement.is_integer & (relaxed.reduced_cost > slack + 1e-6) & (statement.low < 0.5)
        self.high = np.where(hopeless, 0.0, self.high)

    def build_from(self, x: np.ndarray) -> None:
        if self.heuristic is not None:
            self.guide = self.heuristic.nodes_of(x)
            self.search.offer(self.heuristic.solution(self.heuristic.build(self.guide)))

    def improve_best(self) -> None:
        """Takes nodes out and repairs, with ever other shares, until many repairs in a row gain nothing."""
        search = self.search
        if self.heuristic is None or search.best is None:
            return
        kept = self.heuristic.nodes_of(search.best) > 0.5
        clock, in_vain = time.monotonic(), 0
        while in_vain < _REPAIRS_IN_VAIN and not self.is_done:
            if time.monotonic() - clock > _REPAIR_SHARE * self.limits.time_limit:
                return
            share = (0.02, 0.05, 0.1, 0.2)[in_vain % 4]
            repaired = self.heuristic.improve(kept, self.guide, self.rng, share)
            x = self.heuristic.solution(repaired)
            value = float(search.statement.cost @ x) + search.statement.constant
            in_vain = 0 if value < search.objective - 1e-9 else in_vain + 1
            if value <= search.objective + 1e-9:
                kept = repaired
            search.offer(x)

    def search_locally(self) -> None:
        """Swaps nodes of the best solution for others, until many searches in a row gain nothing."""
        search, statement, heuristic = self.search, self.search.statement, self.heuristic
        if heuristic is None or search.best is None or search.gap <= _SMALL_GAP:
            return
        if statement.n_columns < _WORTH_SWAPPING:
            return
        # Here, because numba takes half a second to load, more than most selections need.
        from kpnn.pkn.local_search import LocalSearch, is_cover

        if not is_cover(statement.rows):
            return
        self.fix_columns()
        local = LocalSearch(statement.cost, is_fixed=statement.low > 0.5, is_allowed=self.high > 0.5)
        rows = Rows()
        rows.extend(statement.rows)
        kept, clock, in_vain = search.best > 0.5, time.monotonic(), 0
        while in_vain < _SEARCHES_IN_VAIN and not self.is_done:
            if time.monotonic() - clock > _SEARCH_SHARE * self.limits.time_limit:
                return
            kept = local.run(rows, kept, n_swaps=_SWAPS, seed=int(self.rng.integers(2**31)))
            nodes = heuristic.nodes_of(kept.astype(float))
            rows.extend(heuristic.rows_against_loops(nodes > 0.5))
            before = search.objective
            search.offer(heuristic.solution(heuristic.build(nodes)))
            in_vain = in_vain + 1 if search.objective > before - 1e-9 else 0

    def search_neighbourhoods(self) -> None:
        """Large statements only: frees a random share of the kept nodes and solves what is left exactly."""
        search, statement, heuristic = self.search, self.search.statement, self.heuristic
        self.fix_columns()
        n_undecided = int((self.high > statement.low).sum())
        if heuristic is None or search.best is None or n_undecided < _MANY_COLUMNS:
            return
        likely = np.zeros(statement.n_columns, dtype=bool)
        if search.relaxed is not None and search.relaxed.x is not None:
            likely = search.relaxed.x > _LIKELY
        share, in_vain = 0.3, 0
        while in_vain < _NEIGHBOURHOODS_IN_VAIN and search.gap > _SMALL_GAP and not self.is_done:
            best = search.best
            freed = self.rng.random(statement.n_columns) < share
            clock = time.monotonic()
            outcome = self.solver(
                Milp(
                    statement,
                    search.rows,
                    low=np.where((best > 0.5) & ~freed & statement.is_integer, 1.0, statement.low),
                    high=np.where(likely | (best > 0.5) | ~statement.is_integer, self.high, 0.0),
                    limits=replace(self.limits, time_limit=min(_NEIGHBOURHOOD_SECONDS, self.left), gap=0.0),
                    absolute_gap=self.absolute_gap,
                    start=best,
                )
            )
            before = search.objective
            if outcome.x is not None:
                search.offer(heuristic.solution(heuristic.build(heuristic.nodes_of(outcome.x))))
            in_vain = in_vain + 1 if search.objective > before - 1e-9 else 0
            if not outcome.is_optimal:
                share = max(0.05, 0.8 * share)
            elif time.monotonic() - clock < _NEIGHBOURHOOD_SECONDS / 4:
                share = min(0.9, 1.05 * share)
        self.fix_columns()

    def cut_integer(self) -> None:
        search, statement = self.search, self.search.statement
        while not self.is_done:
            outcome = self.solver(
                Milp(
                    statement,
                    search.rows,
                    low=statement.low,
                    high=self.high,
                    limits=replace(self.limits, time_limit=max(self.left / 2, min(self.left, _LEAST_SLICE))),
                    absolute_gap=self.absolute_gap,
                    start=search.best,
                    on_progress=self.note_bound,
                )
            )
            if outcome.is_infeasible:
                # Columns are fixed so that only better solutions remain: there is none.
                search.is_infeasible = search.best is None
                search.bound = search.objective
                return
            search.raise_bound(outcome.bound)
            if outcome.x is None:
                continue
            x = np.where(statement.is_integer, np.round(outcome.x), outcome.x)
            cuts = violated_cuts(self.separators, x)
            cuts.extend(cycle_cuts(statement, x))
            if not len(cuts):
                search.offer(x)
                search.raise_bound(outcome.bound)
                if outcome.is_optimal:
                    return
                continue
            self.build_from(x)
            search.raise_bound(outcome.bound)
            search.rounds += 1
            search.rows.extend(cuts)
            _log.debug(
                "integer round %d: best %g, bound %g, %d cuts", search.rounds, search.objective, search.bound, len(cuts)
            )


def violated_cuts(separators: list[Separator], x: np.ndarray) -> Rows:
    """Cuts of all networks that x violates."""
    cuts = Rows()
    for separator in separators:
        cuts.extend(separator.cuts(x))
    return cuts


def require_solution(search: Search, time_limit: float) -> np.ndarray:
    """The best solution.

    Raises:
        SelectionError: there is none.
    """
    if search.best is not None:
        return search.best
    if search.is_infeasible:
        raise SelectionError("no DAG satisfies all demands together")
    raise SelectionError(
        f"no DAG found within time_limit={time_limit:g} s (bound so far {search.bound:g}); "
        "allow more time or relax the demands"
    )
