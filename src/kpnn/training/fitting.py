"""Networks with the same inputs are fitted together, in one batched program; a fold's model is the mean of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

import numpy as np

from kpnn.evaluation.metrics import clipped
from kpnn.pkn import Dag
from kpnn.training.data import LabelledCells
from kpnn.training.inner_folds import Split
from kpnn.training.seeds import derived_seed
from kpnn.training.settings import EvaluationSettings, FitSettings, Hyperparameters

if TYPE_CHECKING:
    import keras

    from kpnn.nn import History, TrainingSettings


@dataclass(frozen=True, eq=False)
class Fit:
    """One training of one network.

    Attributes:
        dag: the network.
        hyperparameters: of the network and its training.
        training: positions of the cells to train on.
        validation: positions of the cells that early stopping looks at.
        seed: of initial weights, order of cells and dropout.
    """

    dag: Dag
    hyperparameters: Hyperparameters
    training: np.ndarray
    validation: np.ndarray
    seed: int


def member_fit(dag: Dag, hyperparameters: Hyperparameters, member: int, splits: Sequence[Split], seed: int) -> Fit:
    """The fit of one network of a model.

    Args:
        dag: the network.
        hyperparameters: of all networks of the model.
        member: which network, from 0.
        splits: an inner split for each network.
        seed: of the fold; with several networks each derives its own from it.
    """
    own = seed if len(splits) == 1 else derived_seed(seed, member)
    return Fit(dag, hyperparameters, *splits[member], own)


def fit_networks(
    cells: LabelledCells,
    fits: Sequence[Fit],
    settings: EvaluationSettings,
    not_finite: Literal["error", "stop"] = "error",
) -> list[tuple[keras.Model, History]]:
    """Fits networks together.

    Args:
        cells: with the columns of the inputs of all DAGs, which are the same.
        fits: what differs between the networks.
        settings: what they share.
        not_finite: whether a loss that is not finite is an error, or stops that network alone.

    Returns:
        Model, with the weights of its best epoch, and learning curve of each fit.
    """
    from kpnn.nn import fit_kpnns

    models = [_untrained(fit, settings, one_of_k=cells.one_of_k) for fit in fits]
    how = [_training_settings(fit, settings.fit) for fit in fits]
    histories = fit_kpnns(
        models,
        cells.store,
        cells.labels,
        settings=how,
        training_rows=[fit.training for fit in fits],
        validation_rows=[fit.validation for fit in fits],
        not_finite=not_finite,
        n_threads=settings.execution.threads_per_fit,
    )
    return list(zip(models, histories, strict=True))


def _untrained(fit: Fit, settings: EvaluationSettings, *, one_of_k: bool) -> keras.Model:
    from kpnn.nn import build_kpnn

    return build_kpnn(
        fit.dag,
        **fit.hyperparameters.model_dump(exclude={"learning_rate", "batch_size"}),
        **settings.network.model_dump(),
        output_activation="softmax" if one_of_k else "sigmoid",
        seed=fit.seed,
    )


def _training_settings(fit: Fit, common: FitSettings) -> TrainingSettings:
    from kpnn.nn import TrainingSettings

    return TrainingSettings(
        **common.model_dump(
            include={"max_epochs", "epoch_cells", "patience", "learning_rate_schedule", "class_weight"}
        ),
        **fit.hyperparameters.model_dump(include={"learning_rate", "batch_size"}),
        seed=fit.seed,
    )


def model_of(networks: Sequence[keras.Model]) -> keras.Model:
    """One model of a fold's networks: a single one as it is, of several the mean of their logits."""
    from kpnn.nn import build_ensemble

    return networks[0] if len(networks) == 1 else build_ensemble(networks)


def predict_rows(model: keras.Model, cells: LabelledCells, rows: np.ndarray) -> np.ndarray:
    """Predicted probabilities of some cells, shape (n_rows, n_outputs).

    Args:
        model: a fitted network, or several as one.
        cells: with the columns of its inputs.
        rows: positions of the cells.
    """
    from kpnn.nn import predict

    parts, places = [], []
    for expression, positions in cells.store.rows(rows).buffers():
        parts.append(predict(model, expression)[list(cells.outputs)].to_numpy())
        places.append(positions)
    return np.concatenate(parts)[np.argsort(np.concatenate(places))]


def cross_entropies(probabilities: np.ndarray, labels: np.ndarray, *, one_of_k: bool = False) -> np.ndarray:
    """Cross-entropy of each cell, shape (n_cells,): averaged over outputs, or one over classes that exclude each other.

    Args:
        probabilities: shape (n_cells, n_outputs).
        labels: 0/1, shape (n_cells, n_outputs).
        one_of_k: whether the outputs are classes that exclude each other.
    """
    p = clipped(probabilities.astype(float))
    if one_of_k:
        return -(labels * np.log(p)).sum(axis=1)
    return -(labels * np.log(p) + (1 - labels) * np.log1p(-p)).mean(axis=1)


def keras_bytes(model: keras.Model) -> bytes:
    """Content of the model's `.keras` file."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return path.read_bytes()


def model_from_bytes(content: bytes) -> keras.Model:
    """The model whose file `keras_bytes` gave the content of."""
    from kpnn.nn import load_kpnn

    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        path.write_bytes(content)
        return load_kpnn(path)
