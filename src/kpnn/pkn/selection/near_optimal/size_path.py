"""A path of nested DAGs from the smallest to the full one, for a curve of compression against accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Unpack

from kpnn.errors import SelectionError
from kpnn.pkn.dag import Dag
from kpnn.pkn.full_dag import extended_dag
from kpnn.pkn.network import Pkn
from kpnn.pkn.selection.dag_selection import select
from kpnn.pkn.selection.settings import SelectionRules, SolveSettings, TieBreakOptions, settings_from


@dataclass(frozen=True, eq=False)
class SizeStep:
    """One DAG of a size path.

    Attributes:
        budget: parents that each input keeps (or all, where it has fewer); None for the full DAG that ends the path.
        dag: the DAG; it contains every edge of the step before.
        objective: cost of its edges.
        status: of the selection (see `DagSelection`); `full` for the last step.
        gap: of the selection.

    Examples:
        >>> import pandas as pd
        >>> from kpnn.pkn import Pkn, size_path
        >>> edges = pd.DataFrame({"parent": ["R", "R", "A", "B"], "child": ["A", "B", "g", "g"]})
        >>> [(step.budget, step.objective, step.status) for step in size_path(Pkn.from_edges(edges), (1, 2))]
        [(1, 2.0, 'optimal'), (2, 4.0, 'optimal'), (None, 4.0, 'full')]
    """

    budget: int | None
    dag: Dag
    objective: float
    status: str
    gap: float


def size_path(
    pkn: Pkn,
    budgets: Sequence[int] = (1, 2, 3),
    *,
    rules: SelectionRules | None = None,
    **options: Unpack[TieBreakOptions],
) -> tuple[SizeStep, ...]:
    """Selects, for each budget, the cheapest DAG that contains the one before; ends with a full DAG.

    The budget is the coverage: how many parents each input keeps. The cheapest way to more neurons or edges as such
    would be one long chain, which no one wants; more parents per input is what makes a network less brittle.

    Args:
        pkn: a PKN, as for `select_dag`.
        budgets: ascending numbers of parents per input, such as (1, 2, 3).
        rules: further demands on each DAG; their coverage is not used.
        **options: `solver`, `time_limit` (for each step), `threads`, `seed` and `tie_break` of `select_dag`.

    Returns:
        A step for each budget, and the full DAG as the last.

    Raises:
        SelectionError: as `select_dag`, or the budgets do not ascend.

    Examples:
        >>> import pandas as pd
        >>> from kpnn.pkn import Pkn
        >>> edges = pd.DataFrame({"parent": ["R", "R", "A", "B"], "child": ["A", "B", "g", "g"]})
        >>> [len(step.dag.edges) for step in size_path(Pkn.from_edges(edges), (1, 2))]
        [2, 4, 4]
    """
    are_whole = all(isinstance(budget, int) and budget >= 1 for budget in budgets)
    if not budgets or not are_whole or list(budgets) != sorted(set(budgets)):
        raise SelectionError(f"budgets must be ascending whole numbers from 1 on, found {list(budgets)}")
    rules = rules or SelectionRules()
    settings = settings_from(SolveSettings, method="compact", gap=0.0, **options)
    path: list[SizeStep] = []
    for budget in budgets:
        within = rules.model_copy(update={"coverage": budget})
        base = path[-1].dag if path else None
        selection = select(pkn, within, settings, base=base)
        path.append(SizeStep(budget, selection.dag, selection.objective, selection.status, selection.gap))
    full = extended_dag(pkn, path[-1].dag)
    path.append(SizeStep(None, full, float(full.edges["cost"].sum()), "full", 0.0))
    return tuple(path)
