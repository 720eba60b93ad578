"""Curves over a threshold, averaged over folds: ROC, precision-recall, calibration."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.metrics import precision_recall_curve, roc_curve

from kpnn.evaluation import calibration
from kpnn.reporting.study import ArmTables

_GRID = np.linspace(0.0, 1.0, 101)


def roc_band(arm: ArmTables, output: str) -> pd.DataFrame:
    """Mean over folds of the true positive rate at each false positive rate, with its spread.

    Returns:
        `x` false positive rate, `mean`, `lower`, `upper` (mean +- one sd over folds, within 0 and 1) of the true
        positive rate; empty where no fold has both classes.
    """
    curves = []
    for labels, probabilities in _folds_with_both_classes(arm, output):
        false_rate, true_rate, _ = roc_curve(labels, probabilities)
        curve = np.interp(_GRID, false_rate, true_rate)
        curve[0] = 0.0
        curves.append(curve)
    return _band(curves)


def precision_recall_band(arm: ArmTables, output: str) -> pd.DataFrame:
    """Mean over folds of the precision at each recall, with its spread; columns as in `roc_band`."""
    curves = []
    for labels, probabilities in _folds_with_both_classes(arm, output):
        precision, recall, _ = precision_recall_curve(labels, probabilities)
        # The best precision that reaches at least each recall: a step curve, monotone by construction.
        attained = np.maximum.accumulate(precision[np.argsort(recall, kind="stable")][::-1])[::-1]
        curves.append(attained[np.searchsorted(np.sort(recall), _GRID, side="left").clip(0, len(attained) - 1)])
    return _band(curves)


def calibration_curve(arm: ArmTables, output: str) -> pd.DataFrame:
    """`predicted`, `observed`, `n_cells` in ten bins, over the out-of-fold predictions of all cells."""
    rows = arm.predictions_of(output)
    return calibration(rows["label"].to_numpy(), rows["probability"].to_numpy())


def prevalence(arm: ArmTables, output: str) -> float:
    """Share of cells of class 1: the precision of guessing."""
    return float(arm.predictions_of(output)["label"].mean())


def _folds_with_both_classes(arm: ArmTables, output: str) -> list[tuple[np.ndarray, np.ndarray]]:
    found = []
    for _, fold in arm.predictions_of(output).groupby(["repeat", "fold"], sort=True):
        if fold["label"].nunique() == 2:
            found.append((fold["label"].to_numpy(), fold["probability"].to_numpy()))
    return found


def _band(curves: list[np.ndarray]) -> pd.DataFrame:
    if not curves:
        return pd.DataFrame(columns=["x", "mean", "lower", "upper"], dtype=float)
    values = np.vstack(curves)
    mean = values.mean(axis=0)
    sd = values.std(axis=0, ddof=1) if len(curves) > 1 else np.zeros_like(mean)
    return pd.DataFrame(
        {"x": _GRID, "mean": mean, "lower": np.clip(mean - sd, 0, 1), "upper": np.clip(mean + sd, 0, 1)}
    )
