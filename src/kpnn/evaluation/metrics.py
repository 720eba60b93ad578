"""Scores of predicted probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    f1_score,
    log_loss,
    precision_score,
    recall_score,
    roc_auc_score,
)

METRICS = ("roc_auc", "average_precision", "accuracy", "precision", "recall", "f1", "brier", "log_loss")
"""Every score that a fold, an arm and a baseline reports, in the order of tables."""

THRESHOLD = 0.5
"""A cell is called class 1 above this probability."""


def score(y: np.ndarray, probabilities: np.ndarray, outputs: Sequence[str]) -> dict[str, float]:
    """Scores predictions: each metric averaged over the outputs, and per output where there are several.

    Args:
        y: 0/1, shape (n_cells, n_outputs).
        probabilities: predicted P(class 1), shape (n_cells, n_outputs).
        outputs: names of the columns.

    Returns:
        Every name of `METRICS` (the macro average over outputs) and, with several outputs, `<metric>_<output>`.
        A score that needs both classes is NaN where only one is present.
    """
    per_output = {name: _score_one(y[:, j], probabilities[:, j]) for j, name in enumerate(outputs)}
    scores = {metric: float(np.mean([one[metric] for one in per_output.values()])) for metric in METRICS}
    if len(outputs) > 1:
        scores |= {f"{metric}_{name}": one[metric] for name, one in per_output.items() for metric in METRICS}
    return scores


def clipped(p: np.ndarray) -> np.ndarray:
    """Probabilities away from 0 and 1, so that one confident error does not make the log loss infinite."""
    return np.clip(p, 1e-7, 1 - 1e-7)


def _score_one(y: np.ndarray, p: np.ndarray) -> dict[str, float]:
    both = len(np.unique(y)) == 2
    called = (p > THRESHOLD).astype(int)
    return {
        "roc_auc": float(roc_auc_score(y, p)) if both else float("nan"),
        "average_precision": float(average_precision_score(y, p)) if both else float("nan"),
        "accuracy": float(accuracy_score(y, called)),
        "precision": float(precision_score(y, called, zero_division=0)),
        "recall": float(recall_score(y, called, zero_division=0)),
        "f1": float(f1_score(y, called, zero_division=0)),
        "brier": float(brier_score_loss(y, p)),
        "log_loss": float(log_loss(y, clipped(p), labels=[0, 1])),
    }


def calibration(y: np.ndarray, probabilities: np.ndarray, n_bins: int = 10) -> pd.DataFrame:
    """How often a predicted probability comes true, in bins of equal width.

    Args:
        y: 0/1, shape (n_cells,).
        probabilities: shape (n_cells,).
        n_bins: number of bins over [0, 1].

    Returns:
        One row per bin that holds cells: `predicted` (mean), `observed` (share of class 1), `n_cells`.
    """
    bins = np.clip((probabilities * n_bins).astype(int), 0, n_bins - 1)
    table = pd.DataFrame({"bin": bins, "predicted": probabilities, "observed": y})
    grouped = table.groupby("bin").agg(
        predicted=("predicted", "mean"), observed=("observed", "mean"), n_cells=("observed", "size")
    )
    return grouped.reset_index(drop=True)
