"""Nodes of the `modelling` pipeline."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import pandas as pd

from kpnn.pipelines.evaluation import Evaluation
from kpnn.pkn import Dag
from kpnn.training.controls import Arm
from kpnn.training.results import ArmResult, FoldStore


class ArmOutputs(NamedTuple):
    """What training leaves of an arm, by the names of the catalog."""

    models: dict[str, Any]
    predictions: pd.DataFrame
    member_predictions: pd.DataFrame
    fold_metrics: pd.DataFrame
    trials: pd.DataFrame
    learning_curves: pd.DataFrame
    summary: dict[str, Any]


def cross_validate_arm(arm: str, dag: Dag, evaluation: Evaluation, store: FoldStore) -> ArmOutputs:
    """Trains and scores an arm on every outer fold."""
    [result] = evaluation.run([Arm(arm, dag)], [store], [evaluation.tracker(arm, dag)])
    return ArmOutputs(
        models=_models(result),
        predictions=result.predictions(),
        member_predictions=result.member_predictions(),
        fold_metrics=result.fold_metrics(),
        trials=result.trials(),
        learning_curves=result.learning_curves(),
        summary=_summary(result),
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
