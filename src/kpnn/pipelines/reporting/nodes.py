"""Nodes of the `reporting` pipeline."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from anndata import AnnData

from kpnn.pipelines.reporting.settings import ReportingSettings
from kpnn.pipelines.validation import validated
from kpnn.pkn import Dag, Pkn
from kpnn.reporting import ArmResults, Interpretation, Report, Study, comparison_table
from kpnn.reporting import write_report as write
from kpnn.reporting.versions import versions

logger = logging.getLogger(__name__)


ArmParts = tuple[ArmResults | None, Interpretation | None]


def gathering_of(arm: str) -> Callable[..., ArmParts]:
    """Makes the node function that brings an arm's tables together.

    Args:
        arm: name of the arm.
    """

    def gather_arm(
        predictions: pd.DataFrame | None,
        fold_metrics: pd.DataFrame | None,
        learning_curves: pd.DataFrame | None,
        trials: pd.DataFrame | None,
        dag: Dag | None,
        node_weights: pd.DataFrame,
        node_weights_by_fold: pd.DataFrame,
        biases: pd.DataFrame,
        gene_weights: pd.DataFrame,
        edge_weights: pd.DataFrame,
        stability: pd.DataFrame,
        interpretation: dict[str, Any],
    ) -> ArmParts:
        weights = (node_weights, node_weights_by_fold, biases, gene_weights, edge_weights, stability)
        weighed = Interpretation(arm, *weights, notes=tuple(interpretation["notes"])) if len(node_weights) else None
        if predictions is None or fold_metrics is None or not len(predictions):
            return None, weighed
        none = pd.DataFrame()
        curves = learning_curves if learning_curves is not None else none
        return ArmResults(arm, predictions, fold_metrics, curves, trials if trials is not None else none, dag), weighed

    gather_arm.__name__ = f"gather_{arm}"
    return gather_arm


def gather_study(
    full: ArmParts,
    pruned: ArmParts,
    full_interpretation: dict[str, Any],
    pruned_interpretation: dict[str, Any],
    controls: pd.DataFrame | None,
    membership: pd.DataFrame | None,
    pkn: Pkn,
    full_dag: Dag,
    pruned_dag: Dag,
    dag_selection: dict[str, Any] | None,
    data_summary: dict[str, Any] | None,
    parameters: dict[str, Any],
    matched_cells: AnnData | None = None,
) -> Study:
    """Brings together what the other pipelines left, and says what they did not."""
    missing = []
    for arm, (results, _), weighed in (("full", full, full_interpretation), ("pruned", pruned, pruned_interpretation)):
        if results is None:
            missing.append(f"The arm `{arm}` has no results: run `kedro run --pipeline modelling`.")
        elif weighed["notes"]:
            missing += [f"`{arm}`: {note}" for note in weighed["notes"]]
    group_by = parameters.get("cross_validation", {}).get("group_by")
    return Study(
        arms=tuple(results for results, _ in (full, pruned) if results is not None),
        pkn=pkn,
        full_dag=full_dag,
        pruned_dag=pruned_dag,
        selection=dag_selection or {},
        data_summary=data_summary or {},
        controls=controls if controls is not None else pd.DataFrame(),
        membership=membership if membership is not None else pd.DataFrame(),
        interpretations=tuple(weighed for _, weighed in (full, pruned) if weighed is not None),
        versions=versions(),
        settings=parameters,
        missing=tuple(missing),
        groups=None if group_by is None or matched_cells is None else matched_cells.obs[group_by].astype(str),
    )


def write_report(
    study: Study, parameters: dict[str, Any]
) -> tuple[Report, str, pd.DataFrame, dict[str, Any], go.Figure, go.Figure]:
    """Answers the question and writes the report."""
    settings = validated(ReportingSettings, parameters, "reporting")
    report = write(study, settings.margin, settings.title, settings.top)
    logger.info("%s", report.answer.sentence)
    comparison = comparison_table(study.arms, study.groups)
    return report, report.page, comparison, _answer_as_json(report), _plot(report, "scores"), _plot(report, "roc_")


def _answer_as_json(report: Report) -> dict[str, Any]:
    answer = report.answer
    test = answer.comparison.as_dict() if answer.comparison is not None else {}
    return test | {"sentence": answer.sentence, "metrics": answer.metrics, "notes": list(answer.notes)}


def _plot(report: Report, prefix: str) -> go.Figure:
    return next((figure.plot for figure in report.figures if figure.name.startswith(prefix)), go.Figure())
