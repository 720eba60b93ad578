"""Nodes of the `reporting` pipeline."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from kpnn.cells import DEPTH
from kpnn.pipelines.evaluation import Evaluation
from kpnn.pipelines.handing_on import HandedOn
from kpnn.pipelines.reporting.settings import ReportingSettings
from kpnn.pipelines.validation import validated
from kpnn.pkn import Dag, Pkn
from kpnn.reporting import ArmTables, Control, Interpretation, Report, Study
from kpnn.reporting import write_report as write
from kpnn.reporting.versions import versions

logger = logging.getLogger(__name__)

_NODE_TABLES = {
    "nodes": "node_weights",
    "per_fold": "node_weights_by_fold",
    "biases": "biases",
    "genes": "gene_weights",
    "edges": "edge_weights",
    "stability": "stability",
    "activations": "node_activations",
}
"""Field of `Interpretation` -> dataset."""


@dataclass(frozen=True, eq=False)
class ArmParts(HandedOn):
    """What there is of an arm.

    Attributes:
        tables: its results; None where it was not trained.
        weighed: what its nodes weigh; None where no network could be weighed.
        notes: what could not be weighed, in sentences.
    """

    tables: ArmTables | None
    weighed: Interpretation | None
    notes: tuple[str, ...]


def gather_arm(arm: str, *, dag: Dag | None, interpretation: dict[str, Any], **tables: pd.DataFrame | None) -> ArmParts:
    """Brings an arm's tables together.

    Args:
        arm: name of the arm.
        dag: its network.
        interpretation: what could not be weighed.
        **tables: by dataset: `predictions`, `member_predictions`, `fold_metrics`, `learning_curves`, `trials` and the
            tables of node weights.
    """
    of_nodes = {field: _or_empty(tables.get(dataset)) for field, dataset in _NODE_TABLES.items()}
    notes = tuple(interpretation["notes"])
    weighed = Interpretation(arm, **of_nodes, notes=notes) if len(of_nodes["nodes"]) else None
    predictions, fold_metrics = tables["predictions"], tables["fold_metrics"]
    if predictions is None or fold_metrics is None or not len(predictions):
        return ArmParts(None, weighed, notes)
    curves, trials = _or_empty(tables["learning_curves"]), _or_empty(tables["trials"])
    members = _or_none(tables["member_predictions"])
    return ArmParts(ArmTables(arm, predictions, fold_metrics, curves, trials, dag, members), weighed, notes)


def gather_controls(
    predictions: pd.DataFrame | None,
    member_predictions: pd.DataFrame | None,
    fold_metrics: pd.DataFrame | None,
    summary: pd.DataFrame | None,
) -> tuple[Control, ...]:
    """Brings the controls' tables together, each control by itself."""
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
    return ArmTables(arm, own, folds, pd.DataFrame(), pd.DataFrame(), members=_or_none(members))


def gathering_of(arm: str) -> Callable[..., ArmParts]:
    """`gather_arm` for one arm; unlike a closure it can be sent to another process."""
    gather: Any = partial(gather_arm, arm)
    gather.__name__ = f"gather_{arm}"
    return gather


def gather_networks(
    pkn: Pkn,
    full_dag: Dag,
    pruned_dag: Dag,
    dag_selection: dict[str, Any] | None,
    membership: pd.DataFrame | None,
    evaluation: Evaluation | None = None,
) -> Study:
    """Begins a study with its networks, and with what is known of its cells."""
    return Study(
        pkn=pkn,
        full_dag=full_dag,
        pruned_dag=pruned_dag,
        selection=dag_selection or {},
        membership=_or_empty(membership),
        groups=None if evaluation is None else evaluation.groups,
        columns=pd.DataFrame() if evaluation is None else _columns(evaluation, full_dag.outputs),
        coordinates=pd.DataFrame() if evaluation is None else _coordinates(evaluation),
    )


def _columns(evaluation: Evaluation, outputs: Sequence[str]) -> pd.DataFrame:
    """What is known of the cells beside their classes and depth, as text."""
    return evaluation.cells.obs.drop(columns=[*outputs, DEPTH], errors="ignore").astype(str)


def _coordinates(evaluation: Evaluation) -> pd.DataFrame:
    """Where the cells stand: the first two coordinates of what `data_engineering` left in `obsm`."""
    cells = evaluation.cells
    for name, values in cells.obsm.items():
        axes = [f"{name.removeprefix('X_')} {number}" for number in (1, 2)]
        return pd.DataFrame(np.asarray(values)[:, :2], index=cells.obs_names.astype(str), columns=axes)
    return pd.DataFrame()


def gather_study(
    networks: Study,
    full: ArmParts,
    pruned: ArmParts,
    controls: tuple[Control, ...],
    data_summary: dict[str, Any] | None,
    parameters: dict[str, Any],
) -> Study:
    """Adds to a study's networks what the other pipelines left, and says what they did not."""
    missing = [f"Not current: {cause}." for cause in parameters.get("not_current", ())]
    for arm, parts in (("full", full), ("pruned", pruned)):
        if parts.tables is None:
            missing.append(f"The arm `{arm}` has no results: run `kedro run --pipeline modelling`.")
        else:
            missing += [f"`{arm}`: {note}" for note in parts.notes]
    return replace(
        networks,
        arms=tuple(parts.tables for parts in (full, pruned) if parts.tables is not None),
        data_summary=data_summary or {},
        controls=controls,
        interpretations=tuple(parts.weighed for parts in (full, pruned) if parts.weighed is not None),
        versions=versions(),
        settings={name: value for name, value in parameters.items() if name not in ("not_current", "made_from")},
        made_from=parameters.get("made_from", {}),
        missing=tuple(missing),
    )


def write_report(
    study: Study, parameters: dict[str, Any]
) -> tuple[Report, str, pd.DataFrame, dict[str, Any], go.Figure, go.Figure]:
    """Answers the question and writes the report."""
    settings = validated(ReportingSettings, parameters, "reporting")
    report = write(study, settings.margin, settings.title, settings.top)
    logger.info("%s", report.answer.words)
    answer, scores, roc = _answer_as_json(report), _plot(report, "scores"), _plot(report, "roc_")
    return report, report.page, report.comparison, answer, scores, roc


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
