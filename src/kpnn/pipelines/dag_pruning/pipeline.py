"""Wiring of the `dag_pruning` pipeline."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from kpnn.pipelines.dag_pruning import nodes, rewiring

_SETTINGS = "params:dag_selection"
_SETTLED = "settled_dag_selection"
"""The same, with what depends on the labels filled in."""
_CONTROLS = "params:controls"


def create_pipeline() -> Pipeline:
    """From the PKN and the full DAG to the selected DAG, its proof, its rivals and its drawing."""
    return Pipeline(
        [
            node(nodes.settle_lanes, ["pkn", _SETTINGS, "data_summary"], _SETTLED, name="settle_lanes"),
            node(nodes.select, ["pkn", "full_dag", _SETTINGS], "selection", name="select_dag"),
            node(
                nodes.find_others,
                ["selection", _SETTLED, _CONTROLS, "params:interpretation"],
                ["alternatives", "rivals_of_selection"],
                name="find_others",
            ),
            node(
                nodes.say_membership,
                ["selection", "alternatives"],
                "hidden_node_membership",
                name="say_membership",
            ),
            node(
                rewiring.rewire_full,
                ["pkn", "params:interpretation", "params:data_engineering"],
                "rewired_full_dags",
                name="rewire_full",
            ),
            node(
                rewiring.join_rivals,
                ["rivals_of_selection", "rewired_full_dags"],
                "rival_dags",
                name="join_rivals",
            ),
            node(
                nodes.summarise,
                ["selection", "full_dag", "alternatives", _SETTLED],
                ["pruned_dag", "dag_selection", "compression"],
                name="summarise_dag_selection",
            ),
            node(
                nodes.draw,
                ["pruned_dag", "hidden_node_membership", "dag_selection"],
                "dag_drawing",
                name="draw_dag",
            ),
            node(nodes.log_metrics, ["dag_selection", "compression"], None, name="log_dag_selection"),
        ],
        namespace="dag_pruning",
        prefix_datasets_with_namespace=False,
    )
