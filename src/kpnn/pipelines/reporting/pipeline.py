"""Wiring of the `reporting` pipeline."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from kpnn.pipelines.evaluation import create_evaluation
from kpnn.pipelines.handing_on import for_arm
from kpnn.pipelines.reporting import annotating, arm_runs, logging_report, nodes, rewiring, weighing

_ARMS = {"full": "full_dag", "pruned": "pruned_dag"}
_RESULTS = ("predictions", "member_predictions", "fold_metrics", "learning_curves", "trials")
_WEIGHTS = tuple(nodes.NODE_TABLES.values())
_OF_CONTROLS = ("predictions", "member_predictions", "fold_metrics", "summary")
_NETWORKS = ("pkn", "full_dag", "pruned_dag")


def create_arm(arm: str, dag: str) -> Pipeline:
    """Weighs the nodes of one arm and gathers its results, in a namespace of its name.

    Args:
        arm: name of the arm.
        dag: dataset of its DAG.
    """
    inputs = {"dag": dag, "evaluation": "evaluation"}
    parameters = {"params:interpretation": "params:interpretation"}
    weighed = ["trained", "params:interpretation", "rivals"]
    if arm == "pruned":  # rivals are those of the selected DAG
        beside = ("rival_dags", "controls.fold_store", "controls.summary")
        rivals = node(weighing.load_rivals, ["trained", *beside], "rivals", name="load_rivals")
        inputs |= {name: name for name in beside}
    else:
        needed = ["trained", "pkn", "params:interpretation", "params:data_engineering"]
        rivals = node(rewiring.rewire_full, needed, "rivals", name="rewire_full")
        inputs["pkn"] = "pkn"
        parameters["params:data_engineering"] = "params:data_engineering"
    template = [
        rivals,
        node(
            weighing.load_networks,
            ["dag", "evaluation", "fold_store", "models"],
            "trained",
            name="load_networks",
        ),
        node(
            weighing.weigh_nodes,
            weighed,
            [*_WEIGHTS, "retrained_weights", "interpretation"],
            name="weigh_nodes",
        ),
        node(
            for_arm(nodes.gather_arm, arm),
            {name: name for name in ("dag", "interpretation", *_RESULTS, *_WEIGHTS)},
            "results",
            name="gather",
        ),
        node(
            for_arm(annotating.annotate_cells, arm),
            ["trained", "predictions", "node_weights"],
            "cells_with_results",
            name="annotate_cells",
        ),
        node(
            for_arm(arm_runs.log_arm, arm),
            ["dag", "evaluation", "fold_store"],
            "logged",
            name="log_arm",
        ),
    ]
    return Pipeline(template, namespace=arm, inputs=inputs, parameters=parameters)


def create_pipeline() -> Pipeline:
    """From both arms' results to node weights, the comparison, the figures, the report and the study's MLflow run."""
    study = [
        node(
            nodes.gather_networks,
            [*_NETWORKS, "dag_selection", "hidden_node_membership", "evaluation"],
            "networks",
            name="gather_networks",
        ),
        node(
            nodes.gather_controls,
            [f"controls.{name}" for name in _OF_CONTROLS],
            "controls.results",
            name="gather_controls",
        ),
        node(
            nodes.gather_study,
            ["networks", "full.results", "pruned.results", "controls.results", "data_summary", "parameters"],
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
    arms = (create_arm(arm, dag) for arm, dag in _ARMS.items())
    own = Pipeline(study, namespace="reporting", prefix_datasets_with_namespace=False)
    return sum(arms, start=create_evaluation() + own)
