"""Genes chosen by what they are like in the training cells, and in those alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from kpnn.errors import CellsError, SettingsError


@dataclass(frozen=True)
class TopGenes:
    """The genes of highest variance; learnt from training cells, so it must be fitted inside each fold.

    Attributes:
        n: how many genes are kept; at least 1. If there are no more, all are.

    Example:
        ```python
        kept = TopGenes(2000).fit(X[training_rows])
        X_train, X_test = keep_genes(X[training_rows], kept), keep_genes(X[test_rows], kept)
        ```
    """

    n: int

    def __post_init__(self) -> None:
        if self.n < 1:
            raise SettingsError(f"top genes: n must be at least 1, found {self.n}")

    def fit(self, training: sp.spmatrix | np.ndarray) -> np.ndarray:
        """Finds the genes.

        Args:
            training: expression of the training cells, cells x genes.

        Returns:
            Positions of the kept genes, ascending, int64; of equal variances the earlier gene is kept.
        """
        if training.shape[0] == 0:
            raise CellsError("top genes: no training cells")
        return self.of_variances(_variances(training))

    def of_variances(self, variances: np.ndarray) -> np.ndarray:
        """As `fit`, from variances that are known already, such as `CellStream.moments()[1]`."""
        order = np.argsort(-np.asarray(variances, dtype=np.float64), kind="stable")
        return np.sort(order[: self.n])


def keep_genes(expression: sp.spmatrix, kept: np.ndarray) -> sp.csr_matrix:
    """Sets all other genes to zero, so that a network keeps its inputs.

    Args:
        expression: cells x genes.
        kept: positions of the genes to keep.

    Returns:
        Same shape, CSR.
    """
    matrix = sp.csr_matrix(expression)
    is_kept = np.zeros(matrix.shape[1], dtype=bool)
    is_kept[kept] = True
    inside = is_kept[matrix.indices]
    indptr = np.concatenate([[0], np.cumsum(inside)])[matrix.indptr]
    return sp.csr_matrix((matrix.data[inside], matrix.indices[inside], indptr), shape=matrix.shape)


def _variances(expression: sp.spmatrix | np.ndarray) -> np.ndarray:
    """Variance of each gene (divisor: number of cells), in two passes: shift-safe."""
    matrix = sp.csr_matrix(expression)
    n_cells, n_genes = matrix.shape
    means = np.bincount(matrix.indices, weights=matrix.data, minlength=n_genes) / n_cells
    squares = (matrix.data - means[matrix.indices]) ** 2
    deviations = np.bincount(matrix.indices, weights=squares, minlength=n_genes)
    stored = np.bincount(matrix.indices, minlength=n_genes)
    return (deviations + (n_cells - stored) * means**2) / n_cells
