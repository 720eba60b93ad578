"""Columns with the same gene name become one column."""

from __future__ import annotations

from typing import Literal

import numpy as np
import scipy.sparse as sp

Join = Literal["max", "sum"]


def join_columns(values: sp.csr_matrix, target: np.ndarray, n_columns: int, join: Join = "max") -> sp.csr_matrix:
    """Moves each column to its target; columns with the same target are joined cell by cell.

    Args:
        values: cells x columns, non-negative; its arrays may be reused.
        target: where each column goes, shape (columns,).
        n_columns: width of the result.
        join: `max` or `sum`.

    Returns:
        cells x n_columns, CSR with sorted indices, without repeated entries or explicit zeros.
    """
    if not values.has_canonical_format:
        values.sum_duplicates()
    shape = (values.shape[0], n_columns)
    target = np.asarray(target, dtype=values.indices.dtype)
    columns = target[values.indices]
    joined = sp.csr_matrix((values.data, columns, values.indptr), shape=shape)
    several = np.bincount(target, minlength=max(n_columns, 1)) > 1
    if join == "max" and several.any() and (is_repeated := several[columns]).any():
        rows = np.repeat(np.arange(shape[0], dtype=np.int64), np.diff(values.indptr))
        highest = _highest(rows[is_repeated] * n_columns + columns[is_repeated], values.data[is_repeated], shape)
        joined.data = np.where(is_repeated, 0, values.data)
        joined = _sorted(joined)
        joined.sum_duplicates()
        joined.eliminate_zeros()
        return joined + highest
    joined = _sorted(joined)
    joined.sum_duplicates()
    joined.eliminate_zeros()
    return joined


def stacked(blocks: list[sp.csr_matrix]) -> sp.csr_matrix:
    """Blocks of cells, one below the other; empties the list, so that memory holds little more than one copy."""
    if len(blocks) == 1:
        return blocks.pop()
    width = blocks[0].shape[1]
    lengths = np.concatenate([[0], *(np.diff(block.indptr) for block in blocks)])
    data, indices = [block.data for block in blocks], [block.indices for block in blocks]
    blocks.clear()
    indptr = np.cumsum(lengths)
    small = np.int32 if indptr[-1] < 2**31 else np.int64
    values = np.concatenate(data)
    data.clear()
    columns = np.concatenate(indices).astype(small, copy=False)
    indices.clear()
    matrix = sp.csr_matrix((values, columns, indptr.astype(small)), shape=(len(lengths) - 1, width))
    matrix.has_canonical_format = True
    return matrix


def _sorted(matrix: sp.csr_matrix) -> sp.csr_matrix:
    """With sorted indices; there and back is a counting sort, faster than sorting each row."""
    return matrix if matrix.has_sorted_indices else matrix.tocsc().tocsr()


def _highest(keys: np.ndarray, data: np.ndarray, shape: tuple[int, int]) -> sp.csr_matrix:
    """The highest value for each key (row times width plus column)."""
    order = np.argsort(keys, kind="stable")
    keys, data = keys[order], data[order]
    first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    rows, columns = np.divmod(keys[first], shape[1])
    return sp.csr_matrix((np.maximum.reduceat(data, first), (rows, columns)), shape=shape)
