"""A fold's model and its cells as interpretation takes them."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_matrix

from kpnn.pkn import Dag
from kpnn.training.data import LabelledCells
from kpnn.training.settings import Hyperparameters

if TYPE_CHECKING:
    import keras


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
    """

    repeat: int
    fold: int
    model: keras.Model
    training: np.ndarray
    held_out: np.ndarray
    hyperparameters: Hyperparameters

    def __reduce__(self) -> tuple[Callable[[bytes], TrainedFold], tuple[bytes]]:
        return _sent, (pickle.dumps(tuple(getattr(self, field.name) for field in fields(self))),)

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


def _sent(packed: bytes) -> TrainedFold:
    """A fold that came from another process; Keras must not be met there before its backend is chosen."""
    import kpnn.nn  # noqa: F401

    return TrainedFold(*pickle.loads(packed))


def expression_for(dag: Dag, cells: LabelledCells, rows: np.ndarray) -> csr_matrix:
    """Expression of some cells in the order of a DAG's inputs, n_rows x n_inputs.

    Args:
        dag: the network.
        cells: with the genes of its inputs, in memory.
        rows: positions of the cells.
    """
    return cells.expression[rows][:, cells.columns_of(dag.inputs)]
