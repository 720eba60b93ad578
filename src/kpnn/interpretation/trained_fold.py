"""A fold's model and its cells as interpretation takes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_matrix, vstack

from kpnn.interpretation.significance import HeldOutEvidence
from kpnn.pkn import Dag
from kpnn.training.data import LabelledCells
from kpnn.training.fitting import keras_bytes, model_from_bytes
from kpnn.training.settings import Hyperparameters

if TYPE_CHECKING:
    import keras


_MOST_CELLS = 5_000
"""Over which gradients and conductances are averaged: more would move a mean by a percent, and take hours."""


def spread_over(n_cells: int) -> slice | np.ndarray:
    """Which of some cells what neurons do on average is taken from: all, or of very many an even share."""
    if n_cells <= _MOST_CELLS:
        return slice(None)
    return np.linspace(0, n_cells - 1, _MOST_CELLS).astype(np.int64)


@dataclass(frozen=True, eq=False)
class TrainedFold:
    """A fold's model and its cells.

    Attributes:
        repeat: from 0.
        fold: from 0.
        model: the trained network, or an ensemble of several.
        training: positions of the cells it was trained on.
        held_out: positions of the cells it never saw.
        hyperparameters: with which it was trained.

    Examples:
        >>> import pandas as pd
        >>> from kpnn.nn import build_kpnn, set_edge_weights
        >>> edges = [("TCR", "ZAP70"), ("TCR", "JUN"), ("ZAP70", "CD69_gene"), ("JUN", "IL2_gene")]
        >>> dag = Dag.from_edges(pd.DataFrame(edges, columns=["parent", "child"]), outputs=["TCR"])
        >>> model = build_kpnn(dag)
        >>> set_edge_weights(model, dict(zip(edges, [4.0, 1.0, 2.0, 1.0])), {"TCR": -3.0, "ZAP70": -3.0, "JUN": 0.0})
        >>> expression, labels = np.array([[0, 0], [3, 0], [1, 1], [2, 1]] * 10), np.array([[0], [1]] * 20, "float32")
        >>> cells = LabelledCells(expression, labels, np.arange(40).astype(str), dag.inputs, dag.outputs)
        >>> halves = np.split(np.arange(40), 2)
        >>> folds = [TrainedFold(0, n, model, halves[1 - n], halves[n], Hyperparameters()) for n in (0, 1)]
        >>> folds[0].dag.hidden, len(folds[0].members)
        (('JUN', 'ZAP70'), 1)
    """

    repeat: int
    fold: int
    model: keras.Model
    training: np.ndarray
    held_out: np.ndarray
    hyperparameters: Hyperparameters

    def __getstate__(self) -> dict[str, Any]:
        """To another process the model goes as its file, which describes itself."""
        return self.__dict__ | {"model": keras_bytes(self.model)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state | {"model": model_from_bytes(state["model"])})

    @property
    def dag(self) -> Dag:
        """The network's DAG."""
        from kpnn.nn import dag_of

        return dag_of(self.model)

    @property
    def members(self) -> tuple[keras.Model, ...]:
        """The networks that the model is the mean of; a single network is its own only member."""
        from kpnn.nn import members_of

        return members_of(self.model)


@dataclass(frozen=True, eq=False)
class HeldOutCells:
    """Cells that a fold's networks never saw.

    Attributes:
        expression: shape (n_cells, n_inputs), in the order of the DAG's inputs.
        labels: 0/1, shape (n_cells, n_outputs).
        groups: donor or sample of each cell, shape (n_cells,); None: cells are independent.
        depth: sum of each cell's counts, shape (n_cells,); None: not known.
        repeat: the fold's.
    """

    expression: csr_matrix
    labels: np.ndarray
    groups: np.ndarray | None
    depth: np.ndarray | None
    repeat: int

    @classmethod
    def of(cls, fold: TrainedFold, cells: LabelledCells) -> HeldOutCells:
        """The cells that a fold held out, among all cells."""
        rows = fold.held_out
        groups, depth = (None if known is None else known[rows] for known in (cells.groups, cells.depth))
        return cls(expression_for(fold.dag, cells, rows), cells.labels[rows], groups, depth, fold.repeat)

    def evidence(self, activations: np.ndarray, gradients: np.ndarray) -> list[HeldOutEvidence]:
        """What the cells say about a network's neurons, for each output.

        Args:
            activations: shape (n_cells, n_neurons).
            gradients: mean gradient of each output by each neuron, shape (n_outputs, n_neurons).
        """
        return [
            HeldOutEvidence(activations, of_output, self.labels[:, place], self.groups, self.repeat, self.depth)
            for place, of_output in enumerate(gradients)
        ]


def expression_for(dag: Dag, cells: LabelledCells, rows: np.ndarray) -> csr_matrix:
    """Expression of some cells in the order of a DAG's inputs, n_rows x n_inputs.

    Args:
        dag: the network.
        cells: with the genes of its inputs; of cells on disk, these are read into memory.
        rows: positions of the cells.
    """
    # Taking all rows or all columns would copy the matrix, which may be most of what fits in memory.
    found, columns = cells.store.whole(), cells.columns_of(dag.inputs)
    if found is None:
        read = [*cells.store.rows(rows).columns(columns).buffers()]
        return vstack([part for part, _ in read], format="csr")[np.argsort(np.concatenate([at for _, at in read]))]
    found = found if np.array_equal(rows, np.arange(found.shape[0])) else found[rows]
    return found if np.array_equal(columns, np.arange(found.shape[1])) else found[:, columns]
