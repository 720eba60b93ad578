"""Node that logs to MLflow what of an arm the active run does not hold yet."""

from __future__ import annotations

from kpnn.pipelines.evaluation import Evaluation
from kpnn.pkn import Dag
from kpnn.tracking import register_best_arm
from kpnn.training.results import ArmResult, FoldStore
from kpnn.training.settings import EvaluationSettings


def log_arm(arm: str, dag: Dag, evaluation: Evaluation, store: FoldStore) -> bool:
    """Logs an arm from what is on disk, and says whether there was anything.

    In a whole `kedro run` the folds were logged as they finished and there is nothing left to do. After a tracking
    server failed, or where reporting runs alone, everything is logged below the run that is now active.
    """
    pairs = evaluation.folds[["repeat", "fold"]].drop_duplicates().itertuples(index=False)
    results = [store.load(int(repeat), int(fold)) for repeat, fold in pairs]
    finished = tuple(result for result in results if result is not None)
    if not finished:
        return False
    evaluation.tracker(arm, dag).finish(ArmResult(arm, finished))
    return True


def register_model(full_logged: bool, pruned_logged: bool, modelling: EvaluationSettings) -> None:
    """Registers the better arm's model where `modelling.tracking.register_as` asks for it."""
    name = modelling.tracking.register_as
    if name is not None and (full_logged or pruned_logged):
        register_best_arm(name)
