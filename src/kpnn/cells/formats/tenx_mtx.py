"""10x `.mtx` folders: `matrix.mtx`, `barcodes.tsv` and `genes.tsv` or `features.tsv`, plain or gzipped.

Other programs' names of these files (kallisto's `cells_x_genes.mtx`, `.txt`, `.csv`) are found by their ends.

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
from kpnn.cells.formats.features import GENES, are_of_type
from kpnn.cells.formats.name_files import read_name_rows
from kpnn.errors import CellsError, some_names
from kpnn.text_tables import opened

_ENTRIES_AT_ONCE = 2_000_000
# The standard's words, and those that STARsolo and others write.
_NUMBERS = ("integer", "real", "float", "double", "unsigned-integer")
_RELATES = (
    "such a matrix relates things of one kind to each other, as cells to their neighbours, and not genes to cells; "
    "name the folder of the matrix of counts"
)
_NO_EXPRESSION = {
    "symmetric": _RELATES,
    "skew-symmetric": _RELATES,
    "hermitian": _RELATES,
    "complex": "expression has no complex numbers; write the counts as `real` or `integer`",
}
"""Words of Matrix Market for what cannot be expression, and what to do."""


class TenxMtx(Expression):
    """A folder with a Matrix Market file of genes x cells (or the other way round) and its two name files.

    The matrix is text without an index, so every read passes through all of it, in bounded pieces.

    Args:
        path: the folder.
        gene_names: name genes by `symbol` or by `id`.
        feature_type: of files with a third column, which features are genes.
    """

    def __init__(self, path: str | Path, *, gene_names: GeneNames = "symbol", feature_type: str = GENES):
        super().__init__(str(path), gene_names)
        self.path = Path(path)
        if not self.path.is_dir():
            raise CellsError(f"{path}: is not a folder; a 10x .mtx matrix is a folder with three files")
        self._matrix = self._find("matrix.mtx", ".mtx")
        barcodes = self._find("barcodes.tsv", "barcodes.txt", "barcodes.csv")
        features = self._find("features.tsv", "genes.tsv", "features.txt", "genes.txt", "features.csv", "genes.csv")
        with opened(self._matrix, CellsError) as stream:
            sizes = self._read_header(stream)
        self._barcodes = pd.Index([row[0] for row in read_name_rows(barcodes, sizes)], dtype=object)
        rows = read_name_rows(features, sizes)
        widths = {min(len(row), 2) for row in rows}
        if widths == {1, 2} and gene_names == "symbol":
            line = next(number for number, row in enumerate(rows, 1) if len(row) < 2)
            raise CellsError(f"{features}, line {line}: needs an identifier and a symbol, separated by a tab")
        types = pd.Index([row[2] if len(row) > 2 else "" for row in rows], dtype=object)
        self._n_features = len(rows)
        self._columns = np.flatnonzero(are_of_type(types, feature_type, str(features)))
        self._ids = pd.Index([rows[row][0] for row in self._columns], dtype=object)
        # With one column there is one name per gene, which serves as whichever is asked for.
        self._symbols = pd.Index([(rows[row][1:2] or [""])[0] or rows[row][0] for row in self._columns], dtype=object)
        self._settle_sides(*sizes)

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

    def _find(self, *endings: str) -> Path:
        """The one file whose name ends so, by the first ending that finds any."""
        for name in endings:
            found = sorted({*self.path.glob(f"*{name}"), *self.path.glob(f"*{name}.gz")})
            exact = [file for file in found if file.name in (name, f"{name}.gz")]
            if len(exact) == 1 or len(found) == 1:
                return (exact or found)[0]
            if found:
                raise CellsError(
                    f"{self.path}: several {name}: {some_names(file.name for file in found)}; put each sample's "
                    "three files into a folder of its own"
                )
        wanted = " or ".join(name for name in endings if name.endswith((".tsv", "matrix.mtx")))
        there = some_names(sorted(file.name for file in self.path.iterdir())) or "nothing"
        raise CellsError(f"{self.path}: no {wanted} (plain or .gz) in this folder (found: {there})")

    def _read_header(self, stream: io.BufferedReader) -> tuple[int, int]:
        """Reads what stands above the entries; returns the two sizes."""
        # Editors put a byte-order mark before it.
        first = stream.readline(1000).removeprefix(b"\xef\xbb\xbf").decode("latin-1").lower().split()
        if first[:1] != ["%%matrixmarket"]:
            raise CellsError(f"{self._matrix}, line 1: is not a Matrix Market file")
        self._is_dense, self._has_values = first[2:3] == ["array"], first[3:4] != ["pattern"]
        kinds = (*_NUMBERS, *(() if self._is_dense else ("pattern",)))
        is_known = first[1:3] in (["matrix", "coordinate"], ["matrix", "array"]) and first[4:] in (["general"], [])
        if not is_known or first[3:4] not in [[kind] for kind in kinds]:
            why = next((f"; {told}" for word, told in _NO_EXPRESSION.items() if word in first), "")
            raise CellsError(
                f"{self._matrix}, line 1: must be `matrix coordinate integer|real|pattern general` or `matrix array "
                f"integer|real general`, found {' '.join(first[1:])[:80]!r}{why}"
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
        n_rows, n_columns = (int(size) for size in sizes[:2])
        self._n_entries, self._header_lines = n_rows * n_columns if self._is_dense else int(sizes[2]), number
        return n_rows, n_columns

    def _settle_sides(self, n_genes: int, n_cells: int) -> None:
        """Decides whether genes are rows, as usual, or columns: some programs write cells x genes."""
        self._is_turned = (n_cells, n_genes) == (self._n_features, len(self._barcodes)) and n_genes != n_cells
        if self._is_turned:
            n_genes, n_cells = n_cells, n_genes
        if (n_genes, n_cells) != (self._n_features, len(self._barcodes)):
            raise CellsError(
                f"{self._matrix}, line {self._header_lines}: {n_genes:,} x {n_cells:,}, but there are "
                f"{self._n_features:,} features and {len(self._barcodes):,} barcodes"
            )

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
                    comment="%",
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
