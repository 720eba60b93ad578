"""DAG selection: the smallest DAG through a PKN that still uses every input and every output."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kpnn.errors import SelectionError
from kpnn.pkn.acyclic_flow import solve_acyclic_flow
from kpnn.pkn.certificate import check_selection
from kpnn.pkn.compact import Limits, require_solution, solve_compact
from kpnn.pkn.dag import Dag
from kpnn.pkn.network import Pkn
from kpnn.pkn.presolve import presolve
from kpnn.pkn.realise import TIE_BREAKS, realise
from kpnn.pkn.rules import Edge, SelectionRules
from kpnn.pkn.solvers import find_solver
from kpnn.pkn.statement import state

METHODS = ("compact", "acyclic_flow")


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
        sizes: columns and rows of the statement, and nodes, edges and input classes before and after presolve.
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
        """All but the PKN and the DAG, ready for JSON."""
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
    method: str = "compact",
    solver: str = "HIGHS",
    time_limit: float = 60.0,
    gap: float = 0.0,
    threads: int = 0,
    seed: int = 0,
    tie_break: str = "support",
    keep_nodes: Iterable[str] = (),
    forbid_nodes: Iterable[str] = (),
    keep_edges: Iterable[Edge] = (),
    forbid_edges: Iterable[Edge] = (),
    max_depth: int | None = None,
    max_parents: int | None = None,
    coverage: int = 1,
) -> DagSelection:
    """Selects the cheapest DAG in which every input reaches an output and every output is reached by an input.

    Args:
        pkn: a PKN in which each input and output lies on a path (`pkn.pruned()` sees to that); cycles are welcome.
        method: `compact`, or `acyclic_flow`: CORNETO's own statement, for comparison.
        solver: `HIGHS`, `SCIP` or `GUROBI`.
        time_limit: seconds, all phases together. What is best by then is returned, with its gap.
        gap: relative gap at which the search may stop; 0 asks for a proof.
        threads: most threads; 0 leaves it to the solver.
        seed: of the solver, and of `tie_break="random"`.
        tie_break: which of several optimal DAGs (see `realise.realise`).
        keep_nodes: hidden nodes that must be kept.
        forbid_nodes: hidden nodes that must not be kept.
        keep_edges: (parent, child) edges that must be kept.
        forbid_edges: (parent, child) edges that must not be kept.
        max_depth: most edges on any path.
        max_parents: most parents of any node.
        coverage: each input keeps this many parents, or all where it has fewer.

    Raises:
        SelectionError: an input or output has no path, the demands contradict each other or the PKN, or no DAG
            was found in time.

    Example:
        >>> import pandas as pd
        >>> edges = pd.DataFrame({"parent": ["R", "R", "A", "B", "A"], "child": ["A", "B", "g1", "g2", "g2"]})
        >>> select_dag(Pkn.from_edges(edges)).dag.hidden
        ('A',)
    """
    start = time.monotonic()
    _one_of("method", method, METHODS)
    _one_of("tie_break", tie_break, TIE_BREAKS)
    milp, version = find_solver(solver)
    rules = SelectionRules(
        tuple(keep_nodes),
        tuple(forbid_nodes),
        tuple(keep_edges),
        tuple(forbid_edges),
        max_depth,
        max_parents,
        coverage,
    )
    reduced = presolve(pkn, rules)
    seconds = {"presolve": time.monotonic() - start}
    limits = Limits(time_limit, gap, threads, seed)
    if method == "acyclic_flow":
        flow = solve_acyclic_flow(reduced, solver, limits)
        seconds["solve"] = time.monotonic() - start - seconds["presolve"]
        rows, objective, bound = flow.rows, flow.objective, flow.bound
        sizes = {"columns": flow.n_columns, "rows": flow.n_rows}
    else:
        statement = state(reduced)
        search = solve_compact(statement, milp, limits)
        seconds |= search.seconds
        x = require_solution(search, time_limit)
        rows, objective, bound = realise(statement, x, tie_break, seed), search.objective, search.bound
        sizes = {"columns": statement.n_columns, "rows": len(search.rows)}
    edges = pkn.edges.iloc[np.sort(rows)].reset_index(drop=True)
    dag = Dag.from_edges(edges, outputs=pkn.outputs)
    seconds["total"] = time.monotonic() - start
    left = max(0.0, (objective - bound) / objective)
    return DagSelection(
        pkn=pkn,
        rules=rules,
        dag=dag,
        status=_status(left, gap),
        objective=objective,
        bound=bound,
        gap=left,
        seconds=seconds,
        method=method,
        solver=version,
        tie_break=tie_break if method == "compact" else "solver",
        sizes={**sizes, **reduced.report.as_dict()},
    )


def _status(left: float, gap: float) -> str:
    if left <= 1e-6:
        return "optimal"
    return "gap_limit" if left <= gap else "time_limit"


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise SelectionError(f"{name} must be one of {', '.join(allowed)}, found {value!r}")
