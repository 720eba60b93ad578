"""Solving the compact formulation: the phases of a search, one after the other, until its optimum is proven."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from kpnn.errors import PknError, SelectionError
from kpnn.pkn.paths import dag_of_rows
from kpnn.pkn.selection.exactness.aimed_rounds import solve_in_aimed_rounds
from kpnn.pkn.selection.exactness.certificate import check_selection
from kpnn.pkn.selection.exactness.integer_rounds import solve_in_integer_rounds, try_integer_rounds
from kpnn.pkn.selection.model.compact_form import formulate
from kpnn.pkn.selection.model.formulation import Formulation
from kpnn.pkn.selection.model.programme import Solver
from kpnn.pkn.selection.model.rows import NO_COLUMN
from kpnn.pkn.selection.progress import progress
from kpnn.pkn.selection.realization import columns_of_edges
from kpnn.pkn.selection.search.heuristic import NodeHeuristic
from kpnn.pkn.selection.search.order_heuristic import cheapest_paths_along_orders
from kpnn.pkn.selection.search.phases import (
    build_from,
    cut_relaxation,
    repair_best,
    search_neighbourhoods,
    swap_nodes,
)
from kpnn.pkn.selection.search.state import SearchProblem, SearchState
from kpnn.pkn.selection.settings import SolveLimits

_START_SHARE = 0.25
"""Most of the time limit that the node form, and the edge form among its nodes, or along one order, may take each."""
_ORDERS_SHARE = 0.1
"""Most of it in which orders are looked for, rough paths along them, and better ones, one after the other."""
_ORDERS_SECONDS = 5.0
"""The same in seconds."""

PHASES: dict[str, Callable[[SearchProblem, SearchState], None]] = {
    "relaxation": cut_relaxation,
    "aimed": solve_in_aimed_rounds,
    "first_integer": try_integer_rounds,
    "repair": repair_best,
    "local_search": swap_nodes,
    "neighbourhoods": search_neighbourhoods,
    "integer": solve_in_integer_rounds,
}
"""In this order, until one of them proves the best solution optimal or the time is up."""
_USUAL_PHASES = tuple(name for name in PHASES if name != "aimed")


@dataclass(frozen=True, eq=False)
class Known:
    """What is known of a formulation before the search.

    Attributes:
        least: no solution costs less.
        below: solutions that do not cost less than this are not looked for.
        start: values of the columns of a feasible solution; None: none is known.
    """

    least: float = -np.inf
    below: float = np.inf
    start: np.ndarray | None = None


def solve_compact(
    formulation: Formulation,
    solver: Solver,
    limits: SolveLimits,
    *,
    from_nodes: bool = True,
    known: Known | None = None,
    phases: Iterable[str] | None = None,
) -> SearchState:
    """Solves a formulation with its cuts.

    Args:
        formulation: the formulation.
        solver: solves programmes to integrality (see `solvers.by_name`).
        limits: when to stop.
        from_nodes: an edge form starts from the DAG and the bound of its node form.
        known: what is known of it already.
        phases: names of those to go through; by default all that any formulation can go through.

    Returns:
        Where the search ended; `best` is None where no solution was found in time or none exists.
    """
    started, known = time.monotonic(), known or Known()
    state = SearchState.of(formulation, limits.seed)
    state.objective = known.below
    if not formulation.n_columns:
        state.is_infeasible = any(low > 0 for low in formulation.rows.low)
        if not state.is_infeasible:
            state.take_if_cheaper(np.empty(0))
            state.raise_bound(0.0)
        return state
    if known.start is not None:
        state.take_if_cheaper(known.start)
    if np.isfinite(known.least):
        state.raise_bound(known.least - formulation.constant)
    if from_nodes and known.start is None:
        if formulation.groups:
            start_from_orders(state, solver, limits)
        if formulation.has_edge_form:
            start_from_nodes(state, solver, limits)
    problem = SearchProblem.of(formulation, solver, limits, started)
    build_from(problem, state, np.zeros(formulation.n_columns))
    with progress(lambda: state.describe(problem)):
        for name in _USUAL_PHASES if phases is None else phases:
            phase, clock, state.phase = PHASES[name], time.monotonic(), name
            if not state.is_done(problem):
                phase(problem, state)
            state.seconds[name] = time.monotonic() - clock
    return state


def start_from_orders(state: SearchState, solver: Solver, limits: SolveLimits) -> None:
    """Gives the search of an edge form in which inputs must reach outputs of their own a DAG, where one is found.

    The cheapest along the order that it runs down follows, as far as a share of the time suffices: without cycles the
    programme is far easier.
    """
    formulation, clock = state.formulation, time.monotonic()
    reduced = formulation.reduced
    seconds = min(_ORDERS_SECONDS, _ORDERS_SHARE * limits.time_limit)
    found = cheapest_paths_along_orders(reduced, state.rng, seconds)
    rises: list[int] = []
    if found is not None:
        edges, rank = found
        rises = [column for parent, child, column in formulation.column_edges if rank[parent] > rank[child]]
        # It may break rules that paths know nothing of, or hold an edge that must be kept on no path.
        with suppress(SelectionError, PknError):
            dag = dag_of_rows(reduced.pkn, reduced.edge_ids[edges])
            cost = float(dag.edges["cost"].sum())
            check_selection(reduced.pkn, reduced.rules, dag, cost, cost)
            state.take_if_cheaper(columns_of_edges(formulation, reduced.edge_ids[edges]))
    if rises and state.best is not None:  # without any, the programme is that of all orders
        high = formulation.high.copy()
        high[rises] = 0.0
        part = replace(limits, time_limit=_START_SHARE * limits.time_limit)
        along = solve_compact(replace(formulation, high=high), solver, part, known=Known(start=state.best))
        if along.best is not None:
            state.take_if_cheaper(along.best)
    state.seconds["orders"] = time.monotonic() - clock


def start_from_nodes(state: SearchState, solver: Solver, limits: SolveLimits) -> None:
    """Gives the search of an edge form a bound and, in most cases, a DAG.

    The node form asks for less, so that its bound holds, and it is solved far sooner. A cheapest DAG among the nodes
    that it keeps is one of the cheapest of all or close to it.
    """
    formulation, clock = state.formulation, time.monotonic()
    part = replace(limits, time_limit=_START_SHARE * limits.time_limit)
    node_form = formulate(formulation.reduced, edge_form=False)
    nodes = solve_compact(node_form, solver, part)
    if np.isfinite(nodes.bound):
        state.raise_bound(nodes.bound - formulation.constant)
    if nodes.best is not None:
        heuristic = NodeHeuristic(node_form)
        kept = heuristic.with_paths_from_every_output(heuristic.nodes_of(nodes.best) > 0.5)
        left_out = formulation.node_column[(formulation.node_column != NO_COLUMN) & ~kept]
        high = formulation.high.copy()
        high[left_out] = 0.0
        among = solve_compact(replace(formulation, high=high), solver, part, from_nodes=False)
        if among.best is not None:
            state.take_if_cheaper(among.best)
    state.seconds["nodes"] = time.monotonic() - clock
