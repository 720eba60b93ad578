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

OF_CLASSES = ("accuracy", "log_loss")
"""Scores that are of all classes together where they exclude each other, and of no single one."""

THRESHOLD = 0.5
"""A cell is called class 1 above this probability."""


def metrics_of(one_of_k: bool) -> tuple[str, ...]:
    """The scores of a study, in the order of tables: of classes that exclude each other the balanced accuracy too.

    Args:
        one_of_k: whether the outputs are classes that exclude each other.

    Returns:
        Names of scores.

    Examples:
        >>> [name for name in metrics_of(one_of_k=True) if name not in metrics_of(one_of_k=False)]
        ['balanced_accuracy']
    """
    return METRICS if not one_of_k else (*METRICS[:3], "balanced_accuracy", *METRICS[3:])


def are_exclusive(y: np.ndarray, probabilities: np.ndarray) -> bool:
    """Whether predictions are of classes that exclude each other.

    Each cell is of one class, and its probabilities add up to 1. (Of two outputs that mirror each other this says the
    same as two questions do.)

    Args:
        y: 0/1, shape (n_cells, n_outputs).
        probabilities: shape (n_cells, n_outputs).

    Returns:
        Whether they are.

    Examples:
        >>> import numpy as np
        >>> y = np.array([[1, 0], [0, 1]])
        >>> are_exclusive(y, np.array([[0.8, 0.2], [0.3, 0.7]])), are_exclusive(y, np.array([[0.8, 0.9], [0.3, 0.7]]))
        (True, False)
    """
    several = y.shape[1] > 1
    return several and bool((y.sum(axis=1) == 1).all() and np.allclose(probabilities.sum(axis=1), 1, atol=1e-4))


def called(probabilities: np.ndarray, *, one_of_k: bool) -> np.ndarray:
    """What cells are called: 1 above the threshold, or of classes that exclude each other for the most probable one.

    Args:
        probabilities: shape (n_cells, n_outputs).
        one_of_k: whether the outputs are classes that exclude each other.

    Returns:
        0/1, shape (n_cells, n_outputs).
    """
    if not one_of_k:
        return (probabilities > THRESHOLD).astype(int)
    return (np.arange(probabilities.shape[1]) == probabilities.argmax(axis=1)[:, None]).astype(int)


def score(
    y: np.ndarray, probabilities: np.ndarray, outputs: Sequence[str], *, one_of_k: bool = False
) -> dict[str, float]:
    """Scores predictions: each metric averaged over the outputs, and per output where there are several.

    Args:
        y: 0/1, shape (n_cells, n_outputs).
        probabilities: predicted P(class 1), shape (n_cells, n_outputs).
        outputs: names of the columns.
        one_of_k: whether the outputs are classes that exclude each other: a cell is then called by its most probable
            class; `accuracy` and `log_loss` are over all classes, and `balanced_accuracy`, the mean over the classes of
            the share of their cells that is called so, is given beside them.

    Returns:
        Every name of `METRICS` (the macro average over outputs) and, with several outputs, `<metric>_<output>`: the
        output's class against all else. A score that needs both classes is NaN where only one is present.

    Examples:
        >>> import numpy as np
        >>> y = np.array([[0], [0], [1], [1]])
        >>> scores = score(y, np.array([[0.1], [0.6], [0.4], [0.9]]), ["TCR"])
        >>> scores["roc_auc"], scores["accuracy"], round(scores["brier"], 3)
        (0.75, 0.5, 0.185)
    """
    calls = called(probabilities, one_of_k=one_of_k)
    per_output = {name: _score_one(y[:, j], probabilities[:, j], calls[:, j]) for j, name in enumerate(outputs)}
    scores = {metric: float(np.mean([one[metric] for one in per_output.values()])) for metric in METRICS}
    if one_of_k:
        scores |= _score_classes(y, probabilities, calls)
    if len(outputs) > 1:
        scores |= {f"{metric}_{name}": one[metric] for name, one in per_output.items() for metric in METRICS}
    return scores


def clipped(p: np.ndarray) -> np.ndarray:
    """Probabilities away from 0 and 1, so that one confident error does not make the log loss infinite."""
    return np.clip(p, 1e-7, 1 - 1e-7)


def _score_classes(y: np.ndarray, p: np.ndarray, calls: np.ndarray) -> dict[str, float]:
    right, n_cells = (y * calls).sum(axis=0), y.sum(axis=0)
    present = n_cells > 0
    return {
        "accuracy": float(right.sum() / n_cells.sum()),
        "balanced_accuracy": float((right[present] / n_cells[present]).mean()),
        "log_loss": float(-np.log(clipped(p[y > 0])).mean()),
    }


def _score_one(y: np.ndarray, p: np.ndarray, calls: np.ndarray) -> dict[str, float]:
    both = len(np.unique(y)) == 2
    return {
        "roc_auc": float(roc_auc_score(y, p)) if both else float("nan"),
        "average_precision": float(average_precision_score(y, p)) if both else float("nan"),
        "accuracy": float(accuracy_score(y, calls)),
        "precision": float(precision_score(y, calls, zero_division=0)),
        "recall": float(recall_score(y, calls, zero_division=0)),
        "f1": float(f1_score(y, calls, zero_division=0)),
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

    Examples:
        >>> import numpy as np
        >>> calibration(np.array([0, 0, 0, 1, 1, 1]), np.array([0.1, 0.2, 0.3, 0.2, 0.8, 0.9]), n_bins=2).round(2)
           predicted  observed  n_cells
        0       0.20      0.25        4
        1       0.85      1.00        2
    """
    bins = np.clip((probabilities * n_bins).astype(int), 0, n_bins - 1)
    table = pd.DataFrame({"bin": bins, "predicted": probabilities, "observed": y})
    grouped = table.groupby("bin").agg(
        predicted=("predicted", "mean"), observed=("observed", "mean"), n_cells=("observed", "size")
    )
    return grouped.reset_index(drop=True)
