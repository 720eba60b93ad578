"""Solving DAG selection by way of a hub, where every output must be reached by every input (see `model.hub_form`)."""

from __future__ import annotations

import logging
import time
from dataclasses import replace

import numpy as np

from kpnn.pkn.selection.compact import solve_compact
from kpnn.pkn.selection.model.compact_form import formulate
from kpnn.pkn.selection.model.formulation import Formulation
from kpnn.pkn.selection.model.hub_form import formulate_hub
from kpnn.pkn.selection.model.programme import Solver
from kpnn.pkn.selection.model.rows import NO_COLUMN
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
    bound = min(hub.bound, nodes.bound + unit)
    is_proven = hub.best is not None and hub.objective <= bound + 1e-9
    if is_proven and (not every_optimum or hub.objective <= nodes.bound + 1e-9):
        hub.seconds = seconds
        return hub_form, hub
    start = None
    if hub.best is not None:
        start = columns_of_edges(edges, realize_edges(hub_form, hub.best, "support", 0))
    left = replace(limits, time_limit=max(0.1, limits.time_limit - (time.monotonic() - started)))
    edges = _without_hopeless(edges, nodes, node_form, hub.objective)
    search = solve_compact(edges, solver, left, least=bound, start=start)
    search.seconds = seconds | search.seconds
    return edges, search


def _without_hopeless(edges: Formulation, nodes: SearchState, node_form: Formulation, most_cost: float) -> Formulation:
    """The edge form without nodes that are in no DAG of at most this cost, as the node form's relaxation says."""
    relaxed = nodes.relaxed
    if relaxed is None or relaxed.reduced_cost is None or not np.isfinite(most_cost):
        return edges
    least = relaxed.bound + node_form.constant + relaxed.reduced_cost
    codes = np.flatnonzero(node_form.node_column != NO_COLUMN)
    hopeless = codes[least[node_form.node_column[codes]] > most_cost + 1e-6]
    high = edges.high.copy()
    high[edges.node_column[hopeless]] = 0.0
    return replace(edges, high=np.maximum(high, edges.low))
