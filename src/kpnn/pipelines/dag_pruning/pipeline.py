"""Wiring of the `dag_pruning` pipeline."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node, pipeline

from kpnn.pipelines.dag_pruning import nodes

_SETTINGS = "params:dag_selection"


def create_pipeline() -> Pipeline:
    """From the PKN and the full DAG to the selected DAG, its proof, its alternatives and its drawing."""
    return pipeline(
        [
            node(nodes.select, ["pkn", "full_dag", _SETTINGS], "selection", name="select_dag"),
            node(
                nodes.find_alternatives,
                ["selection", _SETTINGS],
                ["hidden_node_membership", "optimal_neuron_sets", "alternatives"],
                name="find_alternatives",
            ),
            node(
                nodes.summarise,
                ["selection", "full_dag", "alternatives", _SETTINGS],
                ["pruned_dag", "dag_selection", "compression"],
                name="summarise_dag_selection",
            ),
            node(nodes.draw_random_dags, ["selection", _SETTINGS], "random_dags", name="draw_random_dags"),
            node(nodes.walk_sizes, ["selection", _SETTINGS], ["size_path", "size_path_edges"], name="walk_sizes"),
            node(
                nodes.draw,
                ["pruned_dag", "hidden_node_membership", "dag_selection"],
                "dag_drawing",
                name="draw_dag",
            ),
            node(nodes.log_metrics, ["dag_selection", "compression"], None, name="log_dag_selection"),
        ]
    )
