"""Wiring of the `dag_pruning` pipeline."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node, pipeline

from kpnn.pipelines.dag_pruning import nodes

_SETTINGS = "params:dag_selection"


def create_pipeline() -> Pipeline:
    """From the PKN and the full DAG to the selected DAG and what is known about it."""
    return pipeline(
        [
            node(nodes.select, ["pkn", "full_dag", _SETTINGS], "selection", name="select_dag"),
            node(
                nodes.summarise,
                ["selection", "full_dag"],
                ["pruned_dag", "dag_selection", "compression"],
                name="summarise_dag_selection",
            ),
        ]
    )
