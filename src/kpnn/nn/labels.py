"""Labels of cells and the weights of their classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from kpnn.errors import ModelError, SettingsError, some_names

_ROUNDING = 1e-4
"""By how much the labels of a cell may miss 1: shares of classes in single precision."""


def as_labels(
    y: Any, cells: pd.Index, outputs: tuple[str, ...], dtype: np.dtype, *, one_of_k: bool = False
) -> np.ndarray:
    """Brings labels into the shape cells x outputs.

    Args:
        y: shape (n_cells,) or (n_cells, n_outputs), or a DataFrame with a column for each output.
        cells: names of the cells.
        outputs: names of the outputs.
        dtype: of what is returned.
        one_of_k: whether the outputs are classes that exclude each other.

    Raises:
        ModelError: the shape does not fit, an output has no column, a label is not between 0 and 1, or those of a cell
            do not add up to 1 over classes that exclude each other.
    """
    if isinstance(y, pd.DataFrame):
        missing = [name for name in outputs if name not in y.columns]
        if missing:
            raise ModelError(f"no labels for output {some_names(missing)}; the table has {some_names(y.columns)}")
        y = y[list(outputs)]
    labels = np.asarray(y, dtype=dtype)
    if labels.ndim == 1:
        labels = labels[:, None]
    if labels.shape != (len(cells), len(outputs)):
        raise ModelError(f"labels of shape {np.shape(y)} do not fit {len(cells)} cells and {len(outputs)} outputs")
    bad = ~((labels >= 0) & (labels <= 1)).all(axis=1)
    if bad.any():
        raise ModelError(f"labels must lie between 0 and 1; those of cell {some_names(cells[bad])} do not")
    if one_of_k:
        astray = np.abs(labels.sum(axis=1, dtype=np.float64) - 1) > _ROUNDING
        if astray.any():
            raise ModelError(
                "the outputs are classes that exclude each other (softmax): the labels of a cell must add up to 1; "
                f"those of cell {some_names(cells[astray])} do not"
            )
    return np.ascontiguousarray(labels)


def class_weights(
    class_weight: str | Mapping[int, float] | Mapping[str, float] | None,
    labels: np.ndarray,
    classes: tuple[str, ...] | None = None,
) -> np.ndarray:
    """Weight of the labels 0 and 1 of each output, shape (n_outputs, 2), float64.

    `balanced` gives a class n_cells / (2 * cells of the class), as scikit-learn does, output by output; of k classes
    that exclude each other n_cells / (k * cells of the class). A class without cells weighs 1. Of classes that exclude
    each other only the weight of label 1 counts.

    Args:
        class_weight: None, `balanced`, or weights: of the labels 0 and 1, or of classes by name.
        labels: shape (n_cells, n_outputs).
        classes: names of the outputs where they are classes that exclude each other, else None.

    Raises:
        SettingsError: weights are given for classes and the outputs are no classes that exclude each other or of other
            names, or for the labels 0 and 1 and they are.
    """
    n_outputs = labels.shape[1]
    if isinstance(class_weight, Mapping):
        return _given_weights(class_weight, n_outputs, classes)
    if class_weight is None:
        return np.ones((n_outputs, 2))
    ones = labels.sum(axis=0, dtype=np.float64)
    if classes is not None:
        of_class = np.where(ones > 0, len(labels) / (n_outputs * np.maximum(ones, 1e-300)), 1.0)
        return np.stack([np.ones(n_outputs), of_class], axis=1)
    counts = np.stack([len(labels) - ones, ones], axis=1)
    return np.where(counts > 0, len(labels) / (2.0 * np.maximum(counts, 1e-300)), 1.0)


def _given_weights(weights: Mapping[Any, float], n_outputs: int, classes: tuple[str, ...] | None) -> np.ndarray:
    by_label = set(weights) == {0, 1}
    if classes is None:
        if not by_label:
            raise SettingsError(
                f"class_weight names {some_names(weights)}, but each output is a question of its own: give weights to "
                "the labels 0 and 1"
            )
        return np.tile([float(weights[0]), float(weights[1])], (n_outputs, 1))
    if by_label:
        raise SettingsError(
            "class_weight gives weights to the labels 0 and 1, but the classes exclude each other (softmax): give "
            f"weights to {some_names(classes)}, or 'balanced'"
        )
    unknown = [name for name in weights if name not in classes]
    if unknown:
        raise SettingsError(f"class_weight names {some_names(unknown)}; the classes are {some_names(classes, 20)}")
    return np.array([[1.0, float(weights.get(name, 1.0))] for name in classes])
