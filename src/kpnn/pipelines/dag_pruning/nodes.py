"""Nodes of the `dag_pruning` pipeline."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pandas as pd

from kpnn.errors import SelectionError
from kpnn.interpretation import InterpretationSettings
from kpnn.pipelines.dag_pruning.settings import DagSelectionSettings
from kpnn.pipelines.rivals import rival_table
from kpnn.pkn import (
    Alternatives,
    Dag,
    DagSelection,
    Pkn,
    SelectionRules,
    SolveSettings,
    enumerate_dags,
    induced_dag,
    random_dags,
    select_dag,
    size_path,
)
from kpnn.pkn.selection.settings import SolveOptions
from kpnn.training.controls import ControlSettings

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_log = logging.getLogger(__name__)


def select(pkn: Pkn, full_dag: Dag, settings: DagSelectionSettings) -> DagSelection:
    """Selects the cheapest DAG and checks it against the PKN."""
    source = pkn if settings.select_from == "pkn" else Pkn(full_dag.edges, full_dag.inputs, full_dag.outputs)
    asked = {*SelectionRules.model_fields, *SolveSettings.model_fields}
    selection = select_dag(source, **settings.model_dump(include=asked))
    selection.verify()
    if selection.status != "optimal":
        _log.warning(
            "the selected DAG costs %g and is not proven optimal: no DAG costs less than %g (gap %.2f %%); allow more "
            "than dag_selection.time_limit=%g s for a proof",
            selection.objective,
            selection.bound,
            100 * selection.gap,
            settings.time_limit,
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
            **settings.tie_break_options,
        )
    except SelectionError as error:
        # The DAG to train is there; what else would be as good is an extra that must not end the study.
        _log.warning("other optimal DAGs are not looked for: %s", error)
        return Alternatives((), False, unknown)


def say_membership(selection: DagSelection, alternatives: Alternatives) -> pd.DataFrame:
    """Says for every hidden node whether all, some or none of the optimal DAGs hold it, and the selected one."""
    kept = set(selection.dag.hidden)
    return alternatives.membership.assign(is_selected=[name in kept for name in alternatives.membership["node"]])


def find_rivals(
    selection: DagSelection, alternatives: Alternatives, settings: DagSelectionSettings, controls: ControlSettings
) -> pd.DataFrame:
    """Finds every DAG that is trained beside the selected one, by the rules under which that was selected.

    Raises:
        SelectionError: controls ask for DAGs that are as small as the smallest, and it is not proven how small that is.
    """
    if (controls.random or controls.alternative) and selection.status != "optimal":
        raise SelectionError(
            "controls.random and controls.alternative need a selected DAG that is proven optimal (its gap is "
            f"{selection.gap:.2%}); allow more than dag_selection.time_limit={settings.time_limit:g} s, or set both "
            "to 0"
        )
    others = [one.dag for one in alternatives.selections if set(one.dag.neurons) != set(selection.dag.neurons)]
    if len(others) < controls.alternative:
        _log.info("controls.alternative: %d other optimal DAGs found of %d", len(others), controls.alternative)
    drawn = _draw(selection, settings, controls)
    return rival_table(
        {
            "alternative": [_as_kept(dag, selection.pkn, settings) for dag in others],
            "random": [_as_kept(dag, selection.pkn, settings) for dag in drawn],
            "size_path": _walk_sizes(selection.pkn, settings),
        }
    )


def _draw(selection: DagSelection, settings: DagSelectionSettings, controls: ControlSettings) -> tuple[Dag, ...]:
    if not controls.random:
        return ()
    rules = settings.rules
    # DAGs are grown to the selected one's size without regard to these two; random optimal ones obey them.
    is_limited = rules.max_depth is not None or rules.max_parents is not None
    n_neurons = None if is_limited else len(selection.dag.neurons)
    options: SolveOptions = {**settings.solve_options, "seed": controls.seed}
    return random_dags(selection.pkn, controls.random, n_neurons=n_neurons, rules=rules, **options).dags


def _walk_sizes(pkn: Pkn, settings: DagSelectionSettings) -> list[Dag]:
    """Nested DAGs from the smallest to the full one."""
    if not settings.size_path:
        return []
    steps = size_path(pkn, settings.size_path, rules=settings.rules, **settings.tie_break_options)
    for step in steps:
        name = "full DAG" if step.budget is None else f"{step.budget} parents per input"
        _log.info("size path, %s: %s edges, %s", name, f"{len(step.dag.edges):,}", step.status)
    return [step.dag for step in steps]


def _as_kept(dag: Dag, pkn: Pkn, settings: DagSelectionSettings) -> Dag:
    return dag if settings.edges == "selected" else induced_dag(pkn, dag)


def summarise(
    selection: DagSelection, full_dag: Dag, alternatives: Alternatives, settings: DagSelectionSettings
) -> tuple[Dag, dict[str, Any], dict[str, Any]]:
    """Hands over the DAG to train, how good it is known to be, and how much smaller it is than the full DAG."""
    dag = _as_kept(selection.dag, selection.pkn, settings)
    full, pruned = _sizes(full_dag), _sizes(dag)
    compression = {
        "parameter_compression_percent": 100.0 * (1.0 - pruned["n_parameters"] / full["n_parameters"]),
        "edge_compression_percent": 100.0 * (1.0 - pruned["n_edges"] / full["n_edges"]),
        "full": full,
        "pruned": pruned,
    }
    counts = alternatives.membership["membership"].value_counts()
    account = {
        "neuron_sets_listed": len(alternatives.selections),
        "neuron_sets_are_all": alternatives.is_complete,
        **{f"hidden_nodes_in_{kind}": int(counts.get(kind, 0)) for kind in ("all", "some", "none", "unknown")},
    }
    return dag, {**selection.as_dict(), "edges": settings.edges, "alternatives": account}, compression


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
