"""A fold's network as interpretation takes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kpnn.pkn import Dag
from kpnn.training.settings import Hyperparameters

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, eq=False)
class TrainedFold:
    """A fold's network and its cells.

    Attributes:
        repeat: from 0.
        fold: from 0.
        model: the trained network.
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

    @property
    def dag(self) -> Dag:
        """The network's DAG."""
        from kpnn.nn import dag_of

        return dag_of(self.model)
