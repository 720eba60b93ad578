"""Nodes of the `dag_pruning` pipeline."""

from __future__ import annotations

from typing import Any

from kpnn.pipelines.dag_pruning.settings import DagSelectionSettings
from kpnn.pipelines.validation import validated
from kpnn.pkn import Dag, DagSelection, Pkn, select_dag


def select(pkn: Pkn, full_dag: Dag, parameters: dict[str, Any]) -> DagSelection:
    """Selects the cheapest DAG and checks it against the PKN."""
    settings = validated(DagSelectionSettings, parameters, "dag_selection")
    source = pkn if settings.select_from == "pkn" else Pkn(full_dag.edges, full_dag.inputs, full_dag.outputs)
    selection = select_dag(source, **settings.model_dump(exclude={"select_from"}))
    selection.verify()
    return selection


def summarise(selection: DagSelection, full_dag: Dag) -> tuple[Dag, dict[str, Any], dict[str, Any]]:
    """Hands over the selected DAG, how good it is known to be, and how much smaller it is than the full DAG."""
    full, pruned = full_dag.n_parameters, selection.dag.n_parameters
    compression = {
        "parameter_compression_percent": 100.0 * (1.0 - pruned / full),
        "edge_compression_percent": 100.0 * (1.0 - len(selection.dag.edges) / len(full_dag.edges)),
        "full": {"n_edges": len(full_dag.edges), "n_neurons": len(full_dag.neurons), "n_parameters": full},
        "pruned": {
            "n_edges": len(selection.dag.edges),
            "n_neurons": len(selection.dag.neurons),
            "n_parameters": pruned,
        },
    }
    return selection.dag, selection.as_dict(), compression
