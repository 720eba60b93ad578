"""Networks on the same DAG are fitted together, in one batched program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from kpnn.pkn import Dag
from kpnn.training.data import LabelledCells
from kpnn.training.settings import EvaluationSettings, FitSettings, Hyperparameters

if TYPE_CHECKING:
    import keras

    from kpnn.nn import History, TrainingSettings

OnEpoch = Callable[[int, int, float], bool]
"""Called with a fit's position among those made together, the epoch and its validation loss; False ends that fit."""


@dataclass(frozen=True, eq=False)
class Fit:
    """One training of one network.

    Attributes:
        hyperparameters: of the network and its training.
        training: positions of the cells to train on.
        validation: positions of the cells that early stopping looks at.
        seed: of initial weights, order of cells and dropout.
    """

    hyperparameters: Hyperparameters
    training: np.ndarray
    validation: np.ndarray
    seed: int


def fit_networks(
    dag: Dag,
    cells: LabelledCells,
    fits: Sequence[Fit],
    settings: EvaluationSettings,
    on_epoch: OnEpoch | None = None,
) -> list[tuple[keras.Model, History]]:
    """Fits networks on the same DAG together.

    Args:
        dag: the network.
        cells: with the columns of the DAG's inputs.
        fits: what differs between the networks.
        settings: what they share.
        on_epoch: may end a fit after any epoch.

    Returns:
        Model, with the weights of its best epoch, and learning curve of each fit.
    """
    from kpnn.nn import fit_kpnns

    models = [_untrained(dag, fit, settings) for fit in fits]
    how = [_training_settings(fit, settings.fit) for fit in fits]
    histories = fit_kpnns(
        models,
        cells.store,
        cells.labels,
        settings=how,
        training_rows=[fit.training for fit in fits],
        validation_rows=[fit.validation for fit in fits],
        callback=on_epoch,
        n_threads=settings.execution.threads_per_fit,
    )
    return list(zip(models, histories, strict=True))


def _untrained(dag: Dag, fit: Fit, settings: EvaluationSettings) -> keras.Model:
    from kpnn.nn import build_kpnn

    return build_kpnn(
        dag,
        **fit.hyperparameters.model_dump(exclude={"learning_rate", "batch_size"}),
        **settings.network.model_dump(),
        seed=fit.seed,
    )


def _training_settings(fit: Fit, common: FitSettings) -> TrainingSettings:
    from kpnn.nn import TrainingSettings

    return TrainingSettings(
        **common.model_dump(include={"max_epochs", "patience", "class_weight"}),
        **fit.hyperparameters.model_dump(include={"learning_rate", "batch_size"}),
        seed=fit.seed,
    )


def predict_rows(model: keras.Model, cells: LabelledCells, rows: np.ndarray) -> np.ndarray:
    """Predicted probabilities of some cells, shape (n_rows, n_outputs).

    Args:
        model: a fitted network.
        cells: with the columns of its inputs.
        rows: positions of the cells.
    """
    from kpnn.nn import predict

    parts, places = [], []
    for expression, positions in cells.store.rows(rows).buffers():
        parts.append(predict(model, expression)[list(cells.outputs)].to_numpy())
        places.append(positions)
    return np.concatenate(parts)[np.argsort(np.concatenate(places))]


def keras_bytes(model: keras.Model) -> bytes:
    """Content of the model's `.keras` file."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return path.read_bytes()
