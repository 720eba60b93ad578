"""Nodes that train the controls and baselines beside the arms."""

from __future__ import annotations

import pandas as pd

from kpnn.pipelines.evaluation import Evaluation
from kpnn.pipelines.rivals import rivals_of_kind
from kpnn.pkn import Dag
from kpnn.tables import stacked
from kpnn.tracking import ArmTracker
from kpnn.training.controls import Arm, ControlSettings, Rivals, control_arms
from kpnn.training.results import ArmResult, FoldStore, fold_name
from kpnn.training.settings import Hyperparameters

_OF_RECIPE = "hyperparameter_"


def list_controls(
    pruned_dag: Dag, rival_dags: pd.DataFrame, pruned_folds: pd.DataFrame | None, controls: ControlSettings
) -> list[Arm]:
    """Lists the controls with a network that are switched on, with what the arm `pruned` found to train them by."""
    outputs = pruned_dag.outputs
    rivals = Rivals(
        rewired=rivals_of_kind(rival_dags, "rewired", outputs),
        alternative=rivals_of_kind(rival_dags, "alternative", outputs),
        size_path=rivals_of_kind(rival_dags, "size_path", outputs),
    )
    return control_arms(controls, pruned_dag, rivals, {} if pruned_folds is None else _recipes(pruned_folds))


def _recipes(fold_metrics: pd.DataFrame) -> dict[str, Hyperparameters]:
    """The hyperparameters that each fold of an arm was trained with, by the fold's name."""
    columns = [name for name in fold_metrics if name.startswith(_OF_RECIPE)]
    return {
        fold_name(int(row["repeat"]), int(row["fold"])): Hyperparameters.model_validate(
            {name.removeprefix(_OF_RECIPE): None if pd.isna(row[name]) else row[name] for name in columns}
        )
        for row in fold_metrics.to_dict("records")
    }


def cross_validate_controls(
    controls: list[Arm], baselines: list[Arm], evaluation: Evaluation, store: FoldStore
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Trains and scores controls and baselines on the arms' folds, as the arms are trained."""
    arms = [*controls, *baselines]
    trackers = [ArmTracker(arm.name, is_control=True) for arm in arms]
    results = evaluation.run(arms, [store.of_arm(arm.name) for arm in arms], trackers)
    of_cells = ["arm", "repeat", "fold", "barcode", "output", "probability"]
    predictions = stacked((one.predictions().assign(arm=one.arm) for one in results), [*of_cells, "label"])
    members = stacked((one.member_predictions().assign(arm=one.arm) for one in results), [*of_cells, "member"])
    return predictions, members, _fold_metrics(results), _summary(arms, results)


def _fold_metrics(results: list[ArmResult]) -> pd.DataFrame:
    tables = [result.fold_metrics() for result in results]
    return (
        pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["arm", "repeat", "fold", "roc_auc"])
    )


def _summary(arms: list[Arm], results: list[ArmResult]) -> pd.DataFrame:
    """One row per control: its kind, its replicate, its sizes, the mean and sd over folds of every score."""
    rows = [
        {"arm": arm.name, "control": arm.kind, "replicate": arm.replicate} | result.sizes() | result.mean_metrics()
        for arm, result in zip(arms, results, strict=True)
    ]
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=["arm", "control", "replicate", "roc_auc"])
