"""More than one answer: other optimal DAGs, what they share, random DAGs of the same size, a path of sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from kpnn.errors import SelectionError
from kpnn.pkn.dag import Dag
from kpnn.pkn.network import Pkn
from kpnn.pkn.optima import Optima, preferred
from kpnn.pkn.realise import name_hash
from kpnn.pkn.rules import SelectionRules
from kpnn.pkn.selection import DagSelection, Solved, SolveSettings, as_selection, select, solve
from kpnn.pkn.statement import FREE, Rows

_DRAW_RANGE = 1000


@dataclass(frozen=True, eq=False)
class Alternatives:
    """Different neuron sets that are optimal, or nearly so.

    Attributes:
        selections: one per neuron set; first the one that the tie-break rule prefers.
        is_complete: there are no others within the tolerance.
        membership: columns `node` and `membership`, one row per hidden node of the PKN: in `all`, `some` or `none`
            of all neuron sets within the tolerance, not only of those listed; `unknown` where time ran out.
    """

    selections: tuple[DagSelection, ...]
    is_complete: bool
    membership: pd.DataFrame


@dataclass(frozen=True, eq=False)
class RandomDags:
    """Random feasible DAGs of one size.

    Attributes:
        dags: the DAGs; a neuron set may repeat where few exist.
        n_neurons_wanted: neurons asked for.
        n_neurons: neurons that each of them has: the nearest number for which a DAG exists.
    """

    dags: tuple[Dag, ...]
    n_neurons_wanted: int
    n_neurons: int


def enumerate_dags(
    pkn: Pkn,
    most: int = 10,
    *,
    tolerance: float = 0.0,
    rules: SelectionRules | None = None,
    solver: str = "HIGHS",
    time_limit: float = 60.0,
    threads: int = 0,
    seed: int = 0,
    tie_break: str = "support",
) -> Alternatives:
    """Finds different optimal neuron sets and says for every hidden node whether all, some or none hold it.

    Args:
        pkn: a PKN, as for `select_dag`.
        most: stop after this many neuron sets.
        tolerance: a neuron set counts if its cheapest DAG costs at most this much more than the optimum.
        rules: the demands on the DAG.
        solver: see `select_dag`.
        time_limit: seconds for finding the optimum, and again for everything after it.
        threads: see `select_dag`.
        seed: see `select_dag`.
        tie_break: see `select_dag`.

    Raises:
        SelectionError: as `select_dag`; or the optimum is not proven in time.
    """
    if most < 1 or not tolerance >= 0:
        raise SelectionError(f"most must be at least 1 and tolerance at least 0, found {most!r} and {tolerance!r}")
    settings = SolveSettings("compact", solver, time_limit, 0.0, threads, seed, tie_break)
    solved = _proven(pkn, rules or SelectionRules(), settings, edge_form=True if tolerance else None)
    optimum = solved.search.objective
    first, _ = preferred(
        Optima(solved.search, solved.milp, settings.limits, optimum), solved.search, tie_break, seed
    )
    optima = Optima(solved.search, solved.milp, settings.limits, optimum + tolerance)
    membership = _membership(optima, solved, first)
    found, is_complete = [first], False
    objective = solved.statement.cost if tolerance else np.zeros(solved.statement.n_columns)
    while True:
        optima.forbid_node_set(found[-1])
        other = optima.cheapest(objective)
        if other.x is None:
            is_complete = other.is_proven
            break
        if len(found) == most:
            break
        found.append(other.x)
    selections = tuple(as_selection(solved, x, settings, is_unique=is_complete and len(found) == 1) for x in found)
    return Alternatives(selections, is_complete, membership)


def random_dags(
    pkn: Pkn,
    n_dags: int = 10,
    *,
    n_neurons: int | None = None,
    rules: SelectionRules | None = None,
    solver: str = "HIGHS",
    time_limit: float = 60.0,
    threads: int = 0,
    seed: int = 0,
) -> RandomDags:
    """Draws feasible DAGs with a given number of neurons: the null against which a selection is judged.

    Each draw gives every node and edge a random price and takes the cheapest DAG of that size, with random parents for
    its inputs. Every neuron set that is cheapest for some prices can come up; they are not equally likely.

    Args:
        pkn: a PKN, as for `select_dag`.
        n_dags: number of draws.
        n_neurons: neurons of each; by default as many as the optimum has.
        rules: the demands on each DAG.
        solver: see `select_dag`.
        time_limit: seconds for finding the optimum, and again for the draws.
        threads: see `select_dag`.
        seed: of the draws.

    Raises:
        SelectionError: as `select_dag`; or the time is up before the last draw.
    """
    if n_dags < 1:
        raise SelectionError(f"n_dags must be at least 1, found {n_dags!r}")
    settings = SolveSettings("compact", solver, time_limit, 0.0, threads, seed, "random")
    solved = _proven(pkn, rules or SelectionRules(), settings, edge_form=None)
    best = solved.search.best
    assert best is not None
    n_outputs = len(pkn.outputs)
    columns = solved.statement.node_column[solved.statement.node_column != FREE]
    optimum = n_outputs + int(np.round(best[columns]).sum())
    wanted = optimum if n_neurons is None else n_neurons
    same_size = wanted == optimum and not solved.statement.has_edge_form
    if not same_size:
        solved = _proven(pkn, rules or SelectionRules(), settings, edge_form=True)
    most_cost = solved.search.objective if same_size else np.inf
    optima = Optima(solved.search, solved.milp, settings.limits, most_cost)
    size = optimum if same_size else n_outputs + _nearest_size(optima, wanted - n_outputs)
    dags = []
    for draw in range(n_dags):
        rows = Rows()
        if len(columns):
            rows.add(columns, np.ones(len(columns)), float(size - n_outputs), float(size - n_outputs))
        price = _random_prices(solved, name_hash(seed, str(draw)))
        found = optima.cheapest(price, rows)
        if found.x is None:
            raise SelectionError(f"{draw} of {n_dags} random DAGs drawn within time_limit={time_limit:g} s")
        drawn = as_selection(solved, found.x, replace(settings, seed=name_hash(seed, str(draw))))
        dags.append(drawn.dag)
    return RandomDags(tuple(dags), wanted, size)


def size_path(
    pkn: Pkn,
    budgets: Sequence[int],
    *,
    rules: SelectionRules | None = None,
    solver: str = "HIGHS",
    time_limit: float = 60.0,
    threads: int = 0,
    seed: int = 0,
    tie_break: str = "support",
) -> tuple[DagSelection, ...]:
    """Selections from the smallest DAG on, each the cheapest that contains the one before and has enough neurons.

    Args:
        pkn: a PKN, as for `select_dag`.
        budgets: numbers of neurons, ascending; those below the smallest DAG's are skipped, and the path ends early
            where no DAG that contains the previous one has as many.
        rules: the demands on each DAG.
        solver: see `select_dag`.
        time_limit: seconds per selection.
        threads: see `select_dag`.
        seed: see `select_dag`.
        tie_break: see `select_dag`.

    Returns:
        The smallest selection, then one per budget.

    Raises:
        SelectionError: as `select_dag`.
    """
    if list(budgets) != sorted(set(budgets)):
        raise SelectionError(f"budgets must ascend, found {list(budgets)}")
    rules = rules or SelectionRules()
    settings = SolveSettings("compact", solver, time_limit, 0.0, threads, seed, tie_break)
    path = [select(pkn, rules, settings)]
    for budget in budgets:
        if budget <= len(path[-1].dag.neurons):
            continue
        edges = path[-1].dag.edges
        kept = tuple(zip(edges["parent"], edges["child"], strict=True))
        try:
            path.append(select(pkn, replace(rules, keep_edges=kept), settings, least_neurons=budget))
        except SelectionError as error:
            if "no DAG satisfies" not in str(error):
                raise
            break
    return tuple(path)


def _proven(pkn: Pkn, rules: SelectionRules, settings: SolveSettings, *, edge_form: bool | None) -> Solved:
    solved = solve(pkn, rules, settings, edge_form=edge_form)
    if solved.search.gap > 1e-9:
        raise SelectionError(
            f"the optimum is not proven within time_limit={settings.time_limit:g} s (gap {solved.search.gap:.2%}); "
            "without it there is no telling what is as good: allow more time"
        )
    return solved


def _membership(optima: Optima, solved: Solved, first: np.ndarray) -> pd.DataFrame:
    """Whether each hidden node is in all, some or none of the solutions within the cost, by questions that cover many
    nodes at once: which of those kept so far can be left out together, which of the others can be had.
    """
    pkn = solved.statement.reduced.pkn
    columns, codes = optima.node_columns, optima.node_codes
    seen, missed = first[columns] > 0.5, first[columns] < 0.5
    settled = {}
    for wanted in (0, 1):
        # wanted 0: leave out nodes that every solution so far keeps; 1: keep nodes that none so far keeps.
        while True:
            doubtful = seen & ~missed if wanted == 0 else missed & ~seen
            price = np.zeros(solved.statement.n_columns)
            price[columns[doubtful]] = 1.0 if wanted == 0 else -1.0
            found = optima.cheapest(price) if doubtful.any() else None
            settled[wanted] = found is None or (found.x is not None and found.is_proven)
            if found is None or found.x is None:
                break
            kept = found.x[columns] > 0.5
            has_changed = (kept[doubtful] == bool(wanted)).any()
            seen |= kept
            missed |= ~kept
            if not has_changed:
                break
    answer = np.full(len(columns), "some", dtype=object)
    answer[seen & ~missed] = "all" if settled[0] else "unknown"
    answer[missed & ~seen] = "none" if settled[1] else "unknown"
    by_name = {pkn.nodes[code]: value for code, value in zip(codes, answer, strict=True)}
    return pd.DataFrame({"node": pkn.hidden, "membership": [by_name.get(name, "none") for name in pkn.hidden]})


def _nearest_size(optima: Optima, wanted: int) -> int:
    """The number of hidden nodes nearest to `wanted` that a solution has."""
    columns = optima.node_columns
    if not len(columns):
        return 0
    count = np.zeros(optima.n_columns)
    count[columns] = 1.0
    sizes = []
    for sign, low, high in ((1.0, float(max(wanted, 0)), np.inf), (-1.0, -np.inf, float(wanted))):
        rows = Rows()
        rows.add(columns, np.ones(len(columns)), low, high)
        found = optima.cheapest(sign * count, rows)
        if found.x is not None:
            sizes.append(int(np.round(found.x[columns]).sum()))
    if not sizes:
        raise SelectionError("no DAG of any size found in time; allow more time")
    return min(sizes, key=lambda size: (abs(size - wanted), size))


def _random_prices(solved: Solved, seed: int) -> np.ndarray:
    """A price for every node and edge that depends on names and seed alone, shape (n_columns,)."""
    statement, reduced = solved.statement, solved.statement.reduced
    names = reduced.pkn.nodes
    price = np.zeros(statement.n_columns)
    for code in np.flatnonzero(statement.node_column != FREE):
        price[statement.node_column[code]] = 1 + name_hash(seed, names[code]) % _DRAW_RANGE
    for edge in np.flatnonzero(statement.edge_column != FREE):
        pair = names[reduced.parent[edge]], names[reduced.child[edge]]
        price[statement.edge_column[edge]] = 1 + name_hash(seed, *pair) % _DRAW_RANGE
    return price
