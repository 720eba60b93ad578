"""Control inputs: every gene tells the classes apart equally well, so what node weights differ in is structure."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from kpnn.cells.transforms import Transform
from kpnn.errors import SettingsError

if TYPE_CHECKING:
    from anndata import AnnData

_CELLS_AT_ONCE = 4096


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
    others its inverse, so that neither class has more counts. With several outputs each has fold changes of its own,
    and a cell's share is multiplied by all of them. A count is binomial: as many trials as the cell has counts.

    Args:
        counts: cells x genes, whole numbers.
        classes: 0 or 1, shape (cells,), or (cells, outputs).
        seed: everything is drawn from it.
        fold_change: between the classes, > 1.
        flat_profile: whether every gene has the same share, so that rare genes tell as much as common ones.
        block: cells drawn at once; bounds the memory.

    Returns:
        New counts, float32 CSR; and each gene's fold change of class 1 over class 0, shape (genes,), or
        (genes, outputs).

    Raises:
        SettingsError: the fold change is not above 1, or a count is negative or not whole.
    """
    if not fold_change > 1:
        raise SettingsError(f"fold_change must be above 1, found {fold_change}")
    if counts.nnz and (counts.data != np.round(counts.data)).any():
        raise SettingsError("control inputs are redrawn from counts, but the cells hold fractions")
    if counts.nnz and counts.data.min() < 0:
        raise SettingsError(f"control inputs are redrawn from counts, but the cells hold {counts.data.min():g}")
    rng = np.random.default_rng(seed)
    n_cells, n_genes = counts.shape
    trials = np.asarray(counts.sum(axis=1, dtype=np.float64)).ravel().astype(np.int64)
    pooled = np.asarray(counts.sum(axis=0, dtype=np.float64)).ravel()
    share = np.full(n_genes, 1 / n_genes) if flat_profile else pooled / max(1.0, pooled.sum())
    combinations, which = np.unique(classes.reshape(n_cells, -1), axis=0, return_inverse=True)
    which = which.reshape(-1)
    half_up = np.where(np.arange(n_genes) % 2 == 0, fold_change, 1 / fold_change)
    fold_changes = np.column_stack([rng.permutation(half_up) for _ in range(combinations.shape[1])])
    factors = np.exp((combinations - 0.5) @ np.log(fold_changes).T)  # sqrt of each output's fold change, up or down
    probabilities = np.minimum(1.0, share * factors)
    parts: dict[str, list[np.ndarray]] = {"data": [], "indices": [], "lengths": []}
    for start in range(0, n_cells, block):
        part = slice(start, start + block)
        drawn = sp.csr_matrix(rng.binomial(trials[part, None], probabilities[which[part]]).astype(np.float32))
        for name, values in (("data", drawn.data), ("indices", drawn.indices), ("lengths", np.diff(drawn.indptr))):
            parts[name].append(values)
    # Joined one by one, each part given up at once: there may be several times as many entries as cells came with.
    joined = {name: np.concatenate(parts.pop(name)) for name in ("data", "indices", "lengths")}
    ends = np.concatenate([[0], np.cumsum(joined["lengths"], dtype=np.int64)])
    return sp.csr_matrix((joined["data"], joined["indices"], ends), shape=counts.shape), fold_changes.reshape(
        n_genes, *classes.shape[1:]
    )


def control_inputs(
    cells: AnnData, outputs: str | Sequence[str], seed: int, *, fold_change: float = 2.0, flat_profile: bool = False
) -> AnnData:
    """Matched cells with control inputs in the place of their expression.

    Where cells were normalized before (`layers["counts"]` holds fractions), the smallest value of a typical cell
    stands for one count: it is what its count of one became.

    Args:
        cells: as `data_engineering` leaves them: `layers["counts"]`, `uns["transform"]`, one `obs` column per output.
        outputs: the output, or outputs, whose classes the genes tell apart.
        seed: everything is drawn from it.
        fold_change: between the classes, > 1.
        flat_profile: whether every gene has the same share of the counts.

    Returns:
        A copy with new `X` and `layers["counts"]`; `var["fold_change"]` says which way each gene goes (with several
        outputs `var["fold_change_<output>"]`).

    Raises:
        SettingsError: the fold change is not above 1, or a value is negative.
    """
    from anndata import AnnData

    names = [outputs] if isinstance(outputs, str) else list(outputs)
    measured = sp.csr_matrix(cells.layers["counts"])
    one_count = _one_count(measured)
    counts, fold_changes = control_counts(
        measured if one_count == 1 else _in_counts(measured, one_count),
        cells.obs[names].to_numpy().astype(int),
        seed,
        fold_change=fold_change,
        flat_profile=flat_profile,
    )
    counts = counts * np.float32(one_count)
    transform = Transform.from_dict(cells.uns["transform"])
    drawn = transform.apply(counts, _totals_over_all_genes(cells, counts, transform))
    # Not a copy of all of it: that would hold the cells' own expression and counts a second time.
    control = AnnData(drawn, cells.obs.copy(), cells.var.copy(), uns=deepcopy(dict(cells.uns)), obsm=dict(cells.obsm))
    control.layers["counts"] = counts
    for name, of_output in zip(names, fold_changes.T, strict=True):
        control.var["fold_change" if len(names) == 1 else f"fold_change_{name}"] = of_output
    return control


def _totals_over_all_genes(cells: AnnData, drawn: sp.csr_matrix, transform: Transform) -> np.ndarray:
    """What each control cell's counts would add up to over all genes of the file, of which the cells hold a part.

    The part that the drawn genes are of all counts is taken to be that of the measured ones.
    """
    of_drawn = np.asarray(drawn.sum(axis=1)).ravel()
    if transform.library_size is None:
        return of_drawn
    sums = [
        np.asarray((part.expm1() if transform.log1p else part).sum(axis=1)).ravel()
        for start in range(0, len(of_drawn), _CELLS_AT_ONCE)
        for part in [cells.X[start : start + _CELLS_AT_ONCE]]
    ]
    share = np.concatenate(sums) / transform.library_size
    return np.divide(of_drawn, share, out=np.zeros(len(of_drawn)), where=share > 0)


def _one_count(measured: sp.csr_matrix) -> float:
    """The value that one count has: 1, or in normalized cells the median over cells of the smallest positive value."""
    if not measured.nnz or (measured.data == np.round(measured.data)).all():
        return 1.0
    filled = np.flatnonzero(np.diff(measured.indptr))
    smallest = np.minimum.reduceat(np.where(measured.data > 0, measured.data, np.inf), measured.indptr[filled])
    return float(np.median(smallest[np.isfinite(smallest)]))


def _in_counts(measured: sp.csr_matrix, one_count: float) -> sp.csr_matrix:
    """Values in counts, whole numbers; what is there stays there."""
    counts = measured.copy()
    counts.data = np.sign(counts.data) * np.maximum(1.0, np.round(np.abs(counts.data) / one_count))
    return counts
