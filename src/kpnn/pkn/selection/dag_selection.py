"""DAG selection: the smallest DAG through a PKN that still uses every input and every output."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from kpnn.pkn.dag import Dag
from kpnn.pkn.network import Pkn
from kpnn.pkn.paths import dag_of_rows, node_codes
from kpnn.pkn.selection.acyclic_flow import solve_acyclic_flow
from kpnn.pkn.selection.compact import solve_compact
from kpnn.pkn.selection.exactness.certificate import check_selection
from kpnn.pkn.selection.exactness.tie_break import preferred_solution
from kpnn.pkn.selection.exactness.within_cost import SolutionsWithinCost
from kpnn.pkn.selection.hub import solve_by_hub
from kpnn.pkn.selection.model.compact_form import formulate
from kpnn.pkn.selection.model.formulation import Formulation
from kpnn.pkn.selection.model.hub_form import hub_form_applies
from kpnn.pkn.selection.model.programme import Solver
from kpnn.pkn.selection.presolve import presolve
from kpnn.pkn.selection.realization import realize_edges
from kpnn.pkn.selection.search.state import SearchState
from kpnn.pkn.selection.settings import Edge, SelectionRules, SolveSettings, settings_from
from kpnn.pkn.selection.solvers.by_name import find_solver
from kpnn.pkn.selection.twin_outputs import TwinOutputs, merge_twin_outputs

_RULES, _SOLVE = SelectionRules(), SolveSettings()
_LEAST_TIE_BREAK = 2.0
"""Seconds for the tie-break rule even where the search took all of the time limit."""


@dataclass(frozen=True, eq=False)
class DagSelection:
    """A selected DAG and how good it is known to be.

    Attributes:
        pkn: the PKN that it was selected from.
        rules: the demands on the DAG.
        dag: the selected DAG.
        status: `optimal` (proven), or `time_limit` or `gap_limit`: the best found, `gap` says how far it may be off.
        objective: cost of the kept edges of the PKN (their number where all costs are 1).
        bound: no DAG that meets the demands costs less.
        gap: (objective - bound) / objective.
        seconds: by phase, and `total`.
        method: `compact` or `acyclic_flow`.
        solver: name and version.
        tie_break: the rule that chose among optima.
        is_unique: whether the rule is known to leave one neuron set only.
        sizes: columns and rows of the formulation, and nodes, edges and input classes before and after presolve.

    Examples:
        >>> import pandas as pd
        >>> edges = pd.DataFrame({"parent": ["R", "R", "A", "B", "A"], "child": ["A", "B", "g1", "g2", "g2"]})
        >>> selection = select_dag(Pkn.from_edges(edges))
        >>> selection.status, selection.objective, selection.bound, selection.gap
        ('optimal', 3.0, 3.0, 0.0)
        >>> selection.verify()
    """

    pkn: Pkn
    rules: SelectionRules
    dag: Dag
    status: str
    objective: float
    bound: float
    gap: float
    seconds: dict[str, float]
    method: str
    solver: str
    tie_break: str
    is_unique: bool = False
    sizes: dict[str, int] = field(default_factory=dict)

    def verify(self) -> None:
        """Recomputes from the PKN and the rules alone that the DAG is feasible, acyclic and costs what is said.

        Raises:
            SelectionError: it is not; the message names what is wrong.
        """
        check_selection(self.pkn, self.rules, self.dag, self.objective, self.bound)

    def as_dict(self) -> dict[str, Any]:
        """All but the PKN and the DAG, ready for JSON.

        Returns:
            The attributes by name, and the DAG's numbers of neurons, edges and parameters.
        """
        return {
            "method": self.method,
            "solver": self.solver,
            "status": self.status,
            "objective": self.objective,
            "bound": self.bound,
            "gap": self.gap,
            "n_neurons": len(self.dag.neurons),
            "n_edges": len(self.dag.edges),
            "n_parameters": self.dag.n_parameters,
            "tie_break": self.tie_break,
            "is_unique": self.is_unique,
            "seconds": dict(self.seconds),
            "sizes": dict(self.sizes),
        }


def select_dag(
    pkn: Pkn,
    *,
    method: str = _SOLVE.method,
    solver: str = _SOLVE.solver,
    time_limit: float = _SOLVE.time_limit,
    gap: float = _SOLVE.gap,
    threads: int = _SOLVE.threads,
    seed: int = _SOLVE.seed,
    tie_break: str = _SOLVE.tie_break,
    keep_nodes: Iterable[str] = _RULES.keep_nodes,
    forbid_nodes: Iterable[str] = _RULES.forbid_nodes,
    keep_edges: Iterable[Edge] = _RULES.keep_edges,
    forbid_edges: Iterable[Edge] = _RULES.forbid_edges,
    max_depth: int | None = _RULES.max_depth,
    max_parents: int | None = _RULES.max_parents,
    coverage: int = _RULES.coverage,
    reach: str = _RULES.reach,
) -> DagSelection:
    """Selects the cheapest DAG in which every input reaches its outputs and every output is reached by an input.

    Args:
        pkn: a PKN in which each input and output lies on a path (`pkn.pruned()` sees to that); cycles are welcome.
        method: `compact`, or `acyclic_flow`: CORNETO's own formulation, for comparison.
        solver: `HIGHS`, `SCIP` or `GUROBI`.
        time_limit: seconds, all phases together. What is best by then is returned, with its gap.
        gap: relative gap at which the search may stop; 0 asks for a proof.
        threads: most threads; 0 leaves it to the solver.
        seed: of the solver, and of `tie_break="random"`.
        tie_break: which of several optimal DAGs (see `SolveSettings`).
        keep_nodes: hidden nodes that must be kept.
        forbid_nodes: hidden nodes that must not be kept.
        keep_edges: (parent, child) edges that must be kept.
        forbid_edges: (parent, child) edges that must not be kept.
        max_depth: most edges on any path.
        max_parents: most parents of any node.
        coverage: each input keeps this many parents, or all where it has fewer.
        reach: `every`: each input reaches every output that it reaches in the PKN; `any`: at least one of them.

    Returns:
        The DAG, its cost, the bound, and how the search went.

    Raises:
        SelectionError: an input or output has no path, the demands contradict each other or the PKN, or no DAG
            was found in time.

    Examples:
        >>> import pandas as pd
        >>> edges = pd.DataFrame({"parent": ["R", "R", "A", "B", "A"], "child": ["A", "B", "g1", "g2", "g2"]})
        >>> select_dag(Pkn.from_edges(edges)).dag.hidden
        ('A',)
    """
    settings = settings_from(
        SolveSettings,
        method=method,
        solver=solver,
        time_limit=time_limit,
        gap=gap,
        threads=threads,
        seed=seed,
        tie_break=tie_break,
    )
    rules = settings_from(
        SelectionRules,
        keep_nodes=tuple(keep_nodes),
        forbid_nodes=tuple(forbid_nodes),
        keep_edges=tuple(keep_edges),
        forbid_edges=tuple(forbid_edges),
        max_depth=max_depth,
        max_parents=max_parents,
        coverage=coverage,
        reach=reach,
    )
    if method == "acyclic_flow":
        return _select_by_flow(pkn, rules, settings)
    return select(pkn, rules, settings)


@dataclass(frozen=True, eq=False)
class SolvedFormulation:
    """A formulation, its search, and what it took.

    Attributes:
        formulation: what was solved.
        search: the search, which has a solution.
        solver: the solver.
        version: the solver's name and version.
        seconds: by phase.
        started: `time.monotonic()` at the start.
        twins: outputs that one of them stands for in the formulation, or None.
    """

    formulation: Formulation
    search: SearchState
    solver: Solver
    version: str
    seconds: dict[str, float]
    started: float
    twins: TwinOutputs | None = None

    def base(self, dag: Dag | None) -> Dag | None:
        """A DAG of the PKN as the formulation knows it."""
        return dag if self.twins is None or dag is None else self.twins.merged_dag(dag)


def solve_pkn(
    pkn: Pkn,
    rules: SelectionRules,
    settings: SolveSettings,
    *,
    edge_form: bool | None = None,
    base: Dag | None = None,
    every_optimum: bool = False,
) -> SolvedFormulation:
    """Presolves, formulates and solves.

    Args:
        pkn: the PKN.
        rules: the demands on the DAG.
        settings: how to solve.
        edge_form: see `formulate`.
        base: a DAG that must be contained, feasible under the same rules but for a smaller coverage.
        every_optimum: the formulation must hold every optimal neuron set, not only optimal DAGs of one kind.
    """
    started = time.monotonic()
    solver, version = find_solver(settings.solver)
    twins = None if edge_form else merge_twin_outputs(pkn, rules)
    if twins is not None and base is not None:
        merged = twins.merged_dag(base)
        twins, base = (None, base) if merged is None else (twins, merged)
    pkn = pkn if twins is None else twins.merged
    formulation = formulate(presolve(pkn, rules), edge_form=edge_form)
    if base is not None and (formulation.has_edge_form or not _holds_cheapest_edges(pkn, base)):
        kept = zip(base.edges["parent"], base.edges["child"], strict=True)
        with_base = rules.model_copy(update={"keep_edges": tuple(dict.fromkeys((*rules.keep_edges, *kept)))})
        formulation = formulate(presolve(pkn, with_base), edge_form=True)
    elif base is not None:
        # A tree that hangs together can always be extended, and an input's cheapest edges are among those that it pays
        # for anyway, so that keeping the nodes is enough (see `realize_edges`).
        low = formulation.low.copy()
        low[formulation.node_column[node_codes(pkn, base.hidden)]] = 1.0
        formulation = replace(formulation, low=low)
    seconds = {"presolve": time.monotonic() - started}
    if edge_form is None and base is None and hub_form_applies(formulation.reduced):
        formulation, search = solve_by_hub(formulation, solver, settings.limits, every_optimum=every_optimum)
    else:
        search = solve_compact(formulation, solver, settings.limits)
    search.require_best(settings.time_limit)
    return SolvedFormulation(formulation, search, solver, version, seconds | search.seconds, started, twins)


def _holds_cheapest_edges(pkn: Pkn, base: Dag) -> bool:
    """Whether the k edges of every input that a DAG of the PKN keeps are its k cheapest in the PKN.

    Where they are not, further neurons may bring edges that are cheaper than one that must stay, and the node form, in
    which an input pays for its cheapest edges, would leave out what that one costs.
    """
    edges = pkn.edges.loc[pkn.edges["child"].isin(pkn.inputs), ["parent", "child", "cost"]].sort_values("cost")
    kept = edges.merge(base.edges[["parent", "child"]]).groupby("child")["cost"].agg(["size", "sum"])
    n_kept = edges["child"].map(kept["size"]).fillna(0)
    cheapest = edges[edges.groupby("child").cumcount() < n_kept].groupby("child")["cost"].sum()
    return bool((kept["sum"] <= cheapest.loc[kept.index] * (1 + 1e-9)).all())


def select(pkn: Pkn, rules: SelectionRules, settings: SolveSettings, *, base: Dag | None = None) -> DagSelection:
    """As `select_dag`, by the compact formulation, with the arguments in two groups; for `base` see `solve_pkn`."""
    solved = solve_pkn(pkn, rules, settings, base=base)
    x, is_unique = solved.search.require_best(settings.time_limit), False
    clock = time.monotonic()
    if solved.search.gap <= 1e-9:
        left = max(_LEAST_TIE_BREAK, settings.time_limit - (clock - solved.started))
        limits = replace(settings.limits, time_limit=left)
        optimal = SolutionsWithinCost(solved.search, solved.solver, limits, solved.search.objective)
        x, is_unique = preferred_solution(optimal, solved.search, settings.tie_break, settings.seed)
    solved.seconds["tie_break"] = time.monotonic() - clock
    return as_selection(solved, x, settings, is_unique=is_unique, base=base)


def as_selection(
    solved: SolvedFormulation,
    x: np.ndarray,
    settings: SolveSettings,
    *,
    is_unique: bool = False,
    base: Dag | None = None,
) -> DagSelection:
    """Turns a solution of a solved formulation into a selection.

    Args:
        solved: gives formulation, bound and what it took.
        x: values of the formulation's columns.
        settings: how it was solved.
        is_unique: see `DagSelection`.
        base: a DAG whose edges are kept.
    """
    formulation, reduced = solved.formulation, solved.formulation.reduced
    rows = realize_edges(formulation, x, settings.tie_break, settings.seed, base=solved.base(base))
    pkn = reduced.pkn
    if solved.twins is not None:
        pkn, rows = solved.twins.pkn, solved.twins.rows_of(rows)
    objective = float(pkn.edges["cost"].to_numpy()[rows].sum())
    return DagSelection(
        pkn=pkn,
        rules=reduced.rules,
        dag=dag_of_rows(pkn, rows),
        **_quality(objective, solved.search.bound, settings.gap),
        seconds=solved.seconds | {"total": time.monotonic() - solved.started},
        method=settings.method,
        solver=solved.version,
        tie_break=settings.tie_break,
        is_unique=is_unique,
        sizes={"columns": formulation.n_columns, "rows": len(solved.search.rows), **reduced.report.as_dict()},
    )


def _select_by_flow(pkn: Pkn, rules: SelectionRules, settings: SolveSettings) -> DagSelection:
    start = time.monotonic()
    _, version = find_solver(settings.solver)
    reduced = presolve(pkn, rules)
    seconds = {"presolve": time.monotonic() - start}
    flow = solve_acyclic_flow(reduced, settings.solver, settings.limits)
    total = time.monotonic() - start
    return DagSelection(
        pkn=pkn,
        rules=rules,
        dag=dag_of_rows(pkn, flow.rows),
        **_quality(flow.objective, flow.bound, settings.gap),
        seconds=seconds | {"solve": total - seconds["presolve"], "total": total},
        method=settings.method,
        solver=version,
        tie_break="solver",
        sizes={"columns": flow.n_columns, "rows": flow.n_rows, **reduced.report.as_dict()},
    )


def _quality(objective: float, bound: float, gap_limit: float) -> dict[str, Any]:
    """What a selection says about its cost: `objective`, `bound`, `gap` and `status`."""
    bound = min(objective, bound)
    gap = (objective - bound) / objective
    return {
        "objective": objective,
        "bound": bound,
        "gap": gap if gap > 1e-9 else 0.0,
        "status": "optimal" if gap <= 1e-6 else "gap_limit" if gap <= gap_limit else "time_limit",
    }
