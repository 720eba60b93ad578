"""Cells in the column order of a DAG's inputs: matched by gene name, as sparse rows."""

from __future__ import annotations

import logging
from typing import Any

import keras
import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse import csr_array

from kpnn.errors import ModelError, SettingsError, some_names
from kpnn.nn.engine.kernels import Rows
from kpnn.nn.layer import sparse_dag
from kpnn.pkn import gene_of

_log = logging.getLogger(__name__)


def as_rows(model: keras.Model, cells: Any, missing_genes: str = "error") -> tuple[Rows, pd.Index, tuple[str, ...]]:
    """Brings cells into the form that the kernels read.

    Args:
        model: whose inputs.
        cells: AnnData or DataFrame, whose genes are matched by name; or a dense or sparse matrix, cells x `dag.inputs`
            in that order.
        missing_genes: `error`, or `zeros` to take genes that `cells` lacks as not expressed.

    Returns:
        Cells x input nodes, canonical, of the model's dtype; the cells' names; the genes taken as zeros.

    Raises:
        ModelError: genes are missing or occur twice, the matrix has another number of columns, or a value is not
            finite.
    """
    layer = sparse_dag(model)
    inputs = layer.dag.inputs
    missing: tuple[str, ...] = ()
    if hasattr(cells, "var_names") and hasattr(cells, "obs_names"):
        places, missing = _places(pd.Index(cells.var_names), inputs, layer.gene_suffix, missing_genes)
        rows, names = _columns(cells.X, places, missing), pd.Index(cells.obs_names)
    elif isinstance(cells, pd.DataFrame):
        places, missing = _places(cells.columns, inputs, layer.gene_suffix, missing_genes)
        rows, names = _columns(cells.to_numpy(), places, missing), cells.index
    elif sparse.issparse(cells) or isinstance(cells, np.ndarray):
        if cells.ndim != 2 or cells.shape[1] != len(inputs):
            raise ModelError(
                f"a matrix of shape {cells.shape} does not fit the model's {len(inputs)} inputs; "
                "give cells x dag.inputs in that order, or an AnnData or DataFrame, whose genes are matched by name"
            )
        rows, names = csr_array(cells), pd.RangeIndex(cells.shape[0])
    else:
        raise ModelError(
            f"cells must be an AnnData, a DataFrame, an array or a sparse matrix, not {type(cells).__name__}"
        )
    if missing:
        _log.warning("%d of %d genes are missing and taken as 0: %s", len(missing), len(inputs), some_names(missing))
    return _canonical(rows, np.dtype(layer.variable_dtype), names), names, missing


def _places(
    columns: pd.Index, inputs: tuple[str, ...], suffix: str, missing_genes: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Column of each input node, -1 where there is none; and the names of the genes that are missing."""
    if missing_genes not in ("error", "zeros"):
        raise SettingsError(f"missing_genes must be 'error' or 'zeros', not {missing_genes!r}")
    genes = [gene_of(name, suffix) for name in inputs]
    wanted = columns[columns.isin(genes) | columns.isin(inputs)]
    repeated = wanted[wanted.duplicated()].unique()
    if len(repeated):
        raise ModelError(f"gene {some_names(repeated)} occurs more than once in the cells; merge its columns first")
    unique = columns.where(~columns.duplicated(), None) if columns.has_duplicates else columns
    places = _indexer(unique, genes)
    places = np.where(places < 0, _indexer(unique, inputs), places)
    missing = tuple(gene for gene, place in zip(genes, places, strict=True) if place < 0)
    if missing and missing_genes == "error":
        raise ModelError(
            f"{len(missing)} of the model's {len(genes)} genes are not among the cells' {len(columns)} genes: "
            f"{some_names(missing)}; add them, or ask for missing_genes='zeros'"
        )
    if len(missing) == len(genes):
        raise ModelError(
            f"none of the model's {len(genes)} genes is among the cells' {len(columns)} genes: {some_names(genes)}"
        )
    return places, missing


def _indexer(columns: pd.Index, names: Any) -> np.ndarray:
    lookup = {name: place for place, name in enumerate(columns) if name is not None}
    return np.array([lookup.get(name, -1) for name in names], dtype=np.int64)


def _columns(matrix: Any, places: np.ndarray, missing: tuple[str, ...]) -> csr_array:
    """Columns of `matrix` at `places`, zeros where a place is -1."""
    if hasattr(matrix, "to_memory"):  # the X of an AnnData that is still in its file
        matrix = matrix.to_memory()
    if not missing and matrix.shape[1] == len(places) and np.array_equal(places, np.arange(len(places))):
        return csr_array(matrix)
    rows = csr_array(matrix)
    new = np.full(matrix.shape[1], -1, dtype=np.int64)
    present = places >= 0
    new[places[present]] = np.flatnonzero(present)
    columns = new[rows.indices]
    kept = columns >= 0
    starts = np.concatenate([[0], np.cumsum(kept)])[rows.indptr]
    return csr_array((rows.data[kept], columns[kept], starts), shape=(rows.shape[0], len(places)))


def _canonical(matrix: csr_array, dtype: np.dtype, names: pd.Index) -> Rows:
    """The same cells with sorted genes, each once, int32 columns and finite values, copied only where needed."""
    blocks = range(0, len(matrix.data), 1 << 20)
    if not all(np.isfinite(matrix.data[first : first + (1 << 20)]).all() for first in blocks):
        bad = np.flatnonzero(~np.isfinite(matrix.data))
        cells = np.unique(np.searchsorted(matrix.indptr, bad, side="right") - 1)
        raise ModelError(f"expression of cell {some_names(names[cells])} is not finite; fill or drop such values")
    if not matrix.has_canonical_format:
        matrix = matrix.copy()
        matrix.sum_duplicates()
    return Rows(
        np.ascontiguousarray(matrix.data, dtype=dtype),
        np.ascontiguousarray(matrix.indices, dtype=np.int32),
        np.ascontiguousarray(matrix.indptr, dtype=np.int64),
    )
