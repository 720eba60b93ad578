"""Wiring of the `reporting` pipeline."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node
from kedro.pipeline.node import Node

from kpnn.pipelines.arms import ARMS, for_arm
from kpnn.pipelines.evaluation import create_evaluation
from kpnn.pipelines.reporting import annotating, arm_runs, logging_report, nodes, rewiring, weighing

_OF_CONTROLS = ("predictions", "member_predictions", "fold_metrics", "summary")


def create_arm(arm: str, dag: str) -> Pipeline:
    """Weighs the nodes of one arm and gathers its results, in a namespace of its name."""
    inputs = {"dag": dag, "evaluation": "evaluation"}
    parameters = {"params:interpretation": "params:interpretation"}
    weighed = ["trained", "params:interpretation", "rivals"]
    if arm == "pruned":  # those of the selected DAG are trained as controls
        beside = ("rival_dags", "controls.fold_store", "controls.summary")
        rivals = node(weighing.load_rivals, ["trained", *beside], "rivals", name="load_rivals")
        inputs |= {name: name for name in beside}
    else:
        needed = ["trained", "rival_dags", "params:interpretation"]
        rivals = node(rewiring.train_rewired_full, needed, "rivals", name="train_rewired_full")
        inputs["rival_dags"] = "rival_dags"
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
            [*weighing.NodeTables._fields],
            name="weigh_nodes",
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
    return Pipeline([*template, *_gathering(arm)], namespace=arm, inputs=inputs, parameters=parameters)


def _gathering(arm: str) -> list[Node]:
    """The nodes that read an arm's tables for the report."""
    return [
        node(
            for_arm(nodes.gather_scores, arm),
            ["dag", "predictions", "member_predictions", "fold_metrics"],
            "scores",
            name="gather_scores",
        ),
        node(nodes.gather_training, ["scores", "learning_curves", "trials"], "tables", name="gather_training"),
        node(
            for_arm(nodes.gather_nodes, arm),
            ["node_weights", "node_weights_by_fold", "stability", "node_activations"],
            "nodes",
            name="gather_nodes",
        ),
        node(
            nodes.gather_weights,
            ["nodes", "biases", "gene_weights", "edge_weights"],
            "weighed",
            name="gather_weights",
        ),
        node(nodes.gather_arm, ["tables", "weighed", "interpretation"], "results", name="gather"),
    ]


def create_pipeline() -> Pipeline:
    """From both arms' results to node weights, the comparison, the figures, the report and the study's MLflow run."""
    study = [
        node(
            nodes.gather_networks,
            ["pkn", "full_dag", "pruned_dag", "hidden_node_membership"],
            "networks",
            name="gather_networks",
        ),
        node(nodes.gather_cells, ["networks", "full_dag", "evaluation"], "networks_and_cells", name="gather_cells"),
        node(
            nodes.gather_record,
            ["networks_and_cells", "dag_selection", "data_summary", "parameters"],
            "recorded_study",
            name="gather_record",
        ),
        node(
            nodes.gather_controls,
            [f"controls.{name}" for name in _OF_CONTROLS],
            "controls.results",
            name="gather_controls",
        ),
        node(
            nodes.gather_study,
            ["recorded_study", "full.results", "pruned.results", "controls.results"],
            "study",
            name="gather_study",
        ),
        node(nodes.write_report, ["study", "params:reporting"], "report_parts", name="write_report"),
        node(nodes.state_answer, "report_parts", ["report", "comparison", "comparison_test"], name="state_answer"),
        node(nodes.plot_headlines, "report_parts", ["scores_figure", "roc_figure"], name="plot_headlines"),
        node(logging_report.draw_files, "report_parts", "report_files", name="draw_files"),
        node(logging_report.log_report, ["report_parts", "report_files"], None, name="log_report"),
        node(
            arm_runs.register_model,
            ["full.logged", "pruned.logged", "params:modelling"],
            None,
            name="register_model",
        ),
    ]
    arms = (create_arm(arm, dag) for arm, dag in ARMS.items())
    own = Pipeline(study, namespace="reporting", prefix_datasets_with_namespace=False)
    return sum(arms, start=create_evaluation() + own)
