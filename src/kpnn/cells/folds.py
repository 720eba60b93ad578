"""Outer folds of the cells, kept as a table of barcodes so that every arm sees the same ones."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from pydantic import Field
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from kpnn.errors import CellsError, some_names
from kpnn.settings_base import Settings

_log = logging.getLogger(__name__)


class FoldSettings(Settings):
    """How the cells are split for cross-validation.

    Attributes:
        n_splits: number of outer folds, at least 2.
        n_repeats: how often the whole cross-validation is repeated with other folds.
        group_by: column of the cells (donor, sample) whose cells stay together; None: cells are independent.
        seed: seed of the shuffling; repeat r uses seed + r.

    Examples:
        >>> FoldSettings(n_splits=4, group_by="donor").n_repeats
        1
    """

    n_splits: int = Field(5, ge=2)
    n_repeats: int = Field(1, ge=1, le=1000)
    group_by: str | None = Field(None, min_length=1)
    seed: int = Field(42, ge=0)


def strata(labels: pd.DataFrame, n_splits: int) -> np.ndarray:
    """One class per cell to spread evenly over folds: the combination of all its labels, shape (n_cells,), int.

    Combinations with fewer cells than there are folds cannot be spread one by one; they count as one class, and with
    the largest class if they are too few even together.

    Args:
        labels: 0/1, one row per cell, one column per output.
        n_splits: number of folds.
    """
    classes = labels.groupby(list(labels.columns), sort=True).ngroup().to_numpy()
    sizes = np.bincount(classes)
    rare = sizes[classes] < n_splits
    return np.where(rare, len(sizes) if rare.sum() >= n_splits else int(np.argmax(sizes)), classes)


def make_folds(labels: pd.DataFrame, settings: FoldSettings, groups: pd.Series | None = None) -> pd.DataFrame:
    """Assigns every cell to one outer fold per repeat, with the classes spread evenly.

    Args:
        labels: 0/1, index the barcodes, one column per output.
        settings: how to split.
        groups: for each barcode the group that must not be torn apart; needed where `settings.group_by` is set. There
            are no more folds than groups of the rarest class; fewer than `settings.n_splits` are a warning.

    Returns:
        A table with the columns `repeat` (from 0), `fold` (from 0) and `barcode`: the cell is held out in that fold.

    Raises:
        CellsError: a class has fewer cells than there are folds or fewer groups than three, a fold would miss a class,
            training cells have a class in one group only, or a barcode occurs twice.

    Examples:
        >>> labels = pd.DataFrame({"TCR": [0, 1] * 6}, index=[f"cell_{i}" for i in range(12)])
        >>> make_folds(labels, FoldSettings(n_splits=3)).groupby("fold").size().to_dict()
        {0: 4, 1: 4, 2: 4}
    """
    if labels.index.has_duplicates:
        repeated = labels.index[labels.index.duplicated()].unique()
        raise CellsError(f"barcode {some_names(repeated)} occurs more than once in the class labels")
    if settings.group_by is not None and groups is None:
        raise CellsError(f"cross_validation.group_by: the cells have no column `{settings.group_by}`")
    if groups is not None:
        settings = _with_enough_groups(labels, groups.reindex(labels.index).to_numpy(), settings)
    _require_enough_cells(labels, settings.n_splits)
    classes = strata(labels, settings.n_splits)
    tables = []
    for repeat in range(settings.n_repeats):
        split = _splitter(settings, repeat, grouped=groups is not None)
        group_of_cell = None if groups is None else groups.reindex(labels.index).to_numpy()
        try:
            parts = list(split.split(np.zeros(len(labels)), classes, group_of_cell))
        except ValueError as error:
            raise CellsError(f"cross_validation.n_splits = {settings.n_splits}: {error}") from None
        for fold, (training, held_out) in enumerate(parts):
            _require_both_classes(labels, held_out, repeat, fold, settings)
            if group_of_cell is not None:
                _require_inner_groups(labels.iloc[training], group_of_cell[training], repeat, fold, settings)
            tables.append(pd.DataFrame({"repeat": repeat, "fold": fold, "barcode": labels.index[held_out]}))
    return pd.concat(tables, ignore_index=True).astype({"repeat": "int64", "fold": "int64", "barcode": "object"})


class FoldParts(NamedTuple):
    """Barcodes of the cells that one outer fold trains on, and of those that it holds out."""

    repeat: int
    fold: int
    training: pd.Series
    held_out: pd.Series


def fold_parts(folds: pd.DataFrame) -> Iterator[FoldParts]:
    """Both parts of each outer fold, by repeat and fold.

    Args:
        folds: `repeat`, `fold`, `barcode`: which cells each fold holds out. It trains on all others of its repeat.
    """
    for (repeat, fold), held_out in folds.groupby(["repeat", "fold"], sort=True):
        others = folds[(folds["repeat"] == repeat) & (folds["fold"] != fold)]
        yield FoldParts(int(repeat), int(fold), others["barcode"], held_out["barcode"])


def groups_per_class(labels: pd.DataFrame, groups: np.ndarray) -> pd.Series:
    """In how many groups each class of each output is seen; index the outputs and classes 0 and 1."""
    counts = {
        (output, value): len(np.unique(groups[(labels[output] == value).to_numpy()]))
        for output in labels.columns
        for value in (0, 1)
    }
    return pd.Series(counts)


def _with_enough_groups(labels: pd.DataFrame, groups: np.ndarray, settings: FoldSettings) -> FoldSettings:
    """The settings with no more folds than there can be, so that each fold holds a group of each class."""
    if len(set(groups)) == 1:
        raise CellsError(
            f"all {len(labels):,} cells are of one `{settings.group_by}`, {groups[0]}, so that none can be held out by "
            "it; set cross_validation.group_by to null, and take scores for what cells of one group can tell"
        )
    seen_in = groups_per_class(labels, groups)
    output, value = seen_in.idxmin()
    found = int(seen_in.min())
    if found < 3:
        raise CellsError(
            f"class {value} of `{output}` is in {found} group{'' if found == 1 else 's'} of `{settings.group_by}` "
            "only; cross-validation that keeps groups together needs three: one to hold out and two for an inner split "
            "(early stopping, tuning). Without cross_validation.group_by, cells of one group would be on both sides "
            "of a split, and scores would be too good"
        )
    if found >= settings.n_splits:
        return settings
    _log.warning(
        "%d folds instead of cross_validation.n_splits = %d: class %s of `%s` is in %d groups of `%s`",
        found,
        settings.n_splits,
        value,
        output,
        found,
        settings.group_by,
    )
    return settings.model_copy(update={"n_splits": found})


def _require_inner_groups(
    labels: pd.DataFrame, groups: np.ndarray, repeat: int, fold: int, settings: FoldSettings
) -> None:
    """Training cells are split once more, for early stopping and tuning; both parts need a group of each class."""
    seen_in = groups_per_class(labels, groups)
    output, value = seen_in.idxmin()
    if seen_in.min() < 2:
        raise CellsError(
            f"repeat {repeat}, fold {fold}: the training cells hold class {value} of `{output}` in one group of "
            f"`{settings.group_by}` only, so that an inner split (early stopping, tuning) cannot hold both classes on "
            f"both sides; set another cross_validation.seed or more folds than {settings.n_splits}, so that less is "
            f"held out, or label more groups of class {value}"
        )


def _splitter(settings: FoldSettings, repeat: int, grouped: bool) -> StratifiedKFold | StratifiedGroupKFold:
    make = StratifiedGroupKFold if grouped else StratifiedKFold
    return make(n_splits=settings.n_splits, shuffle=True, random_state=settings.seed + repeat)


def _require_enough_cells(labels: pd.DataFrame, n_splits: int) -> None:
    few: list[str] = []
    theirs: list[str] = []
    for output in labels:
        for value in (1, 0):
            cells = labels.index[labels[output] == value]
            if len(cells) < n_splits:
                few.append(f"class {value} of `{output}` has {len(cells)} cell{'' if len(cells) == 1 else 's'}")
                theirs += list(cells)
    if few:
        raise CellsError(
            f"{some_names(few)}, fewer than cross_validation.n_splits = {n_splits}: every fold needs cells of both "
            "classes; label more cells, set fewer folds, or leave the class out"
            + (f" (its cells: {some_names(dict.fromkeys(theirs))})" if theirs else "")
        )


def _require_both_classes(
    labels: pd.DataFrame, held_out: np.ndarray, repeat: int, fold: int, settings: FoldSettings
) -> None:
    for output in labels.columns:
        in_fold = labels[output].to_numpy()[held_out]
        in_training = np.delete(labels[output].to_numpy(), held_out)
        for part, values in (("held-out cells", in_fold), ("training cells", in_training)):
            present = np.unique(values)
            if len(present) < 2:
                what = f"groups of `{settings.group_by}`" if settings.group_by else "classes"
                raise CellsError(
                    f"repeat {repeat}, fold {fold}: the {part} hold only class {some_names(present)} of `{output}`; "
                    f"the {what} cannot be spread over cross_validation.n_splits = {settings.n_splits} folds; set "
                    "fewer, or another cross_validation.seed"
                )
