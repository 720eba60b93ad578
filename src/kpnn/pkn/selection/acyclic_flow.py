"""CORNETO's own formulation of DAG selection, `AcyclicFlow`, for comparison."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from kpnn.errors import SelectionError
from kpnn.pkn.conversion import to_corneto
from kpnn.pkn.network import Pkn
from kpnn.pkn.selection.presolve import ReducedPkn
from kpnn.pkn.selection.settings import SelectionRules, SolveLimits
from kpnn.pkn.selection.solvers.through_cvxpy import bound_of, solver_options

_TIGHT: dict[str, dict[str, float]] = {
    # An edge may carry a flow of 1,000 and counts from 0.0001 on: at the usual tolerances of 1e-5 to 1e-6 an
    # indicator of nearly zero would let flow through an edge that is not paid for.
    "HIGHS": {"mip_feasibility_tolerance": 1e-9, "primal_feasibility_tolerance": 1e-9},
    "SCIP": {"numerics/feastol": 1e-9},
    "GUROBI": {"IntFeasTol": 1e-9, "FeasibilityTol": 1e-9, "IntegralityFocus": 1},
}


@dataclass(frozen=True)
class FlowSolution:
    """What the solver made of the flow formulation.

    Attributes:
        rows: kept rows of `pkn.edges`.
        objective: their cost.
        bound: the solver's bound on it.
        n_columns, n_rows: size of the formulation as cvxpy passes it on.
    """

    rows: np.ndarray
    objective: float
    bound: float
    n_columns: int
    n_rows: int


def solve_acyclic_flow(reduced: ReducedPkn, solver: str, limits: SolveLimits) -> FlowSolution:
    """Solves `AcyclicFlow` with every input and output edge forced, at least cost of the other edges.

    The formulation is CORNETO's; only its objective is given as one product instead of a sum of expressions, which
    takes most of the time to compile.

    Args:
        reduced: the presolved PKN; only its usable edges enter.
        solver: `HIGHS`, `SCIP` or `GUROBI`.
        limits: time limit of the solver (compiling comes on top), gap, threads and seed.

    Raises:
        SelectionError: a demand that the formulation does not know, or no solution in time.
    """
    import corneto as cn
    import cvxpy as cp

    rules = reduced.rules
    if reduced.reach:
        raise SelectionError(
            "method acyclic_flow asks each input for a path to any one output; choose reach=any, or use method compact"
        )
    unknown = set(SelectionRules.model_fields) - {"forbid_nodes", "forbid_edges", "keep_edges", "reach"}
    if rules.model_dump(include=unknown) != SelectionRules().model_dump(include=unknown):
        raise SelectionError(
            "method acyclic_flow knows forbid_nodes, forbid_edges and keep_edges only; use method compact"
        )
    pkn = reduced.pkn
    usable = Pkn(pkn.edges.iloc[reduced.edge_ids].reset_index(drop=True), pkn.inputs, pkn.outputs)
    graph = to_corneto(usable)
    problem = cn.opt.AcyclicFlow(graph)
    n_edges = len(usable.edges)
    pairs = list(zip(usable.edges["parent"], usable.edges["child"], strict=True))
    position = {pair: row for row, pair in enumerate(pairs)}
    forced = [*range(n_edges, graph.num_edges), *(position[edge] for edge in rules.keep_edges)]
    problem += problem.expr.with_flow[forced] == 1
    weights = np.concatenate([usable.edges["cost"].to_numpy(), np.zeros(graph.num_edges - n_edges)])
    problem.add_objectives((problem.expr.with_flow.multiply(weights)).sum(), weights=1)
    options = solver_options(solver, limits, 1e-6)
    (options["scip_params"] if solver == "SCIP" else options).update(_TIGHT[solver])
    try:
        solved = problem.solve(solver=solver, max_seconds=max(1, math.ceil(limits.time_limit)), **options)
    except cp.error.SolverError as error:
        raise SelectionError(
            f"{solver} found no DAG for the flow formulation of {6 * n_edges:,} or more constraints within "
            f"{limits.time_limit:g} s; allow more time or use method compact ({error})"
        ) from error
    value = problem.expr.with_flow.value
    if value is None:
        raise SelectionError(f"no DAG satisfies all demands together ({solver}: {solved.status})")
    rows = reduced.edge_ids[np.flatnonzero(np.asarray(value)[:n_edges] > 0.5)]
    objective = float(pkn.edges["cost"].to_numpy()[rows].sum())
    metrics = solved.size_metrics
    n_rows = int(metrics.num_scalar_eq_constr + metrics.num_scalar_leq_constr)
    return FlowSolution(
        rows, objective, min(bound_of(solver, solved), objective), int(metrics.num_scalar_variables), n_rows
    )
