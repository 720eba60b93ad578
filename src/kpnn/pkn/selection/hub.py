"""Solving DAG selection by way of a hub, where every output must be reached by every input (see `model.hub_form`)."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event

import numpy as np

from kpnn.pkn.selection.compact import Known, solve_compact
from kpnn.pkn.selection.model.compact_form import formulate
from kpnn.pkn.selection.model.formulation import Formulation, without_barred_columns
from kpnn.pkn.selection.model.hub_form import formulate_hub
from kpnn.pkn.selection.model.programme import Solver
from kpnn.pkn.selection.model.rows import NO_COLUMN, LinearRows
from kpnn.pkn.selection.model.several_hubs import formulate_several_hubs
from kpnn.pkn.selection.presolve import ReducedPkn
from kpnn.pkn.selection.realization import columns_of_edges, realize_edges
from kpnn.pkn.selection.search.state import SearchState
from kpnn.pkn.selection.settings import SolveLimits
from kpnn.pkn.selection.solvers.by_name import lets_others_run
from kpnn.stopping import stopped_by

_log = logging.getLogger(__name__)

_HUB_PHASES = ("relaxation", "repair", "aimed", "integer")
_SEVERAL_PHASES = ("relaxation", "aimed", "integer")
_HUB_SHARE = 0.1
"""Most of the time limit that the search for the best DAG with a hub may take by itself, to know what is cheap."""
_HUB_SHARE_MORE = 0.3
"""Most of what is left then that it may take where there is none yet."""
_SEVERAL_SHARE = 0.95
"""Most of what is left then that the proof for DAGs with several hubs may take, the search for one with a hub beside
it."""
_SEVERAL_SHARE_ALONE = 0.6
"""The same where the solver lets nothing run beside it."""
_SEVERAL_SHARE_WITHOUT = 0.2
"""The same where there is no DAG with a hub yet: first of all there must be one of any kind."""
_NODES_SHARE = 0.25
"""Most of what is left after both that the node form's relaxation may take."""


def solve_by_hub(
    edges: Formulation, solver: Solver, limits: SolveLimits, *, every_optimum: bool
) -> tuple[Formulation, SearchState]:
    """Solves the hub form, and the statement of several hubs; where both do not settle it, the edge form from there.

    Args:
        edges: the edge form; `hub_form_applies` to its PKN.
        solver: solves programmes to integrality.
        limits: when to stop.
        every_optimum: the formulation returned must hold all cheapest DAGs, with a hub or without.

    Returns:
        The hub form with its search where its best DAG is proven to be a cheapest one, else the edge form with its own.
    """
    clock = _Clock(limits)
    reduced = edges.reduced
    unit = float(reduced.cost[0])
    hub_form = formulate_hub(reduced)
    hub = solve_compact(hub_form, solver, clock.share(_HUB_SHARE), phases=_HUB_PHASES)
    if hub.best is None and not hub.is_infeasible:
        more, share = replace(hub_form, rows=hub.rows), clock.share(_HUB_SHARE_MORE)
        hub = solve_compact(more, solver, share, known=Known(least=hub.bound), phases=_HUB_PHASES)
    seconds = {"hub": clock.lap()}
    # Where the hub form has no solution in time, whatever several hubs cost is a bound.
    most = np.inf
    if hub.best is not None:
        most = hub.objective if every_optimum else hub.objective - unit
    hub, others = _both_to_the_end(hub_form, hub, most, (solver, clock))
    hub_bound = np.inf if hub.is_infeasible else hub.bound
    seconds["several_hubs"] = clock.lap()
    _log.debug("hub form: best %g, bound %g; several hubs: at least %g", hub.objective, hub_bound, others)
    bound = min(hub_bound, others)
    is_proven = hub.best is not None and hub.objective <= bound + 1e-9
    if is_proven and (not every_optimum or hub.objective < others - 1e-9):
        hub.bound = hub.objective
        hub.seconds = seconds
        return hub_form, hub
    if hub.best is None:
        known = Known(least=bound) if np.isfinite(bound) else None
        search = solve_compact(edges, solver, clock.share(1.0), known=known)
        search.seconds = seconds | search.seconds
        return edges, search
    node_form = formulate(reduced, edge_form=False)
    # Its bound and reduced costs are what matters: the relaxation is enough.
    nodes = solve_compact(node_form, solver, clock.share(_NODES_SHARE), phases=["relaxation"])
    seconds["nodes"] = clock.lap()
    if every_optimum:
        among = _edges_within(edges, node_form, nodes, hub.objective, has_hub=True)
        start = columns_of_edges(among, realize_edges(hub_form, hub.best, "support", 0))
        search = solve_compact(among, solver, clock.share(1.0), known=Known(least=bound, start=start))
        search.seconds = seconds | search.seconds
        return among, search
    # What is left to find costs less than the best DAG with a hub, and has none.
    beyond = _edges_within(edges, node_form, nodes, hub.objective - unit, has_hub=False)
    search = solve_compact(beyond, solver, clock.share(1.0), known=Known(least=others), from_nodes=False)
    seconds |= search.seconds
    if search.best is None or search.objective > hub.objective - 1e-9:
        least = np.inf if search.is_infeasible else search.bound
        hub.bound = min(hub.objective, hub_bound, max(bound, least))
        hub.seconds = seconds
        return hub_form, hub
    search.bound = min(search.bound, hub_bound)
    search.seconds = seconds
    return beyond, search


class _Clock:
    """Shares out what is left of the time limit, and says how long each part took."""

    def __init__(self, limits: SolveLimits) -> None:
        self._limits = limits
        self._started = self._lap = time.monotonic()

    def share(self, share: float) -> SolveLimits:
        """Limits with this share of the time that is left."""
        left = self._limits.time_limit - (time.monotonic() - self._started)
        return replace(self._limits, time_limit=max(0.1, share * left))

    def lap(self) -> float:
        """Seconds since the last lap."""
        now = time.monotonic()
        seconds, self._lap = now - self._lap, now
        return seconds


def _both_to_the_end(
    hub_form: Formulation, hub: SearchState, most_cost: float, solve_with: tuple[Solver, _Clock]
) -> tuple[SearchState, float]:
    """Goes on with the best DAG with a hub where it is not proven, beside the proof for DAGs with several hubs.

    Returns:
        The search of the hub form, and what DAGs with several hubs cost at least, see `_least_of_several`.
    """
    solver, clock = solve_with
    stop = Event()

    def several(limits: SolveLimits) -> float:
        with stopped_by(stop):
            return _least_of_several(hub_form.reduced, most_cost, (solver, limits))

    def again(limits: SolveLimits) -> SearchState:
        known = Known(least=hub.bound, start=hub.best)
        return solve_compact(replace(hub_form, rows=hub.rows), solver, limits, known=known, phases=_HUB_PHASES)

    if hub.best is None:
        return hub, several(clock.share(_SEVERAL_SHARE if hub.is_infeasible else _SEVERAL_SHARE_WITHOUT))
    if hub.bound >= hub.objective - 1e-9:
        return hub, several(clock.share(_SEVERAL_SHARE))
    if not lets_others_run(solver):
        others = several(clock.share(_SEVERAL_SHARE_ALONE))
        return again(clock.share(_SEVERAL_SHARE)), others
    limits = clock.share(_SEVERAL_SHARE)
    with ThreadPoolExecutor(1) as beside:
        of_several = beside.submit(several, limits)
        try:
            hub = again(limits)
        except BaseException:  # Ctrl-C among them
            stop.set()
            raise
        return hub, of_several.result()


def _least_of_several(reduced: ReducedPkn, most_cost: float, solve_with: tuple[Solver, SolveLimits]) -> float:
    """A bound of the cost of DAGs with several hubs, as far as it is at most one edge above a given cost.

    Args:
        reduced: the presolved PKN.
        most_cost: DAGs that cost more do not matter.
        solve_with: the solver, and when to stop.
    """
    below = most_cost + float(reduced.cost[0])
    several = formulate_several_hubs(reduced)
    search = solve_compact(several, *solve_with, known=Known(below=below), phases=_SEVERAL_PHASES)
    # A solution that costs as much as this may still be no DAG.
    return below if search.is_infeasible else search.bound


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
    low, high, rows = edges.low.copy(), edges.high.copy(), LinearRows.joined(edges.rows)
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
