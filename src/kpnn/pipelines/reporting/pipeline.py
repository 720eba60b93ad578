"""Wiring of the `reporting` pipeline."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node, pipeline

from kpnn.pipelines.reporting import nodes

_ARM_TABLES = ("predictions", "fold_metrics", "learning_curves", "trials")
_ARMS = ("full", "pruned")


def create_pipeline() -> Pipeline:
    """From both arms' results to the comparison, the figures, the report and the study's run in MLflow."""
    tables = {f"{arm}_{table}": f"{arm}.{table}" for arm in _ARMS for table in _ARM_TABLES}
    networks = {name: name for name in ("pkn", "full_dag", "pruned_dag", "dag_selection", "data_summary", "parameters")}
    return pipeline(
        [
            node(nodes.gather_study, tables | networks, "study", name="gather_study"),
            node(
                nodes.write_report,
                ["study", "params:reporting"],
                ["report_parts", "report", "comparison", "comparison_test", "scores_figure", "roc_figure"],
                name="write_report",
            ),
            node(nodes.log_report, "report_parts", None, name="log_report"),
        ]
    )
