"""The labelled cells that a fit reads, in memory or on disk: one face, so that there is one fit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import pandas as pd

from kpnn.cells.store import CellStore
from kpnn.errors import ModelError, SettingsError
from kpnn.nn.compiled_model import CompiledModel
from kpnn.nn.engine.kernels import LabelledRows
from kpnn.nn.inputs import as_rows
from kpnn.nn.labels import as_labels, class_weights
from kpnn.nn.layer import sparse_dag


class FitData(ABC):
    """Some labelled cells in the column order of a model's inputs."""

    @property
    @abstractmethod
    def labels(self) -> np.ndarray:
        """Labels of these cells, cells x outputs, from 0 to 1."""

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return len(self.labels)

    @property
    @abstractmethod
    def identity(self) -> object:
        """Equal for the same cells of the same source in the same order, and hashable."""

    @abstractmethod
    def part(self, which: np.ndarray) -> FitData:
        """Some of the cells, by their positions among these."""

    @abstractmethod
    def weighted(self, label_weights: np.ndarray) -> FitData:
        """The same cells, whose labels weigh differently in the loss; see `LabelledRows`."""

    @abstractmethod
    def blocks(self, generator: np.random.Generator | None = None, most: int | None = None) -> Iterator[LabelledRows]:
        """Every cell once, in blocks that are in memory.

        Args:
            generator: shuffles the cells; None: they come in a fixed order.
            most: cells after which it ends; None: all.
        """

    @abstractmethod
    def adapt(self, compiled: CompiledModel) -> None:
        """Gives a model with input normalization the mean and variance of these cells, unless it has some already."""

    def largest(self) -> float:
        """The largest absolute value of the expression."""
        return max(float(np.abs(block.rows.data).max(initial=0)) for block in self.blocks())


def fit_data(model: keras.Model, X: Any, y: Any, purpose: str) -> FitData:
    """All cells of X with their labels, both classes weighing the same.

    Args:
        model: whose inputs and outputs.
        X: cells x `dag.inputs` in that order, dense, CSR or a `kpnn.cells.CellStore`; or an AnnData or DataFrame,
            matched by gene name.
        y: labels, as for `fit_kpnn`.
        purpose: what to call the cells in errors.

    Raises:
        ModelError: cells or labels do not fit the model.
    """
    layer = sparse_dag(model)
    outputs, dtype = layer.dag.outputs, np.dtype(layer.variable_dtype)
    if isinstance(X, CellStore):
        if X.shape[1] != len(layer.dag.inputs):
            raise ModelError(
                f"cells of {X.shape[1]:,} columns do not fit the model's {len(layer.dag.inputs):,} inputs; use "
                "cells.restricted_to(dag.inputs)"
            )
        matrix = X.whole()
        if matrix is None:
            labels = as_labels(y, pd.RangeIndex(X.n_cells), outputs, dtype, one_of_k=layer.one_of_k)
            return _OnDisk(model, X, labels, class_weights(None, labels), X, np.arange(X.n_cells))
        X = matrix
    rows, names, _ = as_rows(model, X)
    if len(names) == 0:
        raise ModelError(f"no {purpose} cells")
    labels = as_labels(y, names, outputs, dtype, one_of_k=layer.one_of_k)
    return _InMemory(LabelledRows(rows, np.arange(len(names)), labels, class_weights(None, labels)))


def part_of(cells: FitData, which: Any, name: str) -> FitData:
    """Some of the cells, by their row numbers.

    Raises:
        SettingsError: there is no such row, or none at all; `name` is in the message.
    """
    chosen = np.asarray(which)
    if chosen.ndim != 1 or not np.issubdtype(chosen.dtype, np.integer) or len(chosen) == 0:
        raise SettingsError(f"{name} must hold at least one row number and nothing else")
    if chosen.min() < 0 or chosen.max() >= cells.n_cells:
        stray = chosen.max() if chosen.min() >= 0 else chosen.min()
        raise SettingsError(f"{name} names row {stray} of {cells.n_cells}")
    return cells.part(chosen.astype(np.int64))


@dataclass(frozen=True, eq=False)
class _InMemory(FitData):
    """Rows of a matrix that all fits share."""

    rows: LabelledRows

    @property
    def labels(self) -> np.ndarray:
        return self.rows.labels[self.rows.which]

    @property
    def n_cells(self) -> int:
        return len(self.rows.which)

    @property
    def identity(self) -> object:
        return id(self.rows.rows.data), id(self.rows.labels), self.rows.which.tobytes()

    def part(self, which: np.ndarray) -> _InMemory:
        return _InMemory(self.rows._replace(which=self.rows.which[which]))

    def weighted(self, label_weights: np.ndarray) -> _InMemory:
        return _InMemory(self.rows._replace(label_weights=label_weights))

    def blocks(self, generator: np.random.Generator | None = None, most: int | None = None) -> Iterator[LabelledRows]:
        which = self.rows.which
        order = slice(most) if generator is None else generator.permutation(len(which))[:most]
        yield self.rows._replace(which=which[order])

    def adapt(self, compiled: CompiledModel) -> None:
        compiled.adapt(self.rows.rows, self.rows.which)


@dataclass(frozen=True, eq=False)
class _OnDisk(FitData):
    """Cells that are read anew in every pass, two buffers at a time.

    The order of the cells is shuffled within buffers of cells from all over the file, not over all cells at once.
    """

    model: keras.Model
    cells: CellStore
    own_labels: np.ndarray
    label_weights: np.ndarray
    source: CellStore  # of which `cells` are those in the rows `which`
    which: np.ndarray

    @property
    def labels(self) -> np.ndarray:
        return self.own_labels

    @property
    def identity(self) -> object:
        return id(self.source), self.own_labels.tobytes(), self.which.tobytes()

    def part(self, which: np.ndarray) -> _OnDisk:
        return replace(self, cells=self.cells.rows(which), own_labels=self.own_labels[which], which=self.which[which])

    def weighted(self, label_weights: np.ndarray) -> _OnDisk:
        return replace(self, label_weights=label_weights)

    def blocks(self, generator: np.random.Generator | None = None, most: int | None = None) -> Iterator[LabelledRows]:
        left = self.n_cells if most is None else most
        for expression, places in self.cells.buffers(generator):
            n_cells = len(places)
            which = (np.arange(n_cells) if generator is None else generator.permutation(n_cells))[:left]
            labels = np.ascontiguousarray(self.own_labels[places])
            yield LabelledRows(as_rows(self.model, expression)[0], which, labels, self.label_weights)
            left -= len(which)
            if left <= 0:
                return

    def adapt(self, compiled: CompiledModel) -> None:
        layer = compiled.normalization
        if layer is None or not layer.wants_moments():
            return
        means, variances = self.cells.moments()
        # A gene with one value in all cells has variance 0, whatever rounding leaves of it.
        variances[variances <= 1e-12 * means**2] = 0.0
        layer.set_moments(means, variances, self.n_cells)
        compiled.use_stored_moments()
