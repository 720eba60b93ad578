"""Control inputs: every gene tells the classes apart equally well, so what node weights differ in is structure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from kpnn.cells.transforms import Transform
from kpnn.errors import SettingsError

if TYPE_CHECKING:
    from anndata import AnnData


def control_counts(
    counts: sp.csr_matrix,
    classes: np.ndarray,
    seed: int,
    *,
    fold_change: float = 2.0,
    flat_profile: bool = False,
    block: int = 512,
) -> tuple[sp.csr_matrix, np.ndarray]:
    """Redraws counts so that every gene differs between the classes by the same factor (Fortelny & Bock 2020).

    A gene's share of a cell's counts is that of all cells together (the pooled profile), times the square root of its
    fold change in class 1 and divided by it in class 0; half of the genes, drawn at random, have the fold change, the
    others its inverse, so that neither class has more counts. A count is binomial: as many trials as the cell has
    counts.

    Args:
        counts: cells x genes, whole numbers.
        classes: 0 or 1, shape (cells,).
        seed: everything is drawn from it.
        fold_change: between the classes, > 1.
        flat_profile: whether every gene has the same share, so that rare genes tell as much as common ones.
        block: cells drawn at once; bounds the memory.

    Returns:
        New counts, float32 CSR; and each gene's fold change of class 1 over class 0, shape (genes,).

    Raises:
        SettingsError: the fold change is not above 1, or a count is not whole.
    """
    if not fold_change > 1:
        raise SettingsError(f"fold_change must be above 1, found {fold_change}")
    if counts.nnz and (counts.data != np.round(counts.data)).any():
        raise SettingsError("control inputs are redrawn from counts, but the cells hold fractions")
    rng = np.random.default_rng(seed)
    n_cells, n_genes = counts.shape
    trials = np.asarray(counts.sum(axis=1)).ravel().astype(np.int64)
    pooled = np.asarray(counts.sum(axis=0)).ravel()
    share = np.full(n_genes, 1 / n_genes) if flat_profile else pooled / max(1.0, pooled.sum())
    fold_changes = rng.permutation(np.where(np.arange(n_genes) % 2 == 0, fold_change, 1 / fold_change))
    by_class = np.minimum(1.0, np.stack([share / np.sqrt(fold_changes), share * np.sqrt(fold_changes)]))
    parts = []
    for start in range(0, n_cells, block):
        part = slice(start, start + block)
        drawn = rng.binomial(trials[part, None], by_class[classes[part]])
        parts.append(sp.csr_matrix(drawn.astype(np.float32)))
    return sp.vstack(parts, format="csr"), fold_changes


def control_inputs(
    cells: AnnData, output: str, seed: int, *, fold_change: float = 2.0, flat_profile: bool = False
) -> AnnData:
    """Matched cells with control inputs in the place of their expression.

    Args:
        cells: as `data_engineering` leaves them: `layers["counts"]`, `uns["transform"]`, one `obs` column per output.
        output: the output whose classes the genes tell apart.
        seed: everything is drawn from it.
        fold_change: between the classes, > 1.
        flat_profile: whether every gene has the same share of the counts.

    Returns:
        A copy with new `X` and `layers["counts"]`; `var["fold_change"]` says which way each gene goes.
    """
    transform = Transform.from_dict(cells.uns["transform"])
    counts, fold_changes = control_counts(
        sp.csr_matrix(cells.layers["counts"]),
        cells.obs[output].to_numpy().astype(int),
        seed,
        fold_change=fold_change,
        flat_profile=flat_profile,
    )
    control = cells.copy()
    control.layers["counts"] = counts
    control.X = transform.apply(counts, np.asarray(counts.sum(axis=1)).ravel())
    control.var["fold_change"] = fold_changes
    return control
