"""Nodes of the `reporting` pipeline."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from kpnn.cells import DEPTH
from kpnn.handed_on import HandedOn
from kpnn.pipelines.evaluation import Evaluation
from kpnn.pipelines.reporting.settings import ReportingSettings
from kpnn.pkn import Dag, Pkn
from kpnn.reporting import ArmTables, Control, Interpretation, Report, Study
from kpnn.reporting import write_report as write
from kpnn.reporting.versions import versions

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class ArmParts(HandedOn):
    """The results of an arm that exist.

    Attributes:
        tables: its results; None where it was not trained.
        weighed: what its nodes weigh; None where no network could be weighed.
        notes: what could not be weighed, in sentences.
    """

    tables: ArmTables | None
    weighed: Interpretation | None
    notes: tuple[str, ...]


def gather_scores(
    arm: str,
    dag: Dag,
    predictions: pd.DataFrame | None,
    member_predictions: pd.DataFrame | None,
    fold_metrics: pd.DataFrame | None,
) -> ArmTables:
    """Begins an arm's tables with what its networks predict; without predictions where it was not trained."""
    if predictions is None or fold_metrics is None:
        return ArmTables(arm, pd.DataFrame(), pd.DataFrame(), dag=dag)
    return ArmTables(arm, predictions, fold_metrics, dag=dag, members=_or_none(member_predictions))


def gather_training(scores: ArmTables, learning_curves: pd.DataFrame | None, trials: pd.DataFrame | None) -> ArmTables:
    """Adds to an arm's tables how its networks were tuned and trained."""
    return replace(scores, learning_curves=_or_empty(learning_curves), trials=_or_empty(trials))


def gather_nodes(
    arm: str,
    node_weights: pd.DataFrame | None,
    node_weights_by_fold: pd.DataFrame | None,
    stability: pd.DataFrame | None,
    node_activations: pd.DataFrame | None,
) -> Interpretation:
    """Begins an arm's interpretation with what its nodes weigh; without nodes where no network could be weighed."""
    return Interpretation(
        arm,
        _or_empty(node_weights),
        _or_empty(node_weights_by_fold),
        stability=_or_empty(stability),
        activations=_or_empty(node_activations),
    )


def gather_weights(
    nodes: Interpretation,
    biases: pd.DataFrame | None,
    gene_weights: pd.DataFrame | None,
    edge_weights: pd.DataFrame | None,
) -> Interpretation:
    """Adds to an arm's interpretation what its networks learned: biases, and weights of genes and edges."""
    return replace(nodes, biases=_or_empty(biases), genes=_or_empty(gene_weights), edges=_or_empty(edge_weights))


def gather_arm(tables: ArmTables, weighed: Interpretation, interpretation: dict[str, Any]) -> ArmParts:
    """Brings together what of an arm exists."""
    notes = tuple(interpretation["notes"])
    return ArmParts(
        tables if len(tables.predictions) else None,
        replace(weighed, notes=notes) if len(weighed.nodes) else None,
        notes,
    )


def gather_controls(
    predictions: pd.DataFrame | None,
    member_predictions: pd.DataFrame | None,
    fold_metrics: pd.DataFrame | None,
    summary: pd.DataFrame | None,
) -> tuple[Control, ...]:
    """Splits the controls' tables into those of each control."""
    if predictions is None or fold_metrics is None or summary is None:
        return ()
    return tuple(
        Control(
            str(row.control), int(row.replicate), _tables_of(row.arm, predictions, member_predictions, fold_metrics)
        )
        for row in summary.itertuples()
    )


def _tables_of(
    arm: str, predictions: pd.DataFrame, member_predictions: pd.DataFrame | None, fold_metrics: pd.DataFrame
) -> ArmTables:
    members = None if member_predictions is None else member_predictions[member_predictions["arm"] == arm]
    own, folds = (table[table["arm"] == arm] for table in (predictions, fold_metrics))
    return ArmTables(arm, own, folds, members=_or_none(members))


def gather_networks(pkn: Pkn, full_dag: Dag, pruned_dag: Dag, membership: pd.DataFrame | None) -> Study:
    """Begins a study with its networks."""
    return Study(pkn=pkn, full_dag=full_dag, pruned_dag=pruned_dag, membership=_or_empty(membership))


def gather_cells(networks: Study, full_dag: Dag, evaluation: Evaluation) -> Study:
    """Adds to a study's networks what is known of its cells."""
    return replace(
        networks,
        groups=evaluation.groups,
        columns=_columns(evaluation, full_dag.outputs),
        coordinates=_coordinates(evaluation),
    )


def gather_record(
    cells: Study,
    dag_selection: dict[str, Any] | None,
    data_summary: dict[str, Any] | None,
    parameters: dict[str, Any],
) -> Study:
    """Adds to a study how it came about: cells and genes, DAG selection, settings and versions."""
    return replace(
        cells,
        selection=dag_selection or {},
        data_summary=data_summary or {},
        versions=versions(),
        settings={name: value for name, value in parameters.items() if name not in ("not_current", "made_from")},
        made_from=parameters.get("made_from", {}),
        missing=tuple(f"Not current: {cause}." for cause in parameters.get("not_current", ())),
    )


def _columns(evaluation: Evaluation, outputs: Sequence[str]) -> pd.DataFrame:
    """What is known about the cells beside their classes and depth, as text."""
    return evaluation.cells.obs.drop(columns=[*outputs, DEPTH], errors="ignore").astype(str)


def _coordinates(evaluation: Evaluation) -> pd.DataFrame:
    """Where the cells stand: the first two coordinates of what `data_engineering` left in `obsm`."""
    cells = evaluation.cells
    for name, values in cells.obsm.items():
        axes = [f"{name.removeprefix('X_')} {number}" for number in (1, 2)]
        return pd.DataFrame(np.asarray(values)[:, :2], index=cells.obs_names.astype(str), columns=axes)
    return pd.DataFrame()


def gather_study(recorded: Study, full: ArmParts, pruned: ArmParts, controls: tuple[Control, ...]) -> Study:
    """Adds to a study the results of arms and controls, and says which of them there are not."""
    missing = list(recorded.missing)
    for arm, parts in (("full", full), ("pruned", pruned)):
        if parts.tables is None:
            missing.append(f"The arm `{arm}` has no results: run `kedro run --pipeline modelling`.")
        else:
            missing += [f"`{arm}`: {note}" for note in parts.notes]
    return replace(
        recorded,
        arms=tuple(parts.tables for parts in (full, pruned) if parts.tables is not None),
        controls=controls,
        interpretations=tuple(parts.weighed for parts in (full, pruned) if parts.weighed is not None),
        missing=tuple(missing),
    )


def write_report(study: Study, settings: ReportingSettings) -> Report:
    """Answers the question and writes the report."""
    report = write(study, settings.margin, settings.title, settings.top)
    _log.info("%s", report.answer.words)
    return report


def state_answer(report: Report) -> tuple[str, pd.DataFrame, dict[str, Any]]:
    """Gives the report's page, the scores of all arms, and the answer as JSON."""
    return report.page, report.comparison, _answer_as_json(report)


def plot_headlines(report: Report) -> tuple[go.Figure, go.Figure]:
    """Gives the figures that kedro-viz shows: scores and ROC curves of the arms."""
    return _plot(report, "scores"), _plot(report, "roc_")


def _answer_as_json(report: Report) -> dict[str, Any]:
    answer = report.answer
    test = answer.comparison.as_dict() if answer.comparison is not None else {}
    words = {"sentence": answer.sentence, "findings": list(answer.findings), "notes": list(answer.notes)}
    return test | words | {"metrics": answer.metrics}


def _plot(report: Report, prefix: str) -> go.Figure:
    return next((figure.plot for figure in report.figures if figure.name.startswith(prefix)), go.Figure())


def _or_empty(table: pd.DataFrame | None) -> pd.DataFrame:
    return pd.DataFrame() if table is None else table


def _or_none(table: pd.DataFrame | None) -> pd.DataFrame | None:
    return table if table is not None and len(table) else None
