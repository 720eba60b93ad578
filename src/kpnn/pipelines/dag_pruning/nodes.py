"""Nodes of the `dag_pruning` pipeline."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pandas as pd

from kpnn.pipelines.dag_pruning.settings import DagSelectionSettings
from kpnn.pipelines.dag_pruning.tables import edges_of_steps, no_alternatives, sizes_of
from kpnn.pipelines.validation import validated
from kpnn.pkn import (
    Dag,
    DagSelection,
    Pkn,
    SizeStep,
    enumerate_dags,
    induced_dag,
    random_dags,
    select_dag,
    size_path,
)

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_log = logging.getLogger(__name__)


def select(pkn: Pkn, full_dag: Dag, parameters: dict[str, Any]) -> DagSelection:
    """Selects the cheapest DAG and checks it against the PKN."""
    settings = validated(DagSelectionSettings, parameters, "dag_selection")
    source = pkn if settings.select_from == "pkn" else Pkn(full_dag.edges, full_dag.inputs, full_dag.outputs)
    not_for_selection = {"select_from", "edges", "alternatives", "n_random_dags", "size_path"}
    selection = select_dag(source, **settings.model_dump(exclude=not_for_selection))
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
    selection: DagSelection, parameters: dict[str, Any]
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Says for every hidden node whether all, some or none of the optimal DAGs hold it, and lists a few of them."""
    settings = validated(DagSelectionSettings, parameters, "dag_selection")
    if selection.status != "optimal":
        return no_alternatives(selection.pkn)
    found = enumerate_dags(
        selection.pkn,
        settings.alternatives.most,
        tolerance=settings.alternatives.tolerance,
        rules=settings.rules,
        solver=settings.solver,
        time_limit=settings.time_limit,
        threads=settings.threads,
        seed=settings.seed,
        tie_break=settings.tie_break,
    )
    kept = set(selection.dag.hidden)
    membership = found.membership.assign(is_selected=[name in kept for name in found.membership["node"]])
    rows = [(rank, one.objective, name) for rank, one in enumerate(found.selections) for name in sorted(one.dag.hidden)]
    counts = membership["membership"].value_counts()
    summary = {
        "neuron_sets_listed": len(found.selections),
        "neuron_sets_are_all": found.is_complete,
        **{f"hidden_nodes_in_{kind}": int(counts.get(kind, 0)) for kind in ("all", "some", "none", "unknown")},
    }
    return membership, pd.DataFrame(rows, columns=["rank", "objective", "node"]), summary


def summarise(
    selection: DagSelection, full_dag: Dag, alternatives: dict[str, Any], parameters: dict[str, Any]
) -> tuple[Dag, dict[str, Any], dict[str, Any]]:
    """Hands over the DAG to train, how good it is known to be, and how much smaller it is than the full DAG."""
    settings = validated(DagSelectionSettings, parameters, "dag_selection")
    dag = selection.dag if settings.edges == "selected" else induced_dag(selection.pkn, selection.dag)
    full, pruned = sizes_of(full_dag), sizes_of(dag)
    compression = {
        "parameter_compression_percent": 100.0 * (1.0 - pruned["n_parameters"] / full["n_parameters"]),
        "edge_compression_percent": 100.0 * (1.0 - pruned["n_edges"] / full["n_edges"]),
        "full": full,
        "pruned": pruned,
    }
    return dag, {**selection.as_dict(), "edges": settings.edges, "alternatives": alternatives}, compression


def draw_random_dags(selection: DagSelection, parameters: dict[str, Any]) -> pd.DataFrame:
    """Random DAGs with as many neurons as the selected one: the null for `smallest`."""
    settings = validated(DagSelectionSettings, parameters, "dag_selection")
    if not settings.n_random_dags or selection.status != "optimal":
        return edges_of_steps("draw", [])
    drawn = random_dags(
        selection.pkn,
        settings.n_random_dags,
        n_neurons=len(selection.dag.neurons),
        rules=settings.rules,
        solver=settings.solver,
        time_limit=settings.time_limit,
        threads=settings.threads,
        seed=settings.seed,
    )
    return edges_of_steps("draw", drawn.dags)


def walk_sizes(selection: DagSelection, parameters: dict[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Nested DAGs from the smallest to the full one: their sizes, and their edges."""
    settings = validated(DagSelectionSettings, parameters, "dag_selection")
    path: tuple[SizeStep, ...] = ()
    if settings.size_path:
        path = size_path(
            selection.pkn,
            settings.size_path,
            rules=settings.rules,
            solver=settings.solver,
            time_limit=settings.time_limit,
            threads=settings.threads,
            seed=settings.seed,
            tie_break=settings.tie_break,
        )
    columns = ["budget", "n_edges", "n_neurons", "n_parameters", "objective", "status", "gap"]
    rows = [
        {"budget": one.budget, **sizes_of(one.dag), "objective": one.objective, "status": one.status, "gap": one.gap}
        for one in path
    ]
    return pd.DataFrame(rows, columns=columns), edges_of_steps("step", [one.dag for one in path])


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
