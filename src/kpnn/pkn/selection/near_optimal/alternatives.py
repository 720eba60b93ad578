"""More than one answer: other optimal DAGs, and what they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Unpack

import numpy as np
import pandas as pd

from kpnn.errors import SelectionError
from kpnn.pkn.network import Pkn
from kpnn.pkn.selection.dag_selection import DagSelection, SolvedFormulation, as_selection, solve_pkn
from kpnn.pkn.selection.exactness.tie_break import preferred_solution
from kpnn.pkn.selection.exactness.within_cost import SolutionsWithinCost
from kpnn.pkn.selection.settings import SelectionRules, SolveSettings, TieBreakOptions, settings_from


@dataclass(frozen=True, eq=False)
class Alternatives:
    """Different neuron sets that are optimal, or nearly so.

    Attributes:
        selections: one per neuron set; first the one that the tie-break rule prefers.
        is_complete: there are no others within the tolerance.
        membership: columns `node` and `membership`, one row per hidden node of the PKN: in `all`, `some` or `none`
            of all neuron sets within the tolerance, not only of those listed; `unknown` where time ran out.

    Examples:
        >>> import pandas as pd
        >>> from kpnn.pkn import Pkn, enumerate_dags
        >>> edges = [("R", "A"), ("R", "B"), ("A", "g1"), ("B", "g1"), ("R", "C"), ("C", "g2")]
        >>> found = enumerate_dags(Pkn.from_edges(pd.DataFrame(edges, columns=["parent", "child"])))
        >>> found.membership.set_index("node")["membership"].to_dict()
        {'A': 'some', 'B': 'some', 'C': 'all'}
    """

    selections: tuple[DagSelection, ...]
    is_complete: bool
    membership: pd.DataFrame


def enumerate_dags(
    pkn: Pkn,
    most: int = 10,
    *,
    tolerance: float = 0.0,
    rules: SelectionRules | None = None,
    known: DagSelection | None = None,
    **options: Unpack[TieBreakOptions],
) -> Alternatives:
    """Finds different optimal neuron sets and says for every hidden node whether all, some or none hold it.

    Args:
        pkn: a PKN, as for `select_dag`.
        most: stop after this many neuron sets.
        tolerance: a neuron set counts if its cheapest DAG costs at most this much more than the optimum.
        rules: the demands on the DAG.
        known: the optimum that comes first, of the same PKN and rules; None: what the tie-break rule prefers, which
            takes as long to find as `select_dag` took for it.
        **options: `solver`, `threads`, `seed` and `tie_break` of `select_dag`, and `time_limit`: seconds for finding
            the optimum, and again for everything after it.

    Returns:
        The neuron sets with a DAG each, whether these are all, and the membership of every hidden node.

    Raises:
        SelectionError: as `select_dag`; the optimum is not proven in time; or `known` is none.

    Examples:
        >>> import pandas as pd
        >>> from kpnn.pkn import Pkn
        >>> edges = pd.DataFrame({"parent": ["R", "R", "A", "B"], "child": ["A", "B", "g", "g"]})
        >>> found = enumerate_dags(Pkn.from_edges(edges))
        >>> [selection.dag.hidden for selection in found.selections], found.is_complete
        ([('B',), ('A',)], True)
    """
    if most < 1 or not tolerance >= 0:
        raise SelectionError(f"most must be at least 1 and tolerance at least 0, found {most!r} and {tolerance!r}")
    settings = settings_from(SolveSettings, method="compact", gap=0.0, **options)
    solved = solve_to_proof(
        pkn, rules or SelectionRules(), settings, edge_form=True if tolerance else None, every_optimum=True, known=known
    )
    optimum = solved.search.objective
    if known is None:
        optimal = SolutionsWithinCost(solved.search, solved.solver, settings.limits, optimum)
        first, _ = preferred_solution(optimal, solved.search, settings.tie_break, settings.seed)
        known = as_selection(solved, first, settings)
    elif abs(known.objective - optimum) > 1e-6 * max(1.0, abs(optimum)):
        raise SelectionError(f"known costs {known.objective:g} where the optimum under these rules is {optimum:g}")
    within = SolutionsWithinCost(solved.search, solved.solver, settings.limits, optimum + tolerance)
    first = _nodes_of(known, within, solved)
    membership, met = _membership(within, solved, first)
    within.forbid_node_set(first)
    others: list[np.ndarray] = []
    objective = solved.formulation.cost if tolerance else np.zeros(solved.formulation.n_columns)
    while True:
        other = within.cheapest(objective)
        is_complete = other.x is None and other.is_proven
        if other.x is None or len(others) == most - 1:
            break
        others.append(other.x)
        within.forbid_node_set(other.x)
    if not is_complete:
        others = _distinct(within.node_columns, first, [*others, *met])[: most - 1]
    selections = (
        replace(known, is_unique=is_complete and not others),
        *(as_selection(solved, x, settings) for x in others),
    )
    return Alternatives(selections, is_complete, membership)


def _nodes_of(known: DagSelection, within: SolutionsWithinCost, solved: SolvedFormulation) -> np.ndarray:
    """A selection as a solution of which only the columns of nodes are filled in, shape (n_columns,)."""
    x, kept, names = np.zeros(within.n_columns), set(known.dag.hidden), solved.formulation.reduced.pkn.nodes
    x[within.node_columns] = [names[code] in kept for code in within.node_codes]
    return x


def _distinct(columns: np.ndarray, first: np.ndarray, others: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The solutions that differ from the first and from each other in the columns of nodes."""
    by_nodes = {tuple(x[columns] > 0.5): x for x in reversed(others)}
    by_nodes.pop(tuple(first[columns] > 0.5), None)
    return list(by_nodes.values())[::-1]


def solve_to_proof(
    pkn: Pkn,
    rules: SelectionRules,
    settings: SolveSettings,
    *,
    edge_form: bool | None,
    every_optimum: bool,
    known: DagSelection | None = None,
) -> SolvedFormulation:
    """As `solve_pkn`, but what is not proven optimal in time is an error.

    Args:
        pkn: the PKN.
        rules: the demands on the DAG.
        settings: how to solve.
        edge_form: see `solve_pkn`.
        every_optimum: see `solve_pkn`.
        known: a selection of the same PKN and rules: where it is proven optimal, its cost is not proven again.

    Raises:
        SelectionError: as `solve_pkn`; or time ran out before the optimum was proven, or the known one found again.
    """
    solved = solve_pkn(pkn, rules, settings, edge_form=edge_form, every_optimum=every_optimum)
    least = known.objective if known is not None and known.status == "optimal" else None
    if least is not None:
        # Not told to the search, which would end on a lucky guess: what it learns on its way to a proof is of use.
        solved.search.raise_bound(least - solved.formulation.constant)
    if solved.search.gap > 1e-9:
        what = "proven" if least is None else "found again"
        raise SelectionError(
            f"the optimum is not {what} within time_limit={settings.time_limit:g} s (gap {solved.search.gap:.2%}); "
            "without it there is no telling what is as good: allow more time"
        )
    return solved


def _membership(
    within: SolutionsWithinCost, solved: SolvedFormulation, first: np.ndarray
) -> tuple[pd.DataFrame, list[np.ndarray]]:
    """Whether each hidden node is in all, some or none of the solutions within the cost; and solutions met on the way.

    Each question covers many nodes at once: how many of those kept so far can be left out together, and how many of
    those left out so far can be kept.
    """
    pkn = solved.formulation.reduced.pkn
    columns, codes = within.node_columns, within.node_codes
    seen, missed = first[columns] > 0.5, first[columns] < 0.5
    settled, met = {}, []
    for wanted in (0, 1):
        # wanted 0: leave out nodes that every solution so far keeps; 1: keep nodes that none so far keeps.
        while True:
            doubtful = seen & ~missed if wanted == 0 else missed & ~seen
            price = np.zeros(solved.formulation.n_columns)
            price[columns[doubtful]] = 1.0 if wanted == 0 else -1.0
            found = within.cheapest(price) if doubtful.any() else None
            settled[wanted] = found is None or (found.x is not None and found.is_proven)
            if found is None or found.x is None:
                break
            met.append(found.x)
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
    table = pd.DataFrame({"node": pkn.hidden, "membership": [by_name.get(name, "none") for name in pkn.hidden]})
    return table, met
