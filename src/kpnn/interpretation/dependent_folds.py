"""How surprising z is that was added up over folds whose networks learned their direction from each other's labels."""

from __future__ import annotations

import numpy as np
from scipy.stats import chi2, norm

_OF_FEW_FOLDS = 0.14
"""By what share of z, divided by the folds, few folds reach further than many: with it simulated levels hold, from 2 to
20 folds and 1 to 1,000 genes, down to 0.0001 (docs/interpretation.md)."""


def p_values(z: np.ndarray, n_folds: int, n_genes: np.ndarray | None) -> np.ndarray:
    """One-sided p-values of z = sum(z_f) / sqrt(2K), the z of K folds.

    With independent standard normal contrasts d_f of m genes, S their sum, and the direction that fold f learned,
    S - d_f, the sum is T = sum(<d_f, S - d_f> / |S - d_f|). Its variance is 2K or less, so the normal tail holds. It is
    wide where there are few genes: T <= |S| whatever the direction, and for a single gene nothing but |S| remains. To
    leading order T = |S| - K (m - 1) / |S|, where |S|^2 / K = Q is chi-squared with m degrees of freedom:

        z = (Q - (m - 1)) / sqrt(2 Q)

    which is solved for Q. Of both tails the smaller is taken: they belong to the same z, and each holds its level.

    Args:
        z: shape (n_neurons,).
        n_folds: K, at least 2.
        n_genes: genes that each neuron learns from, shape (n_neurons,): as many directions there are. Those that go
            together are fewer directions, and the p-values too large. None: any number, the normal tail alone.

    Returns:
        Shape (n_neurons,).

    Examples:
        >>> p_values(np.array([1.386, 1.386, 5.0]), 5, np.array([1, 1000, 1])).round(6).tolist()
        [0.05, 0.08287, 0.0]
    """
    normal = norm.sf(z)
    if n_genes is None:
        return normal
    m = np.maximum(n_genes, 1)
    smaller = z / (1 + _OF_FEW_FOLDS * (1 - 1 / m) / n_folds)
    root = (smaller + np.sqrt(smaller**2 + 2 * (m - 1))) / np.sqrt(2)
    return np.where(z > 0, np.minimum(normal, chi2.sf(root**2, m)), normal)
