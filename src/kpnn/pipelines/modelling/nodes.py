"""Nodes of the `modelling` pipeline."""

from __future__ import annotations

import hashlib
from typing import Any

import pandas as pd

from kpnn.pipelines.evaluation import Evaluation
from kpnn.pkn import Dag
from kpnn.training.controls import Arm
from kpnn.training.results import ArmResult, FoldStore

ArmOutputs = tuple[dict[str, Any], pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame, dict[str, Any]]


def cross_validate_arm(arm: str, dag: Dag, evaluation: Evaluation, store: FoldStore) -> ArmOutputs:
    """Trains and scores an arm: models, predictions (and each member's), scores, trials, learning curves, a summary."""
    [result] = evaluation.run([Arm(arm, dag)], [store], [evaluation.tracker(arm, dag)])
    return (
        _models(result),
        result.predictions(),
        result.member_predictions(),
        result.fold_metrics(),
        result.trials(),
        result.learning_curves(),
        _summary(result),
    )


def _models(result: ArmResult) -> dict[str, Any]:
    return {
        fold.name: {"file": f"{fold.name}/model.keras", "sha256": hashlib.sha256(fold.model).hexdigest()}
        for fold in result.folds
        if fold.model is not None
    }


def _summary(result: ArmResult) -> dict[str, Any]:
    sizes = {**result.sizes(), "protocol": result.protocol}
    return {"arm": result.arm, "sizes": sizes, "metrics": result.mean_metrics(), "pooled": result.pooled_metrics()}
