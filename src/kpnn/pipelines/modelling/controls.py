"""Nodes that train the controls and baselines beside the arms."""

from __future__ import annotations

import logging
from typing import Any

import pandas as pd
from anndata import AnnData

from kpnn.cells.folds import FoldSettings
from kpnn.pipelines.dag_pruning.settings import DagSelectionSettings
from kpnn.pipelines.validation import validated
from kpnn.pkn import Dag, Pkn, SelectionRules, enumerate_dags, random_dags
from kpnn.tracking import ArmTracker
from kpnn.training.controls import Arm, ControlSettings, control_arms
from kpnn.training.cross_validation import cross_validate
from kpnn.training.data import LabelledCells
from kpnn.training.results import ArmResult, FoldStore
from kpnn.training.settings import EvaluationSettings

_log = logging.getLogger(__name__)

_RULES = ("keep_nodes", "forbid_nodes", "keep_edges", "forbid_edges", "max_depth", "max_parents", "coverage")


def draw_dags(pkn: Pkn, pruned_dag: Dag, controls: dict[str, Any], dag_selection: dict[str, Any]) -> pd.DataFrame:
    """Draws the random and the other optimal DAGs that the controls ask for: `kind`, `replicate` and their edges."""
    settings = validated(ControlSettings, controls, "controls")
    selection = validated(DagSelectionSettings, dag_selection, "dag_selection")
    rules = SelectionRules(**selection.model_dump(include=set(_RULES)))
    found: dict[str, list[Dag]] = {"random": [], "alternative": []}
    if settings.random:
        n_neurons = len(pruned_dag.neurons)
        drawn = random_dags(pkn, settings.random, n_neurons=n_neurons, rules=rules, seed=settings.seed)
        found["random"] = list(drawn.dags)
    if settings.alternative:
        others = enumerate_dags(pkn, settings.alternative + 1, rules=rules, solver=selection.solver)
        dags = [one.dag for one in others.selections if set(one.dag.neurons) != set(pruned_dag.neurons)]
        found["alternative"] = dags[: settings.alternative]
        if len(dags) < settings.alternative:
            _log.info("controls.alternative: %d other optimal DAGs found of %d", len(dags), settings.alternative)
    tables = [
        dag.edges.assign(kind=kind, replicate=replicate)
        for kind, dags in found.items()
        for replicate, dag in enumerate(dags)
    ]
    columns = ["kind", "replicate", "parent", "child", "sign", "cost"]
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)


def cross_validate_controls(
    pruned_dag: Dag,
    dags: pd.DataFrame,
    matched_cells: AnnData,
    folds: pd.DataFrame,
    store: FoldStore,
    controls: dict[str, Any],
    modelling: dict[str, Any],
    cross_validation: dict[str, Any],
    gene_suffix: str,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Trains and scores every control and baseline that is switched on, on the arms' folds, as the arms are trained."""
    settings = validated(EvaluationSettings, modelling, "modelling").with_gene_suffix(gene_suffix)
    chosen = validated(ControlSettings, controls, "controls")
    group_by = validated(FoldSettings, cross_validation, "cross_validation").group_by
    cells = LabelledCells.from_anndata(matched_cells, pruned_dag.outputs, group_by)
    drawn = {
        kind: [Dag.from_edges(table, outputs=pruned_dag.outputs) for _, table in of_kind.groupby("replicate")]
        for kind, of_kind in dags.groupby("kind")
    }
    arms = control_arms(chosen, pruned_dag, drawn.get("random", []), drawn.get("alternative", []))
    results = [_cross_validate(arm, cells, folds, settings, store.of_arm(arm.name)) for arm in arms]
    return _predictions(results), _fold_metrics(results), _summary(arms, results)


def _cross_validate(
    arm: Arm, cells: LabelledCells, folds: pd.DataFrame, settings: EvaluationSettings, store: FoldStore
) -> ArmResult:
    tracker = ArmTracker(arm.name)
    result = cross_validate(arm, cells, folds, settings, store, on_fold=tracker.log_fold)
    tracker.finish(result)
    return result


def _predictions(results: list[ArmResult]) -> pd.DataFrame:
    columns = ["arm", "repeat", "fold", "barcode", "output", "label", "probability"]
    tables = [result.predictions().assign(arm=result.arm) for result in results]
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)


def _fold_metrics(results: list[ArmResult]) -> pd.DataFrame:
    tables = [result.fold_metrics() for result in results]
    return (
        pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["arm", "repeat", "fold", "roc_auc"])
    )


def _summary(arms: list[Arm], results: list[ArmResult]) -> pd.DataFrame:
    """One row per control: its kind, its replicate, its sizes, the mean and sd over folds of every score."""
    rows = []
    for arm, result in zip(arms, results, strict=True):
        kind, _, replicate = arm.name.rpartition("_")
        numbered = replicate.isdigit()
        first = result.folds[0]
        rows.append(
            {
                "arm": arm.name,
                "control": kind if numbered else arm.name,
                "replicate": int(replicate) if numbered else 0,
                "n_edges": first.n_edges,
                "n_neurons": first.n_neurons,
                "n_parameters": first.n_parameters,
            }
            | result.mean_metrics()
        )
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=["arm", "control", "replicate", "roc_auc"])
