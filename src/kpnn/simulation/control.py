"""Control inputs: every gene tells the classes apart equally well, so what node weights differ in is structure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import scipy.sparse as sp

from kpnn.cells.formats.anndata_writing import GrowingCsr, begin_anndata
from kpnn.cells.transforms import Transform
from kpnn.errors import SettingsError
from kpnn.stopping import stop_if_asked

if TYPE_CHECKING:
    from anndata import AnnData

_CELLS_AT_ONCE = 4096
"""Cells whose expression is turned back into counts at once."""
_BLOCK = 512
"""Cells drawn at once, with a value for every gene in memory."""
_FOLD_CHANGE = 2.0
"""Fortelny & Bock's."""


@dataclass(frozen=True, eq=False)
class _Draw:
    """What control counts are drawn from.

    Attributes:
        trials: of each cell, shape (cells,).
        chances: of each gene in each combination of classes that occurs, shape (combinations, genes).
        which: the combination of each cell, shape (cells,).
        fold_changes: of class 1 over class 0, shape (genes, outputs).
        rng: draws them.
    """

    trials: np.ndarray
    chances: np.ndarray
    which: np.ndarray
    fold_changes: np.ndarray
    rng: np.random.Generator

    @classmethod
    def of(cls, counts: sp.csr_matrix, classes: np.ndarray, seed: int, fold_change: float, flat_profile: bool) -> _Draw:
        """See `control_counts`."""
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
        return cls(trials, np.minimum(1.0, share * factors), which, fold_changes, rng)

    def blocks(self) -> Iterator[sp.csr_matrix]:
        """Counts of all cells in their order, some at a time; once only. Of large studies all of them take minutes."""
        for start in range(0, len(self.trials), _BLOCK):
            stop_if_asked()
            part = slice(start, start + _BLOCK)
            drawn = self.rng.binomial(self.trials[part, None], self.chances[self.which[part]])
            yield sp.csr_matrix(drawn.astype(np.float32))


def control_counts(
    counts: sp.csr_matrix,
    classes: np.ndarray,
    seed: int,
    *,
    fold_change: float = _FOLD_CHANGE,
    flat_profile: bool = False,
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

    Returns:
        New counts, float32 CSR; and each gene's fold change of class 1 over class 0, shape (genes,), or
        (genes, outputs).

    Raises:
        SettingsError: the fold change is not above 1, or a count is negative or not whole.

    Examples:
        >>> import numpy as np
        >>> import scipy.sparse as sp
        >>> counts = sp.csr_matrix(np.full((400, 4), 50.0))
        >>> classes = np.arange(400) % 2
        >>> drawn, fold_changes = control_counts(counts, classes, seed=1)
        >>> sorted(fold_changes.tolist())
        [0.5, 0.5, 2.0, 2.0]
        >>> ratio = drawn[classes == 1].mean(axis=0) / drawn[classes == 0].mean(axis=0)
        >>> np.allclose(ratio, fold_changes, rtol=0.1)
        True
    """
    draw = _Draw.of(counts, classes, seed, fold_change, flat_profile)
    parts: dict[str, list[np.ndarray]] = {"data": [], "indices": [], "lengths": []}
    for drawn in draw.blocks():
        for name, values in (("data", drawn.data), ("indices", drawn.indices), ("lengths", np.diff(drawn.indptr))):
            parts[name].append(values)
    # Joined one by one, each part given up at once: there may be several times as many entries as cells came with.
    joined = {name: np.concatenate(parts.pop(name)) for name in ("data", "indices", "lengths")}
    ends = np.concatenate([[0], np.cumsum(joined["lengths"], dtype=np.int64)])
    return sp.csr_matrix((joined["data"], joined["indices"], ends), shape=counts.shape), draw.fold_changes.reshape(
        counts.shape[1], *classes.shape[1:]
    )


def control_inputs(
    cells: AnnData,
    outputs: str | Sequence[str],
    seed: int,
    *,
    fold_change: float = _FOLD_CHANGE,
    flat_profile: bool = False,
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

    Examples:
        >>> import numpy as np
        >>> import pandas as pd
        >>> import scipy.sparse as sp
        >>> from anndata import AnnData
        >>> from kpnn.cells import Transform
        >>> obs = pd.DataFrame({"TCR": [0, 1] * 10}, index=[f"c{i}" for i in range(20)])
        >>> counts = sp.csr_matrix(np.tile([[3.0, 0.0, 5.0, 2.0]], (20, 1)))
        >>> cells = AnnData(counts.log1p(), obs, uns={"transform": Transform().as_dict()}, layers={"counts": counts})
        >>> control = control_inputs(cells, "TCR", seed=1)
        >>> control.shape, sorted(control.var["fold_change"])
        ((20, 4), [0.5, 0.5, 2.0, 2.0])
    """
    from anndata import AnnData

    names = [outputs] if isinstance(outputs, str) else list(outputs)
    measured, one_count = _counts_of(cells)
    counts, fold_changes = control_counts(
        measured,
        cells.obs[names].to_numpy().astype(int),
        seed,
        fold_change=fold_change,
        flat_profile=flat_profile,
    )
    if one_count != 1:
        counts.data *= np.float32(one_count)
    transform = Transform.from_dict(cells.uns["transform"])
    drawn = transform.apply(counts, _totals_over_all_genes(cells.X, counts, transform))
    # Not a copy of all of it: that would hold the cells' own expression and counts a second time.
    control = AnnData(drawn, cells.obs.copy(), cells.var.copy(), uns=deepcopy(dict(cells.uns)), obsm=dict(cells.obsm))
    control.layers["counts"] = counts
    for name, of_output in zip(names, fold_changes.T, strict=True):
        control.var["fold_change" if len(names) == 1 else f"fold_change_{name}"] = of_output
    return control


def write_control_inputs(
    cells: AnnData, outputs: Sequence[str], seed: int, path: str | Path, *, flat_profile: bool = False
) -> None:
    """Writes the expression that `control_inputs` draws to an `.h5ad`; never more than a block of it is in memory.

    Args:
        cells: as `control_inputs` takes them.
        outputs: whose classes the genes tell apart.
        seed: everything is drawn from it.
        path: of the file; its `X` has the cells and genes of `cells` in their order.
        flat_profile: whether every gene has the same share of the counts.

    Raises:
        SettingsError: a value is negative.

    Examples:
        >>> import tempfile
        >>> import numpy as np
        >>> import pandas as pd
        >>> import scipy.sparse as sp
        >>> from anndata import AnnData, read_h5ad
        >>> from kpnn.cells import Transform
        >>> obs = pd.DataFrame({"TCR": [0, 1] * 10}, index=[f"c{i}" for i in range(20)])
        >>> counts = sp.csr_matrix(np.tile([[3.0, 0.0, 5.0, 2.0]], (20, 1)))
        >>> cells = AnnData(counts.log1p(), obs, uns={"transform": Transform().as_dict()}, layers={"counts": counts})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_control_inputs(cells, ["TCR"], 1, f"{folder}/control.h5ad")
        ...     written = read_h5ad(f"{folder}/control.h5ad")
        >>> np.allclose(written.X.toarray(), control_inputs(cells, "TCR", seed=1).X.toarray())
        True
    """
    import h5py

    measured, one_count = _counts_of(cells)
    draw = _Draw.of(measured, cells.obs[list(outputs)].to_numpy().astype(int), seed, _FOLD_CHANGE, flat_profile)
    transform, at = Transform.from_dict(cells.uns["transform"]), 0
    with h5py.File(path, "w") as file:
        begin_anndata(file, pd.DataFrame(index=cells.obs_names), pd.DataFrame(index=cells.var_names))
        matrix = GrowingCsr(file, "X", cells.shape)
        for block in draw.blocks():
            counts = block * np.float32(one_count)
            expression = cells.X[at : at + counts.shape[0]]
            matrix.append(transform.apply(counts, _totals_over_all_genes(expression, counts, transform)))
            at += counts.shape[0]
        matrix.close()


def most_control_entries(cells: AnnData) -> int:
    """How many values other than 0 control inputs may have: no more than counts, nor than genes, of each cell.

    Args:
        cells: as `control_inputs` takes them.

    Returns:
        The sum over cells.

    Examples:
        >>> import scipy.sparse as sp
        >>> from anndata import AnnData
        >>> counts = sp.csr_matrix([[1.0, 1.0, 0.0, 0.0], [9.0, 0.0, 0.0, 0.0]])
        >>> cells = AnnData(counts, layers={"counts": counts})
        >>> most_control_entries(cells)  # 2 of the cell of two counts, 4 of the cell of nine
        6
    """
    measured, _ = _counts_of(cells)
    return int(np.minimum(np.asarray(measured.sum(axis=1, dtype=np.float64)), measured.shape[1]).sum())


def _counts_of(cells: AnnData) -> tuple[sp.csr_matrix, float]:
    """Counts, whole numbers, and the value that one of them has in the cells."""
    measured = sp.csr_matrix(cells.layers["counts"])
    one_count = _one_count(measured)
    return (measured if one_count == 1 else _in_counts(measured, one_count)), one_count


def _totals_over_all_genes(expression: sp.csr_matrix, drawn: sp.csr_matrix, transform: Transform) -> np.ndarray:
    """What each control cell's counts would add up to over all genes of the file, of which the cells hold a part.

    The part that the drawn genes are of all counts is taken to be that of the measured ones.

    Args:
        expression: of the cells, as it was measured and transformed.
        drawn: control counts of the same cells.
        transform: that was done.
    """
    of_drawn = np.asarray(drawn.sum(axis=1)).ravel()
    if transform.library_size is None:
        return of_drawn
    sums = [
        np.asarray((part.expm1() if transform.log1p else part).sum(axis=1)).ravel()
        for start in range(0, len(of_drawn), _CELLS_AT_ONCE)
        for part in [expression[start : start + _CELLS_AT_ONCE]]
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
