"""Nodes of the `modelling` pipeline."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pandas as pd
from anndata import AnnData

from kpnn.cells.folds import FoldSettings
from kpnn.pipelines.validation import validated
from kpnn.pkn import Dag
from kpnn.tracking import ArmTracker
from kpnn.training.controls import Arm
from kpnn.training.cross_validation import cross_validate
from kpnn.training.data import LabelledCells
from kpnn.training.results import ArmResult, FoldStore
from kpnn.training.settings import EvaluationSettings

ArmOutputs = tuple[dict[str, Any], pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame, dict[str, Any]]


def cross_validation_of(arm: str) -> Callable[..., ArmOutputs]:
    """Makes the node function of one arm, under a name that logs can show.

    Args:
        arm: name of the arm.
    """

    def cross_validate_arm(
        dag: Dag,
        matched_cells: AnnData,
        folds: pd.DataFrame,
        store: FoldStore,
        modelling: dict[str, Any],
        cross_validation: dict[str, Any],
        gene_suffix: str,
    ) -> ArmOutputs:
        settings = validated(EvaluationSettings, modelling, "modelling").with_gene_suffix(gene_suffix)
        group_by = validated(FoldSettings, cross_validation, "cross_validation").group_by
        cells = LabelledCells.from_anndata(matched_cells, dag.outputs, group_by)
        genes = list(dag.genes(gene_suffix))
        tracker = ArmTracker(arm, genes, dag.outputs, trial_runs=settings.tracking.trial_runs)
        result = cross_validate(Arm(arm, dag), cells, folds, settings, store, on_fold=tracker.log_fold)
        tracker.finish(result)
        return (
            _models(result),
            result.predictions(),
            result.fold_metrics(),
            result.trials(),
            result.learning_curves(),
            _summary(result),
        )

    cross_validate_arm.__name__ = f"cross_validate_{arm}"
    return cross_validate_arm


def _models(result: ArmResult) -> dict[str, Any]:
    return {
        fold.name: {"file": f"{fold.name}/model.keras", "sha256": hashlib.sha256(fold.model).hexdigest()}
        for fold in result.folds
        if fold.model is not None
    }


def _summary(result: ArmResult) -> dict[str, Any]:
    first = result.folds[0]
    sizes = {name: getattr(first, name) for name in ("n_edges", "n_neurons", "n_parameters", "protocol")}
    return {"arm": result.arm, "sizes": sizes, "metrics": result.mean_metrics(), "pooled": result.pooled_metrics()}
