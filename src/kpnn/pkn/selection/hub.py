"""Solving DAG selection by way of a hub, where every output must be reached by every input (see `model.hub_form`)."""

from __future__ import annotations

import logging
import time
from dataclasses import replace

import numpy as np

from kpnn.pkn.selection.compact import solve_compact
from kpnn.pkn.selection.model.compact_form import formulate
from kpnn.pkn.selection.model.formulation import Formulation, without_barred_columns
from kpnn.pkn.selection.model.hub_form import formulate_hub
from kpnn.pkn.selection.model.programme import Solver
from kpnn.pkn.selection.model.rows import NO_COLUMN, LinearRows
from kpnn.pkn.selection.model.two_hubs import formulate_two_hubs
from kpnn.pkn.selection.presolve import ReducedPkn
from kpnn.pkn.selection.realization import columns_of_edges, realize_edges
from kpnn.pkn.selection.search.state import SearchState
from kpnn.pkn.selection.settings import SolveLimits

_log = logging.getLogger(__name__)

_SHARE = 0.3
"""Most of the time limit that the node form and the hub form may take each."""


def solve_by_hub(
    edges: Formulation, solver: Solver, limits: SolveLimits, *, every_optimum: bool
) -> tuple[Formulation, SearchState]:
    """Solves the hub form and, where that does not settle it, the edge form from there.

    Args:
        edges: the edge form; `hub_form_applies` to its PKN.
        solver: solves programmes to integrality.
        limits: when to stop.
        every_optimum: the formulation returned must hold all cheapest DAGs, with a hub or without.

    Returns:
        The hub form with its search where its best DAG is proven to be a cheapest one, else the edge form with its own.
    """
    started = time.monotonic()
    unit = float(edges.reduced.cost[0])
    part = replace(limits, time_limit=_SHARE * limits.time_limit)
    node_form = formulate(edges.reduced, edge_form=False)
    # Its bound is what matters: the relaxation is enough in most cases.
    nodes = solve_compact(node_form, solver, part, phases=["relaxation"])
    hub_form = formulate_hub(edges.reduced)
    hub = solve_compact(hub_form, solver, part, least=nodes.bound)
    seconds = {"nodes": sum(nodes.seconds.values()), "hub": sum(hub.seconds.values())}
    _log.debug("node form: bound %g; hub form: best %g, bound %g", nodes.bound, hub.objective, hub.bound)
    # A DAG without a hub costs at least one edge more than the node form says.
    others = nodes.bound + unit
    most = hub.objective if every_optimum else hub.objective - unit
    if hub.best is not None and others <= most + 1e-9:
        clock = time.monotonic()
        others = max(others, _least_without_hub(edges.reduced, node_form, nodes, most, (solver, part)))
        seconds["two_hubs"] = time.monotonic() - clock
    bound = min(hub.bound, others)
    is_proven = hub.best is not None and hub.objective <= bound + 1e-9
    if is_proven and (not every_optimum or hub.objective < others - 1e-9):
        hub.bound = hub.objective
        hub.seconds = seconds
        return hub_form, hub
    left = replace(limits, time_limit=max(0.1, limits.time_limit - (time.monotonic() - started)))
    if hub.best is None:
        search = solve_compact(edges, solver, left, least=bound)
        search.seconds = seconds | search.seconds
        return edges, search
    if every_optimum:
        among = _edges_within(edges, node_form, nodes, hub.objective, has_hub=True)
        start = columns_of_edges(among, realize_edges(hub_form, hub.best, "support", 0))
        search = solve_compact(among, solver, left, least=bound, start=start)
        search.seconds = seconds | search.seconds
        return among, search
    # What is left to find costs less than the best DAG with a hub, and has none.
    beyond = _edges_within(edges, node_form, nodes, hub.objective - unit, has_hub=False)
    search = solve_compact(beyond, solver, left, least=others, from_nodes=False)
    seconds |= search.seconds
    if search.best is None or search.objective > hub.objective - 1e-9:
        least = np.inf if search.is_infeasible else search.bound
        hub.bound = min(hub.objective, hub.bound, max(bound, least))
        hub.seconds = seconds
        return hub_form, hub
    search.bound = min(search.bound, hub.bound)
    search.seconds = seconds
    return beyond, search


def _least_without_hub(
    reduced: ReducedPkn,
    node_form: Formulation,
    nodes: SearchState,
    most_cost: float,
    how: tuple[Solver, SolveLimits],
) -> float:
    """A bound of the cost of DAGs without a hub, as far as it is at most one edge above a given cost.

    Args:
        reduced: the presolved PKN.
        node_form: the node form.
        nodes: its search.
        most_cost: DAGs that cost more do not matter.
        how: the solver, and when to stop.
    """
    unit = float(reduced.cost[0])
    is_open = node_form.node_column != NO_COLUMN
    relaxed = nodes.relaxed
    if relaxed is not None and relaxed.reduced_cost is not None:
        # Two hubs take one edge more than the node form counts.
        slack = most_cost - unit - (relaxed.bound + node_form.constant) + 1e-6
        columns = node_form.node_column[is_open]
        is_open[is_open] = (relaxed.reduced_cost[columns] <= slack) | (node_form.low[columns] > 0.5)
    two_hubs = formulate_two_hubs(reduced, is_open)
    rows = LinearRows()
    rows.extend(two_hubs.rows)
    kept = two_hubs.node_column[is_open]
    rows.add(kept, -two_hubs.cost[kept], two_hubs.constant - most_cost - 1e-6)
    column_of = np.full(node_form.n_columns, NO_COLUMN)
    column_of[node_form.node_column[is_open]] = kept
    cuts = nodes.rows
    for columns, values, low, high in zip(cuts.columns, cuts.values, cuts.low, cuts.high, strict=True):
        stays = column_of[columns] != NO_COLUMN
        if stays.any() or low > 0:
            rows.add(column_of[columns[stays]], values[stays], low, high)
    solver, limits = how
    search = solve_compact(replace(two_hubs, rows=rows), solver, limits, phases=["relaxation", "integer"])
    # A DAG in which paths meet in even more edges costs two more than the node form says.
    least = most_cost + unit if search.is_infeasible else search.bound
    _log.debug("two hubs: %d columns, least %g", two_hubs.n_columns, least)
    return min(least, nodes.bound + 2 * unit)


def _edges_within(
    edges: Formulation, node_form: Formulation, nodes: SearchState, most_cost: float, *, has_hub: bool
) -> Formulation:
    """The edge form of DAGs of at most this cost, without the columns that this excludes.

    A DAG costs k - 1 edges more than its inputs and kept nodes, one without a hub k, so that little is left for nodes
    beyond the fewest.

    Args:
        edges: the edge form.
        node_form: the node form.
        nodes: its search.
        most_cost: most cost of a DAG.
        has_hub: whether DAGs with a hub must be among them.
    """
    reduced, relaxed = edges.reduced, nodes.relaxed
    unit = float(reduced.cost[0])
    codes = np.flatnonzero(node_form.node_column != NO_COLUMN)
    columns, node_columns = edges.node_column[codes], node_form.node_column[codes]
    low, high, rows = edges.low.copy(), edges.high.copy(), LinearRows()
    rows.extend(edges.rows)
    if relaxed is not None and relaxed.reduced_cost is not None:
        slack = most_cost - (0.0 if has_hub else unit) - (relaxed.bound + node_form.constant) + 1e-6
        high[columns[relaxed.reduced_cost[node_columns] > slack]] = 0.0
        low[columns[-relaxed.reduced_cost[node_columns] > slack]] = 1.0
        high = np.maximum(high, low)
    # The node form's cuts hold here as well, and the edge form's own are weaker.
    column_of = np.full(node_form.n_columns, NO_COLUMN)
    column_of[node_columns] = columns
    for found, values, least, most in zip(
        nodes.rows.columns, nodes.rows.values, nodes.rows.low, nodes.rows.high, strict=True
    ):
        rows.add(column_of[found], values, least, most)
    priced = np.flatnonzero(edges.cost)
    n_meeting = len(reduced.reach.outputs) - (1 if has_hub else 0)
    rows.add(
        np.concatenate([priced, columns]),
        np.concatenate([edges.cost[priced], np.full(len(columns), -unit)]),
        unit * (len(reduced.pkn.inputs) + n_meeting) - edges.constant,
    )
    column_of_pair = {(parent, child): column for parent, child, column in edges.column_edges}
    for (parent, child), column in column_of_pair.items():
        kept = edges.node_column[[parent, child]]
        kept = kept[kept != NO_COLUMN]
        if (high[kept] == 0).any():
            high[column] = 0.0
        elif (child, parent) in column_of_pair:
            back = column_of_pair[child, parent]
            rows.add(np.array([edges.node_column[parent], column, back]), np.array([1.0, -1.0, -1.0]), 0.0)
    return without_barred_columns(replace(edges, low=low, high=high, rows=rows))
