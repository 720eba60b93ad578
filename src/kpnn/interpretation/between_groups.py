"""Activity tested where every donor or sample is of one class: they are the observations, of all folds together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student_t

_ROC_AUC_PER_SD = norm.pdf(0) / np.sqrt(2)
"""Growth of the ROC-AUC of two normals per standard deviation between their means, where they are close."""


@dataclass(frozen=True, eq=False)
class FoldOfGroups:
    """One fold's held-out groups.

    Attributes:
        values: mean over each group's cells of the cells' ranks in the fold, shape (n_groups, n_neurons).
        positive: whether each group is of class 1, shape (n_groups,); groups of both classes are there.
    """

    values: np.ndarray
    positive: np.ndarray

    @property
    def contrast(self) -> np.ndarray:
        """Mean of the groups of class 1 less that of the others, shape (n_neurons,)."""
        return self.values[self.positive].mean(axis=0) - self.values[~self.positive].mean(axis=0)

    @property
    def within(self) -> np.ndarray:
        """Sum of squares around the means of the classes, shape (n_neurons,)."""
        of_classes = (self.values[self.positive], self.values[~self.positive])
        return np.sum([((part - part.mean(axis=0)) ** 2).sum(axis=0) for part in of_classes], axis=0)

    @property
    def weight(self) -> float:
        """Of the contrast: 1 over its variance in units of that of a group."""
        n, n_positive = len(self.positive), int(self.positive.sum())
        return n_positive * (n - n_positive) / n


@dataclass(frozen=True, eq=False)
class GroupTest:
    """What groups of one class each say, over folds.

    Attributes:
        z: standard normal where a neuron and the class have nothing to do with each other, shape (n_neurons,).
        by_fold: contrast of each fold in standard errors, shape (n_folds, n_neurons).
        degrees: of freedom with which the spread between groups is known; 0: it is not.
        z_per_roc_auc: growth of t per unit of the groups' ROC-AUC, near 0.5.
    """

    z: np.ndarray
    by_fold: np.ndarray
    degrees: int
    z_per_roc_auc: float


def compare_groups(folds: Sequence[FoldOfGroups], by_cells: np.ndarray) -> GroupTest:
    """Compares the classes' groups, with one spread between groups for all folds.

    A fold of one group of each class says which is above the other and no more: by permutations in each fold, five such
    folds could not reach p = 0.05 if all of them said the same. How far groups of a class differ is told by all folds:
    within folds, and by how far the folds' contrasts differ.

    Each fold's networks learned from the other folds which way round a neuron speaks. With h(f, g) for what folds f and
    g have in common, a fold's contrast is the sum of h(f, g) over the K - 1 others, so that the mean of contrasts has
    twice the variance that independent folds would give it (as in `activity_test`), and their spread shows only (K - 2)
    / (K - 1) of the variance of one of them, which two folds do not show at all. t is set against Student's
    distribution, and no neuron is more certain than if cells were independent.

    Args:
        folds: two or more.
        by_cells: z of each fold if its cells were independent, shape (n_folds, n_neurons).

    Returns:
        z of every neuron.
    """
    n_folds, weights = len(folds), np.array([fold.weight for fold in folds])
    contrasts = np.stack([fold.contrast for fold in folds])
    mean = weights @ contrasts / weights.sum()
    squares, degrees = np.sum([fold.within for fold in folds], axis=0), sum(len(fold.positive) - 2 for fold in folds)
    if n_folds > 2:
        between = (weights[:, None] * (contrasts - mean) ** 2).sum(axis=0)
        squares, degrees = squares + between * (n_folds - 1) / (n_folds - 2), degrees + n_folds - 1
    if not degrees:
        return GroupTest(np.zeros(len(mean)), np.zeros_like(contrasts), 0, 0.0)
    sd = np.sqrt(squares / degrees)
    t = _over(mean * np.sqrt(weights.sum() / 2), sd)
    by_chance = student_t.sf(np.abs(t), degrees)
    z = _no_further(np.sign(t) * norm.isf(by_chance), by_cells.sum(axis=0) / np.sqrt(2 * n_folds))
    by_fold = _no_further(_over(contrasts * np.sqrt(weights)[:, None], sd), by_cells)
    return GroupTest(z, by_fold, degrees, float(np.sqrt(weights.sum() / 2) / _ROC_AUC_PER_SD))


def smallest_visible(degrees: float, z_per_roc_auc: float, level: float, power: float) -> float:
    """The ROC-AUC of groups at which t passes a level with a power.

    Args:
        degrees: of freedom.
        z_per_roc_auc: growth of t per unit of ROC-AUC, near 0.5.
        level: one-sided.
        power: from 0.5 to 1.
    """
    needed = student_t.isf(level, degrees) + student_t.isf(1 - power, degrees)
    apart = needed / (z_per_roc_auc * _ROC_AUC_PER_SD)
    return float(norm.cdf(apart / np.sqrt(2)))


def _over(values: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Values in standard deviations: without end where groups of a class are all alike, 0 where nothing differs."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.abs(values) > 1e-12, values / np.where(sd > 1e-12, sd, 0.0), 0.0)


def _no_further(z: np.ndarray, limit: np.ndarray) -> np.ndarray:
    return np.sign(z) * np.minimum(np.abs(z), np.abs(limit))
