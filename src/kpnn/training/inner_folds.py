"""How a fold's training cells are split once more: each network is stopped on cells that it does not learn from."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from kpnn.cells.folds import fold_parts, groups_per_class, strata
from kpnn.errors import CellsError, SettingsError
from kpnn.training.data import LabelledCells
from kpnn.training.seeds import derived_seed
from kpnn.training.settings import EvaluationSettings, FitSettings

_log = logging.getLogger(__name__)

Split = tuple[np.ndarray, np.ndarray]
"""Positions of the cells to train on, and of those that early stopping looks at."""

_SHUFFLES = 20
"""Seeds tried for one number of inner folds."""


def fold_seed(seed: int, repeat: int, fold: int) -> int:
    """The seed of one outer fold: the same in every arm, so that arms differ by their networks alone."""
    return derived_seed(seed, repeat, fold)


def inner_splits(cells: LabelledCells, rows: np.ndarray, settings: FitSettings, seed: int) -> list[Split]:
    """Splits a training part for the networks of one model: a split each.

    Args:
        cells: all cells.
        rows: positions of the training part.
        settings: how many networks a model has.
        seed: seed of the shuffling.

    Returns:
        As many as `settings.ensemble`, or as the cells allow.

    Raises:
        CellsError: a class has too few cells or groups in the training part for any split.
    """
    if settings.ensemble == 1:
        return [inner_holdout(cells, rows, settings.validation_fraction, seed)]
    return inner_folds(cells, rows, settings.ensemble, seed)


def inner_holdout(cells: LabelledCells, rows: np.ndarray, fraction: float, seed: int) -> Split:
    """Splits a training part into what is trained on and what early stopping looks at.

    Args:
        cells: all cells.
        rows: positions of the training part.
        fraction: share that early stopping looks at; more where classes or groups are too few to be shared out so.
        seed: seed of the shuffling.

    Returns:
        Positions to train on and positions to validate on; classes evenly spread, groups together.

    Raises:
        CellsError: a class has too few cells or groups in the training part.
    """
    n_parts = max(2, round(1 / fraction))
    return inner_folds(cells, rows, n_parts, seed)[0]


def inner_folds(cells: LabelledCells, rows: np.ndarray, n_splits: int, seed: int) -> list[Split]:
    """Splits a training part into (train, validate) pairs of positions; classes spread, groups together.

    Args:
        cells: all cells.
        rows: positions of the training part.
        n_splits: number of pairs; at most as many as the rarest class has cells, or groups, and as leave both classes
            of every output on both sides.
        seed: seed of the shuffling.

    Raises:
        CellsError: a class has too few cells or groups in the training part.
    """
    labels = pd.DataFrame(cells.labels[rows], columns=list(cells.outputs))
    rarest = int(min(labels.sum().min(), (1 - labels).sum().min()))
    if rarest < 2:
        raise CellsError(
            f"a class has {rarest} cells in a training part of {len(rows)}: too few for an inner split, both sides of "
            "which need one; label more cells of it or set fewer folds"
        )
    if cells.groups is not None:
        return [(rows[train], rows[stop]) for train, stop in _grouped(labels, cells.groups[rows], n_splits, seed)]
    n_possible = min(n_splits, rarest)
    split = StratifiedKFold(n_splits=n_possible, shuffle=True, random_state=seed)
    return [(rows[train], rows[stop]) for train, stop in split.split(rows, strata(labels, n_possible))]


def _grouped(labels: pd.DataFrame, groups: np.ndarray, n_splits: int, seed: int) -> list[Split]:
    """Splits that keep groups together and have both classes of every output on both sides, as many as there can be."""
    most = min(n_splits, int(groups_per_class(labels, groups).min()))
    if most < 2:
        raise CellsError(
            "a class is in one group only in a training part: an inner split cannot hold both classes on both sides; "
            "set fewer folds"
        )
    for n_possible in range(most, 1, -1):
        classes = strata(labels, n_possible)
        # The splitter spreads classes as well as it can, but does not promise it: where a part lacks one, shuffle anew.
        for attempt in range(_SHUFFLES):
            split = StratifiedGroupKFold(n_splits=n_possible, shuffle=True, random_state=seed + attempt)
            parts = list(split.split(classes, classes, groups))
            if all(_has_both_classes(labels, side) for part in parts for side in part):
                return parts
    raise CellsError(
        f"no split of {len(np.unique(groups))} groups into parts has both classes in each part; set fewer folds or "
        "leave out group_by"
    )


def _has_both_classes(labels: pd.DataFrame, rows: np.ndarray) -> bool:
    return bool((labels.iloc[rows].nunique() == 2).all())


def check_inner_folds(cells: LabelledCells, folds: pd.DataFrame, settings: EvaluationSettings) -> None:
    """Makes sure, before anything is trained, that the training cells of every fold can be split once more.

    Says in one warning where a fold's model will have fewer networks than `settings.fit.ensemble`.

    Args:
        cells: all labelled cells.
        folds: `repeat`, `fold`, `barcode`: which cells each fold holds out.
        settings: protocol and number of networks.

    Raises:
        SettingsError: the training cells of a fold cannot be split with both classes on both sides.
    """
    if settings.protocol == "tutorial":
        return
    fewest = settings.fit.ensemble
    for part in fold_parts(folds):
        seed = fold_seed(settings.seed, part.repeat, part.fold)
        try:
            splits = inner_splits(cells, cells.rows_of(part.training), settings.fit, seed)
        except CellsError as error:
            raise SettingsError(
                f"cross_validation: repeat {part.repeat}, fold {part.fold}: its training cells are split once more, "
                f"because each network is stopped on cells that it does not learn from; {error}"
            ) from None
        fewest = min(fewest, len(splits))
    if fewest < settings.fit.ensemble:
        of_what = "cells" if cells.groups is None else "groups (cross_validation.group_by)"
        _log.warning(
            "modelling.fit.ensemble = %d, but the rarest class has too few %s in a fold's training part: a model has "
            "as few as %d networks",
            settings.fit.ensemble,
            of_what,
            fewest,
        )
