"""Training one network on cells that come as a stream, in bounded memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np
from scipy.sparse import csr_matrix

from kpnn.errors import ModelError
from kpnn.nn.compiled_model import CompiledModel
from kpnn.nn.engine.kernels import LabelledRows, loss_of, train_epoch
from kpnn.nn.fit import _Fit
from kpnn.nn.history import History
from kpnn.nn.inputs import as_rows
from kpnn.nn.labels import class_weights
from kpnn.nn.layer import sparse_dag
from kpnn.nn.settings import TrainingSettings


class Stream(Protocol):
    """Labelled cells in buffers: `kpnn.cells.CellStream` is one."""

    @property
    def n_cells(self) -> int:
        """Number of cells."""

    @property
    def nodes(self) -> tuple[str, ...]:
        """Input node of each column."""

    @property
    def labels(self) -> np.ndarray:
        """0/1, shape (n_cells, n_outputs)."""

    def buffers(self, generator: np.random.Generator) -> Iterator[tuple[csr_matrix, np.ndarray]]:
        """One epoch: every cell once, in shuffled buffers of expression and labels."""

    def in_order(self) -> Iterator[tuple[csr_matrix, np.ndarray]]:
        """All cells in their own order, in buffers."""

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of each column."""


def is_stream(cells: Any) -> bool:
    """Whether cells come as a stream and not as a matrix."""
    return hasattr(cells, "buffers") and hasattr(cells, "n_cells") and hasattr(cells, "moments")


def fit_stream(
    model: keras.Model,
    cells: Stream,
    *,
    validation_cells: Stream | None = None,
    settings: TrainingSettings | None = None,
    callback: Callable[[int, float], bool | None] | None = None,
) -> History:
    """Trains a network as `fit_kpnn` does, on cells that are read from disk in each epoch.

    An epoch sees every cell once; its order is shuffled within buffers of cells from all over the file, not over all
    cells at once. Two buffers are in memory.

    Args:
        model: a model that `build_kpnn` made; its weights are where training starts.
        cells: the training cells, columns `dag.inputs` in that order.
        validation_cells: the cells that early stopping watches.
        settings: how it is trained.
        callback: called with the epoch (from 1) and its validation loss; training stops where it returns False.

    Returns:
        The learning curve.

    Raises:
        ModelError: columns do not fit the model, there are no cells, or the loss is not finite.
    """
    settings = settings or TrainingSettings()
    inputs = sparse_dag(model).dag.inputs
    for stream in (cells, validation_cells):
        if stream is not None and tuple(stream.nodes) != tuple(inputs):
            raise ModelError("the stream's columns are not the model's inputs; use stream.restricted_to(dag.inputs)")
        if stream is not None and stream.n_cells == 0:
            raise ModelError("a stream without cells")
    fit = _StreamFit(model, settings, cells, validation_cells, 0)
    watch = None if callback is None else lambda _, epoch, loss: callback(epoch, loss)
    while not fit.stopped_by:
        start = time.perf_counter()
        fit.epoch()
        fit.judge(watch, time.perf_counter() - start)
    return fit.history()


@dataclass(eq=False)
class _StreamFit(_Fit):
    """One network in training on streams."""

    training: Any
    validation: Any

    def __post_init__(self) -> None:
        settings = self.settings
        self.compiled = CompiledModel.of(
            self.model,
            batch_size=min(settings.batch_size, self.training.n_cells),
            learning_rate=settings.learning_rate,
            optimizer=settings.optimizer,
            training=True,
        )
        self._adapt()
        self.label_weights = class_weights(settings.class_weight, self.training.labels)
        self.plain_weights = np.ones_like(self.label_weights)
        self.steps = 0
        self.best = self.compiled.snapshot()
        self.best_loss = float("inf")
        self.largest = 0.0

    def _adapt(self) -> None:
        layer = self.compiled.normalization
        if layer is None or not layer.wants_moments():
            return
        means, variances = self.training.moments()
        variances[variances <= 1e-12 * means**2] = 0.0
        layer.set_moments(means, variances, self.training.n_cells)
        self.compiled.use_stored_moments()

    def epoch(self) -> None:
        number = len(self.losses) + 1
        generator = np.random.default_rng([self.settings.seed, 1, number])
        loss = penalty = 0.0
        for expression, labels in self.training.buffers(generator):
            rows, names, _ = as_rows(self.model, expression)
            base = np.uint64(generator.integers(0, 2**64, dtype=np.uint64))
            part = LabelledRows(rows, np.arange(len(names)), self._labels(labels), self.label_weights)
            each, penalty, self.steps = train_epoch(self.compiled.network, part, base, self.steps)
            loss += each * len(names) / self.training.n_cells
            self.largest = max(self.largest, float(np.abs(rows.data).max(initial=0)))
        val_loss = float("nan")
        self.compiled.use_moving_moments()
        if self.validation is not None and np.isfinite(loss):
            val_loss = self._validation_loss()
        self.losses.append(loss)
        self.penalties.append(penalty)
        self.val_losses.append(val_loss)

    def _validation_loss(self) -> float:
        loss = 0.0
        for expression, labels in self.validation.in_order():
            rows, names, _ = as_rows(self.model, expression)
            part = LabelledRows(rows, np.arange(len(names)), self._labels(labels), self.plain_weights)
            each = loss_of(self.compiled.predictor, part)
            loss += each * len(names) / self.validation.n_cells
        return loss

    def _labels(self, labels: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(labels, dtype=self.compiled.layer.variable_dtype)

    def _not_finite(self, epoch: int, loss: float, val_loss: float) -> str:
        return (
            f"epoch {epoch} of model {self.model.name!r}: loss is {loss}, validation loss {val_loss}; expression "
            f"reaches {self.largest:g}; likely cause: the learning rate {self.settings.learning_rate:g} is too high"
        )

    def history(self) -> History:
        self.compiled.store(self.best, self.training.n_cells)
        return History(
            np.array(self.losses, dtype=np.float64),
            np.array(self.penalties, dtype=np.float64),
            np.array(self.val_losses, dtype=np.float64),
            np.array(self.seconds, dtype=np.float64),
            best_epoch=self.best_epoch,
            stopped_by=self.stopped_by,
        )
