"""Does one arm predict as well as another? Paired over the same folds, and over the same cells.

References:
    Nadeau & Bengio 2003, Machine Learning 52:239, https://doi.org/10.1023/A:1024068626366 (corrected resampled t-test).
    DeLong, DeLong & Clarke-Pearson 1988, Biometrics 44:837; the mid-rank form of Sun & Xu 2014, IEEE SPL 21:1389.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import stats

from kpnn.errors import SettingsError


@dataclass(frozen=True)
class PairedTest:
    """A paired difference with its interval and two-sided p-value.

    Attributes:
        difference: candidate minus reference.
        standard_error: of the difference.
        lower: lower end of the interval of the stated level.
        upper: its upper end.
        p_value: two-sided, against no difference.
    """

    difference: float
    standard_error: float
    lower: float
    upper: float
    p_value: float


@dataclass(frozen=True)
class Comparison:
    """What can be said about two arms' ROC-AUC.

    Attributes:
        reference: name of the arm compared against (`full`).
        candidate: name of the arm in question (`pruned`).
        reference_roc_auc: mean over folds.
        candidate_roc_auc: mean over folds.
        folds: the corrected resampled t-test over folds; None with a single fold.
        cells: DeLong's test on out-of-fold predictions; None with several outputs.
        margin: differences within +-margin count as equal.
        equivalent: the interval of two one-sided tests at 5 % (the 90 % interval) lies within the margin.
        not_worse: its lower end lies above -margin.
        sentence: the answer in words.
    """

    reference: str
    candidate: str
    reference_roc_auc: float
    candidate_roc_auc: float
    folds: PairedTest | None
    cells: PairedTest | None
    margin: float
    equivalent: bool
    not_worse: bool
    sentence: str

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain values, for JSON."""
        return asdict(self)


def corrected_resampled_t_test(differences: np.ndarray, test_to_train_ratio: float, level: float = 0.95) -> PairedTest:
    """Nadeau & Bengio's t-test: the variance grows by the overlap of the training sets.

    Args:
        differences: one per fold (and repeat), candidate minus reference, shape (n,).
        test_to_train_ratio: cells held out per cell trained on: 1 / (n_splits - 1) for k folds.
        level: coverage of the interval.

    Raises:
        SettingsError: there are fewer than two folds.
    """
    n = len(differences)
    if n < 2:
        raise SettingsError(f"a paired test over folds needs at least two folds, got {n}")
    mean = float(np.mean(differences))
    error = float(np.sqrt((1 / n + test_to_train_ratio) * np.var(differences, ddof=1)))
    half = float(stats.t.ppf((1 + level) / 2, n - 1)) * error
    return PairedTest(mean, error, mean - half, mean + half, _two_sided_p(mean, error, stats.t(n - 1)))


def delong_test(y: np.ndarray, candidate: np.ndarray, reference: np.ndarray, level: float = 0.95) -> PairedTest:
    """DeLong's test for two correlated ROC curves.

    Args:
        y: 0/1, shape (n_cells,).
        candidate: predicted probabilities of the candidate, shape (n_cells,).
        reference: predicted probabilities of the reference for the same cells, shape (n_cells,).
        level: coverage of the interval.
    """
    positive = y > 0
    areas, above, below = zip(*(_placements(scores, positive) for scores in (candidate, reference)), strict=True)
    m, n = int(positive.sum()), int((~positive).sum())
    contrast = np.array([1.0, -1.0])
    variance = float(contrast @ (np.cov(np.vstack(above)) / m + np.cov(np.vstack(below)) / n) @ contrast)
    difference, error = float(areas[0] - areas[1]), float(np.sqrt(max(variance, 0.0)))
    half = float(stats.norm.ppf((1 + level) / 2)) * error
    p = _two_sided_p(difference, error, stats.norm())
    return PairedTest(difference, error, difference - half, difference + half, p)


def _two_sided_p(difference: float, error: float, distribution: Any) -> float:
    if error == 0.0:
        return 1.0 if difference == 0.0 else 0.0
    return float(2 * distribution.sf(abs(difference) / error))


def _placements(scores: np.ndarray, positive: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """ROC-AUC and the structural components of each positive and each negative cell."""
    m, n = int(positive.sum()), int((~positive).sum())
    together = stats.rankdata(scores)
    of_positive = (together[positive] - stats.rankdata(scores[positive])) / n
    of_negative = 1.0 - (together[~positive] - stats.rankdata(scores[~positive])) / m
    return float(of_positive.mean()), of_positive, of_negative


def compare(
    reference: tuple[str, np.ndarray],
    candidate: tuple[str, np.ndarray],
    *,
    n_splits: int,
    margin: float = 0.01,
    out_of_fold: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
) -> Comparison:
    """Compares two arms on the same folds.

    Args:
        reference: name and ROC-AUC per fold (in the same order as the candidate's), shape (n_folds,).
        candidate: name and ROC-AUC per fold.
        n_splits: folds per repeat, which gives the ratio of held-out to training cells.
        margin: differences in ROC-AUC within +-margin count as equal; set it before looking.
        out_of_fold: y, the reference's and the candidate's probabilities per cell, each shape (n_cells,).
    """
    (name_r, auc_r), (name_c, auc_c) = reference, candidate
    ratio = 1 / (n_splits - 1)
    differences = np.asarray(auc_c, dtype=float) - np.asarray(auc_r, dtype=float)
    over_folds = corrected_resampled_t_test(differences, ratio) if len(differences) > 1 else None
    over_cells = None
    if out_of_fold is not None:
        y, p_reference, p_candidate = out_of_fold
        over_cells = delong_test(y, p_candidate, p_reference)
    ninety = corrected_resampled_t_test(differences, ratio, level=0.90) if over_folds is not None else None
    equivalent = ninety is not None and -margin < ninety.lower and ninety.upper < margin
    not_worse = ninety is not None and ninety.lower > -margin
    return Comparison(
        reference=name_r,
        candidate=name_c,
        reference_roc_auc=float(np.mean(auc_r)),
        candidate_roc_auc=float(np.mean(auc_c)),
        folds=over_folds,
        cells=over_cells,
        margin=margin,
        equivalent=equivalent,
        not_worse=not_worse,
        sentence=_sentence(name_r, name_c, auc_r, auc_c, over_folds, margin, equivalent, not_worse),
    )


def _sentence(
    name_r: str,
    name_c: str,
    auc_r: np.ndarray,
    auc_c: np.ndarray,
    test: PairedTest | None,
    margin: float,
    equivalent: bool,
    not_worse: bool,
) -> str:
    figures = f"ROC-AUC {np.mean(auc_c):.3f} against {np.mean(auc_r):.3f}"
    if test is None:
        return f"One fold gives no test: `{name_c}` has {figures} of `{name_r}`."
    interval = f"difference {test.difference:+.3f}, 95 % interval {test.lower:+.3f} to {test.upper:+.3f}"
    if equivalent:
        verdict = f"`{name_c}` predicts as well as `{name_r}` (within the margin of {margin:g})"
    elif not_worse:
        verdict = f"`{name_c}` predicts at least as well as `{name_r}` (not worse by the margin of {margin:g})"
    elif test.upper < -margin:
        verdict = f"`{name_c}` predicts worse than `{name_r}` by more than the margin of {margin:g}"
    elif test.upper < 0:
        verdict = f"`{name_c}` predicts worse than `{name_r}`, though perhaps by less than the margin of {margin:g}"
    else:
        verdict = (
            f"These cells and folds cannot tell whether `{name_c}` predicts as well as `{name_r}` (margin {margin:g})"
        )
    return f"{verdict}: {figures}, {interval}."
