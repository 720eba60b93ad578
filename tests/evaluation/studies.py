"""Tables of held-out predictions, made up."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import expit


def make_folds(rng, labels, n_folds):
    folds = np.empty(len(labels), dtype=int)
    for label in (0, 1):
        rows = rng.permutation(np.flatnonzero(labels == label))
        folds[rows] = np.arange(len(rows)) % n_folds
    return folds


def predictions(logits, labels, folds, outputs=("OUT",)):
    """Logits (n_repeats, n_cells, n_outputs), labels (n_cells, n_outputs), folds (n_repeats, n_cells)."""
    parts = []
    for repeat, (of_repeat, fold) in enumerate(zip(logits, folds, strict=True)):
        for j, output in enumerate(outputs):
            parts.append(
                pd.DataFrame(
                    {
                        "repeat": repeat,
                        "fold": fold,
                        "barcode": [f"cell{i}" for i in range(len(fold))],
                        "output": output,
                        "label": labels[:, j],
                        "probability": expit(of_repeat[:, j]),
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def two_arms(seed=0, *, n_cells=120, n_folds=5, n_repeats=1, gain=0.0, separation=2.0, outputs=("OUT",)):
    """Predictions of a reference and of a candidate that separates the classes by `gain` more."""
    rng = np.random.default_rng(seed)
    shape = (n_cells, len(outputs))
    labels = np.stack([rng.permutation(np.arange(n_cells) % 2) for _ in outputs], axis=1)
    folds = np.stack([make_folds(rng, labels[:, 0], n_folds) for _ in range(n_repeats)])
    shared = rng.normal(size=shape)
    tables = []
    for more in (0.0, gain):
        own = rng.normal(size=shape) * 0.3
        noise = rng.normal(size=(n_repeats, *shape)) * 0.3
        tables.append(predictions((separation + more) * labels + shared + own + noise, labels, folds, outputs))
    return tables
