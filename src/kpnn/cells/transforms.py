"""From counts to network inputs: each cell by itself, so nothing leaks from one cell to another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from kpnn.errors import SettingsError


@dataclass(frozen=True)
class Transform:
    """What is done to counts, in this order, cell by cell.

    Attributes:
        library_size: counts are scaled so that each cell's sum over all genes of the file is this; None: not scaled.
        log1p: whether the natural logarithm of 1 + value is taken.
    """

    library_size: float | None = None
    log1p: bool = True

    def __post_init__(self) -> None:
        if self.library_size is not None and not (np.isfinite(self.library_size) and self.library_size > 0):
            raise SettingsError(f"library_size must be a finite number above 0, or empty; found {self.library_size}")

    def as_dict(self) -> dict[str, float | bool]:
        """The fields as `AnnData.uns` keeps them; a library size of 0 stands for none."""
        return {"library_size": float(self.library_size or 0.0), "log1p": self.log1p}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Transform:
        """The inverse of `as_dict`."""
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
