"""Exploring all solutions within a cost: which one a rule prefers, which others there are, what they share."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from kpnn.pkn.compact import Search, violated_cuts
from kpnn.pkn.milp import Milp, Solver
from kpnn.pkn.realise import name_hash, support_of
from kpnn.pkn.rows import FREE, Rows
from kpnn.pkn.selection.settings import SolveLimits
from kpnn.pkn.separation import Separator, cycle_cuts

_HASH_RANGE = 1 << 16
_MOST_TIES = 20
_LEVELS = 64


@dataclass(frozen=True)
class Found:
    """Answer to one question about the solutions within the cost.

    Attributes:
        x: values of the columns, or None.
        is_proven: x is best, or without x: there is none. False: time ran out.
    """

    x: np.ndarray | None
    is_proven: bool


class Optima:
    """The solutions of a solved statement that cost at most a given amount."""

    def __init__(self, search: Search, solver: Solver, limits: SolveLimits, most_cost: float) -> None:
        """Prepares questions about a solved search.

        Args:
            search: solved to optimality.
            solver: the solver.
            limits: the time limit counts from now, for all questions together.
            most_cost: most cost of a solution, the statement's constant included.
        """
        statement = search.statement
        self._search, self._solver, self._limits = search, solver, limits
        self._deadline = time.monotonic() + limits.time_limit
        self._separators = [Separator(network) for network in statement.networks]
        slack = 0.1 if statement.has_whole_costs else 1e-6 * max(1.0, abs(most_cost))
        self.n_columns = statement.n_columns
        self._rows = Rows()
        priced = np.flatnonzero(statement.cost)
        if len(priced) and np.isfinite(most_cost):
            self._rows.add(priced, statement.cost[priced], -np.inf, most_cost - statement.constant + slack)
        self._low, self._high = self._decided(most_cost)
        self.node_columns = statement.node_column[statement.node_column != FREE]
        self.node_codes = np.flatnonzero(statement.node_column != FREE)

    @property
    def seconds_left(self) -> float:
        """Until the time limit."""
        return self._deadline - time.monotonic()

    def forbid_node_set(self, x: np.ndarray) -> None:
        """Leaves out the solutions that keep exactly these nodes, from now on."""
        self._rows.extend(self.other_node_set(x))

    def cheapest(self, cost: np.ndarray, extra: Rows | None = None, start: np.ndarray | None = None) -> Found:
        """The solution within the cost that is least by another objective.

        Args:
            cost: the objective, shape (n_columns,), whole numbers.
            extra: further rows for this question alone.
            start: a feasible solution, where one is known.
        """
        statement = replace(self._search.statement, cost=np.asarray(cost, dtype=float))
        while self.seconds_left > 0:
            rows = Rows()
            for part in (self._search.rows, self._rows, extra or Rows()):
                rows.extend(part)
            if not self.n_columns:
                return Found(None if any(low > 0 for low in rows.low) else np.empty(0), True)
            limits = replace(self._limits, time_limit=self.seconds_left, gap=0.0)
            outcome = self._solver(Milp(statement, rows, self._low, self._high, limits, absolute_gap=0.5, start=start))
            if outcome.is_infeasible:
                return Found(None, True)
            if outcome.x is None:
                return Found(None, False)
            x = np.where(statement.is_integer, np.round(outcome.x), outcome.x)
            cuts = violated_cuts(self._separators, x)
            cuts.extend(cycle_cuts(statement, x))
            if not len(cuts):
                return Found(x, outcome.is_optimal)
            self._search.rows.extend(cuts)
        return Found(None, False)

    def _decided(self, most_cost: float) -> tuple[np.ndarray, np.ndarray]:
        """Bounds of the columns: what the reduced costs of the relaxation exclude within the cost."""
        statement, relaxed = self._search.statement, self._search.relaxed
        if relaxed is None or relaxed.reduced_cost is None or not np.isfinite(most_cost):
            return statement.low, statement.high
        slack = most_cost - (relaxed.bound + statement.constant) + 1e-6
        out = statement.is_integer & (relaxed.reduced_cost > slack) & (statement.low < 0.5)
        always = statement.is_integer & (-relaxed.reduced_cost > slack) & (statement.high == 1.0)
        return np.where(always, 1.0, statement.low), np.where(out, 0.0, statement.high)

    def other_node_set(self, x: np.ndarray) -> Rows:
        """A row that only other node sets satisfy."""
        rows = Rows()
        kept = x[self.node_columns] > 0.5
        rows.add(self.node_columns, np.where(kept, -1.0, 1.0), 1.0 - float(kept.sum()))
        return rows


def preferred(optima: Optima, search: Search, tie_break: str, seed: int) -> tuple[np.ndarray, bool]:
    """The optimum that a tie-break rule chooses, and whether no other node set satisfies it as well.

    `support` and `balanced` keep the nodes with most PKN edges to inputs; what is then still open, and all of
    `random`, is decided by the least sum of numbers drawn from the names (and, for `random`, the seed).
    """
    statement, reduced = search.statement, search.statement.reduced
    assert search.best is not None
    best, extra = search.best, Rows()
    columns, codes = optima.node_columns, optima.node_codes
    if tie_break != "random" and len(columns):
        support = np.zeros(statement.n_columns)
        support[columns] = -support_of(reduced)[codes]
        found = optima.cheapest(support, start=best)
        if found.x is None or not found.is_proven:
            return best, False
        best = found.x
        extra.add(columns, support[columns], -np.inf, float(np.round(support @ best)) + 0.1)
    salt = seed if tie_break == "random" else 0
    draw = np.zeros(statement.n_columns)
    names = reduced.pkn.nodes
    draw[columns] = [1 + name_hash(salt, names[code]) % _HASH_RANGE for code in codes]
    best, is_unique = _least_draw(optima, best, draw, extra)
    if is_unique and (statement.edge_column != FREE).any():
        best = _least_edges(optima, best, statement.n_columns, search, salt, tie_break)
    return best, is_unique


def _least_draw(optima: Optima, best: np.ndarray, draw: np.ndarray, extra: Rows) -> tuple[np.ndarray, bool]:
    """The solution with the least draw; among equal draws the first node set in the order of names."""
    columns = optima.node_columns
    found = optima.cheapest(draw, extra, start=best)
    if found.x is None or not found.is_proven:
        return best, False
    tied = [found.x]
    others = Rows()
    others.extend(extra)
    others.add(columns, draw[columns], -np.inf, float(np.round(draw @ found.x)) + 0.1)
    while len(tied) < _MOST_TIES:
        others.extend(optima.other_node_set(tied[-1]))
        other = optima.cheapest(np.zeros(len(draw)), others)
        if other.x is None:
            return max(tied, key=lambda x: tuple(np.round(x[columns]))), other.is_proven
        tied.append(other.x)
    return tied[0], False


def _least_edges(
    optima: Optima, best: np.ndarray, n_columns: int, search: Search, salt: int, tie_break: str
) -> np.ndarray:
    """Decides the edges that are variables, for the nodes already chosen, by support and names."""
    statement, reduced = search.statement, search.statement.reduced
    names = reduced.pkn.nodes
    fixed = Rows()
    for column in optima.node_columns:
        value = float(np.round(best[column]))
        fixed.add(np.array([column]), np.ones(1), value, value)
    support = support_of(reduced)
    level = np.zeros(len(names), dtype=np.int64)
    if tie_break != "random" and support.max() > 0:
        level = np.round((_LEVELS - 1) * (1.0 - support / support.max())).astype(np.int64)
    draw = np.zeros(n_columns)
    for edge in np.flatnonzero(statement.edge_column != FREE):
        parent, child = reduced.parent[edge], reduced.child[edge]
        drawn = 1 + name_hash(salt, names[parent], names[child]) % _HASH_RANGE
        draw[statement.edge_column[edge]] = level[parent] * _HASH_RANGE / 4 + drawn // 4
    for code, position, column in statement.serve:
        gene = reduced.classes[position].genes[0]
        draw[column] = 1 + name_hash(salt, names[code], names[gene]) % 1024
    found = optima.cheapest(np.round(draw), fixed, start=best)
    return best if found.x is None else found.x
