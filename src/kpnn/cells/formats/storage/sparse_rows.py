"""Selected rows of a compressed sparse matrix on disk, read in bounded pieces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from kpnn.errors import CellsError, some_names

ENTRIES_AT_ONCE = 500_000
"""Entries read in one piece: 6 MB with 8-byte indices and 4-byte values."""


def checked_indptr(indptr: np.ndarray, n_rows: int, n_entries: int, source: str) -> np.ndarray:
    """Row pointers, shape (n_rows + 1,), int32 where they fit, if they suit the matrix.

    Raises:
        CellsError: wrong length, wrong ends, or not ascending.
    """
    pointers = indptr.astype(np.int64, copy=False)
    if len(pointers) != n_rows + 1:
        raise CellsError(f"{source}: indptr has {len(pointers):,} entries for {n_rows:,} rows; it must have one more")
    if pointers[0] != 0 or pointers[-1] != n_entries:
        raise CellsError(
            f"{source}: indptr runs from {pointers[0]:,} to {pointers[-1]:,}, but there are {n_entries:,} values"
        )
    falling = np.flatnonzero(pointers[1:] < pointers[:-1])
    if len(falling):
        raise CellsError(f"{source}: indptr falls after row {some_names(falling)}; damaged")
    return pointers.astype(np.int32) if n_entries < 2**31 else pointers


@dataclass(frozen=True, eq=False)
class CompressedMatrix:
    """A compressed sparse matrix on disk.

    Attributes:
        data: values, sliceable, shape (n_entries,).
        indices: column of each value (row, where it is compressed by columns), sliceable, shape (n_entries,).
        indptr: checked pointers.
        source: what to call the matrix in errors.
        repair: what is done to the values.
    """

    data: Any
    indices: Any
    indptr: np.ndarray
    source: str
    repair: Callable[[np.ndarray], np.ndarray]


def select_rows(
    matrix: CompressedMatrix, rows: np.ndarray, lookup: np.ndarray, width: int, is_gene: np.ndarray | None = None
) -> tuple[sp.csr_matrix, np.ndarray]:
    """Reads rows and some of their columns from a row-compressed matrix on disk.

    Args:
        matrix: compressed by rows.
        rows: rows to read, any order, shape (n,).
        lookup: for each column of the file its place in the result or -1, shape (n_columns,).
        width: columns of the result.
        is_gene: which columns of the file count in the sums, shape (n_columns,); by default all.

    Returns:
        The values, shape (n, width), float32 CSR in the order of `rows` (indices as the file orders them);
        each row's sum over all genes, shape (n,), float64.

    Raises:
        CellsError: a column index is out of range.
    """
    data, indices, indptr, source = matrix.data, matrix.indices, matrix.indptr, matrix.source
    # In the file's order, so that neighbours are one read; put back into the order asked for at the end.
    order = np.argsort(rows, kind="stable")
    starts, stops = indptr[rows[order]].astype(np.int64), indptr[rows[order] + 1].astype(np.int64)
    totals = np.zeros(len(rows))
    sizes = np.zeros(len(rows), dtype=np.int64)
    kept_values, kept_columns = [], []
    for first, last in _pieces(starts, stops):
        begin, end = int(starts[first]), int(stops[last - 1])
        lengths = stops[first:last] - starts[first:last]
        values = np.asarray(data[begin:end])
        columns = np.asarray(indices[begin:end])
        if len(values) != end - begin or len(columns) != end - begin:
            raise CellsError(f"{source}: values or indices end at entry {begin + len(values):,}; cut short")
        if lengths.sum() < end - begin:  # rows that nobody asked for lie between
            inside = _ranges(starts[first:last] - begin, lengths)
            values, columns = values[inside], columns[inside]
        if len(columns) and not (columns.min() >= 0 and columns.max() < len(lookup)):
            raise CellsError(
                f"{source}: column index {columns.max() if columns.max() >= len(lookup) else columns.min()} "
                f"where there are {len(lookup):,} columns; damaged"
            )
        values = matrix.repair(values.astype(np.float32, copy=False))
        row_of = np.repeat(np.arange(first, last), lengths)
        counted = values if is_gene is None else values * is_gene[columns]
        totals[first:last] = np.bincount(row_of - first, weights=counted, minlength=last - first)
        column = lookup[columns]
        kept = column >= 0
        kept_values.append(values[kept])
        kept_columns.append(column[kept])
        sizes[first:last] = np.bincount(row_of[kept] - first, minlength=last - first)
    pointers = np.concatenate([[0], np.cumsum(sizes)])
    small = np.int32 if pointers[-1] < 2**31 else np.int64
    chosen = sp.csr_matrix(
        (
            np.concatenate(kept_values) if kept_values else np.zeros(0, dtype=np.float32),
            np.concatenate(kept_columns).astype(small) if kept_columns else np.zeros(0, dtype=small),
            pointers.astype(small),
        ),
        shape=(len(rows), width),
    )
    if (np.diff(order) < 0).any():
        back = np.argsort(order, kind="stable")
        return chosen[back], totals[back]
    return chosen, totals


def select_columns(
    matrix: CompressedMatrix, rows: np.ndarray, lookup: np.ndarray, n_rows: int
) -> tuple[sp.csr_matrix, np.ndarray]:
    """As `select_rows`, from a column-compressed matrix: all of it passes through memory, in bounded pieces.

    Args:
        matrix: compressed by columns.
        rows: rows to read, any order, shape (n,); each at most once.
        lookup: for each column of the file its place in the result or -1, shape (n_columns,).
        n_rows: rows of the file.
    """
    data, indices, indptr, source = matrix.data, matrix.indices, matrix.indptr, matrix.source
    place = np.full(n_rows, -1, dtype=np.int64)
    place[rows] = np.arange(len(rows))
    totals = np.zeros(len(rows))
    kept: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for begin in range(0, int(indptr[-1]), ENTRIES_AT_ONCE):
        end = min(begin + ENTRIES_AT_ONCE, int(indptr[-1]))
        values, file_rows = np.asarray(data[begin:end]), np.asarray(indices[begin:end])
        if len(file_rows) and not (file_rows.min() >= 0 and file_rows.max() < n_rows):
            raise CellsError(f"{source}: a row index is out of range, where there are {n_rows:,} rows; damaged")
        row = place[file_rows]
        wanted = row >= 0
        values, row = matrix.repair(values[wanted].astype(np.float32, copy=False)), row[wanted]
        totals += np.bincount(row, weights=values, minlength=len(rows))
        column = lookup[(np.searchsorted(indptr, np.arange(begin, end)[wanted], side="right") - 1)]
        inside = column >= 0
        kept.append((values[inside], row[inside], column[inside]))
    if not kept:
        return sp.csr_matrix((len(rows), int(lookup.max(initial=-1)) + 1), dtype=np.float32), totals
    values, row, column = (np.concatenate(part) for part in zip(*kept, strict=True))
    shape = (len(rows), int(lookup.max(initial=-1)) + 1)
    return sp.csr_matrix(sp.coo_matrix((values, (row, column)), shape=shape)), totals


def select_dense_rows(
    node: Any,
    rows: np.ndarray,
    columns: np.ndarray,
    source: str,
    repair: Callable[[np.ndarray], np.ndarray],
) -> tuple[sp.csr_matrix, np.ndarray]:
    """As `select_rows`, from a dense matrix on disk.

    Args:
        node: cells x genes, sliceable.
        rows: rows to read, any order, shape (n,).
        columns: columns to read, any order, shape (m,).
        source: what to call the matrix in errors.
        repair: what is done to the values.
    """
    if not len(rows):
        return sp.csr_matrix((0, len(columns)), dtype=np.float32), np.zeros(0)
    order = np.argsort(rows, kind="stable")
    ascending = rows[order]
    at_once = max(1, ENTRIES_AT_ONCE // max(1, node.shape[1]))
    totals, parts = np.zeros(len(rows)), []
    first = 0
    while first < len(rows):
        last = int(np.searchsorted(ascending, ascending[first] + at_once))
        block = np.asarray(node[int(ascending[first]) : int(ascending[last - 1]) + 1])
        block = repair(block[ascending[first:last] - ascending[first]].astype(np.float32, copy=False))
        if block.shape != (last - first, node.shape[1]):
            raise CellsError(f"{source}: rows end early; cut short")
        totals[first:last] = block.sum(axis=1, dtype=np.float64)
        parts.append(sp.csr_matrix(block[:, columns]))
        first = last
    back = np.argsort(order, kind="stable")
    return sp.vstack(parts, format="csr")[back], totals[back]


def _pieces(starts: np.ndarray, stops: np.ndarray) -> list[tuple[int, int]]:
    """Runs of rows that are read together: close to each other and not too many entries."""
    pieces: list[tuple[int, int]] = []
    first = 0
    for row in range(1, len(starts) + 1):
        far = row == len(starts) or starts[row] - stops[row - 1] > ENTRIES_AT_ONCE // 20
        if far or stops[row] - starts[first] > ENTRIES_AT_ONCE:
            pieces.append((first, row))
            first = row
    return pieces


def _ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The positions start, start + 1, ... of all ranges, one after the other."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - (ends - lengths), lengths)
