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
        groups: number of each cell's donor or sample, shape (n_cells,); None: cells are independent.
    """

    activations: np.ndarray
    gradient: np.ndarray
    labels: np.ndarray
    groups: np.ndarray | None = None

    @property
    def difference(self) -> np.ndarray:
        """Mean activation in class 1 less that in class 0, shape (n_neurons,); 0 where there is one class only."""
        positive = self.labels > 0
        if positive.all() or not positive.any():
            return np.zeros(self.activations.shape[1])
        return self.activations[positive].mean(axis=0) - self.activations[~positive].mean(axis=0)


def together(members: Sequence[HeldOutEvidence]) -> HeldOutEvidence:
    """The evidence of several networks on the same cells as that of one, whose contribution is their mean.

    Its activations are the means of gradient times activation: in that product a neuron speaks for the output whichever
    sign it has in a network, and a network that makes more of the neuron counts for more.

    Args:
        members: of the networks of one fold, for one output.
    """
    if len(members) == 1:
        return members[0]
    used = np.mean([one.activations * one.gradient for one in members], axis=0)
    return HeldOutEvidence(used, np.ones(used.shape[1]), members[0].labels, members[0].groups)


def contribution(evidence: HeldOutEvidence) -> np.ndarray:
    """How much higher each neuron makes the prediction in class 1 than in class 0, shape (n_neurons,).

    That is its gradient times the difference of its mean activation between the classes: positive where the network's
    use of the neuron is right in cells that it has not seen.
    """
    return evidence.gradient * evidence.difference


def permutation_p_values(folds: Sequence[HeldOutEvidence], n_permutations: int = 10_000, seed: int = 42) -> np.ndarray:
    """One-sided p-value of each neuron's contribution, from permutations of the labels of held-out cells.

    Within a fold the network stays as it is: a neuron's activations in cells that its network never saw do not know
    their labels, so under the null hypothesis (activation and class are independent) every permutation is as likely as
    what is seen. Where cells come in groups, labels are permuted within them; where every group is of one class,
    groups exchange it as wholes. The folds' networks saw each other's cells, so their p-values depend on each other;
    twice their median is a valid p-value whatever the dependence (Meinshausen, Meier & Buehlmann 2009, JASA 104:1671).

    Args:
        folds: evidence of every fold, the neurons in the same order.
        n_permutations: number of permutations; the smallest p-value is 2 / (n_permutations + 1).
        seed: of the permutations.

    Returns:
        Shape (n_neurons,).
    """
    rng = np.random.default_rng(seed)
    of_folds = [_one_fold(fold, n_permutations, rng) for fold in folds]
    if len(of_folds) == 1:
        return of_folds[0]
    return np.minimum(1.0, 2 * np.median(of_folds, axis=0))


def _one_fold(fold: HeldOutEvidence, n_permutations: int, rng: np.random.Generator) -> np.ndarray:
    positive = fold.labels > 0
    if positive.all() or not positive.any():
        return np.ones(fold.activations.shape[1])
    signed = fold.activations * np.sign(fold.gradient)
    # Sums in another order differ in the last digits: what is equal must count as equal.
    least = _contrast(positive) @ signed - 1e-10 * np.abs(signed).max(axis=0)
    as_large = np.zeros(len(least), dtype=int)
    for start in range(0, n_permutations, _AT_ONCE):
        draws = _contrast(_permuted(positive, fold.groups, min(_AT_ONCE, n_permutations - start), rng))
        as_large += (draws @ signed >= least).sum(axis=0)
    return (1 + as_large) / (n_permutations + 1)


def _contrast(positive: np.ndarray) -> np.ndarray:
    """1/m for each of m cells of class 1, -1/n for each of n of class 0: a product with it is a difference of means."""
    n_positive = positive.sum(axis=-1, keepdims=True)
    return np.where(positive, 1.0 / n_positive, -1.0 / (positive.shape[-1] - n_positive))


def _permuted(positive: np.ndarray, groups: np.ndarray | None, times: int, rng: np.random.Generator) -> np.ndarray:
    """Classes of the cells in each of several permutations, shape (times, n_cells)."""
    if groups is None:
        return rng.permuted(np.tile(positive, (times, 1)), axis=1)
    names, first, group_of = np.unique(groups, return_index=True, return_inverse=True)
    if (positive == positive[first[group_of]]).all():
        return rng.permuted(np.tile(positive[first], (times, 1)), axis=1)[:, group_of]
    permuted = np.tile(positive, (times, 1))
    for group in range(len(names)):
        rows = np.flatnonzero(group_of == group)
        permuted[:, rows] = rng.permuted(permuted[:, rows], axis=1)
    return permuted
