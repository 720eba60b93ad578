"""Expression of matched cells, in memory or on disk, behind one face: rows, columns, moments and buffers."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from kpnn.cells.formats.anndata_file import AnnDataFile
from kpnn.errors import CellsError, SettingsError, some_names
from kpnn.files import sha256_of

ENTRIES_PER_RUN = 500_000
"""Entries of a run of neighbouring cells that is read in one piece: 4 MB."""

RUNS_PER_BUFFER = 32
"""Runs from all over the file that make a buffer; two buffers of 128 MB are in memory at a time."""


class CellStore(ABC):
    """Expression of cells by input nodes, for whatever must not care where it lies.

    `CellsInMemory` holds a matrix, `CellsOnDisk` reads an `.h5ad` or `.zarr` in bounded memory.

    Examples:
        >>> cells = CellsInMemory(sp.csr_matrix(np.array([[3, 0, 2], [1, 5, 4]], dtype="float32")))
        >>> cells.rows([1]).columns([2, 0]).whole().toarray()
        array([[4., 1.]], dtype=float32)
        >>> cells.moments()
        (array([2. , 2.5, 3. ]), array([1.  , 6.25, 1.  ]))
    """

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """Cells and input nodes."""

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return self.shape[0]

    @abstractmethod
    def whole(self) -> sp.csr_matrix | None:
        """The whole matrix where it is in memory, else None."""

    @abstractmethod
    def rows(self, which: np.ndarray) -> CellStore:
        """Some of the cells, in the order given.

        Args:
            which: positions in this store, integers, each at most once, shape (n,).

        Raises:
            CellsError: there is no such cell, or one is named twice.
        """

    @abstractmethod
    def columns(self, which: Sequence[int] | np.ndarray) -> CellStore:
        """Some of the input nodes, in the order given.

        Args:
            which: positions in this store, each at most once, shape (m,).
        """

    @abstractmethod
    def buffers(self, generator: np.random.Generator | None = None) -> Iterator[tuple[sp.csr_matrix, np.ndarray]]:
        """Every cell once, some cells at a time.

        Args:
            generator: puts the buffers together from all over the store. The cells *inside* a buffer are left in the
                order of the store: whoever wants them shuffled draws a permutation of each buffer. None: no order is
                drawn.

        Yields:
            Expression (float32 CSR with sorted indices, cells x input nodes) and the cells' positions in this store.
        """

    @property
    @abstractmethod
    def fingerprint(self) -> bytes:
        """A digest that differs wherever a value, a cell, a column or their order does."""

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance (divisor: number of cells) of each column, shape (n_nodes,), float64, in two passes."""
        n_cells, n_nodes = self.shape
        sums = np.zeros(n_nodes)
        for expression, _ in self.buffers():
            sums += np.bincount(expression.indices, weights=expression.data, minlength=n_nodes)
        means = sums / max(1, n_cells)
        deviations, stored = np.zeros(n_nodes), np.zeros(n_nodes)
        for expression, _ in self.buffers():
            squares = (expression.data - means[expression.indices]) ** 2
            deviations += np.bincount(expression.indices, weights=squares, minlength=n_nodes)
            stored += np.bincount(expression.indices, minlength=n_nodes)
        return means, (deviations + (n_cells - stored) * means**2) / max(1, n_cells)


@dataclass(frozen=True, eq=False)
class CellsInMemory(CellStore):
    """Cells as a matrix.

    Attributes:
        matrix: expression, float32 CSR, cells x input nodes.

    Examples:
        >>> cells = CellsInMemory(sp.csr_matrix(np.array([[3, 0], [1, 5], [0, 2]], dtype="float32")))
        >>> [(expression.shape, at.tolist()) for expression, at in cells.rows([2, 0]).buffers()]
        [((2, 2), [0, 1])]
        >>> cells.fingerprint == cells.columns([1, 0]).fingerprint
        False
    """

    matrix: sp.csr_matrix

    @property
    def shape(self) -> tuple[int, int]:
        """Cells and input nodes."""
        return self.matrix.shape

    def whole(self) -> sp.csr_matrix:
        """The matrix."""
        return self.matrix

    def rows(self, which: np.ndarray) -> CellsInMemory:
        """Some of the cells; see `CellStore.rows`."""
        return CellsInMemory(self.matrix[_positions(which, self.n_cells, "cells in memory")])

    def columns(self, which: Sequence[int] | np.ndarray) -> CellsInMemory:
        """Some of the input nodes; see `CellStore.columns`."""
        return CellsInMemory(self.matrix[:, np.asarray(which)])

    def buffers(self, generator: np.random.Generator | None = None) -> Iterator[tuple[sp.csr_matrix, np.ndarray]]:  # noqa: ARG002
        """All cells as one buffer, so there is nothing to draw; see `CellStore.buffers`."""
        yield self.matrix, np.arange(self.n_cells)

    @property
    def fingerprint(self) -> bytes:
        """See `CellStore.fingerprint`."""
        digest = hashlib.sha256()
        for array in (self.matrix.indptr, self.matrix.indices, self.matrix.data):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.digest()


@dataclass(frozen=True, eq=False)
class CellsOnDisk(CellStore):
    """Cells of an `.h5ad` or `.zarr` that `data_engineering` wrote, read in bounded memory.

    A shuffled pass cuts the cells into short runs of neighbours, puts the runs into random order and reads them in
    groups (buffers). The next buffer is read while the last one is used.

    Attributes:
        path: the file; its `X` is CSR.
        indptr: row pointers of the file.
        cells: position in the file of each cell of the store, shape (n_cells,).
        n_columns: number of columns of the store.
        places: for each column of the file its place in the store or -1; None: as in the file.
        runs_per_buffer: runs that are read together; more mix better and need more memory.

    Examples:
        >>> from anndata import AnnData
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder) / "cells.h5ad"
        ...     AnnData(sp.csr_matrix(np.array([[3, 0], [1, 5], [0, 2]], dtype="float32"))).write_h5ad(path)
        ...     cells = CellsOnDisk.open(path)
        ...     print(cells.whole(), cells.rows([0, 2]).moments()[0])
        None [1.5 1. ]
    """

    path: Path
    indptr: np.ndarray
    cells: np.ndarray
    n_columns: int
    places: np.ndarray | None = None
    runs_per_buffer: int = RUNS_PER_BUFFER

    @classmethod
    def open(cls, path: str | Path, *, runs_per_buffer: int = RUNS_PER_BUFFER) -> CellsOnDisk:
        """Opens matched cells.

        Args:
            path: an `.h5ad` or `.zarr` whose `X` is CSR.
            runs_per_buffer: at least 2.

        Raises:
            CellsError: the file is damaged, or not stored cell by cell.
        """
        if runs_per_buffer < 2:
            raise SettingsError(f"runs_per_buffer must be at least 2, found {runs_per_buffer}")
        file = AnnDataFile(path)
        if file.layout != "csr" or file.indptr is None:
            raise CellsError(f"{path}: X is stored {file.layout}; only CSR can be read cell by cell")
        n_cells, n_columns = len(file.barcodes), len(file.symbols)
        return cls(Path(path), file.indptr, np.arange(n_cells), n_columns, None, runs_per_buffer)

    @property
    def shape(self) -> tuple[int, int]:
        """Cells and input nodes."""
        return len(self.cells), self.n_columns

    def whole(self) -> None:
        """None: the matrix stays on disk."""

    def rows(self, which: np.ndarray) -> CellsOnDisk:
        """Some of the cells; see `CellStore.rows`."""
        return replace(self, cells=self.cells[_positions(which, self.n_cells, str(self.path))])

    def columns(self, which: Sequence[int] | np.ndarray) -> CellsOnDisk:
        """Some of the input nodes; see `CellStore.columns`."""
        chosen = np.asarray(which)
        moved = np.full(self.n_columns, -1)
        moved[chosen] = np.arange(len(chosen))
        if self.places is not None:
            moved = np.where(self.places >= 0, moved[np.maximum(self.places, 0)], -1)
        return replace(self, n_columns=len(chosen), places=moved)

    def buffers(self, generator: np.random.Generator | None = None) -> Iterator[tuple[sp.csr_matrix, np.ndarray]]:
        """Every cell once; see `CellStore.buffers`."""
        runs = self._runs()
        order = np.arange(len(runs)) if generator is None else generator.permutation(len(runs))
        groups = [order[start : start + self.runs_per_buffer] for start in range(0, len(order), self.runs_per_buffer)]
        # Within a buffer, reading in the order of the file is easier on the disk.
        yield from self._read_ahead([[runs[number] for number in np.sort(group)] for group in groups])

    @property
    def fingerprint(self) -> bytes:
        """See `CellStore.fingerprint`."""
        digest = hashlib.sha256(str(sha256_of(self.path)).encode())
        for array in (self.cells, *(() if self.places is None else (self.places,))):
            digest.update(np.ascontiguousarray(array, dtype=np.int64).tobytes())
        return digest.digest()

    def _runs(self) -> list[np.ndarray]:
        """Positions in the store, in the order of the file, cut into runs of about `ENTRIES_PER_RUN` entries."""
        if not self.n_cells:
            return []
        by_file = np.argsort(self.cells, kind="stable")
        rows = self.cells[by_file]
        entries = np.cumsum(self.indptr[rows + 1].astype(np.int64) - self.indptr[rows])
        # Where the cells are few, runs are so short that there still are several buffers to choose from.
        size = min(ENTRIES_PER_RUN, max(1, int(entries[-1]) // (4 * self.runs_per_buffer)))
        cuts = np.searchsorted(entries, np.arange(size, entries[-1], size), side="left") + 1
        return [run for run in np.split(by_file, np.unique(cuts)) if len(run)]

    def _read_ahead(self, groups: list[list[np.ndarray]]) -> Iterator[tuple[sp.csr_matrix, np.ndarray]]:
        if not groups:
            return
        with AnnDataFile.reopened(self.path) as root, ThreadPoolExecutor(1) as reader:
            matrix = root["X"]
            coming = reader.submit(self._read, matrix, groups[0])
            for number, group in enumerate(groups):
                expression = coming.result()
                if number + 1 < len(groups):
                    coming = reader.submit(self._read, matrix, groups[number + 1])
                yield expression, np.concatenate(group)

    def _read(self, matrix: Any, runs: list[np.ndarray]) -> sp.csr_matrix:
        """The cells of some runs, one below the other."""
        rows = [self.cells[run] for run in runs]
        lengths = np.concatenate([self.indptr[run + 1].astype(np.int64) - self.indptr[run] for run in rows])
        data = np.empty(lengths.sum(), dtype=np.float32)
        indices = np.empty(len(data), dtype=np.int32)
        at = 0
        for run in rows:
            values, columns = self._read_run(matrix, run)
            data[at : at + len(values)], indices[at : at + len(values)] = values, columns
            at += len(values)
        if at != len(data):
            raise CellsError(f"{self.path}: X ends early; damaged")
        indptr = np.concatenate([[0], np.cumsum(lengths)])
        if self.places is not None:
            indices = self.places[indices].astype(np.int32)
            kept = indices >= 0
            indptr = np.concatenate([[0], np.cumsum(kept)])[indptr]
            data, indices = data[kept], indices[kept]
        block = sp.csr_matrix((data, indices, indptr), shape=(len(lengths), self.n_columns))
        return block if block.has_sorted_indices else block.sorted_indices()

    def _read_run(self, matrix: Any, run: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values and columns of some cells that are close to each other in the file, ascending."""
        first, last = run[0], run[-1]
        begin, end = int(self.indptr[first]), int(self.indptr[last + 1])
        values, columns = matrix["data"][begin:end], matrix["indices"][begin:end]
        if len(run) == last - first + 1:
            return values, columns
        # Cells of other parts, such as the held-out ones, lie between.
        inside = np.zeros(last - first + 1, dtype=bool)
        inside[run - first] = True
        kept = np.repeat(inside, np.diff(self.indptr[first : last + 2]))
        return values[kept], columns[kept]


def _positions(which: np.ndarray, n_cells: int, source: str) -> np.ndarray:
    chosen = np.asarray(which, dtype=np.int64)
    wrong = chosen[(chosen < 0) | (chosen >= n_cells)]
    if len(wrong):
        raise CellsError(f"{source}: no cell {some_names(wrong)} among {n_cells:,}")
    if np.bincount(chosen, minlength=1).max() > 1:
        raise CellsError(f"{source}: the same cell is asked for twice")
    return chosen
