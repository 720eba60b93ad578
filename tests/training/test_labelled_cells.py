"""Labelled cells: what a fold may learn from them, and what does not fit together."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from kpnn.errors import CellsError, SettingsError
from kpnn.training.data import LabelledCells


def labelled(values):
    n_cells, n_genes = values.shape
    return LabelledCells(
        csr_matrix(values, dtype=np.float32),
        np.zeros((n_cells, 1), dtype=np.float32),
        np.array([f"c{cell}" for cell in range(n_cells)]),
        tuple(f"G{gene}_gene" for gene in range(n_genes)),
        ("T",),
    )


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_top_genes_are_those_of_highest_variance_in_the_training_cells(seed, n):
    rng = np.random.default_rng(seed)
    values = rng.poisson(rng.gamma(1, 2, 10), (25, 10)).astype(np.float64)
    cells = labelled(values)
    kept = cells.columns_of(cells.top_genes(np.arange(25), n))
    variances = values.var(axis=0)
    assert len(kept) == min(n, 10)
    assert list(kept) == sorted(kept)
    if len(kept) < 10:
        assert variances[kept].min() >= np.delete(variances, kept).max() - 1e-9


def test_top_genes_of_a_fold_do_not_look_at_its_test_cells():
    values = np.random.default_rng(0).poisson(1.0, (40, 6)).astype(float)
    training = np.arange(30)
    kept = labelled(values).top_genes(training, 2)
    values[30:, 5] = 1e6 * np.arange(10)
    assert labelled(values).top_genes(training, 2) == kept


def test_of_genes_of_equal_variance_the_earlier_is_taken():
    assert labelled(np.tile([[0.0], [1.0]], (1, 4))).top_genes(np.arange(2), 2) == ["G0_gene", "G1_gene"]


def test_top_genes_need_cells_and_a_number():
    with pytest.raises(CellsError, match="no training cells"):
        labelled(np.ones((3, 2))).top_genes(np.arange(0), 1)
    with pytest.raises(SettingsError, match="at least 1, found 0"):
        labelled(np.ones((3, 2))).top_genes(np.arange(3), 0)


def test_a_matrix_that_does_not_fit_the_names_is_refused():
    with pytest.raises(CellsError, match=r"shape \(3, 2\) for 3 cells and 1 input nodes"):
        LabelledCells(csr_matrix(np.ones((3, 2))), np.zeros((3, 1)), np.array(["a", "b", "c"]), ("G_gene",), ("T",))
