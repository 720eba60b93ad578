"""Networks trained again as cross-validation trained them: on other cells, from other starts, on other DAGs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kpnn.pkn import Dag
from kpnn.training.data import LabelledCells
from kpnn.training.fitting import Fit, fit_networks, member_fit, model_of
from kpnn.training.inner_folds import inner_splits
from kpnn.training.settings import EvaluationSettings, Hyperparameters

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, eq=False)
class Refit:
    """A model to train once more.

    Attributes:
        dag: the network.
        hyperparameters: usually those that tuning chose for a fold.
        training: positions of the cells that it may learn from; early stopping gets a share of them.
        seed: of the inner splits, initial weights, order of cells and dropout.
        n_members: how many of the fold's networks; with several, the model is the mean of their logits. By default
            the first alone: what is asked of networks that are trained again takes many of them.
    """

    dag: Dag
    hyperparameters: Hyperparameters
    training: np.ndarray
    seed: int
    n_members: int = 1


def refit(refits: Sequence[Refit], cells: LabelledCells, settings: EvaluationSettings) -> list[keras.Model]:
    """Trains networks as `cross_validate` trains a fold's.

    Each is stopped on an inner split of its own, classes spread and groups together; those with the same inputs are
    trained together. A model has as many networks as asked for, or as the cells have inner splits.

    Args:
        refits: which networks.
        cells: with the genes of all their DAGs.
        settings: what all fits share; with those of the study, a refit differs from a fold's network by what `refits`
            and `cells` say.

    Raises:
        CellsError: a class has too few cells for the inner split, or a gene of a DAG is missing.
    """
    models: dict[int, keras.Model] = {}
    for inputs, places in _by_inputs(refits).items():
        seen = cells.restricted_to(inputs)
        fits = {place: _fits(refits[place], seen, settings) for place in places}
        fitted = iter(fit_networks(seen, [fit for of_one in fits.values() for fit in of_one], settings))
        for place, of_one in fits.items():
            models[place] = model_of([next(fitted)[0] for _ in of_one])
    return [models[place] for place in range(len(refits))]


def _by_inputs(refits: Sequence[Refit]) -> dict[tuple[str, ...], list[int]]:
    places: dict[tuple[str, ...], list[int]] = {}
    for place, one in enumerate(refits):
        places.setdefault(one.dag.inputs, []).append(place)
    return places


def _fits(one: Refit, cells: LabelledCells, settings: EvaluationSettings) -> list[Fit]:
    splits = inner_splits(cells, one.training, settings.fit, one.seed)
    members = range(min(one.n_members, len(splits)))
    return [member_fit(one.dag, one.hyperparameters, member, splits, one.seed) for member in members]
