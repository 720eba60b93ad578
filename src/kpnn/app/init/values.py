"""What the numbers of an expression matrix are: counts, normalized, logarithms, or scaled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from kpnn.cells import Expression
from kpnn.cells.values import Kind, kind_of, most_like_counts

_MOST_CELLS = 200
"""Cells from all over the file that are looked at."""
_EXACT = 100.0
"""Below this a largest value is told with its digits, above it as a whole number."""
_EVEN = 1e-3
"""Sums over genes whose relative spread over cells is below this were made equal."""


@dataclass(frozen=True)
class MatrixValues:
    """What a matrix of a file holds.

    Attributes:
        name: as `values:` of the catalog says it: `X`, `raw` or a layer; empty where a file holds one matrix.
        kind: what its numbers are.
        why: what that was seen by.
        n_genes: its columns.
    """

    name: str
    kind: Kind
    why: str
    n_genes: int

    @property
    def is_usable(self) -> bool:
        """Whether it can be trained on."""
        return self.kind not in ("scaled", "nothing")

    @property
    def parameters(self) -> dict[str, Any]:
        """What data engineering must do to it; nothing where that is the default."""
        if self.kind == "logarithms":
            return {"log1p": False, "library_size": None}
        return {"library_size": None} if self.kind == "normalized" else {}


def look_at_values(handle: Expression, name: str = "") -> MatrixValues:
    """Looks at some cells, spread evenly over the file.

    Args:
        handle: the matrix.
        name: what to call it.
    """
    cells = np.unique(np.linspace(0, handle.n_cells - 1, min(handle.n_cells, _MOST_CELLS)).astype(int))
    columns = np.arange(len(handle.symbols))
    matrix, totals = handle.select(cells, columns)
    kind, why = _told(matrix, totals)
    if handle.is_logged and kind != "scaled":
        kind, why = "logarithms", "the file says that log1p was taken"
    return MatrixValues(name, kind, why, len(columns))


def _told(matrix: sp.csr_matrix, totals: np.ndarray) -> tuple[Kind, str]:
    """What some cells' values are, and what that is seen by; made equal, sums over genes tell more than values."""
    kind, found = kind_of(matrix.data), matrix.data[np.isfinite(matrix.data)]
    if kind == "nothing":
        return kind, "no value in it is above 0"
    if kind == "scaled":
        return kind, f"negative values, such as {found.min():.3g}"
    largest = f"{found.max():,.3g}" if found.max() < _EXACT else f"{found.max():,.0f}"
    is_even, is_whole = _are_even(totals), bool((found == np.rint(found)).all())
    if kind == "counts" and (is_whole or not is_even):
        return kind, f"whole numbers{'' if is_whole else ' among others'}, the largest {largest}"
    if is_even:
        return "normalized", f"every cell sums to {np.median(totals):,.0f}"
    with np.errstate(over="ignore"):
        sums = np.asarray(matrix.astype(np.float64).expm1().sum(axis=1)).ravel()
    if _are_even(sums):
        return "logarithms", f"without the logarithm every cell sums to {np.median(sums):,.0f}"
    return kind, f"no whole numbers, the largest {largest}"


def _are_even(sums: np.ndarray) -> bool:
    filled = sums[np.isfinite(sums) & (sums > 0)]
    return len(filled) > 1 and float(filled.std()) < _EVEN * float(filled.mean())


def best_of(found: list[MatrixValues]) -> MatrixValues | None:
    """The matrix to train on, as `values: auto` takes it; None where none can be used.

    Args:
        found: the matrices of a file.
    """
    by_name = {values.name: values for values in found}
    chosen = by_name[most_like_counts({name: values.kind for name, values in by_name.items()})]
    return chosen if chosen.is_usable else None
