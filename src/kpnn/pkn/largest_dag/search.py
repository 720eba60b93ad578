"""The search for the largest acyclic part of a PKN, and what is known about how large it can be."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kpnn.errors import PknError
from kpnn.pkn.dag import Dag
from kpnn.pkn.full_dag import ranks_around, shortest_path_dag
from kpnn.pkn.largest_dag.dead_ends import without_dead_ends
from kpnn.pkn.largest_dag.orders import guided_rank, hung_rank, improved_rank
from kpnn.pkn.largest_dag.programme import LargestDagProgramme, cycle_rows, state_programme
from kpnn.pkn.network import Pkn
from kpnn.pkn.paths import PathEdges, dag_of_rows, edges_on_paths
from kpnn.pkn.selection.bounds.relaxation import Relaxation
from kpnn.pkn.selection.model.programme import SolverRequest
from kpnn.pkn.selection.model.rows import LinearRows
from kpnn.pkn.selection.progress import progress
from kpnn.pkn.selection.settings import SolveLimits
from kpnn.pkn.selection.solvers.highs import solve_with_highs

TIME_LIMIT = 60.0
"""Seconds, where none are given."""
_GUIDED = 3
"""Solutions of the relaxation that orders are made from: the first ones differ most."""
_SHAKES = 500
"""Random moves that end the search for a better order; they take a few milliseconds each."""
_RELAXATION_SHARE = 0.5
"""Of the time limit, what the relaxation leaves to integer solutions."""
_LEAST_GAIN = 0.05
"""Edges by which ten rounds of cuts must lower the bound for more of them."""


@dataclass(frozen=True, eq=False)
class LargestDag:
    """A DAG that holds as many edges of a PKN as were found to fit, and how many can at most.

    Attributes:
        dag: the DAG; every input and output of the PKN is in it.
        bound: no such DAG holds more edges.
        seconds: that it took.

    Examples:
        >>> import pandas as pd
        >>> from kpnn.pkn import Pkn, most_edges_dag
        >>> edges = pd.DataFrame({"parent": ["R", "A", "B", "A", "B"], "child": ["A", "B", "A", "g", "g"]})
        >>> found = most_edges_dag(Pkn.from_edges(edges))
        >>> len(found.dag.edges), found.bound, found.status, found.gap
        (4, 4, 'optimal', 0.0)
    """

    dag: Dag
    bound: int
    seconds: float

    @property
    def status(self) -> str:
        """`optimal` (proven), or `time_limit`."""
        return "optimal" if self.bound <= len(self.dag.edges) else "time_limit"

    @property
    def gap(self) -> float:
        """(bound - edges) / bound."""
        return (self.bound - len(self.dag.edges)) / self.bound


def most_edges_dag(pkn: Pkn, *, time_limit: float = TIME_LIMIT, threads: int = 0, seed: int = 0) -> LargestDag:
    """Finds the largest acyclic part of a PKN in which all inputs and outputs, and all that is kept, lie on a path.

    It is what a minimum feedback arc set leaves: exact where the integer programme is solved in time, else with a
    bound. A PKN without cycles is kept whole.

    Args:
        pkn: a PKN in which each input and output lies on a path (`pkn.pruned()` sees to that).
        time_limit: seconds; the largest DAG by then is returned with its bound.
        threads: most threads; 0 leaves it to the solver.
        seed: of the heuristic and the solver.

    Returns:
        The DAG, the most edges that any such DAG can have, and the seconds that it took.

    Raises:
        SelectionError: an input has no path up to an output, or an output none down to an input.

    Examples:
        >>> import pandas as pd
        >>> from kpnn.pkn import Pkn, shortest_path_dag
        >>> edges = pd.DataFrame({"parent": ["R", "A", "B", "A", "B"], "child": ["A", "B", "A", "g", "g"]})
        >>> pkn = Pkn.from_edges(edges)
        >>> len(pkn.edges), len(most_edges_dag(pkn).dag.edges), len(shortest_path_dag(pkn).edges)
        (5, 4, 2)
    """
    started = time.monotonic()
    paths = edges_on_paths(pkn)
    rows = np.flatnonzero(paths.usable)
    rows = rows[without_dead_ends(paths, pkn.parent_codes[rows], pkn.child_codes[rows])]
    search = _Search(pkn, paths, rows, SolveLimits(time_limit, 0.0, threads, seed), started)
    if search.programme.edges.is_on_cycle.any():
        with progress(search.describe):
            search.run()
    else:
        search.take(np.ones(int((~paths.is_input[pkn.child_codes[rows]]).sum()), dtype=bool))
        search.bound = search.best_value
    return LargestDag(dag_of_rows(pkn, search.best), search.bound, time.monotonic() - started)


class _Search:
    """The best DAG so far, as rows of `pkn.edges`, and the bound."""

    def __init__(self, pkn: Pkn, paths: PathEdges, rows: np.ndarray, limits: SolveLimits, started: float) -> None:
        self._pkn, self._paths, self._rows = pkn, paths, rows
        self._limits, self._started = limits, started
        parent, child = pkn.parent_codes[rows], pkn.child_codes[rows]
        self._is_core = ~paths.is_input[child]
        self.programme: LargestDagProgramme = state_programme(paths, parent, child)
        self._rng = np.random.default_rng(limits.seed)
        self.best = np.empty(0, dtype=np.int64)
        self.best_value, self.bound = 0, len(rows)
        self._solution: np.ndarray | None = None
        self._cuts = LinearRows()

    @property
    def _seconds_left(self) -> float:
        return self._limits.time_limit - (time.monotonic() - self._started)

    def describe(self) -> str:
        """One line on the state of the search."""
        seconds = time.monotonic() - self._started
        return f"largest acyclic part, {seconds:.0f} s, {self.best_value:,} edges, at most {self.bound:,}"

    def run(self) -> None:
        """Orders first, then cuts on the relaxation, then integer solutions."""
        edges = self.programme.edges
        start = ranks_around(self._pkn, self._paths, shortest_path_dag(self._pkn))
        self.take(edges.falls(start))
        self._improve(start)
        self._cut_relaxation()
        self._solve_integer()

    def take(self, falls: np.ndarray) -> None:
        """Makes a DAG of acyclic edges between neurons the best, if it holds all inputs and outputs and more edges."""
        kept = np.ones(len(self._rows), dtype=bool)
        kept[self._is_core] = falls
        table = self._pkn.edges.iloc[self._rows[kept]]
        try:
            part = Pkn(table, self._pkn.inputs, self._pkn.outputs).pruned()
        except PknError:
            return  # an output hangs on nothing
        if len(part.inputs) < len(self._pkn.inputs) or len(part.edges) <= self.best_value:
            return
        pairs = pd.MultiIndex.from_frame(part.edges[["parent", "child"]])
        is_in = pd.MultiIndex.from_frame(table[["parent", "child"]]).isin(pairs)
        self.best, self.best_value = self._rows[kept][is_in], len(part.edges)
        in_core = np.isin(self._rows[self._is_core], self.best)
        is_node_kept = np.isin(np.array(self._pkn.nodes, dtype=object), np.array(part.nodes, dtype=object))
        self._solution = self.programme.solution(in_core, is_node_kept)

    @property
    def _is_done(self) -> bool:
        return self.bound <= self.best_value or self._seconds_left <= 0

    def _improve(self, rank: np.ndarray) -> None:
        edges = self.programme.edges
        self._rank = improved_rank(edges, hung_rank(edges, rank), self._rng, n_shakes=_SHAKES)
        self.take(edges.falls(self._rank))

    def _note_bound(self, cost: float) -> None:
        if np.isfinite(cost):
            self.bound = min(self.bound, int(np.floor(-cost + self.programme.n_always + 1e-6)))

    def _cut_relaxation(self) -> None:
        relaxation = Relaxation(self.programme, threads=self._limits.threads, seed=self._limits.seed)
        until = _RELAXATION_SHARE * self._limits.time_limit
        bounds: list[float] = []
        while not self._is_done and self._seconds_left > until:
            outcome = relaxation.solve(self._seconds_left)
            self._note_bound(outcome.bound)
            if outcome.x is None:
                return
            bounds.append(outcome.bound)
            cuts = cycle_rows(self.programme, outcome.x)
            if len(bounds) <= _GUIDED or not len(cuts):
                self._improve(guided_rank(self.programme.edges, self.programme.kept(outcome.x), self._rank))
            if not len(cuts) or (len(bounds) > 10 and bounds[-1] - bounds[-11] < _LEAST_GAIN):
                return
            self._cuts.extend(cuts)
            relaxation.add(cuts)

    def _solve_integer(self) -> None:
        programme = self.programme
        while not self._is_done:
            rows = LinearRows.joined(programme.rows, self._cuts)
            left = self._seconds_left
            outcome = solve_with_highs(
                SolverRequest(
                    programme,
                    rows,
                    low=programme.low,
                    high=programme.high,
                    limits=SolveLimits(left, 0.0, self._limits.threads, self._limits.seed),
                    absolute_gap=0.999,  # edges are counted: less than one from the bound is the most there can be
                    start=self._solution,
                    on_progress=self._note_bound,
                )
            )
            self._note_bound(outcome.bound)
            if outcome.x is None:
                return
            x = np.round(outcome.x)
            cuts = cycle_rows(programme, x)
            if not len(cuts):
                self.take(programme.kept(x) > 0.5)
                return
            # The solution less one edge of each cycle: an order that follows it as far as it can.
            self._improve(guided_rank(programme.edges, programme.kept(x), self._rank))
            self._cuts.extend(cuts)
