r"""How sure a score, or the difference of two arms' scores, is: cells and training together.

The score is the mean over folds within a repeat, then over the R repeats. Its squared standard error is

    SE^2 = (1 + n_test / n_train) * C + T,    C = sum over cells of (mean influence over repeats)^2,

where C is what other held-out cells would change (influences are scaled so that their squares sum to the variance of
the mean over folds), the factor allows for training parts that overlap (Nadeau & Bengio 2003), and T is what training
again would change. T also moves the influences themselves; that part of C (the spread of a cell's influence over
repeats or members) is subtracted once, or it would count in both. It stays in the allowance for overlapping training
parts: networks that vary with their start vary with their cells, too, and no spread within one study shows that.
T is known from

- several repeats: the variance of the repeats' means over R;
- one repeat of ensembles whose members are known: the jackknife over members, fold by fold. It estimates the variance
  of the prediction that is deployed, the mean of K logits, from the K means of K - 1; by the inequality of Efron &
  Stein (1981) it errs to the wide side. The variance of single members over K would not do: where members are poor and
  their mean is nearly perfect it is too large by orders of magnitude;
- and, with either or alone, what the spread of the folds' scores leaves unexplained by their cells. It sees what a
  fold's members share (its hyperparameters), and it has few degrees of freedom.

Two sources are averaged by their degrees of freedom.

Cells of one group (a donor) are not independent: influences are summed per group, and the sum is over groups. Two
corrections keep few groups honest. Influences are centred within their fold, which takes away what the fold's groups
have in common: with one group a fold everything. C is divided by the share that is left, known from the folds alone,
and pooled with the spread between folds, which holds what was taken away, each by its degrees of freedom; together
these are at most the number of groups less one.

Every part has its own degrees of freedom; those of the sum are Satterthwaite's, and the quantile is Student's t. Where
few cells carry all the influence (nearly perfect separation) C's own are few. Where none does, because every fold is
perfect, the interval is not a point: see `_unseen_variance`.

The interval of a difference is symmetric. That of one arm's ROC-AUC is not: see `_ends_of_share`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd
from scipy import stats

from kpnn.errors import SettingsError
from kpnn.evaluation.contrast import Contrast, contrast_between, contrast_of
from kpnn.evaluation.parts import Part, pooled, satterthwaite
from kpnn.evaluation.scores import ArmScores, group_codes

Groups: TypeAlias = Mapping[str, object] | pd.Series
"""Barcode -> donor, sample, ..."""

_OF_SCORE = (0.0, 1.0)
"""Limits of one arm's score; those of a difference are -1 and 1."""


@dataclass(frozen=True)
class Interval:
    """An estimate with its uncertainty.

    Attributes:
        estimate: a score, or a difference of scores.
        lower: lower end of the interval.
        upper: its upper end.
        standard_error: of the estimate.
        degrees_of_freedom: of the t distribution behind the interval.
        se_cells: the part of the standard error that more cells (or groups) would shrink.
        se_training: the part that more repeats or members would shrink.
        training_from: what that part is known from: `repeats`, `members` or `folds`; `one network` where two arms are
            the same.

    Examples:
        >>> parts = {"se_cells": 0.0028, "se_training": 0.001, "training_from": "repeats"}
        >>> difference = Interval(0.002, -0.004, 0.008, standard_error=0.003, degrees_of_freedom=50.0, **parts)
        >>> round(difference.p_value, 2)
        0.51
    """

    estimate: float
    lower: float
    upper: float
    standard_error: float
    degrees_of_freedom: float
    se_cells: float
    se_training: float
    training_from: str

    @property
    def p_value(self) -> float:
        """Two-sided, against zero; 1 of a difference that cannot be one."""
        if not self.standard_error:
            return 1.0
        return float(2 * stats.t.sf(abs(self.estimate) / self.standard_error, self.degrees_of_freedom))


NO_DIFFERENCE = Interval(
    estimate=0.0,
    lower=0.0,
    upper=0.0,
    standard_error=0.0,
    degrees_of_freedom=1.0,
    se_cells=0.0,
    se_training=0.0,
    training_from="one network",
)
"""Of two arms that are one network, trained alike: no other cells could tell them apart."""


def interval(
    scores: ArmScores, *, groups: Groups | None = None, confidence: float = 0.95, output: str | None = None
) -> Interval:
    """The interval of an arm's score.

    Args:
        scores: of the arm.
        groups: donor or sample of each cell, where cells are not independent.
        confidence: how often such intervals hold the expected score.
        output: of this output only; None: the mean over outputs.

    Returns:
        The interval, around the mean over folds and repeats.

    Raises:
        SettingsError: no fold has a score.
        CellsError: a cell has no group.

    Examples:
        >>> import numpy as np
        >>> import pandas as pd
        >>> from kpnn.evaluation import ArmScores
        >>> rng = np.random.default_rng(0)
        >>> cells = pd.DataFrame({"repeat": 0, "fold": np.arange(400) % 4, "barcode": [f"c{i}" for i in range(400)]})
        >>> cells = cells.assign(output="TCR", label=rng.integers(0, 2, 400))
        >>> signal = cells["label"] + rng.normal(0, 1, 400)
        >>> scores = ArmScores.from_predictions("full", cells.assign(probability=1 / (1 + np.exp(-signal))))
        >>> found = interval(scores)
        >>> round(found.estimate, 2), round(found.lower, 2), round(found.upper, 2)
        (0.79, 0.73, 0.84)
    """
    limits = (0.0, np.inf) if scores.metric == "log_loss" else _OF_SCORE
    return _interval(
        contrast_of(scores, output), _codes(scores, groups), confidence, scores.metric == "roc_auc", limits
    )


def difference_interval(
    candidate: ArmScores,
    reference: ArmScores,
    *,
    groups: Groups | None = None,
    confidence: float = 0.95,
    output: str | None = None,
) -> Interval:
    """The interval of candidate minus reference, paired over cells and folds.

    Args:
        candidate: scores of the arm in question.
        reference: of the arm compared against, on the same folds.
        groups: donor or sample of each cell, where cells are not independent.
        confidence: how often such intervals hold the expected difference.
        output: of this output only; None: the mean over outputs.

    Returns:
        The interval; its estimate is positive where the candidate scores higher.

    Raises:
        SettingsError: the arms have other metrics, outputs, folds or cells, or no fold has a score.
        CellsError: a cell has no group.

    Examples:
        >>> import numpy as np
        >>> import pandas as pd
        >>> from kpnn.evaluation import ArmScores
        >>> rng = np.random.default_rng(0)
        >>> cells = pd.DataFrame({"repeat": 0, "fold": np.arange(400) % 4, "barcode": [f"c{i}" for i in range(400)]})
        >>> cells = cells.assign(output="TCR", label=rng.integers(0, 2, 400))
        >>> signal = cells["label"] + rng.normal(0, 1, 400)
        >>> full = ArmScores.from_predictions("full", cells.assign(probability=1 / (1 + np.exp(-signal))))
        >>> noisy = 1 / (1 + np.exp(-signal - rng.normal(0, 3, 400)))
        >>> found = difference_interval(ArmScores.from_predictions("noisy", cells.assign(probability=noisy)), full)
        >>> round(found.estimate, 2), round(found.lower, 2), round(found.upper, 2)
        (-0.24, -0.3, -0.17)
    """
    contrast = contrast_between(candidate, reference, output)
    most = np.inf if candidate.metric == "log_loss" else 1.0
    return _interval(contrast, _codes(candidate, groups), confidence, candidate.metric == "roc_auc", (-most, most))


def _codes(scores: ArmScores, groups: Groups | None) -> np.ndarray | None:
    return None if groups is None else group_codes(scores, groups)


def _interval(
    contrast: Contrast,
    codes: np.ndarray | None,
    confidence: float,
    of_ranks: bool,
    limits: tuple[float, float],
) -> Interval:
    if not 0 < confidence < 1:
        raise SettingsError(f"confidence = {confidence}: a share between 0 and 1")
    means = np.bincount(contrast.repeat_of_fold, (contrast.weights * contrast.values).sum(axis=1))
    folds = _variance_between_folds(contrast)
    cells = _cells_part(contrast) if codes is None else _groups_part(contrast, codes)
    training, training_from = _training_part(contrast, means, cells, folds)
    if codes is not None:
        # The spread between folds holds what their groups differ by, and training.
        between = Part(max(0.0, folds.variance - len(means) * training.variance), folds.degrees_of_freedom)
        cells = pooled(cells, between, most=len(np.unique(codes)) - 1)
        if not cells.degrees_of_freedom:
            # One group, or one of each class: nothing says how groups differ, so the interval is everything.
            cells = Part(1.0, 1.0)
    unseen = _unseen_variance(contrast, confidence) if of_ranks else 0.0
    cells = Part(cells.variance + unseen, cells.degrees_of_freedom)
    # n_test / n_train of C as it is observed, networks' noise included: training parts overlap (Nadeau & Bengio 2003).
    noise = _noise_of_influence(contrast, contrast.barcode_of_row if codes is None else codes)
    of_training = 1.0 / max(1, contrast.n_splits - 1)
    cells = Part(cells.variance + (cells.variance + noise) * of_training, cells.degrees_of_freedom)
    error = float(np.sqrt(cells.variance + training.variance))
    freedom = float(satterthwaite(cells, training))
    quantile = float(stats.t.ppf((1 + confidence) / 2, freedom))
    estimate = float(means.mean())
    lower, upper = estimate - quantile * error, estimate + quantile * error
    if of_ranks and limits == _OF_SCORE:
        lower, upper = _ends_of_share(estimate, quantile * error, quantile * np.sqrt(unseen * (1.0 + of_training)))
    return Interval(
        estimate=estimate,
        lower=float(max(limits[0], lower)),
        upper=float(min(limits[1], upper)),
        standard_error=error,
        degrees_of_freedom=freedom,
        se_cells=float(np.sqrt(cells.variance)),
        se_training=float(np.sqrt(training.variance)),
        training_from=training_from,
    )


def _ends_of_share(estimate: float, half: float, of_unseen: float) -> tuple[float, float]:
    """The ends of an interval around one ROC-AUC, as Wilson's (1927) around a proportion.

    Few donors whose score is high by chance have a small standard error as well, and a symmetric interval then ends
    above the truth several times as often as below it. A rank sum varies about as p (1 - p), so at either end p the
    error is taken to be the one there: (estimate - p)^2 = half^2 p (1 - p) / (estimate (1 - estimate)). What cells
    unlike those seen may hide does not grow so, and is added as it is.

    Args:
        estimate: the score.
        half: half the width of the symmetric interval.
        of_unseen: the part of it, as a root of squares, that `_unseen_variance` accounts for.
    """
    if half >= max(estimate, 1.0 - estimate):  # nothing is known
        return 0.0, 1.0
    scatter = estimate * (1.0 - estimate)
    c = max(0.0, half**2 - of_unseen**2) / scatter if scatter > 0 else 0.0
    middle, room = estimate + c / 2.0, estimate**2 - of_unseen**2
    away = float(np.sqrt(max(0.0, middle**2 - (1.0 + c) * room)))
    return (middle - away) / (1.0 + c), (middle + away) / (1.0 + c)


def _noise_of_influence(contrast: Contrast, codes: np.ndarray) -> float:
    """The part of the squared mean influences that is the networks' doing: it is part of the training's variance."""
    if contrast.n_repeats > 1:
        return float(contrast.summed(contrast.influence, codes).var(axis=0, ddof=1).sum()) / contrast.n_repeats
    noise = 0.0
    for _, influence, _ in contrast.leave_one_out:
        summed = np.stack([contrast.summed(of_member, codes)[0] for of_member in influence])
        noise += (len(summed) - 1) * float(summed.var(axis=0).sum())
    return noise


def _cells_part(contrast: Contrast) -> Part:
    """C of independent cells; its degrees of freedom follow from how unevenly the cells carry it."""
    squares = contrast.summed(contrast.influence, contrast.barcode_of_row).mean(axis=0) ** 2
    total = float(squares.sum())
    # By moments, as Satterthwaite: twice the squared mean of an estimate over its variance.
    scatter = float((squares**2).sum() - total**2 / len(squares))
    freedom = max(1.0, 2 * total**2 / scatter) if scatter > 0 else float(len(squares))
    return Part(max(0.0, total - _noise_of_influence(contrast, contrast.barcode_of_row)), freedom)


def _groups_part(contrast: Contrast, codes: np.ndarray) -> Part:
    """C of groups, from what they differ by within their folds; no degrees of freedom where every group is alone."""
    by_repeat, of_all = _centring(contrast, codes)
    kept = by_repeat.mean(axis=0)
    found = kept.T @ kept
    share = float(np.trace(found))
    if contrast.n_repeats > 1:
        # A group's fold-mates change from repeat to repeat, which `_noise_of_influence` takes for training.
        share -= (float((by_repeat**2).sum()) / len(by_repeat) - share) / (len(by_repeat) - 1)
    if share < 1e-9 * of_all:
        return Part(0.0, 0.0)
    # Influences show `share` of what the groups' effects put into the score, which is `of_all`.
    total = float((contrast.summed(contrast.influence, codes).mean(axis=0) ** 2).sum())
    pure = max(0.0, total - _noise_of_influence(contrast, codes))
    return Part(pure * of_all / share, float(np.trace(found)) ** 2 / float((found**2).sum()))


def _centring(contrast: Contrast, codes: np.ndarray) -> tuple[np.ndarray, float]:
    """What centring within folds leaves of an effect that each group has of its own.

    A group's effect enters its fold's score by the group's share of the fold's cells of either class; a group's
    summed influence holds its effect less the fold's mean effect, by the same shares.

    Returns:
        For each repeat the matrix from effects to influences, shape (n_repeats, n_groups, n_groups), and the sum of
        squared coefficients with which the effects enter the score.
    """
    n_groups = int(codes.max()) + 1
    kept, coefficients = np.zeros((contrast.n_repeats, n_groups, n_groups)), np.zeros(n_groups)
    for fold, repeat in enumerate(contrast.repeat_of_fold):
        rows = contrast.fold_of_row == fold
        for output, weight in enumerate(contrast.weights[fold]):
            for label in (0, 1):
                sizes = np.bincount(codes[rows & (contrast.labels[:, output] == label)], minlength=n_groups)
                if weight and sizes.any():
                    shares = sizes / sizes.sum()
                    kept[repeat] += weight * (np.diag(shares) - np.outer(shares, shares))
                    coefficients += weight * shares / contrast.n_repeats
    return kept, float((coefficients**2).sum())


def _variance_between_folds(contrast: Contrast) -> Part:
    """The variance of one repeat's mean from the spread of its folds: of cells, of groups and of training."""
    weights = contrast.weights.sum(axis=1)
    scores = (contrast.weights * contrast.values).sum(axis=1) / np.where(weights > 0, weights, 1.0)
    variances, freedoms = [0.0], [0]
    for repeat in range(contrast.n_repeats):
        of_repeat = scores[(contrast.repeat_of_fold == repeat) & (weights > 0)]
        if len(of_repeat) > 1:
            variances.append(float(of_repeat.var(ddof=1)) / len(of_repeat))
            freedoms.append(len(of_repeat) - 1)
    several = max(1, len(variances) - 1)
    return Part(sum(variances) / several, sum(freedoms) / several)


def _training_part(contrast: Contrast, means: np.ndarray, cells: Part, folds: Part) -> tuple[Part, str]:
    """T, and where it is known from."""
    n_repeats = len(means)
    excess = _excess_of_folds(cells, folds, n_repeats)
    if n_repeats > 1:
        repeats = Part(float(means.var(ddof=1)) / n_repeats, n_repeats - 1.0)
        return pooled(repeats, excess, most=np.inf), "repeats"
    if contrast.leave_one_out:
        return pooled(_members_part(contrast), excess, most=np.inf), "members"
    return excess, "folds"


def _excess_of_folds(cells: Part, folds: Part, n_repeats: int) -> Part:
    """What the spread of the folds leaves unexplained by their cells, as a variance of the mean over repeats.

    It is a difference, and known no better than the spread that it is taken from.
    """
    excess = max(0.0, folds.variance - cells.variance)
    if not excess or not cells.degrees_of_freedom:
        return Part(0.0, 0.0)
    freedom = n_repeats * folds.degrees_of_freedom * (excess / folds.variance) ** 2
    return Part(excess / n_repeats, freedom)


def _members_part(contrast: Contrast) -> Part:
    """The jackknife variance, over members, of the mean over folds, whose members are independent."""
    variance = uncertain = 0.0
    for values, _, sizes in contrast.leave_one_out:
        of_fold = (len(values) - 1) * values.var(axis=0)
        variance += float(of_fold.sum())
        uncertain += float((of_fold**2 / (sizes - 1)).sum())
    return Part(variance, variance**2 / uncertain if uncertain else 0.0)


def _unseen_variance(contrast: Contrast, confidence: float) -> float:
    """What cells unlike those seen may hide, as a variance: it matters only where hardly a cell has any influence.

    Where every fold is perfect no cell moves the score, and yet one cell in n may be misplaced: if shares q and r of
    the classes were, none of their n and m cells would be with probability (1 - q)^n (1 - r)^m < exp(-q n - r m), so
    q n + r m < log(2 / alpha) at level alpha (the rule of three, two-sided). They cost at most q + r of the score, and
    that is most where all of it is of the smaller class: log(2 / alpha) / min(n, m), used as the half-width of an
    interval. It fades as exp(-k), the probability to see none where k are expected, where k cells (the participation
    number of the influences) speak for themselves.
    """
    squares = contrast.summed(contrast.influence, contrast.barcode_of_row).mean(axis=0) ** 2
    carriers = float(squares.sum() ** 2 / (squares**2).sum()) if squares.any() else 0.0
    alpha = 1 - confidence
    variance = 0.0
    for output, of_folds in enumerate(contrast.weights.T):
        counted = of_folds[contrast.fold_of_row] > 0
        n_of_class = np.bincount(contrast.labels[counted, output].astype(int), minlength=2)
        fewest = int(n_of_class.min()) / contrast.n_repeats
        variance += (np.log(2 / alpha) / fewest * of_folds.sum() / contrast.n_repeats) ** 2 if fewest else 0.0
    return variance * float(np.exp(-carriers) / stats.norm.ppf(1 - alpha / 2) ** 2)
