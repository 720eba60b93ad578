"""Networks trained again as cross-validation trained them: on other cells, from other starts, on other DAGs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kpnn.pkn import Dag
from kpnn.training.data import LabelledCells, inner_holdout
from kpnn.training.fitting import Fit, fit_networks
from kpnn.training.settings import EvaluationSettings, Hyperparameters

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, eq=False)
class Refit:
    """A network to train once more.

    Attributes:
        dag: the network.
        hyperparameters: usually those that tuning chose for a fold.
        training: positions of the cells that it may learn from; early stopping gets a share of them.
        seed: of the inner split, initial weights, order of cells and dropout.
    """

    dag: Dag
    hyperparameters: Hyperparameters
    training: np.ndarray
    seed: int


def refit(refits: Sequence[Refit], cells: LabelledCells, settings: EvaluationSettings) -> list[keras.Model]:
    """Trains networks as `cross_validate` trains a fold's.

    Each is stopped on an inner split of its own, classes spread and groups together; those on the same DAG are trained
    together.

    Args:
        refits: which networks.
        cells: with the genes of all their DAGs.
        settings: what all fits share; with those of the study, a refit differs from a fold's network by what `refits`
            and `cells` say.

    Raises:
        CellsError: a class has too few cells for the inner split, or a gene of a DAG is missing.
    """
    models: dict[int, keras.Model] = {}
    for places in _by_dag(refits).values():
        dag = refits[places[0]].dag
        seen = cells.restricted_to(dag.inputs)
        fits = [_fit(refits[place], seen, settings) for place in places]
        fitted = fit_networks(dag, seen, fits, settings)
        models |= {place: model for place, (model, _) in zip(places, fitted, strict=True)}
    return [models[place] for place in range(len(refits))]


def _by_dag(refits: Sequence[Refit]) -> dict[str, list[int]]:
    places: dict[str, list[int]] = {}
    for place, one in enumerate(refits):
        places.setdefault(one.dag.fingerprint, []).append(place)
    return places


def _fit(one: Refit, cells: LabelledCells, settings: EvaluationSettings) -> Fit:
    split = inner_holdout(cells, one.training, settings.fit.validation_fraction, one.seed)
    return Fit(one.hyperparameters, *split, one.seed)
