"""Expression that is in memory already: an AnnData object."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from kpnn.cells.expression import Expression, GeneNames
from kpnn.cells.values import choice_in_words, kind_of, most_like_counts
from kpnn.errors import NoMatrixError, some_names

if TYPE_CHECKING:
    from anndata import AnnData

_log = logging.getLogger(__name__)


class InMemory(Expression):
    """An AnnData as an expression handle.

    Args:
        adata: cells x genes.
        values: where the expression is: `X`, `raw`, the name of a layer, or `auto`: whichever holds counts, else what
            was normalized, else logarithms.
        source: what to call it in errors.
        gene_names: name genes by `symbol` (the index of `var`) or by `id` (its column `gene_ids`).

    Examples:
        >>> from anndata import AnnData
        >>> counts = np.array([[3.0, 0.0], [1.0, 5.0]])
        >>> genes = pd.DataFrame(index=["CD69", "IL2"])
        >>> cells = AnnData(np.log1p(counts), pd.DataFrame(index=["c1", "c2"]), genes, layers={"umi": counts})
        >>> InMemory(cells, values="auto").read(genes=["IL2"]).to_df()  # takes `umi`, which holds counts
            IL2
        c1  0.0
        c2  5.0
    """

    def __init__(self, adata: AnnData, *, values: str = "X", source: str = "AnnData", gene_names: GeneNames = "symbol"):
        super().__init__(source, gene_names)
        self._obs, self._obsm = adata.obs, adata.obsm
        there = [*(["X"] if adata.X is not None else []), *(["raw"] if adata.raw is not None else []), *adata.layers]
        if values == "auto":
            kinds = {name: kind_of(_stored(values_of(adata, name, source)[0])) for name in there}
            values = most_like_counts(kinds)
            _log.info("%s: %s", source, choice_in_words(kinds, values))
        matrix, var = values_of(adata, values, source)
        self._matrix = sp.csr_matrix(matrix).astype(np.float32)
        self._barcodes, self._symbols = adata.obs.index, var.index
        if "gene_ids" in var:
            ids = var["gene_ids"].astype(object)
            self._ids = pd.Index(ids.where(ids.notna(), ""))
        self._is_logged = values == "X" and "log1p" in adata.uns
        self._others = tuple(name for name in there if name != values)

    @property
    def cell_columns(self) -> tuple[str, ...]:
        """The columns of `obs`."""
        return tuple(str(name) for name in self._obs)

    def cell_column(self, name: str) -> pd.Index:
        """A column of `obs` as text; see `Expression.cell_column`."""
        if name not in self._obs:
            return super().cell_column(name)
        column = self._obs[name].astype(object)
        return pd.Index([str(value) for value in column.where(column.notna(), "")], dtype=object)

    @property
    def embeddings(self) -> tuple[str, ...]:
        """The names in `obsm`."""
        return tuple(self._obsm)

    def embedding(self, name: str) -> np.ndarray:
        """An array or table of `obsm`; see `Expression.embedding`."""
        if name not in self._obsm:
            return super().embedding(name)
        return self._first_two(name, np.asarray(self._obsm[name]))

    @property
    def is_logged(self) -> bool:
        """Whether `uns` says so, as scanpy's `log1p` leaves it."""
        return self._is_logged

    @property
    def other_values(self) -> tuple[str, ...]:
        """What else `values` could be: `X`, `raw` and layers."""
        return self._others

    def select(self, cells: np.ndarray, columns: np.ndarray) -> tuple[sp.csr_matrix, np.ndarray]:
        """Takes some cells and columns."""
        rows = self._matrix[cells]
        rows.data = self.repair(rows.data)
        return rows[:, columns], np.asarray(rows.sum(axis=1, dtype=np.float64)).ravel()


def _stored(matrix: Any) -> np.ndarray:
    return matrix.data if sp.issparse(matrix) else np.asarray(matrix)


def values_of(adata: AnnData, values: str, source: str) -> tuple[Any, pd.DataFrame]:
    """The matrix and the gene table that `X`, `raw` or a layer's name stands for.

    Raises:
        CellsError: there is none of that name.
    """
    if values == "X":
        if adata.X is None:
            raise NoMatrixError(f"{source}: has no X (layers: {some_names(adata.layers) or 'none'})")
        return adata.X, adata.var
    if values == "raw":
        if adata.raw is None:
            raise NoMatrixError(f"{source}: has no raw")
        return adata.raw.X, adata.raw.var
    if values not in adata.layers:
        raise NoMatrixError(f"{source}: no layer {values} (found: {some_names(adata.layers) or 'none'})")
    return adata.layers[values], adata.var
