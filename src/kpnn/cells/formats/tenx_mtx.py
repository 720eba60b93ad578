"""10x `.mtx` folders: `matrix.mtx`, `barcodes.tsv` and `genes.tsv` or `features.tsv`, plain or gzipped.

Of Matrix Market's kinds, sparse matrices with or without values and dense ones are read.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp

from kpnn.cells.expression import Expression, GeneNames
from kpnn.cells.formats.features import are_of_type
from kpnn.errors import CellsError, some_names
from kpnn.text_tables import opened, read_text

_ENTRIES_AT_ONCE = 2_000_000
# The standard's words, and those that STARsolo and others write.
_NUMBERS = ("integer", "real", "float", "double", "unsigned-integer")


class TenxMtx(Expression):
    """A folder with a Matrix Market file of genes x cells (or the other way round) and its two name files.

    The matrix is text without an index, so every read passes through all of it, in bounded pieces.

    Args:
        path: the folder.
        gene_names: name genes by `symbol` or by `id`.
        feature_type: of files with a third column, which features are genes.
    """

    def __init__(self, path: str | Path, *, gene_names: GeneNames = "symbol", feature_type: str = "Gene Expression"):
        super().__init__(str(path), gene_names)
        self.path = Path(path)
        if not self.path.is_dir():
            raise CellsError(f"{path}: is not a folder; a 10x .mtx matrix is a folder with three files")
        self._matrix = self._find("matrix.mtx")
        barcodes = self._rows(self._find("barcodes.tsv"))
        self._barcodes = pd.Index([row[0] for row in barcodes], dtype=object)
        features = self._find("features.tsv", "genes.tsv")
        rows = self._rows(features)
        widths = {min(len(row), 2) for row in rows}
        if widths == {1, 2}:
            line = next(number for number, row in enumerate(rows, 1) if len(row) < 2)
            raise CellsError(f"{features}, line {line}: needs an identifier and a symbol, separated by a tab")
        types = pd.Index([row[2] if len(row) > 2 else "" for row in rows], dtype=object)
        self._n_features = len(rows)
        self._columns = np.flatnonzero(are_of_type(types, feature_type, str(features)))
        self._ids = pd.Index([rows[row][0] for row in self._columns], dtype=object)
        # With one column there is one name per gene, which serves as whichever is asked for.
        self._symbols = pd.Index([(rows[row][1:2] or [""])[0] or rows[row][0] for row in self._columns], dtype=object)
        with opened(self._matrix, CellsError) as stream:
            self._n_entries, self._header_lines = self._read_header(stream)

    @property
    def is_by_cell(self) -> bool:
        """Text has no index: every read passes over all of it."""
        return False

    def select(self, cells: np.ndarray, columns: np.ndarray) -> tuple[sp.csr_matrix, np.ndarray]:
        """Reads the whole matrix once and keeps what is asked for; see `Expression.select`."""
        row_of = np.full(len(self._barcodes), -1)
        row_of[cells] = np.arange(len(cells))
        column_of = np.full(self._n_features, -1)
        column_of[self._columns[columns]] = np.arange(len(columns))
        is_gene = np.zeros(self._n_features, dtype=bool)
        is_gene[self._columns] = True
        totals = np.zeros(len(cells))
        kept = [(np.zeros(0, np.float32), np.zeros(0, int), np.zeros(0, int))]
        for genes, barcodes, values in self._entries():
            rows = row_of[barcodes]
            wanted = (rows >= 0) & is_gene[genes]
            rows, genes, values = rows[wanted], genes[wanted], self.repair(values[wanted])
            totals += np.bincount(rows, weights=values, minlength=len(cells))
            inside = column_of[genes] >= 0
            kept.append((values[inside], rows[inside], column_of[genes[inside]]))
        values, rows, targets = (np.concatenate(part) for part in zip(*kept, strict=True))
        return sp.csr_matrix((values, (rows, targets)), shape=(len(cells), len(columns))), totals

    def _find(self, *names: str) -> Path:
        for name in names:
            found = sorted({*self.path.glob(f"*{name}"), *self.path.glob(f"*{name}.gz")})
            exact = [file for file in found if file.name in (name, f"{name}.gz")]
            if len(exact) == 1 or len(found) == 1:
                return (exact or found)[0]
            if found:
                raise CellsError(
                    f"{self.path}: several {name}: {some_names(file.name for file in found)}; put each sample's "
                    "three files into a folder of its own"
                )
        raise CellsError(f"{self.path}: no {' or '.join(names)} (plain or .gz) in this folder")

    def _rows(self, path: Path) -> list[list[str]]:
        lines = read_text(path, CellsError).replace("\r\n", "\n").rstrip("\n").split("\n")
        rows = [[field.strip() for field in line.split("\t")] for line in lines]
        empty = [number for number, row in enumerate(rows, 1) if not row[0]]
        if empty:
            raise CellsError(f"{path}, line {some_names(empty)}: no name")
        return rows

    def _read_header(self, stream: io.BufferedReader) -> tuple[int, int]:
        first = stream.readline(1000).decode("latin-1").lower().split()
        if first[:1] != ["%%matrixmarket"]:
            raise CellsError(f"{self._matrix}, line 1: is not a Matrix Market file")
        self._is_dense, self._has_values = first[2:3] == ["array"], first[3:4] != ["pattern"]
        is_known = first[1:3] in (["matrix", "coordinate"], ["matrix", "array"]) and first[4:] == ["general"]
        if not is_known or first[3] not in (*_NUMBERS, *(() if self._is_dense else ("pattern",))):
            raise CellsError(
                f"{self._matrix}, line 1: must be `matrix coordinate integer|real|pattern general` or `matrix array "
                f"integer|real general`, found {' '.join(first[1:])[:80]!r}"
            )
        number = 1
        while True:
            number += 1
            line = stream.readline(100_000)
            if not line:
                raise CellsError(f"{self._matrix}: ends before the line of sizes")
            if not line.startswith(b"%") and line.strip():
                break
        sizes = line.split()
        if len(sizes) != (2 if self._is_dense else 3) or not all(size.isdigit() for size in sizes):
            how_many = "two" if self._is_dense else "three"
            raise CellsError(f"{self._matrix}, line {number}: must be {how_many} sizes, found {line[:50]!r}")
        n_genes, n_cells = (int(size) for size in sizes[:2])
        n_entries = n_genes * n_cells if self._is_dense else int(sizes[2])
        # Some programs write cells x genes; where the sizes say so, that is how it is read.
        self._is_turned = (n_cells, n_genes) == (self._n_features, len(self._barcodes)) and n_genes != n_cells
        if self._is_turned:
            n_genes, n_cells = n_cells, n_genes
        if (n_genes, n_cells) != (self._n_features, len(self._barcodes)):
            raise CellsError(
                f"{self._matrix}, line {number}: {n_genes:,} x {n_cells:,}, but there are {self._n_features:,} "
                f"features and {len(self._barcodes):,} barcodes"
            )
        return n_entries, number

    def _entries(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Gene, cell (both from 0) and value of the entries, in bounded pieces."""
        seen = 0
        with opened(self._matrix, CellsError) as stream:
            for _ in range(self._header_lines):
                stream.readline()
            for chunk in self._chunks(stream):
                if self._is_dense:
                    height = len(self._barcodes) if self._is_turned else self._n_features
                    second, first = np.divmod(np.arange(seen, seen + len(chunk)), height)
                else:
                    first, second = chunk["gene"].to_numpy() - 1, chunk["cell"].to_numpy() - 1
                genes, cells = (second, first) if self._is_turned else (first, second)
                wrong = (genes < 0) | (genes >= self._n_features) | (cells < 0) | (cells >= len(self._barcodes))
                if wrong.any():
                    line = self._header_lines + 1 + seen + int(np.flatnonzero(wrong)[0])
                    raise CellsError(f"{self._matrix}, line {line}: an index outside the sizes; damaged")
                seen += len(chunk)
                # A pattern says where something was seen, once: that is what a count of 1 says.
                yield genes, cells, chunk["value"].to_numpy() if self._has_values else np.ones(len(chunk), np.float32)
        if seen != self._n_entries:
            raise CellsError(
                f"{self._matrix}: {seen:,} entries where line {self._header_lines} says {self._n_entries:,}"
            )

    def _chunks(self, stream: io.BufferedReader) -> Iterator[pd.DataFrame]:
        places = {} if self._is_dense else {"gene": np.int64, "cell": np.int64}
        kinds = {**places, **({"value": np.float32} if self._has_values else {})}
        # Single blanks are parsed a quarter faster than any white space, and nearly all files have them.
        start = stream.peek(1 << 16)
        single = not any(other in start for other in (b"\t", b"  ", b" \n", b"\n ", b"\r"))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", pd.errors.ParserWarning)
                reader = pd.read_csv(
                    stream,
                    sep=" " if single else r"\s+",
                    header=None,
                    names=list(kinds),
                    dtype=kinds,
                    index_col=False,
                    chunksize=_ENTRIES_AT_ONCE,
                    encoding="latin-1",
                )
                yield from reader
        except pd.errors.EmptyDataError:
            return
        except (ValueError, TypeError, pd.errors.ParserError, pd.errors.ParserWarning) as cause:
            text = str(cause).splitlines()[0] if str(cause) else type(cause).__name__
            must = " and ".join(", ".join(kinds).rsplit(", ", 1))
            raise CellsError(f"{self._matrix}: entries must be {must} ({text})") from None
