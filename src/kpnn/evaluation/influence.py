"""How much each held-out cell moves a fold's score: the score's derivative with respect to the cell's weight.

A score is a smooth function of how the held-out cells are weighted. To first order a fold's score is its expectation
plus the sum of its cells' influences, so the sum of their squares estimates the score's variance over cells, and
influences of two arms on the same cells may be subtracted. For the ROC-AUC they are the placements of DeLong et al.

References:
    DeLong, DeLong & Clarke-Pearson 1988, Biometrics 44:837 (placements).
    LeDell, Petersen & van der Laan 2015, Electronic Journal of Statistics 9:1583 (influence curves within folds).
"""

from __future__ import annotations

import numpy as np

from kpnn.evaluation.metrics import THRESHOLD, clipped


def score_with_influence(metric: str, y: np.ndarray, p: np.ndarray) -> tuple[float, np.ndarray]:
    """A fold's score and every cell's influence on it.

    Args:
        metric: one of `METRICS`.
        y: 0/1, shape (n_cells,).
        p: predicted P(class 1), shape (n_cells,).

    Returns:
        The score, and influences of shape (n_cells,) that sum to zero and whose sum of squares estimates the score's
        variance over cells (with the small-sample factor n / (n - 1), for the ROC-AUC within each class). NaN and
        zeros where the score needs both classes and one is absent.
    """
    y, p = np.asarray(y, dtype=float), np.asarray(p, dtype=float)
    n, n_positive = len(y), int(y.sum())
    if metric in ("roc_auc", "average_precision") and not 0 < n_positive < n:
        return float("nan"), np.zeros(n)
    if metric == "roc_auc":
        return _roc_auc(y > 0, p)
    if metric == "average_precision":
        value, influence = _average_precision(y, p)
    elif metric in ("accuracy", "brier", "log_loss"):
        per_cell = _per_cell(metric, y, p)
        value = float(per_cell.mean())
        influence = (per_cell - value) / n
    else:
        value, influence = _ratio(metric, y, (p > THRESHOLD).astype(float))
    return value, influence * _small_sample(n)


def class_score_with_influence(metric: str, labels: np.ndarray, p: np.ndarray) -> tuple[float, np.ndarray]:
    """A fold's score over classes that exclude each other, and every cell's influence on it.

    Args:
        metric: `accuracy` or `log_loss`.
        labels: 0/1, one 1 in every row, shape (n_cells, n_classes).
        p: predicted probabilities, shape (n_cells, n_classes).

    Returns:
        As `score_with_influence`.
    """
    of_class = labels.argmax(axis=1)
    if metric == "accuracy":
        per_cell = (p.argmax(axis=1) == of_class).astype(float)
    else:
        per_cell = -np.log(clipped(p[np.arange(len(p)), of_class]))
    value = float(per_cell.mean())
    return value, (per_cell - value) / len(p) * _small_sample(len(p))


def _roc_auc(positive: np.ndarray, p: np.ndarray) -> tuple[float, np.ndarray]:
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    # A positive cell's placement: the share of negative cells that it beats; a negative's: of positives that beat it.
    of_positive = _share_below(p[positive], p[~positive])
    of_negative = 1.0 - _share_below(p[~positive], p[positive])
    value = float(of_positive.mean())
    influence = np.empty(len(p))
    influence[positive] = (of_positive - value) / n_positive * _small_sample(n_positive)
    influence[~positive] = (of_negative - value) / n_negative * _small_sample(n_negative)
    return value, influence


def _share_below(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The share of `others` below each value; ties count half."""
    others = np.sort(others)
    return (np.searchsorted(others, values, "left") + np.searchsorted(others, values, "right")) / (2 * len(others))


def _average_precision(y: np.ndarray, p: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean over positive cells of the precision among the cells called no later than them, and its derivative."""
    order = np.argsort(-p, kind="stable")
    truth, ranked = y[order], p[order]
    # Cells of equal probability are called together, so a tie has one precision: that at its end.
    starts = np.flatnonzero(np.r_[True, np.diff(ranked) != 0])
    ends = np.r_[starts[1:], len(ranked)] - 1
    tie = np.repeat(np.arange(len(starts)), ends - starts + 1)
    called = (ends + 1.0)[tie]
    precision = np.cumsum(truth)[ends][tie] / called
    n_positive = truth.sum()
    value = float((truth * precision).sum() / n_positive)
    # A cell also enters the precision of every positive cell that is called no earlier than itself.
    later_weight = _sum_from_tie_on(truth / called, starts, tie)
    later_precision = _sum_from_tie_on(truth * precision / called, starts, tie)
    influence = np.empty(len(p))
    influence[order] = (truth * (precision - value + later_weight) - later_precision) / n_positive
    return value, influence


def _sum_from_tie_on(values: np.ndarray, starts: np.ndarray, tie: np.ndarray) -> np.ndarray:
    return np.cumsum(values[::-1])[::-1][starts][tie]


def _per_cell(metric: str, y: np.ndarray, p: np.ndarray) -> np.ndarray:
    if metric == "accuracy":
        return ((p > THRESHOLD) == (y > 0)).astype(float)
    if metric == "brier":
        return (p - y) ** 2
    p = clipped(p)
    return -np.where(y > 0, np.log(p), np.log1p(-p))


def _ratio(metric: str, y: np.ndarray, called: np.ndarray) -> tuple[float, np.ndarray]:
    """Precision, recall and F1 are ratios of sums over cells; a ratio without cells counts as zero."""
    numerator, denominator = {
        "precision": (y * called, called),
        "recall": (y * called, y),
        "f1": (2 * y * called, y + called),
    }[metric]
    total = denominator.sum()
    if not total:
        return 0.0, np.zeros(len(y))
    value = float(numerator.sum() / total)
    return value, (numerator - value * denominator) / total


def _small_sample(n: int) -> float:
    return float(np.sqrt(n / (n - 1))) if n > 1 else 1.0
