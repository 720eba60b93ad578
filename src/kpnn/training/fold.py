"""One outer fold of one arm: tune and stop on inner splits, then score the held-out cells once."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from kpnn.cells import CellStream
from kpnn.evaluation import score
from kpnn.pkn import Dag, Pkn
from kpnn.training.baselines import fit_baseline
from kpnn.training.controls import Arm
from kpnn.training.data import LabelledCells, inner_folds, inner_holdout
from kpnn.training.results import FoldResult, fold_name, predictions_table
from kpnn.training.settings import EvaluationSettings, Hyperparameters
from kpnn.training.tuning import OnEpoch, SearchResult, search

if TYPE_CHECKING:
    import keras

    from kpnn.nn import History
    from kpnn.nn import TrainingSettings as NetworkTraining


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


def train_fold(shared: tuple[Arm, LabelledCells, EvaluationSettings], task: FoldTask) -> FoldResult:
    """Trains and scores one fold of an arm.

    Args:
        shared: the arm, the cells as it sees them, the settings.
        task: which cells.
    """
    arm, cells, settings = shared
    settings = settings.with_threads(task.threads)
    begun = time.perf_counter()
    dag = arm.dag
    if settings.top_genes is not None:
        dag, cells = _with_top_genes(dag, cells, task.training, settings.top_genes)
    if arm.estimator == "kpnn":
        outcome = _train_network(arm.name, dag, cells, settings, task)
    else:
        outcome = _train_baseline(arm.estimator, cells, settings, task)
    y = cells.labels[task.held_out]
    return FoldResult(
        arm=arm.name,
        repeat=task.repeat,
        fold=task.fold,
        protocol=settings.protocol,
        seed=task.fold_seed,
        predictions=predictions_table(cells.barcodes[task.held_out], cells.outputs, y, outcome.probabilities),
        metrics=score(y, outcome.probabilities, cells.outputs),
        hyperparameters=outcome.hyperparameters,
        history=outcome.history,
        trials=outcome.trials,
        n_edges=outcome.n_edges,
        n_neurons=outcome.n_neurons,
        n_parameters=outcome.n_parameters,
        seconds=time.perf_counter() - begun,
        model=outcome.model,
    )


@dataclass(frozen=True, eq=False)
class _Outcome:
    probabilities: np.ndarray
    hyperparameters: dict[str, Any]
    trials: pd.DataFrame
    n_parameters: int
    n_edges: int = 0
    n_neurons: int = 0
    history: pd.DataFrame = field(default_factory=pd.DataFrame)
    model: bytes | None = None


def _train_network(arm: str, dag: Dag, cells: LabelledCells, settings: EvaluationSettings, task: FoldTask) -> _Outcome:
    hyperparameters, trials = settings.hyperparameters, pd.DataFrame()
    if settings.protocol == "tutorial":
        split = (task.training, task.held_out)
    else:
        split = inner_holdout(cells, task.training, settings.fit.validation_fraction, task.fold_seed)
        if settings.tuning.n_trials > 0:
            found = _tune(arm, dag, cells, task, settings)
            hyperparameters, trials = found.best, found.trials
    [(model, history)] = fit_networks(dag, cells, [(hyperparameters, *split)], settings, task.fold_seed)
    return _Outcome(
        probabilities=_predict_rows(model, cells, task.held_out),
        hyperparameters=hyperparameters.model_dump(),
        trials=trials,
        n_parameters=dag.n_parameters,
        n_edges=len(dag.edges),
        n_neurons=len(dag.neurons),
        history=history.to_frame().reset_index(),
        model=_keras_bytes(model),
    )


def _train_baseline(
    estimator: str,
    cells: LabelledCells,
    settings: EvaluationSettings,
    task: FoldTask,
) -> _Outcome:
    splits = _tuning_splits(cells, task, settings)
    fit = fit_baseline(estimator, cells, task.training, task.held_out, splits, task.fold_seed)
    return _Outcome(fit.probabilities, fit.hyperparameters, fit.trials, fit.n_parameters)


Job = tuple[Hyperparameters, np.ndarray, np.ndarray]
"""A configuration, the positions of the cells to train on, and of those that early stopping looks at."""


def fit_networks(
    dag: Dag,
    cells: LabelledCells,
    jobs: Sequence[Job],
    settings: EvaluationSettings,
    seed: int,
    on_epoch: OnEpoch | None = None,
) -> list[tuple[keras.Model, History]]:
    """Fits networks on the same DAG together, in one batched program.

    Args:
        dag: the network.
        cells: with the columns of the DAG's inputs.
        jobs: what differs between the fits.
        settings: what they share.
        seed: of initial weights, order of cells and dropout: the same for all, so that they differ by their jobs alone.
        on_epoch: called with the job's position, the epoch and its validation loss; False ends that fit.
    """
    from kpnn.nn import TrainingSettings as NetworkTraining
    from kpnn.nn import build_kpnn, fit_kpnns

    tuned = [job[0] for job in jobs]
    models = [
        build_kpnn(
            dag,
            **h.model_dump(exclude={"learning_rate", "batch_size"}),
            signed=settings.network.signed,
            initializer=settings.network.initializer,
            gene_suffix=settings.network.gene_suffix,
            seed=seed,
        )
        for h in tuned
    ]
    how = [
        NetworkTraining(
            max_epochs=settings.fit.max_epochs,
            patience=settings.fit.patience,
            batch_size=h.batch_size,
            learning_rate=h.learning_rate,
            class_weight=settings.fit.class_weight,
            seed=seed,
        )
        for h in tuned
    ]
    if isinstance(cells.expression, CellStream):
        return [
            (model, _fit_from_disk(model, cells.expression, job, setting, position, on_epoch))
            for position, (model, job, setting) in enumerate(zip(models, jobs, how, strict=True))
        ]
    histories = fit_kpnns(
        models,
        cells.expression,
        cells.labels,
        settings=how,
        training_rows=[job[1] for job in jobs],
        validation_rows=[job[2] for job in jobs],
        callback=on_epoch,
        n_threads=settings.execution.threads_per_fit,
    )
    return list(zip(models, histories, strict=True))


def _fit_from_disk(
    model: keras.Model,
    stream: CellStream,
    job: Job,
    settings: NetworkTraining,
    position: int,
    on_epoch: OnEpoch | None,
) -> History:
    from kpnn.nn.streaming import fit_stream

    _, train, validate = job
    watch = None if on_epoch is None else lambda epoch, loss: on_epoch(position, epoch, loss)
    return fit_stream(
        model, stream.part(train), validation_cells=stream.part(validate), settings=settings, callback=watch
    )


def _tuning_splits(
    cells: LabelledCells, task: FoldTask, settings: EvaluationSettings
) -> list[tuple[np.ndarray, np.ndarray]]:
    if settings.tuning.inner == "holdout":
        return [inner_holdout(cells, task.training, settings.fit.validation_fraction, task.fold_seed)]
    return inner_folds(cells, task.training, settings.tuning.inner_splits, task.fold_seed)


def _tune(arm: str, dag: Dag, cells: LabelledCells, task: FoldTask, settings: EvaluationSettings) -> SearchResult:
    splits = _tuning_splits(cells, task, settings)

    def train_batch(proposed: Sequence[Hyperparameters], _first: int, on_epoch: OnEpoch) -> list[float]:
        jobs = [(h, *split) for h in proposed for split in splits]
        # Only with a single inner split is a fit's curve the trial's own; with several, trials run to their end.
        watch = on_epoch if len(splits) == 1 else None
        fitted = fit_networks(dag, cells, jobs, settings, task.fold_seed, watch)
        losses = np.array([np.min(history.val_loss) for _, history in fitted])
        return list(losses.reshape(len(proposed), len(splits)).mean(axis=1))

    name = f"{arm} {task.name} {_search_fingerprint(dag, cells, task, settings)}"
    return search(train_batch, settings.tuning, settings.hyperparameters, name, task.fold_seed, resume=settings.resume)


def _search_fingerprint(dag: Dag, cells: LabelledCells, task: FoldTask, settings: EvaluationSettings) -> str:
    """What a study's name must tell apart: trials go on only on the same data, network and settings."""
    digest = hashlib.sha256(f"{dag.fingerprint} {cells.fingerprint}".encode())
    digest.update(
        settings.model_dump_json(
            exclude={"resume": True, "execution": True, "tracking": True, "tuning": {"storage"}}
        ).encode()
    )
    digest.update(task.training.tobytes())
    return digest.hexdigest()[:16]


def _with_top_genes(dag: Dag, cells: LabelledCells, training: np.ndarray, top_genes: int) -> tuple[Dag, LabelledCells]:
    """The DAG below which only the genes of highest variance over the training cells are left."""
    pruned = Pkn(dag.edges, dag.inputs, dag.outputs).pruned(cells.top_genes(training, top_genes))
    smaller = Dag(pruned.edges, pruned.inputs, pruned.outputs)
    return smaller, cells.restricted_to(smaller.inputs)


def _predict_rows(model: keras.Model, cells: LabelledCells, rows: np.ndarray) -> np.ndarray:
    """Predicted probabilities, shape (n_rows, n_outputs)."""
    from kpnn.nn import predict

    if isinstance(cells.expression, CellStream):
        parts = [predict(model, part) for part, _ in cells.expression.part(rows).in_order()]
        return pd.concat(parts)[list(cells.outputs)].to_numpy()
    return predict(model, cells.expression[rows])[list(cells.outputs)].to_numpy()


def _keras_bytes(model: keras.Model) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return path.read_bytes()
