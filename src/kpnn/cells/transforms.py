"""From counts to network inputs: each cell by itself, so nothing leaks from one cell to another."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from kpnn.errors import SettingsError

_log = logging.getLogger(__name__)

LibrarySize = float | str | None
"""A sum to scale each cell's counts to; `median`: that of the study's own cells; None: counts are not scaled."""


@dataclass(frozen=True)
class Transform:
    """What is done to counts, in this order, cell by cell.

    Attributes:
        library_size: counts are scaled so that each cell's sum over all genes of the file is this; None: not scaled.
        log1p: whether the natural logarithm of 1 + value is taken.

    Examples:
        >>> transform = Transform(library_size=100.0, log1p=False)
        >>> counts = sp.csr_matrix(np.array([[3, 0, 2], [1, 5, 4]]))
        >>> transform.apply(counts, totals=np.array([10, 20])).toarray()
        array([[30.,  0., 20.],
               [ 5., 25., 20.]], dtype=float32)
        >>> transform.as_dict()
        {'library_size': 100.0, 'log1p': False}
    """

    library_size: float | None = None
    log1p: bool = True

    def __post_init__(self) -> None:
        if self.library_size is not None and not (np.isfinite(self.library_size) and self.library_size > 0):
            raise SettingsError(f"library_size must be a finite number above 0, or empty; found {self.library_size}")

    def as_dict(self) -> dict[str, float | bool]:
        """The fields as `AnnData.uns` keeps them; a library size of 0 means none."""
        return {"library_size": float(self.library_size or 0.0), "log1p": self.log1p}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Transform:
        """The inverse of `as_dict`.

        Args:
            fields: what `as_dict` gave.
        """
        return cls(float(fields["library_size"]) or None, bool(fields["log1p"]))

    def apply(self, counts: sp.csr_matrix, totals: np.ndarray) -> sp.csr_matrix:
        """Transforms counts.

        Args:
            counts: cells x genes.
            totals: each cell's sum over all genes of the file, shape (cells,).

        Returns:
            cells x genes, float32 CSR; shares the arrays of its structure with `counts`, not the values.
        """
        data = counts.data.astype(np.float32)
        if self.library_size is not None:
            with np.errstate(divide="ignore"):
                factor = np.where(totals > 0, self.library_size / totals, 0.0)
            data *= np.repeat(factor, np.diff(counts.indptr)).astype(np.float32)
        if self.log1p:
            np.log1p(data, out=data)
        return sp.csr_matrix((data, counts.indices, counts.indptr), shape=counts.shape)


def settled_library_size(asked: LibrarySize, totals: np.ndarray, *, has_counts: bool, source: str) -> float | None:
    """Turns what was asked for into the number that cells are scaled to.

    Args:
        asked: a number, `median` or None.
        totals: each labelled cell's sum over all genes of the file, shape (cells,).
        has_counts: whether the values are counts; others were normalized before, and `median` leaves them alone.
        source: the file, for what is said.

    Returns:
        The sum, or None where cells are not scaled.

    Raises:
        SettingsError: a text other than `median`.

    Examples:
        >>> totals = np.array([800.0, 1000.0, 5000.0])
        >>> settled_library_size("median", totals, has_counts=True, source="cells.h5ad")
        1000.0
        >>> settled_library_size(1e4, totals, has_counts=True, source="cells.h5ad")
        10000.0
        >>> settled_library_size("median", totals, has_counts=False, source="normalized.h5ad") is None
        True
    """
    if not isinstance(asked, str):
        return asked
    if asked != "median":
        raise SettingsError(f"library_size must be a number, median or empty; found {asked!r}")
    if not has_counts:
        _log.info(
            "%s: the values are normalized already, not counts; library_size: median does not scale them again",
            source,
        )
        return None
    filled = totals[totals > 0]
    return float(np.median(filled)) if len(filled) else None
