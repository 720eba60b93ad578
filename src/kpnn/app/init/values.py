"""What the numbers of an expression matrix are: counts, normalized, logarithms, or scaled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from kpnn.cells import Expression
from kpnn.cells.matched import LARGEST_LOGARITHM

Kind = Literal["counts", "normalized", "logarithms", "scaled", "empty"]

_MOST_CELLS = 200
_EVEN = 1e-3
"""Sums over genes whose relative spread over cells is below this were made equal."""
BEST_FIRST: tuple[Kind, ...] = ("counts", "logarithms", "normalized")
"""What a network is best trained on; scaled values are of no use."""


@dataclass(frozen=True)
class Values:
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
        return self.kind in BEST_FIRST

    @property
    def parameters(self) -> dict[str, Any]:
        """What data engineering must do to it; nothing where that is the default."""
        if self.kind == "logarithms":
            return {"log1p": False, "library_size": None}
        return {"library_size": None} if self.kind == "normalized" else {}


def look_at_values(handle: Expression, name: str = "") -> Values:
    """Looks at some cells, spread evenly over the file.

    Args:
        handle: the matrix.
        name: what to call it.
    """
    cells = np.unique(np.linspace(0, handle.n_cells - 1, min(handle.n_cells, _MOST_CELLS)).astype(int))
    columns = np.arange(len(handle.symbols))
    matrix, totals = handle.select(cells, columns)
    kind, why = _kind_of(matrix.data, totals)
    if kind in ("normalized", "logarithms"):
        logarithms = matrix.copy()
        with np.errstate(over="ignore"):
            logarithms.data = np.expm1(logarithms.data.astype(np.float64))
        sums = np.asarray(logarithms.sum(axis=1)).ravel()
        if handle.is_logged:
            kind, why = "logarithms", "the file says that log1p was taken"
        elif _are_even(sums):
            kind, why = "logarithms", f"without the logarithm every cell sums to {np.median(sums):,.0f}"
    return Values(name, kind, why, len(columns))


def _kind_of(values: np.ndarray, totals: np.ndarray) -> tuple[Kind, str]:
    found = values[np.isfinite(values)]
    if not found.any():
        return "empty", "no value in it is above 0"
    largest = float(found.max())
    if (found < 0).any():
        return "scaled", f"negative values, such as {found.min():.3g}"
    if (found == np.rint(found)).all():
        return "counts", f"whole numbers, the largest {largest:,.0f}"
    if _are_even(totals):
        return "normalized", f"every cell sums to {np.median(totals):,.0f}"
    if largest < LARGEST_LOGARITHM:
        return "logarithms", f"no whole numbers, and none above {largest:.3g}"
    return "normalized", f"no whole numbers, the largest {largest:,.0f}"


def _are_even(sums: np.ndarray) -> bool:
    filled = sums[np.isfinite(sums) & (sums > 0)]
    return len(filled) > 1 and float(filled.std()) < _EVEN * float(filled.mean())


def best_of(found: list[Values]) -> Values | None:
    """The matrix to train on: counts before logarithms before other normalized values; the first of a kind.

    Args:
        found: the matrices of a file.
    """
    usable = [values for values in found if values.is_usable]
    return min(usable, key=lambda values: BEST_FIRST.index(values.kind), default=None)
