"""Scores of predicted probabilities, and how uncertain they are."""

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

_THRESHOLD = 0.5


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


def _score_one(y: np.ndarray, p: np.ndarray) -> dict[str, float]:
    both = len(np.unique(y)) == 2
    called = (p > _THRESHOLD).astype(int)
    return {
        "roc_auc": float(roc_auc_score(y, p)) if both else float("nan"),
        "average_precision": float(average_precision_score(y, p)) if both else float("nan"),
        "accuracy": float(accuracy_score(y, called)),
        "precision": float(precision_score(y, called, zero_division=0)),
        "recall": float(recall_score(y, called, zero_division=0)),
        "f1": float(f1_score(y, called, zero_division=0)),
        "brier": float(brier_score_loss(y, p)),
        "log_loss": float(log_loss(y, np.clip(p, 1e-7, 1 - 1e-7), labels=[0, 1])),
    }


def bootstrap_intervals(
    y: np.ndarray,
    probabilities: np.ndarray,
    outputs: Sequence[str],
    *,
    n_bootstrap: int = 1000,
    level: float = 0.95,
    seed: int = 42,
) -> pd.DataFrame:
    """Stratified bootstrap intervals of the scores: cells are redrawn within each class.

    Args:
        y: 0/1, shape (n_cells, n_outputs).
        probabilities: shape (n_cells, n_outputs), one held-out prediction per cell.
        outputs: names of the columns.
        n_bootstrap: number of redraws.
        level: coverage of the percentile interval.
        seed: seed of the redraws.

    Returns:
        A table indexed by metric with the columns `estimate`, `lower`, `upper`.
    """
    rng = np.random.default_rng(seed)
    _, stratum = np.unique(y, axis=0, return_inverse=True)
    members = [np.flatnonzero(stratum.ravel() == s) for s in np.unique(stratum)]
    draws: dict[str, list[float]] = {metric: [] for metric in METRICS}
    for _ in range(n_bootstrap):
        rows = np.concatenate([rng.choice(m, size=len(m)) for m in members])
        per_output = [_score_quickly(y[rows, j], probabilities[rows, j]) for j in range(len(outputs))]
        for metric in METRICS:
            draws[metric].append(float(np.mean([one[metric] for one in per_output])))
    estimate = score(y, probabilities, outputs)
    tail = 100 * (1 - level) / 2
    return pd.DataFrame(
        {
            "estimate": {metric: estimate[metric] for metric in METRICS},
            "lower": {metric: float(np.percentile(draws[metric], tail)) for metric in METRICS},
            "upper": {metric: float(np.percentile(draws[metric], 100 - tail)) for metric in METRICS},
        }
    ).rename_axis("metric")


def _score_quickly(y: np.ndarray, p: np.ndarray) -> dict[str, float]:
    """`_score_one` without scikit-learn's checks of every call: the bootstrap asks a thousand times."""
    order = np.argsort(-p, kind="stable")
    truth, ranked = y[order] > 0, p[order]
    n_positive, n_negative = int(truth.sum()), int((~truth).sum())
    last_of_tie = np.flatnonzero(np.r_[np.diff(ranked) != 0, True])
    hits = np.cumsum(truth)[last_of_tie]
    false_hits = (last_of_tie + 1) - hits
    called = p > _THRESHOLD
    true_calls = int((called & (y > 0)).sum())
    scores = {"roc_auc": float("nan"), "average_precision": float("nan")}
    if n_positive and n_negative:
        tpr, fpr = np.r_[0, hits] / n_positive, np.r_[0, false_hits] / n_negative
        scores["roc_auc"] = float(np.trapezoid(tpr, fpr))
        scores["average_precision"] = float(np.sum(np.diff(tpr) * hits / (hits + false_hits)))
    precision = true_calls / called.sum() if called.any() else 0.0
    recall = true_calls / n_positive if n_positive else 0.0
    clipped = np.clip(p, 1e-7, 1 - 1e-7)
    return scores | {
        "accuracy": float(np.mean(called == (y > 0))),
        "precision": float(precision),
        "recall": float(recall),
        "f1": float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0,
        "brier": float(np.mean((p - y) ** 2)),
        "log_loss": float(-np.mean(np.where(y > 0, np.log(clipped), np.log1p(-clipped)))),
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
