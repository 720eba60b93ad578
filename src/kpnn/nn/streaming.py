"""Training networks on cells wherever they lie: all at once from memory, or buffer by buffer from disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from kpnn.cells.store import CellStore
from kpnn.errors import ModelError, SettingsError
from kpnn.nn.engine import Engine
from kpnn.nn.history import History
from kpnn.nn.inputs import as_rows
from kpnn.nn.kernels import BATCH, Rows, loss_of, train_epoch
from kpnn.nn.labels import as_labels, class_weights
from kpnn.nn.layer import sparse_dag
from kpnn.nn.settings import TrainingSettings
from kpnn.nn.training import _Fit, _run, _usable_cores, fit_kpnns


def fit_cells(
    models: Sequence[keras.Model],
    cells: CellStore,
    labels: Any,
    *,
    training_rows: Sequence[np.ndarray],
    validation_rows: Sequence[np.ndarray],
    settings: Sequence[TrainingSettings],
    callback: Callable[[int, int, float], bool | None] | None = None,
    n_threads: int | None = None,
) -> list[History]:
    """Trains several networks on one DAG, as `fit_kpnns` does, on cells in memory or on disk.

    From disk, an epoch sees every cell once; its order is shuffled within buffers of cells from all over the file, not
    over all cells at once. Each thread holds two buffers in memory.

    Args:
        models: models that `build_kpnn` made; their weights are where training starts.
        cells: all cells, columns `dag.inputs` in that order.
        labels: of all cells, as for `fit_kpnns`.
        training_rows: for each model, which cells train it.
        validation_rows: for each model, which cells early stopping watches.
        settings: of each model.
        callback: as for `fit_kpnns`.
        n_threads: most cores to use; by default all that this process may use.

    Returns:
        The learning curve of each model.

    Raises:
        ModelError: columns or labels do not fit the models, or a loss is not finite.
        SettingsError: a part holds no cells.
    """
    matrix = cells.whole()
    if matrix is not None:
        return fit_kpnns(
            models,
            matrix,
            labels,
            training_rows=training_rows,
            validation_rows=validation_rows,
            settings=settings,
            callback=callback,
            n_threads=n_threads,
        )
    fits: list[_Fit] = []
    for place, model in enumerate(models):
        training, validation = (
            _Part.of(model, cells, labels, rows[place]) for rows in (training_rows, validation_rows)
        )
        fits.append(_FitFromDisk(model, settings[place], training, validation, place))
    return _run(fits, callback, n_threads or _usable_cores())


@dataclass(frozen=True, eq=False)
class _Part:
    """Labelled cells on disk that train a network or are watched."""

    cells: CellStore
    labels: np.ndarray

    @classmethod
    def of(cls, model: keras.Model, cells: CellStore, labels: Any, rows: np.ndarray) -> _Part:
        layer = sparse_dag(model)
        if cells.shape[1] != len(layer.dag.inputs):
            raise ModelError(
                f"cells of {cells.shape[1]:,} columns do not fit the model's {len(layer.dag.inputs):,} inputs; use "
                "cells.restricted_to(dag.inputs)"
            )
        if len(rows) == 0:
            raise SettingsError("training_rows and validation_rows must hold at least one row number each")
        names = np.arange(cells.n_cells)
        every = as_labels(labels, names, layer.dag.outputs, np.dtype(layer.variable_dtype))
        return cls(cells.rows(rows), every[rows])

    def buffers(
        self, model: keras.Model, generator: np.random.Generator | None = None
    ) -> Iterator[tuple[Rows, np.ndarray]]:
        for expression, places in self.cells.buffers(generator):
            rows, _, _ = as_rows(model, expression)
            yield rows, np.ascontiguousarray(self.labels[places])


@dataclass(eq=False)
class _FitFromDisk(_Fit):
    """One network in training on cells that do not fit in memory."""

    training: Any
    validation: Any

    def __post_init__(self) -> None:
        settings = self.settings
        self.engine = Engine.of(
            self.model,
            batch_size=min(settings.batch_size, self.training.cells.n_cells),
            learning_rate=settings.learning_rate,
            optimizer=settings.optimizer,
            training=True,
        )
        self._adapt()
        self.label_weights = class_weights(settings.class_weight, self.training.labels)
        self.plain_weights = np.ones_like(self.label_weights)
        self.steps = 0
        self.best = self.engine.snapshot()
        self.best_loss = float("inf")
        self.largest = 0.0

    def _adapt(self) -> None:
        layer = self.engine.normalization
        if layer is None or layer.kind != "standard" or int(ops.convert_to_numpy(layer.n_cells)) > 0:
            return
        means, variances = self.training.cells.moments()
        variances[variances <= 1e-12 * means**2] = 0.0
        layer.mean.assign(means.astype(layer.variable_dtype))
        layer.variance.assign(variances.astype(layer.variable_dtype))
        layer.n_cells.assign(self.training.cells.n_cells)
        self.engine.use_stored_normalization()

    def epoch(self) -> None:
        engine, number = self.engine, len(self.losses) + 1
        generator = np.random.default_rng([self.settings.seed, 1, number])
        loss = penalty = 0.0
        for rows, labels in self.training.buffers(self.model, generator):
            order = generator.permutation(len(labels))
            base = np.uint64(generator.integers(0, 2**64, dtype=np.uint64))
            each, penalty, self.steps = train_epoch(
                engine.plan,
                rows,
                order,
                labels,
                self.label_weights,
                engine.state,
                engine.rule,
                engine.drops,
                base,
                self.steps,
                engine.space,
            )
            loss += each * len(order) / self.training.cells.n_cells
            self.largest = max(self.largest, float(np.abs(rows.data).max(initial=0)))
        val_loss = float("nan")
        if engine.rule.normalization == BATCH:
            engine.use_stored_normalization()
        if np.isfinite(loss):
            val_loss = self._validation_loss()
        self.losses.append(loss)
        self.penalties.append(penalty)
        self.val_losses.append(val_loss)

    def _validation_loss(self) -> float:
        engine, loss = self.engine, 0.0
        for rows, labels in self.validation.buffers(self.model):
            each = loss_of(
                engine.plan,
                rows,
                np.arange(len(labels)),
                labels,
                self.plain_weights,
                engine.state,
                engine.rule,
                engine.no_drops,
                engine.space,
            )
            loss += each * len(labels) / self.validation.cells.n_cells
        return loss

    def _not_finite(self, epoch: int, loss: float, val_loss: float) -> str:
        return (
            f"epoch {epoch} of model {self.model.name!r} (number {self.place}): loss is {loss}, validation loss "
            f"{val_loss}; expression reaches {self.largest:g}; likely cause: the learning rate "
            f"{self.settings.learning_rate:g} is too high"
        )

    def history(self) -> History:
        self.engine.store(self.best, self.training.cells.n_cells)
        return History(
            loss=np.array(self.losses),
            penalty=np.array(self.penalties),
            val_loss=np.array(self.val_losses),
            seconds=np.array(self.seconds),
            best_epoch=self.best_epoch,
            stopped_by=self.stopped_by,
        )
