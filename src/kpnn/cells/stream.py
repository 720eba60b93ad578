"""Labelled cells on disk as a stream of shuffled buffers: training on more cells than fit in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from kpnn.cells.anndata_file import AnnDataFile, texts_of
from kpnn.errors import CellsError, SettingsError, some_names

ENTRIES_PER_BLOCK = 500_000
"""Entries of a run of neighbouring cells that is read in one piece: 4 MB."""

BLOCKS_PER_BUFFER = 32
"""Runs from all over the file that are shuffled together; two buffers of 128 MB are in memory at a time."""


@dataclass(frozen=True, eq=False)
class CellStream:
    """Cells of an `.h5ad` or `.zarr` that `data_engineering` wrote, read in bounded memory.

    An epoch cuts the cells into short runs of neighbours, puts the runs into random order, reads them in groups
    (buffers), and shuffles the cells of each buffer. Every cell comes once an epoch. The next buffer is read while
    the last one is used.

    Attributes:
        path: the file; `X` must be CSR.
        barcodes: names of the cells of the stream, shape (n_cells,).
        labels: 0/1, shape (n_cells, n_outputs), float32.
        nodes: input node of each column.
        outputs: output node of each label column.
        rows: where each cell stands in the file, ascending, shape (n_cells,).
        columns: for each column of the file its place in the stream or -1; None: as in the file.
        indptr: row pointers of the file.
        blocks_per_buffer: runs that are shuffled together.

    Example:
        ```python
        stream = CellStream.open("matched_cells.h5ad", outputs=["TCR"])
        for expression, labels in stream.batches(np.random.default_rng(0), batch_size=64):
            ...
        ```
    """

    path: Path
    barcodes: np.ndarray
    labels: np.ndarray
    nodes: tuple[str, ...]
    outputs: tuple[str, ...]
    rows: np.ndarray
    columns: np.ndarray | None
    indptr: np.ndarray
    blocks_per_buffer: int = BLOCKS_PER_BUFFER

    @classmethod
    def open(
        cls, path: str | Path, outputs: Sequence[str], *, blocks_per_buffer: int = BLOCKS_PER_BUFFER
    ) -> CellStream:
        """Opens matched cells.

        Args:
            path: the file that `data_engineering` wrote.
            outputs: columns of `obs` to predict.
            blocks_per_buffer: more shuffle better and need more memory, at least 2.

        Raises:
            CellsError: the file is damaged, is not CSR, or has no `var["node"]` or an output's column.
        """
        if blocks_per_buffer < 2:
            raise SettingsError(f"blocks_per_buffer must be at least 2, found {blocks_per_buffer}")
        file = AnnDataFile(path)
        if file.layout != "csr" or file.indptr is None:
            raise CellsError(f"{path}: X is stored {file.layout}; only CSR can be streamed cell by cell")
        with file.opened() as root:
            obs = root["obs"]
            missing = [name for name in outputs if name not in obs]
            if missing:
                raise CellsError(f"{path}: obs has no column {some_names(missing)}")
            if "node" not in root["var"]:
                raise CellsError(f"{path}: var has no column node; `kedro run --pipeline data_engineering` writes it")
            labels = np.stack([np.asarray(obs[name][:], dtype=np.float32) for name in outputs], axis=1)
            nodes = tuple(texts_of(root["var"]["node"], f"{path}: var/node"))
        if not np.isin(labels, (0, 1)).all():
            raise CellsError(f"{path}: labels must be 0 or 1")
        barcodes = file.barcodes.to_numpy().astype(str)
        return cls(
            Path(path),
            barcodes,
            labels,
            nodes,
            tuple(outputs),
            np.arange(len(barcodes)),
            None,
            file.indptr,
            blocks_per_buffer,
        )

    @property
    def n_cells(self) -> int:
        """Number of cells of the stream."""
        return len(self.rows)

    @property
    def shape(self) -> tuple[int, int]:
        """Cells and input nodes."""
        return len(self.rows), len(self.nodes)

    def part(self, rows: np.ndarray) -> CellStream:
        """Some of the cells, such as a training part.

        Args:
            rows: positions in this stream, in any order; taken in the order of the file.
        """
        chosen = np.unique(np.asarray(rows, dtype=np.int64))
        if len(chosen) and not (chosen[0] >= 0 and chosen[-1] < self.n_cells):
            raise CellsError(f"{self.path}: no cell {chosen[-1]} in a stream of {self.n_cells:,}")
        return replace(self, barcodes=self.barcodes[chosen], labels=self.labels[chosen], rows=self.rows[chosen])

    def restricted_to(self, nodes: Sequence[str]) -> CellStream:
        """Some of the input nodes, in the order given: a DAG's inputs.

        Raises:
            CellsError: a node is not among the columns.
        """
        if tuple(nodes) == self.nodes:
            return self
        places = pd.Index(nodes).get_indexer(pd.Index(self.nodes))
        unknown = [name for name in nodes if name not in set(self.nodes)]
        if unknown:
            raise CellsError(f"{self.path}: no input node {some_names(unknown)}")
        columns = np.arange(len(self.nodes)) if self.columns is None else self.columns
        moved = np.where(columns >= 0, places[np.maximum(columns, 0)], -1)
        return replace(self, nodes=tuple(nodes), columns=moved)

    def buffers(self, generator: np.random.Generator) -> Iterator[tuple[sp.csr_matrix, np.ndarray]]:
        """One epoch: every cell once, in shuffled buffers.

        Args:
            generator: the source of the order.

        Yields:
            Expression (float32 CSR, cells x nodes, sorted indices) and labels (float32, cells x outputs) of a buffer.
        """
        runs = self._runs()
        order = generator.permutation(len(runs))
        groups = [
            order[start : start + self.blocks_per_buffer] for start in range(0, len(order), self.blocks_per_buffer)
        ]
        # Reading in the order of the file is easier on the disk; the cells are shuffled afterwards.
        for expression, places in self._read_ahead([[runs[number] for number in np.sort(group)] for group in groups]):
            shuffled = generator.permutation(len(places))
            yield expression[shuffled], self.labels[places[shuffled]]

    def batches(
        self, generator: np.random.Generator, batch_size: int = 64
    ) -> Iterator[tuple[sp.csr_matrix, np.ndarray]]:
        """One epoch in minibatches: every cell once; the last one takes what is left."""
        if batch_size < 1:
            raise SettingsError(f"batch_size must be at least 1, found {batch_size}")
        rest: tuple[sp.csr_matrix, np.ndarray] | None = None
        for expression, labels in self.buffers(generator):
            if rest is not None and rest[0].shape[0]:
                expression, labels = sp.vstack([rest[0], expression], format="csr"), np.concatenate([rest[1], labels])
            whole = len(labels) // batch_size * batch_size
            for start in range(0, whole, batch_size):
                yield expression[start : start + batch_size], labels[start : start + batch_size]
            rest = expression[whole:], labels[whole:]
        if rest is not None and rest[0].shape[0]:
            yield rest

    def in_order(self) -> Iterator[tuple[sp.csr_matrix, np.ndarray]]:
        """All cells in the order of the stream, in buffers: for predictions and losses."""
        runs = self._runs()
        n = self.blocks_per_buffer
        for expression, places in self._read_ahead([runs[start : start + n] for start in range(0, len(runs), n)]):
            yield expression, self.labels[places]

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance (divisor: number of cells) of each column, shape (n_nodes,), float64, in two passes."""
        sums = np.zeros(len(self.nodes))
        for expression, _ in self.in_order():
            sums += np.bincount(expression.indices, weights=expression.data, minlength=len(self.nodes))
        means = sums / max(1, self.n_cells)
        deviations, stored = np.zeros(len(self.nodes)), np.zeros(len(self.nodes))
        for expression, _ in self.in_order():
            squares = (expression.data - means[expression.indices]) ** 2
            deviations += np.bincount(expression.indices, weights=squares, minlength=len(self.nodes))
            stored += np.bincount(expression.indices, minlength=len(self.nodes))
        return means, (deviations + (self.n_cells - stored) * means**2) / max(1, self.n_cells)

    def _runs(self) -> list[np.ndarray]:
        """Places in the stream, cut into runs of about `ENTRIES_PER_BLOCK` entries."""
        if not self.n_cells:
            return []
        entries = np.cumsum(self.indptr[self.rows + 1].astype(np.int64) - self.indptr[self.rows])
        # At least as many runs as make several buffers' worth of choice, where the cells are few.
        size = min(ENTRIES_PER_BLOCK, max(1, int(entries[-1]) // (4 * self.blocks_per_buffer)))
        cuts = np.searchsorted(entries, np.arange(size, entries[-1], size), side="left") + 1
        return [run for run in np.split(np.arange(self.n_cells), np.unique(cuts)) if len(run)]

    def _read_ahead(self, groups: list[list[np.ndarray]]) -> Iterator[tuple[sp.csr_matrix, np.ndarray]]:
        if not groups:
            return
        with ExitStack() as stack:
            matrix = stack.enter_context(self._matrix())
            reader = stack.enter_context(ThreadPoolExecutor(1))
            coming = reader.submit(self._read, matrix, groups[0])
            for number in range(len(groups)):
                expression = coming.result()
                if number + 1 < len(groups):
                    coming = reader.submit(self._read, matrix, groups[number + 1])
                yield expression, np.concatenate(groups[number])

    @contextmanager
    def _matrix(self) -> Iterator[Any]:
        with AnnDataFile.reopened(self.path) as root:
            yield root["X"]

    def _read(self, matrix: Any, runs: list[np.ndarray]) -> sp.csr_matrix:
        """The cells of some runs, one below the other."""
        rows = [self.rows[run] for run in runs]
        lengths = np.concatenate([self.indptr[part + 1].astype(np.int64) - self.indptr[part] for part in rows])
        data = np.empty(lengths.sum(), dtype=np.float32)
        indices = np.empty(len(data), dtype=np.int32)
        at = 0
        for part in rows:
            begin, end = int(self.indptr[part[0]]), int(self.indptr[part[-1] + 1])
            values, columns = matrix["data"][begin:end], matrix["indices"][begin:end]
            if len(part) < part[-1] - part[0] + 1:  # other cells lie between
                inside = np.zeros(part[-1] - part[0] + 1, dtype=bool)
                inside[part - part[0]] = True
                kept = np.repeat(inside, np.diff(self.indptr[part[0] : part[-1] + 2]))
                values, columns = values[kept], columns[kept]
            data[at : at + len(values)], indices[at : at + len(values)] = values, columns
            at += len(values)
        if at != len(data):
            raise CellsError(f"{self.path}: X ends early; damaged")
        indptr = np.concatenate([[0], np.cumsum(lengths)])
        if self.columns is not None:
            indices = self.columns[indices].astype(np.int32)
            kept = indices >= 0
            indptr = np.concatenate([[0], np.cumsum(kept)])[indptr]
            data, indices = data[kept], indices[kept]
        matrix = sp.csr_matrix((data, indices, indptr), shape=(len(lengths), len(self.nodes)))
        return matrix if matrix.has_sorted_indices else matrix.sorted_indices()
