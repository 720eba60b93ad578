"""Node that logs to MLflow what of an arm the active run does not hold yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from kpnn.pipelines.validation import validated
from kpnn.pkn import Dag
from kpnn.tracking import ArmTracker, register_best_arm
from kpnn.training.results import ArmResult, FoldStore
from kpnn.training.settings import EvaluationSettings


def logging_of(arm: str) -> Callable[[Dag, pd.DataFrame, FoldStore, dict[str, Any], str], bool]:
    """Makes the node function that logs an arm from what is on disk.

    In a whole `kedro run` the folds were logged as they finished and there is nothing left to do. After a tracking
    server failed, or where reporting runs alone, everything is logged below the run that is now active.

    Args:
        arm: name of the arm.
    """

    def log_arm(dag: Dag, folds: pd.DataFrame, store: FoldStore, modelling: dict[str, Any], gene_suffix: str) -> bool:
        settings = validated(EvaluationSettings, modelling, "modelling")
        pairs = folds[["repeat", "fold"]].drop_duplicates().itertuples(index=False)
        results = [store.load(int(repeat), int(fold)) for repeat, fold in pairs]
        finished = tuple(result for result in results if result is not None)
        if not finished:
            return False
        genes = list(dag.genes(gene_suffix))
        tracker = ArmTracker(arm, genes, dag.outputs, trial_runs=settings.tracking.trial_runs)
        tracker.finish(ArmResult(arm, finished))
        return True

    log_arm.__name__ = f"log_{arm}"
    return log_arm


def register_model(full_logged: bool, pruned_logged: bool, modelling: dict[str, Any]) -> None:
    """Registers the better arm's model where `modelling.tracking.register_as` asks for it."""
    name = validated(EvaluationSettings, modelling, "modelling").tracking.register_as
    if name is not None and (full_logged or pruned_logged):
        register_best_arm(name)
