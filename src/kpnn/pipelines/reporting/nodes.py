"""Nodes of the `reporting` pipeline."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from kpnn.pipelines.reporting.settings import ReportingSettings
from kpnn.pipelines.validation import validated
from kpnn.pkn import Dag, Pkn
from kpnn.reporting import ArmResults, Report, Study, comparison_table
from kpnn.reporting import write_report as write
from kpnn.reporting.pictures import save_pictures
from kpnn.reporting.versions import versions
from kpnn.tracking import log_study

logger = logging.getLogger(__name__)


def gather_study(
    full_predictions: pd.DataFrame,
    full_fold_metrics: pd.DataFrame,
    full_learning_curves: pd.DataFrame,
    full_trials: pd.DataFrame,
    pruned_predictions: pd.DataFrame,
    pruned_fold_metrics: pd.DataFrame,
    pruned_learning_curves: pd.DataFrame,
    pruned_trials: pd.DataFrame,
    pkn: Pkn,
    full_dag: Dag,
    pruned_dag: Dag,
    dag_selection: dict[str, Any],
    data_summary: dict[str, Any],
    parameters: dict[str, Any],
) -> Study:
    """Brings together what the other pipelines left."""
    arms = (
        ArmResults("full", full_predictions, full_fold_metrics, full_learning_curves, full_trials, full_dag),
        ArmResults(
            "pruned", pruned_predictions, pruned_fold_metrics, pruned_learning_curves, pruned_trials, pruned_dag
        ),
    )
    return Study(
        arms=arms,
        pkn=pkn,
        full_dag=full_dag,
        pruned_dag=pruned_dag,
        selection=dag_selection,
        data_summary=data_summary,
        versions=versions(),
        settings=parameters,
    )


def write_report(
    study: Study, parameters: dict[str, Any]
) -> tuple[Report, str, pd.DataFrame, dict[str, Any], go.Figure, go.Figure]:
    """Answers the question and writes the report."""
    settings = validated(ReportingSettings, parameters, "reporting")
    report = write(study, settings.margin, settings.n_bootstrap, settings.title)
    logger.info("%s", report.answer.sentence)
    comparison = comparison_table(study.arms, settings.n_bootstrap)
    return report, report.page, comparison, _answer_as_json(report), _plot(report, "scores"), _plot(report, "roc_")


def _answer_as_json(report: Report) -> dict[str, Any]:
    answer = report.answer
    test = answer.comparison.as_dict() if answer.comparison is not None else {}
    return test | {"sentence": answer.sentence, "metrics": answer.metrics, "notes": list(answer.notes)}


def _plot(report: Report, prefix: str) -> go.Figure:
    return next((figure.plot for figure in report.figures if figure.name.startswith(prefix)), go.Figure())


def log_report(report: Report) -> None:
    """Logs the answer, the report, its figures and its tables on the study's run."""
    answer = report.answer
    tags = {"kpnn.answered": str(answer.comparison is not None).lower()}
    if answer.comparison is not None:
        tags["kpnn.equivalent"] = str(answer.comparison.equivalent).lower()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "report.html").write_text(report.page, encoding="utf-8")
        save_pictures(report.figures, folder / "figures")
        (folder / "tables").mkdir()
        for table, data in report.tables.items():
            data.to_csv(folder / "tables" / f"{table}.csv", index=False)
        description = f"{answer.sentence}\n\nThe whole report: artifact `report.html`."
        log_study(answer.metrics, {}, tags, sorted(folder.iterdir()), description)
