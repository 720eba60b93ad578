"""Columns with the same gene name become one column."""

from __future__ import annotations

from typing import Literal

import numpy as np
import scipy.sparse as sp

Join = Literal["max", "sum"]


def join_columns(values: sp.csr_matrix, target: np.ndarray, n_columns: int, join: Join = "max") -> sp.csr_matrix:
    """Moves each column to its target; columns with the same target are joined cell by cell.

    Args:
        values: cells x columns, non-negative.
        target: where each column goes, shape (columns,).
        n_columns: width of the result.
        join: `max` or `sum`.

    Returns:
        cells x n_columns, CSR with sorted indices and no explicit zeros.
    """
    rows = np.repeat(np.arange(values.shape[0], dtype=np.int64), np.diff(values.indptr))
    keys = rows * n_columns + np.asarray(target, dtype=np.int64)[values.indices]
    data = values.data
    present = data != 0
    if not present.all():
        keys, data = keys[present], data[present]
    if (np.diff(keys) <= 0).any():
        order = np.argsort(keys, kind="stable")
        keys, data = keys[order], data[order]
        first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
        if len(first) < len(keys):
            data = (np.maximum if join == "max" else np.add).reduceat(data, first)
            keys = keys[first]
    joined_rows, columns = np.divmod(keys, n_columns)
    indptr = np.zeros(values.shape[0] + 1, dtype=np.int32 if len(keys) < 2**31 else np.int64)
    np.cumsum(np.bincount(joined_rows, minlength=values.shape[0]), out=indptr[1:])
    return sp.csr_matrix((data, columns.astype(indptr.dtype), indptr), shape=(values.shape[0], n_columns))
