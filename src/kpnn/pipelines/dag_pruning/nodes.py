"""Nodes of the `dag_pruning` pipeline."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from kpnn.errors import PknError, SelectionError, some_names
from kpnn.interpretation import InterpretationSettings
from kpnn.pipelines.dag_pruning.settings import DagSelectionSettings
from kpnn.pipelines.output_genes import log_genes_per_output, warn_of_funnel
from kpnn.pipelines.rivals import rival_table
from kpnn.pkn import (
    Alternatives,
    Dag,
    DagSelection,
    Pkn,
    RewiredPkn,
    SelectionRules,
    SolveSettings,
    enumerate_dags,
    induced_dag,
    percent_saved,
    rewired_pkn,
    select_dag,
    size_path,
    widened_dag,
)
from kpnn.pkn.selection.settings import TieBreakOptions
from kpnn.pkn.selection.solvers.by_name import find_solver, lets_others_run
from kpnn.processes import usable_cores
from kpnn.stopping import SideBySide
from kpnn.training.controls import ControlSettings

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_log = logging.getLogger(__name__)

_SIZE_CURVE = (1, 2, 3)
"""Steps of the size curve where `dag_selection.size_path` names none."""

_LEAST_SHARE = 0.1
"""Of the time limit, for other DAGs that are as good, however long the first took."""

_MOST_AT_ONCE = 8
"""DAGs selected side by side, each with memory of its own."""

_FEW_MOVED = 0.5
"""Below this share of moved edges a rewired PKN is much like the PKN itself."""

_Rewired = tuple[RewiredPkn, DagSelection] | PknError | SelectionError
"""A rewired PKN and its smallest DAG, or why there is none."""


def settle_lanes(pkn: Pkn, settings: DagSelectionSettings, data_summary: dict[str, Any] | None) -> DagSelectionSettings:
    """Settles how many lanes a DAG is to have; whether its classes exclude each other, the labels have shown."""
    one_of_k = bool((data_summary or {}).get("labels", {}).get("one_of_k", False))
    return settings.model_copy(update={"lanes": settings.lanes_for(len(pkn.outputs), one_of_k=one_of_k)})


def select(pkn: Pkn, full_dag: Dag, settings: DagSelectionSettings) -> DagSelection:
    """Selects the cheapest DAG and checks it against the PKN."""
    source = pkn if settings.select_from == "pkn" else Pkn(full_dag.edges, full_dag.inputs, full_dag.outputs)
    selection = _select(source, settings, settings.rules)
    if selection.status != "optimal":
        _log.warning(
            "the selected DAG costs %g and is not proven optimal: no DAG costs less than %g (gap %.2f %%); allow more "
            "than dag_selection.time_limit=%g s for a proof",
            selection.objective,
            selection.bound,
            100 * selection.gap,
            settings.time_limit,
        )
    elif not selection.is_unique and selection.tie_break != "solver":
        _log.warning(
            "several DAGs are optimal, and dag_selection.time_limit=%g s did not suffice to settle which of them "
            "tie_break=%s takes: on a faster or slower machine it may be another one; allow more for the same on all",
            settings.time_limit,
            selection.tie_break,
        )
    _log.info(
        "selected DAG: %s neurons, %s edges of %s, %s, %.1f s",
        f"{len(selection.dag.neurons):,}",
        f"{len(selection.dag.edges):,}",
        f"{len(source.edges):,}",
        "proven optimal" if selection.status == "optimal" else f"gap {selection.gap:.2%}",
        selection.seconds["total"],
    )
    return selection


def _select(pkn: Pkn, settings: DagSelectionSettings, rules: SelectionRules) -> DagSelection:
    how = settings.model_dump(include=set(SolveSettings.model_fields))
    selection = select_dag(pkn, **rules.model_dump(), **how)
    selection.verify()
    return selection


def find_alternatives(
    selection: DagSelection,
    settings: DagSelectionSettings,
    controls: ControlSettings,
    interpretation: InterpretationSettings,
) -> Alternatives:
    """Finds as many other optimal DAGs as anyone asks for; without a proof of what is optimal, none."""
    unknown = pd.DataFrame({"node": selection.pkn.hidden, "membership": "unknown"})
    if selection.status != "optimal":
        return Alternatives((), False, unknown)
    others = max(controls.alternative, interpretation.alternative_dags)
    try:
        return enumerate_dags(
            selection.pkn,
            max(settings.alternatives.most, others + 1),
            tolerance=settings.alternatives.tolerance,
            rules=settings.rules,
            known=selection,
            **_time_for_alternatives(selection, settings),
        )
    except SelectionError as error:
        # The DAG to train is found; other optimal DAGs are an extra whose failure must not end the study.
        _log.warning("other optimal DAGs are not looked for: %s", error)
        return Alternatives((), False, unknown)


def _time_for_alternatives(selection: DagSelection, settings: DagSelectionSettings) -> TieBreakOptions:
    """Other DAGs share the time limit with the selected one; with one output, they get as long as that took at least.

    The limit holds for finding the optimum again, and again for all that follows; what is not settled by then is said.
    """
    options, spent = settings.tie_break_options, selection.seconds["total"]
    least = _LEAST_SHARE * settings.time_limit
    if not settings.rules.demands_every_output(selection.pkn):
        least = max(least, min(spent, settings.time_limit))
    options["time_limit"] = max((settings.time_limit - spent) / 2, least)
    return options


def say_membership(selection: DagSelection, alternatives: Alternatives) -> pd.DataFrame:
    """Says for every hidden node whether all, some or none of the optimal DAGs hold it, and the selected one."""
    kept = set(selection.dag.hidden)
    return alternatives.membership.assign(is_selected=[name in kept for name in alternatives.membership["node"]])


def find_others(
    selection: DagSelection,
    settings: DagSelectionSettings,
    controls: ControlSettings,
    interpretation: InterpretationSettings,
) -> tuple[Alternatives, pd.DataFrame]:
    """Finds other optimal DAGs, and every DAG that is trained beside the selected one, by the rules it was selected by.

    Questions that do not need each other's answers are asked side by side.

    Raises:
        SelectionError: controls ask for DAGs that are as small as the smallest, and it is not proven how small that is.
    """
    if controls.alternative and selection.status != "optimal":
        raise SelectionError(
            f"controls.alternative needs a selected DAG that is proven optimal (its gap is {selection.gap:.2%}); allow "
            f"more than dag_selection.time_limit={settings.time_limit:g} s, or set it to 0"
        )
    with SideBySide(_n_at_once(settings)) as work:
        asked = work.begin(lambda: find_alternatives(selection, settings, controls, interpretation))
        rewired = _begin_with_rewired(work, selection.pkn, settings, controls)
        alternatives = asked.result()
        others = [one.dag for one in alternatives.selections if set(one.dag.neurons) != set(selection.dag.neurons)]
        if len(others) < controls.alternative:
            _log.info("controls.alternative: %d other optimal DAGs found of %d", len(others), controls.alternative)
        dags = _selected_from_rewired([one.result() for one in rewired], settings, controls)
    return alternatives, rival_table(
        {
            "alternative": [_as_kept(dag, selection.pkn, settings) for dag in others],
            "rewired": dags,
            "size_path": _walk_sizes(selection.pkn, settings, controls),
        }
    )


def _n_at_once(settings: DagSelectionSettings) -> int:
    return min(usable_cores(), _MOST_AT_ONCE) if lets_others_run(find_solver(settings.solver)[0]) else 1


def _begin_with_rewired(
    work: SideBySide, pkn: Pkn, settings: DagSelectionSettings, controls: ControlSettings
) -> list[Future[_Rewired]]:
    """Begins to select a DAG from each of several rewired PKNs, by the rules of the selected one."""
    how = settings
    if settings.rules.demands_every_output(pkn):
        # A proof may take long there, and a null model needs none.
        how = settings.model_copy(update={"time_limit": settings.time_limit / max(1, controls.rewired)})

    def attempt(seed: int) -> _Rewired:
        try:
            rewired = rewired_pkn(pkn, seed)
            return rewired, _select(rewired.pkn, how, _rules_within(rewired.pkn, how.rules))
        except (PknError, SelectionError) as error:
            return error

    seeds = np.random.SeedSequence([controls.seed, 1]).generate_state(controls.rewired)
    return [work.begin(partial(attempt, int(seed))) for seed in seeds]


def _selected_from_rewired(
    outcomes: Sequence[_Rewired], settings: DagSelectionSettings, controls: ControlSettings
) -> list[Dag]:
    """The DAGs that were found; says what of each there is to say."""
    found: list[Dag] = []
    few_moved = 0
    for number, outcome in enumerate(outcomes):
        if isinstance(outcome, Exception):
            _log.warning("controls.rewired: network %d is left out: %s", number, outcome)
            continue
        rewired, selection = outcome
        _log.info(
            "rewired PKN %d: %.0f %% of the edges moved; selected DAG: %s neurons, %s edges, %s",
            number,
            100 * rewired.moved,
            f"{len(selection.dag.neurons):,}",
            f"{len(selection.dag.edges):,}",
            selection.status,
        )
        if rewired.lost:
            _log.warning("rewired PKN %d lost %d inputs: %s", number, len(rewired.lost), some_names(rewired.lost))
        few_moved += rewired.moved < _FEW_MOVED
        found.append(_as_kept(selection.dag, rewired.pkn, settings))
    if few_moved:
        _log.warning(
            "controls.rewired: %d of %d rewired PKNs hold more than half of the PKN's own edges; hardly any other "
            "network has its degrees, so they say little about what the knowledge is worth",
            few_moved,
            controls.rewired,
        )
    return found


def _rules_within(pkn: Pkn, rules: SelectionRules) -> SelectionRules:
    """The rules but for edges that a rewired PKN does not hold."""
    there = set(zip(pkn.edges["parent"], pkn.edges["child"], strict=True))
    kept = {name: tuple(e for e in getattr(rules, name) if e in there) for name in ("keep_edges", "forbid_edges")}
    return rules.model_copy(update=kept)


def _walk_sizes(pkn: Pkn, settings: DagSelectionSettings, controls: ControlSettings) -> list[Dag]:
    """Nested DAGs from the smallest to the full one."""
    budgets = settings.size_path or (_SIZE_CURVE if controls.size_curve else ())
    if not budgets:
        return []
    steps = size_path(pkn, budgets, rules=settings.rules, **settings.tie_break_options)
    for step in steps:
        name = "full DAG" if step.budget is None else f"{step.budget} parents per input"
        _log.info("size path, %s: %s edges, %s", name, f"{len(step.dag.edges):,}", step.status)
    return [step.dag for step in steps]


def _as_kept(dag: Dag, pkn: Pkn, settings: DagSelectionSettings) -> Dag:
    lanes, nodes, edges = settings.lanes or 1, settings.forbid_nodes, settings.forbid_edges
    dag = widened_dag(pkn, dag, lanes, forbid_nodes=nodes, forbid_edges=edges)
    return dag if settings.edges == "selected" else induced_dag(pkn, dag)


def _say_lanes(selection: DagSelection, dag: Dag, lanes: int) -> None:
    _log.info(
        "lanes: %s edges and %s neurons added to the selected DAG, so that no neuron need pass on more than one in %d "
        "genes of an output, as far as the knowledge allows (dag_selection.lanes: 1 adds none)",
        f"{len(dag.edges) - len(selection.dag.edges):,}",
        f"{len(dag.neurons) - len(selection.dag.neurons):,}",
        lanes,
    )


def summarise(
    selection: DagSelection, full_dag: Dag, alternatives: Alternatives, settings: DagSelectionSettings
) -> tuple[Dag, dict[str, Any], dict[str, Any]]:
    """Hands over the DAG to train, how good it is known to be, and how much smaller it is than the full DAG."""
    dag, lanes = _as_kept(selection.dag, selection.pkn, settings), settings.lanes or 1
    if lanes > 1 and settings.edges == "selected":
        _say_lanes(selection, dag, lanes)
    full, pruned = _sizes(full_dag), _sizes(dag)
    genes_per_output = log_genes_per_output("pruned", dag, selection.pkn, "; dag_selection.reach: every keeps them all")
    warn_of_funnel("pruned", dag, lanes)
    if dag.fingerprint == full_dag.fingerprint:
        _log.info("the pruned DAG is the full one: both arms train the same network")
    compression = {
        "parameter_compression_percent": percent_saved(full["n_parameters"], pruned["n_parameters"]),
        "edge_compression_percent": percent_saved(full["n_edges"], pruned["n_edges"]),
        "full": full,
        "pruned": pruned,
    }
    counts = alternatives.membership["membership"].value_counts()
    account = {
        "neuron_sets_listed": len(alternatives.selections),
        "neuron_sets_are_all": alternatives.is_complete,
        **{f"hidden_nodes_in_{kind}": int(counts.get(kind, 0)) for kind in ("all", "some", "none", "unknown")},
    }
    outcome = {**selection.as_dict(), "edges": settings.edges, "lanes": lanes, "alternatives": account}
    return dag, outcome | {"genes_per_output": genes_per_output}, compression


def _sizes(dag: Dag) -> dict[str, int]:
    return {"n_edges": len(dag.edges), "n_neurons": len(dag.neurons), "n_parameters": dag.n_parameters}


def draw(dag: Dag, membership: pd.DataFrame, summary: dict[str, Any]) -> Figure:
    """Draws the hidden part of the selected DAG."""
    from kpnn.reporting.figures.network import draw_hidden_part

    title = f"{len(dag.neurons):,} neurons, {len(dag.edges):,} edges, {summary['status']}"
    return draw_hidden_part(dag, dict(zip(membership["node"], membership["membership"], strict=True)), title)


def log_metrics(summary: dict[str, Any], compression: dict[str, Any]) -> None:
    """Logs size, gap and seconds on the active MLflow run."""
    from kpnn.tracking.runs import log_study

    metrics = {
        "dag_n_edges": compression["pruned"]["n_edges"],
        "dag_n_neurons": compression["pruned"]["n_neurons"],
        "dag_n_parameters": compression["pruned"]["n_parameters"],
        "dag_objective": summary["objective"],
        "dag_bound": summary["bound"],
        "dag_gap": summary["gap"],
        "dag_seconds": summary["seconds"]["total"],
    }
    log_study(metrics, {}, {"kpnn.dag_status": summary["status"]}, [], "DAG selection")
