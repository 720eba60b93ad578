"""One outer fold of one arm: split, tune and fit on its training part, then score the held-out cells once."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from kpnn.evaluation import score
from kpnn.pkn import Dag, Pkn
from kpnn.training.baselines import fit_baseline
from kpnn.training.controls import Arm
from kpnn.training.data import LabelledCells, inner_folds, inner_holdout
from kpnn.training.fitting import Fit, OnEpoch, fit_networks, keras_bytes, predict_rows
from kpnn.training.results import FoldResult, fold_name, predictions_table
from kpnn.training.settings import EvaluationSettings, Hyperparameters
from kpnn.training.tuning import SearchResult, search

Split = tuple[np.ndarray, np.ndarray]
"""Positions of the cells to train on, and of those that early stopping or tuning looks at."""


@dataclass(frozen=True, eq=False)
class FoldTask:
    """Which cells one fold trains on and which it holds out.

    Attributes:
        repeat: from 0.
        fold: from 0.
        training: positions of the cells to train on.
        held_out: positions of the cells to score.
        seed: of the study; the fold's own derives from it.
        threads: that the fold's trials share.
    """

    repeat: int
    fold: int
    training: np.ndarray
    held_out: np.ndarray
    seed: int
    threads: int = 1

    @property
    def name(self) -> str:
        """Such as `repeat_0_fold_3`."""
        return fold_name(self.repeat, self.fold)

    @property
    def fold_seed(self) -> int:
        """The same in every arm, so that arms differ by their networks alone."""
        return int(np.random.SeedSequence([self.seed, self.repeat, self.fold]).generate_state(1)[0] >> 1)  # fits int32


@dataclass(frozen=True, eq=False)
class _Fold:
    """All that decides a fold's result."""

    arm: Arm
    dag: Dag
    cells: LabelledCells
    settings: EvaluationSettings
    task: FoldTask

    @property
    def seed(self) -> int:
        return self.task.fold_seed


@dataclass(frozen=True, eq=False)
class _Fitted:
    """A fold's model and what it says of the held-out cells."""

    probabilities: np.ndarray
    hyperparameters: dict[str, Any]
    trials: pd.DataFrame
    n_parameters: int
    n_edges: int = 0
    n_neurons: int = 0
    history: pd.DataFrame = field(default_factory=pd.DataFrame)
    model: bytes | None = None


def train_fold(shared: tuple[Arm, LabelledCells, EvaluationSettings], task: FoldTask) -> FoldResult:
    """Trains and scores one fold of an arm.

    Args:
        shared: the arm, the cells as it sees them, the settings.
        task: which cells.
    """
    arm, cells, settings = shared
    begun = time.perf_counter()
    settings = arm.settings_of(task.name, settings)
    dag, cells = _with_top_genes(arm.dag, cells, task.training, settings.top_genes)
    fold = _Fold(arm, dag, cells, settings.with_threads(task.threads), task)
    fitted = _fit_network(fold) if arm.estimator == "kpnn" else _fit_baseline(fold)
    return _scored(fold, fitted, begun)


def _with_top_genes(
    dag: Dag, cells: LabelledCells, training: np.ndarray, top_genes: int | None
) -> tuple[Dag, LabelledCells]:
    """The DAG below which only the genes of highest variance over the training cells are left; None: all of it."""
    if top_genes is None:
        return dag, cells
    pruned = Pkn(dag.edges, dag.inputs, dag.outputs).pruned(cells.top_genes(training, top_genes))
    smaller = Dag(pruned.edges, pruned.inputs, pruned.outputs)
    return smaller, cells.restricted_to(smaller.inputs)


def _fit_network(fold: _Fold) -> _Fitted:
    settings, dag = fold.settings, fold.dag
    hyperparameters, trials = settings.hyperparameters, pd.DataFrame()
    if settings.protocol == "nested" and settings.tuning.n_trials > 0:
        found = _tune(fold, _tuning_splits(fold))
        hyperparameters, trials = found.best, found.trials
    fit = Fit(hyperparameters, *_stopping_split(fold), fold.seed)
    [(model, history)] = fit_networks(dag, fold.cells, [fit], settings)
    return _Fitted(
        probabilities=predict_rows(model, fold.cells, fold.task.held_out),
        hyperparameters=hyperparameters.model_dump(),
        trials=trials,
        n_parameters=dag.n_parameters,
        n_edges=len(dag.edges),
        n_neurons=len(dag.neurons),
        history=history.to_frame().reset_index(),
        model=keras_bytes(model),
    )


def _fit_baseline(fold: _Fold) -> _Fitted:
    task, splits = fold.task, _tuning_splits(fold)
    fit = fit_baseline(fold.arm.estimator, fold.cells, task.training, task.held_out, splits, fold.seed)
    return _Fitted(fit.probabilities, fit.hyperparameters, fit.trials, fit.n_parameters)


def _scored(fold: _Fold, fitted: _Fitted, begun: float) -> FoldResult:
    task, cells = fold.task, fold.cells
    y = cells.labels[task.held_out]
    return FoldResult(
        arm=fold.arm.name,
        repeat=task.repeat,
        fold=task.fold,
        protocol=fold.settings.protocol,
        seed=fold.seed,
        predictions=predictions_table(cells.barcodes[task.held_out], cells.outputs, y, fitted.probabilities),
        metrics=score(y, fitted.probabilities, cells.outputs),
        hyperparameters=fitted.hyperparameters,
        history=fitted.history,
        trials=fitted.trials,
        n_edges=fitted.n_edges,
        n_neurons=fitted.n_neurons,
        n_parameters=fitted.n_parameters,
        seconds=time.perf_counter() - begun,
        model=fitted.model,
    )


def _stopping_split(fold: _Fold) -> Split:
    """On what the reported network is trained and stopped. The tutorial stops on the very cells it reports."""
    if fold.settings.protocol == "tutorial":
        return fold.task.training, fold.task.held_out
    return inner_holdout(fold.cells, fold.task.training, fold.settings.fit.validation_fraction, fold.seed)


def _tuning_splits(fold: _Fold) -> list[Split]:
    tuning = fold.settings.tuning
    if tuning.inner == "holdout":
        return [inner_holdout(fold.cells, fold.task.training, fold.settings.fit.validation_fraction, fold.seed)]
    return inner_folds(fold.cells, fold.task.training, tuning.inner_splits, fold.seed)


def _tune(fold: _Fold, splits: Sequence[Split]) -> SearchResult:
    settings = fold.settings

    def train_batch(proposed: Sequence[Hyperparameters], on_epoch: OnEpoch) -> list[float]:
        fits = [Fit(h, *split, fold.seed) for h in proposed for split in splits]
        # Only with a single inner split is a fit's curve the trial's own; with several, trials run to their end.
        watch = on_epoch if len(splits) == 1 else None
        fitted = fit_networks(fold.dag, fold.cells, fits, settings, watch)
        losses = np.array([np.min(history.val_loss) for _, history in fitted])
        return list(losses.reshape(len(proposed), len(splits)).mean(axis=1))

    name = f"{fold.arm.name} {fold.task.name} {_search_fingerprint(fold)}"
    return search(train_batch, settings.tuning, settings.hyperparameters, name, fold.seed, resume=settings.resume)


def _search_fingerprint(fold: _Fold) -> str:
    """What a study's name must tell apart: trials go on only on the same data, network and settings."""
    digest = hashlib.sha256(f"{fold.dag.fingerprint} {fold.cells.fingerprint}".encode())
    digest.update(fold.settings.decisive().encode())
    digest.update(fold.task.training.tobytes())
    return digest.hexdigest()[:16]
