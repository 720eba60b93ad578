"""The tail of z that was added up over folds whose directions were learned from each other."""

import numpy as np
import pytest
from scipy.stats import norm

from kpnn.interpretation.dependent_folds import p_values


def _drawn(n_folds: int, n_genes: int, n_draws: int) -> np.ndarray:
    """z of neurons that tell nothing, each fold's direction being the sum of the other folds' contrasts."""
    contrasts = np.random.default_rng(1).normal(size=(n_draws, n_folds, n_genes))
    learned = contrasts.sum(axis=1, keepdims=True) - contrasts
    of_folds = (learned * contrasts).sum(axis=2) / np.linalg.norm(learned, axis=2)
    return of_folds.sum(axis=1) / np.sqrt(2 * n_folds)


@pytest.mark.parametrize(("n_folds", "n_genes"), [(2, 1), (2, 5), (2, 40), (3, 12), (5, 1), (5, 3), (5, 12), (10, 20)])
def test_the_level_holds_and_is_nearly_reached(n_folds, n_genes):
    z = _drawn(n_folds, n_genes, 60_000)
    found = p_values(z, n_folds, np.full(len(z), n_genes))
    for level in (0.1, 0.05, 0.01, 0.002):
        error = np.sqrt(level / len(z))
        assert 0.8 * level - 3 * error < np.mean(found < level) < level * 1.02 + 3 * error, level


def test_with_any_number_of_genes_it_is_the_normal_tail():
    z = np.linspace(-3, 8, 50)
    np.testing.assert_array_equal(p_values(z, 5, None), norm.sf(z))
    np.testing.assert_allclose(p_values(z, 5, np.full(50, 10**6)), norm.sf(z))


def test_fewer_genes_leave_less_to_chance():
    z = np.linspace(-2, 12, 200)
    by_genes = np.stack([p_values(z, 5, np.full(200, n_genes)) for n_genes in (1, 2, 3, 10, 100, 10_000)])
    assert (np.diff(by_genes, axis=0) >= 0).all()
    assert (np.diff(by_genes, axis=1) < 0).all()


def test_one_gene_tells_its_sign_and_nothing_else():
    # Whatever the folds: all agree on the sign, or the sum is small. So it is twice the tail of a normal contrast.
    contrast = np.array([1.5, 2.0, 4.0])
    np.testing.assert_allclose(p_values(contrast / np.sqrt(2), 7, np.ones(3)), 2 * norm.sf(contrast))
