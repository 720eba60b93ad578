"""More than one answer: other optimal DAGs, and what they share."""

from __future__ import annotations

from dataclasses import dataclass
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
    **options: Unpack[TieBreakOptions],
) -> Alternatives:
    """Finds different optimal neuron sets and says for every hidden node whether all, some or none hold it.

    Args:
        pkn: a PKN, as for `select_dag`.
        most: stop after this many neuron sets.
        tolerance: a neuron set counts if its cheapest DAG costs at most this much more than the optimum.
        rules: the demands on the DAG.
        **options: `solver`, `threads`, `seed` and `tie_break` of `select_dag`, and `time_limit`: seconds for finding
            the optimum, and again for everything after it.

    Returns:
        The neuron sets with a DAG each, whether these are all, and the membership of every hidden node.

    Raises:
        SelectionError: as `select_dag`; or the optimum is not proven in time.

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
        pkn, rules or SelectionRules(), settings, edge_form=True if tolerance else None, every_optimum=True
    )
    optimum = solved.search.objective
    optimal = SolutionsWithinCost(solved.search, solved.solver, settings.limits, optimum)
    first, _ = preferred_solution(optimal, solved.search, settings.tie_break, settings.seed)
    within = SolutionsWithinCost(solved.search, solved.solver, settings.limits, optimum + tolerance)
    membership = _membership(within, solved, first)
    found, is_complete = [first], False
    objective = solved.formulation.cost if tolerance else np.zeros(solved.formulation.n_columns)
    while True:
        within.forbid_node_set(found[-1])
        other = within.cheapest(objective)
        if other.x is None:
            is_complete = other.is_proven
            break
        if len(found) == most:
            break
        found.append(other.x)
    selections = tuple(as_selection(solved, x, settings, is_unique=is_complete and len(found) == 1) for x in found)
    return Alternatives(selections, is_complete, membership)


def solve_to_proof(
    pkn: Pkn, rules: SelectionRules, settings: SolveSettings, *, edge_form: bool | None, every_optimum: bool
) -> SolvedFormulation:
    """As `solve_pkn`, but what is not proven optimal in time is an error."""
    solved = solve_pkn(pkn, rules, settings, edge_form=edge_form, every_optimum=every_optimum)
    if solved.search.gap > 1e-9:
        raise SelectionError(
            f"the optimum is not proven within time_limit={settings.time_limit:g} s (gap {solved.search.gap:.2%}); "
            "without it there is no telling what is as good: allow more time"
        )
    return solved


def _membership(within: SolutionsWithinCost, solved: SolvedFormulation, first: np.ndarray) -> pd.DataFrame:
    """Whether each hidden node is in all, some or none of the solutions within the cost.

    Each question covers many nodes at once: how many of those kept so far can be left out together, and how many of
    those left out so far can be kept.
    """
    pkn = solved.formulation.reduced.pkn
    columns, codes = within.node_columns, within.node_codes
    seen, missed = first[columns] > 0.5, first[columns] < 0.5
    settled = {}
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
