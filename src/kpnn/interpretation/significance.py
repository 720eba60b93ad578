"""Which nodes carry something about the class, and more of it than the network's structure alone gives them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_AT_ONCE = 2000


@dataclass(frozen=True, eq=False)
class HeldOutEvidence:
    """What the held-out cells of one fold say about the neurons of its network, for one output.

    Attributes:
        activations: shape (n_cells, n_neurons).
        gradient: mean change of the output's probability per change of each neuron, shape (n_neurons,).
        labels: 0/1, shape (n_cells,).
    """

    activations: np.ndarray
    gradient: np.ndarray
    labels: np.ndarray


def contribution(evidence: HeldOutEvidence) -> np.ndarray:
    """How much higher each neuron makes the prediction in class 1 than in class 0, shape (n_neurons,).

    That is its gradient times the difference of its mean activation between the classes: positive where the network's
    use of the neuron is right in cells that it has not seen.
    """
    positive = evidence.labels > 0
    if positive.all() or not positive.any():
        return np.zeros(evidence.activations.shape[1])
    difference = evidence.activations[positive].mean(axis=0) - evidence.activations[~positive].mean(axis=0)
    return evidence.gradient * difference


def permutation_p_values(folds: Sequence[HeldOutEvidence], n_permutations: int = 10_000, seed: int = 42) -> np.ndarray:
    """One-sided p-value of each neuron's contribution: the labels of held-out cells are permuted within each fold.

    The networks stay as they are: a neuron's activations in cells that its network never saw do not know their labels,
    so under the null hypothesis (activation and class are independent) every permutation is as likely as what is seen.

    Args:
        folds: evidence of every fold, the neurons in the same order.
        n_permutations: number of permutations; the smallest p-value is 1 / (n_permutations + 1).
        seed: of the permutations.

    Returns:
        Shape (n_neurons,).
    """
    rng = np.random.default_rng(seed)
    observed = np.sum([contribution(fold) for fold in folds], axis=0)
    usable = [fold for fold in folds if 0 < (fold.labels > 0).sum() < len(fold.labels)]
    if not usable:
        return np.ones(len(observed))
    as_large = np.zeros(len(observed), dtype=int)
    # Sums in another order differ in the last digits: what is equal must count as equal.
    scale = np.sum([np.abs(fold.gradient) * np.abs(fold.activations).max(axis=0) for fold in usable], axis=0)
    least = observed - 1e-12 * scale
    for start in range(0, n_permutations, _AT_ONCE):
        permuted = np.zeros((min(_AT_ONCE, n_permutations - start), len(observed)))
        for fold in usable:
            positive = fold.labels > 0
            # With contrast 1/m for class 1 and -1/n for class 0 the difference of means is one product.
            contrast = np.where(positive, 1.0 / positive.sum(), -1.0 / (~positive).sum())
            draws = rng.permuted(np.tile(contrast, (len(permuted), 1)), axis=1)
            permuted += (draws @ fold.activations) * fold.gradient
        as_large += (permuted >= least).sum(axis=0)
    return (1 + as_large) / (n_permutations + 1)


def benjamini_hochberg(p_values: np.ndarray) -> np.ndarray:
    """Q-values: the smallest false discovery rate at which each is called (Benjamini & Hochberg 1995).

    Args:
        p_values: shape (n,); NaN stays NaN and does not count.
    """
    q_values = np.full(len(p_values), np.nan)
    known = np.flatnonzero(np.isfinite(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    scaled = p_values[order] * len(order) / np.arange(1, len(order) + 1)
    q_values[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return q_values
