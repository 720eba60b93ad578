"""Labels of cells and the weights of their classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from kpnn.errors import ModelError, some_names


def as_labels(y: Any, cells: pd.Index, outputs: tuple[str, ...], dtype: np.dtype) -> np.ndarray:
    """Brings labels into the shape cells x outputs.

    Args:
        y: shape (n_cells,) or (n_cells, n_outputs), or a DataFrame with a column for each output.
        cells: names of the cells.
        outputs: names of the outputs.
        dtype: of what is returned.

    Raises:
        ModelError: the shape does not fit, an output has no column, or a label is not between 0 and 1.
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
    return np.ascontiguousarray(labels)


def class_weights(class_weight: str | Mapping[int, float] | None, labels: np.ndarray) -> np.ndarray:
    """Weight of the labels 0 and 1 of each output, shape (n_outputs, 2), float64.

    `balanced` gives a class n_cells / (2 * cells of the class), as scikit-learn does, output by output; a class
    without cells weighs 1.
    """
    n_outputs = labels.shape[1]
    if class_weight is None:
        return np.ones((n_outputs, 2))
    if isinstance(class_weight, Mapping):
        return np.tile([float(class_weight[0]), float(class_weight[1])], (n_outputs, 1))
    ones = labels.sum(axis=0, dtype=np.float64)
    counts = np.stack([len(labels) - ones, ones], axis=1)
    return np.where(counts > 0, len(labels) / (2.0 * np.maximum(counts, 1e-300)), 1.0)
