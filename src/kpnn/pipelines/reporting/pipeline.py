"""Wiring of the `reporting` pipeline."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node, pipeline

from kpnn.pipelines.reporting import arm_runs, logging_report, nodes, weighing

_ARMS = {"full": "full_dag", "pruned": "pruned_dag"}
_RESULTS = ("predictions", "fold_metrics", "learning_curves", "trials")
_WEIGHTS = ("node_weights", "node_weights_by_fold", "biases", "gene_weights", "edge_weights", "stability")
_RIVALS = ("pkn", "optimal_neuron_sets")
_NETWORKS = ("pkn", "full_dag", "pruned_dag")


def create_arm(arm: str, dag: str) -> Pipeline:
    """Weighs the nodes of one arm and gathers its results, in a namespace of its name.

    Args:
        arm: name of the arm.
        dag: dataset of its DAG.
    """
    inputs = {"dag": dag, "matched_cells": "matched_cells", "folds": "folds"}
    weighed = [*inputs, "fold_store", "models", "params:modelling", "params:interpretation"]
    if arm == "pruned":  # the other optimal DAGs are rivals of the selected one only
        inputs |= {name: name for name in _RIVALS}
        weighed += _RIVALS
    template = [
        node(
            weighing.weigh_nodes,
            weighed,
            [*_WEIGHTS, "retrained_weights", "interpretation"],
            name="weigh_nodes",
        ),
        node(
            nodes.gathering_of(arm),
            [*_RESULTS, "dag", *_WEIGHTS, "interpretation"],
            "results",
            name="gather",
        ),
        node(
            arm_runs.logging_of(arm),
            ["dag", "folds", "fold_store", "params:modelling", "params:data_engineering.input_suffix"],
            "logged",
            name="log_arm",
        ),
    ]
    return pipeline(
        template,
        namespace=arm,
        inputs=inputs,
        parameters={
            name: name for name in ("params:modelling", "params:interpretation", "params:data_engineering.input_suffix")
        },
    )


def create_pipeline() -> Pipeline:
    """From both arms' results to node weights, the comparison, the figures, the report and the study's MLflow run."""
    study = [
        node(
            nodes.gather_study,
            [
                "full.results",
                "pruned.results",
                "full.interpretation",
                "pruned.interpretation",
                "controls.summary",
                "hidden_node_membership",
                *_NETWORKS,
                "dag_selection",
                "data_summary",
                "parameters",
                "matched_cells",
            ],
            "study",
            name="gather_study",
        ),
        node(
            nodes.write_report,
            ["study", "params:reporting"],
            ["report_parts", "report", "comparison", "comparison_test", "scores_figure", "roc_figure"],
            name="write_report",
        ),
        node(logging_report.draw_files, "report_parts", "report_files", name="draw_files"),
        node(logging_report.log_report, ["study", "report_parts", "report_files"], None, name="log_report"),
        node(
            arm_runs.register_model,
            ["full.logged", "pruned.logged", "params:modelling"],
            None,
            name="register_model",
        ),
    ]
    return sum((create_arm(arm, dag) for arm, dag in _ARMS.items()), start=pipeline(study))
