"""One outer fold of arms: split, tune and fit on its training part, then score the held-out cells once."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from kpnn.doings import within
from kpnn.errors import CellsError
from kpnn.evaluation import score
from kpnn.pkn import Dag, Pkn
from kpnn.training.activities import regulator_activities
from kpnn.training.baselines import fit_baseline
from kpnn.training.controls import Arm
from kpnn.training.data import LabelledCells
from kpnn.training.fitting import cross_entropies, fit_networks, keras_bytes, member_fit, model_of, predict_rows
from kpnn.training.inner_folds import Split, fold_seed, inner_splits
from kpnn.training.racing import Contender, Member, race
from kpnn.training.results import FoldResult, fold_name, member_table, predictions_table
from kpnn.training.settings import EvaluationSettings, Hyperparameters
from kpnn.training.tuning import Search

if TYPE_CHECKING:
    import keras


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
        """See `inner_folds.fold_seed`."""
        return fold_seed(self.seed, self.repeat, self.fold)


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
    """A fold's model and what it, and each of its members, says about the held-out cells."""

    probabilities: np.ndarray
    of_members: list[np.ndarray]
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
    with within(task.name):
        fitted = _fit_network(fold) if arm.estimator == "kpnn" else _fit_baseline(fold)
    return _scored(fold, fitted, time.perf_counter() - begun)


def train_folds(shared: tuple[Sequence[Arm], LabelledCells, EvaluationSettings], task: FoldTask) -> list[FoldResult]:
    """Trains and scores one fold of several arms, whose networks read the cells together.

    Each result is, bit for bit, what `train_fold` gives; `seconds` is its share of the time.

    Args:
        shared: arms of equal `Arm.trained_with`, the cells as all of them see them, the settings.
        task: which cells.
    """
    arms, cells, settings = shared
    begun = time.perf_counter()
    own = [arm.settings_of(task.name, settings).with_threads(task.threads) for arm in arms]
    folds = [_Fold(arm, arm.dag, cells, settings, task) for arm, settings in zip(arms, own, strict=True)]
    with within(task.name):
        fitted = _fit_untuned(folds)
    seconds = (time.perf_counter() - begun) / len(folds)
    return [_scored(fold, fit, seconds) for fold, fit in zip(folds, fitted, strict=True)]


@dataclass(frozen=True, eq=False)
class FittedModel:
    """A model that learned from all cells there are.

    Attributes:
        model: an ensemble, one network per inner fold, or a single network.
        hyperparameters: of the winning recipe.
        loss: mean validation loss of its networks.
    """

    model: keras.Model
    hyperparameters: Hyperparameters
    loss: float


def fit_model(
    dag: Dag, cells: LabelledCells, settings: EvaluationSettings, recipes: Sequence[dict[str, Any]] = ()
) -> FittedModel:
    """Trains a model on all cells as a fold's is trained on its own, by the best of some recipes.

    Args:
        dag: the network.
        cells: with the genes of the DAG.
        settings: what all recipes share; its search is not used.
        recipes: hyperparameters that race against each other, each naming what it does not take from `settings`; none:
            those of `settings` alone.

    Raises:
        CellsError: a class has too few cells or groups for an inner split.
    """
    everything = np.arange(len(cells.barcodes))
    task = FoldTask(0, 0, everything, everything[:0], settings.seed)
    fold = _Fold(Arm("model", dag), dag, cells.restricted_to(dag.inputs), settings, task)
    splits, base = _splits(fold), settings.hyperparameters
    proposed = [base.model_copy(update=recipe) for recipe in recipes] or [base]
    not_finite: Literal["error", "stop"] = "stop" if len(proposed) > 1 else "error"
    contenders = race(proposed, len(splits), lambda wanted: _train_of(fold, splits, wanted, not_finite))
    whole = [one for one in contenders if len(one.members) == len(splits) and not one.diverged]
    if not whole:
        raise CellsError("the loss of every recipe became infinite; give a smaller learning_rate")
    winner = min(whole, key=lambda one: one.loss())
    return FittedModel(model_of([member.network for member in winner.members]), winner.hyperparameters, winner.loss())


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
    """The model is the winning trial's networks themselves; nothing is trained again."""
    settings = fold.settings
    if not settings.searches:
        return _fit_untuned([fold])[0]
    splits = _splits(fold)
    search = Search(settings.tuning, settings.hyperparameters, len(splits), fold.seed)
    name = f"{fold.arm.name} {fold.task.name} {_search_fingerprint(fold)}"
    found = search.run(lambda wanted: _train_of(fold, splits, wanted, "stop"), name, resume=settings.resume)
    return _fitted(fold, found.best, found.trials)


def _fit_untuned(folds: Sequence[_Fold]) -> list[_Fitted]:
    """Models of arms that see the same cells, each by the hyperparameters of its settings."""
    splits = _splits(folds[0])
    wanted = [(fold, fold.settings.hyperparameters, place) for fold in folds for place in range(len(splits))]
    members = _train(splits, wanted, "error")
    parts = [members[first : first + len(splits)] for first in range(0, len(members), len(splits))]
    return [
        _fitted(fold, Contender(fold.settings.hyperparameters, part), pd.DataFrame())
        for fold, part in zip(folds, parts, strict=True)
    ]


def _fitted(fold: _Fold, winner: Contender, trials: pd.DataFrame) -> _Fitted:
    dag = fold.dag
    networks, held_out = [member.network for member in winner.members], fold.task.held_out
    curves = [member.history.to_frame().reset_index().assign(member=k) for k, member in enumerate(winner.members)]
    model = model_of(networks)
    return _Fitted(
        probabilities=predict_rows(model, fold.cells, held_out),
        of_members=[predict_rows(network, fold.cells, held_out) for network in networks],
        hyperparameters=winner.hyperparameters.model_dump(),
        trials=trials,
        n_parameters=dag.n_parameters,
        n_edges=len(dag.edges),
        n_neurons=len(dag.neurons),
        history=pd.concat(curves, ignore_index=True),
        model=keras_bytes(model),
    )


def _splits(fold: _Fold) -> list[Split]:
    """On what each network is trained and stopped. The tutorial stops its only one on the very cells it reports."""
    if fold.settings.protocol == "tutorial":
        return [(fold.task.training, fold.task.held_out)]
    return inner_splits(fold.cells, fold.task.training, fold.settings.fit, fold.seed)


def _train_of(
    fold: _Fold,
    splits: Sequence[Split],
    wanted: Sequence[tuple[Hyperparameters, int]],
    not_finite: Literal["error", "stop"],
) -> list[Member]:
    return _train(splits, [(fold, hyperparameters, place) for hyperparameters, place in wanted], not_finite)


def _train(
    splits: Sequence[Split],
    wanted: Sequence[tuple[_Fold, Hyperparameters, int]],
    not_finite: Literal["error", "stop"],
) -> list[Member]:
    """Trains networks together: of which fold, how, and of which inner fold. All folds see the same cells."""
    fits = [member_fit(of.dag, hyperparameters, place, splits, of.seed) for of, hyperparameters, place in wanted]
    fold = wanted[0][0]
    fitted = fit_networks(fold.cells, fits, fold.settings, not_finite)
    members = []
    for fit, (network, history) in zip(fits, fitted, strict=True):
        if history.stopped_by == "not_finite":
            members.append(Member(network, float("inf"), np.zeros(0), history))
            continue
        predicted = predict_rows(network, fold.cells, fit.validation)
        losses = cross_entropies(predicted, fold.cells.labels[fit.validation], one_of_k=fold.cells.one_of_k)
        # Of many validation cells, stopping has watched some, of each seed others: configurations are compared by all.
        watched_all = len(losses) <= (fold.settings.fit.epoch_cells or len(losses))
        loss = np.min(history.val_loss) if watched_all else np.mean(losses)
        members.append(Member(network, float(loss), losses, history))
    return members


def _fit_baseline(fold: _Fold) -> _Fitted:
    task, splits = fold.task, inner_splits(fold.cells, fold.task.training, fold.settings.fit, fold.seed)
    estimator, cells = fold.arm.estimator, fold.cells
    if estimator == "tf_activity":
        estimator, cells = "logistic", regulator_activities(cells, fold.dag)
    fit = fit_baseline(estimator, cells, splits, task.held_out, fold.seed)
    return _Fitted(fit.probabilities, fit.of_members, fit.hyperparameters, fit.trials, fit.n_parameters)


def _scored(fold: _Fold, fitted: _Fitted, seconds: float) -> FoldResult:
    task, cells = fold.task, fold.cells
    y = cells.labels[task.held_out]
    return FoldResult(
        arm=fold.arm.name,
        repeat=task.repeat,
        fold=task.fold,
        protocol=fold.settings.protocol,
        seed=fold.seed,
        predictions=predictions_table(cells.barcodes[task.held_out], cells.outputs, y, fitted.probabilities),
        member_predictions=member_table(cells.barcodes[task.held_out], cells.outputs, fitted.of_members),
        metrics=score(y, fitted.probabilities, cells.outputs, one_of_k=cells.one_of_k),
        hyperparameters=fitted.hyperparameters,
        history=fitted.history,
        trials=fitted.trials,
        n_edges=fitted.n_edges,
        n_neurons=fitted.n_neurons,
        n_parameters=fitted.n_parameters,
        seconds=seconds,
        model=fitted.model,
    )


def _search_fingerprint(fold: _Fold) -> str:
    """What a study's name must tell apart: trials go on only on the same data, network and settings."""
    digest = hashlib.sha256(f"{fold.dag.fingerprint} {fold.cells.fingerprint}".encode())
    digest.update(fold.settings.decisive().encode())
    digest.update(fold.task.training.tobytes())
    return digest.hexdigest()[:16]
