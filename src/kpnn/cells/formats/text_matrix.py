"""Expression as text, CSV or TSV, either way round, plain or gzipped; read line by line."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import scipy.sparse as sp

from kpnn.cells.expression import Expression, GeneNames
from kpnn.errors import CellsError, some_names
from kpnn.text_tables import header_names, is_above_header, opened, separator_of

_NO_GENES = (
    *("__no_feature", "__ambiguous", "__too_low_aQual", "__not_aligned", "__alignment_not_unique"),
    *("N_unmapped", "N_multimapping", "N_noFeature", "N_ambiguous"),
)
"""Rows in which HTSeq and STAR count the reads of no gene: they are no part of a cell's library."""
_WITH_COMMA = re.compile(r"[+-]?\d+,\d+")

_DESCRIBED = "; only one column may name what a line holds: take out columns that describe it"

Orientation = Literal["auto", "cells_by_genes", "genes_by_cells"]

_BARCODE = re.compile(r"[ACGTN]{8,}([-_.]\w+)?$|.*[-_#:][ACGTN]{10,}([-_.]\w+)?$")
_VALUES_AT_ONCE = 4_000_000
"""Values held as text at once."""
_LONGEST_LINE = 2**30
"""Bytes; a file without an end of line would fill memory."""
_MISSING = ("", "na", "nan", "n/a", "null", "none")


class TextMatrix(Expression):
    """A CSV or TSV of expression: one header line, then one line per gene (or per cell) that begins with its name.

    Opening reads the names of all lines; values are read line by line, so memory holds only what is asked for. Empty
    lines and lines that begin with `#` may come before the header.

    Args:
        path: the file, plain or gzipped.
        orientation: `genes_by_cells` (a line per gene), `cells_by_genes` (a line per cell), or `auto`: whichever
            side looks like barcodes are the cells; where neither or both do, whichever holds the names that are looked
            for (`settle`).
        gene_names: `symbol`; a text matrix has only one name per gene.
        separator: the column separator; by default told by the file's name and header.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        orientation: Orientation = "auto",
        gene_names: GeneNames = "symbol",
        separator: str | None = None,
    ):
        super().__init__(str(path), "symbol")
        self.gene_names = gene_names
        self.path = Path(path)
        if self.path.is_dir():
            raise CellsError(f"{path}: is a folder, not a file")
        with self._lines() as lines:
            self._read_names(lines, separator)
        by_line, across = pd.Index(self._line_names, dtype=object), pd.Index(self._header, dtype=object)
        self._by_line, self._across = by_line, across
        self._orientation = self._told_by_barcodes(orientation)

    def settle(self, barcodes: Iterable[str], genes: Iterable[str]) -> None:
        """Decides which side holds the cells by the names that are to be looked for, if that is not known already."""
        if self._orientation is None:
            cells, wanted = pd.Index(list(barcodes)), pd.Index(list(genes))
            lines, across = (
                (names.isin(cells).sum(), names.isin(wanted).sum()) for names in (self._by_line, self._across)
            )
            as_cells, as_genes = lines[0] + across[1], lines[1] + across[0]
            if as_cells != as_genes:
                self._orientation = "cells_by_genes" if as_cells > as_genes else "genes_by_cells"

    @property
    def _lines_are_genes(self) -> bool:
        if self._orientation is None:
            raise CellsError(
                f"{self.source}: cannot tell cells from genes (lines: {some_names(self._by_line, 3)}; columns: "
                f"{some_names(self._across, 3)}); say `orientation: genes_by_cells` or `cells_by_genes` in the catalog"
            )
        return self._orientation == "genes_by_cells"

    @property
    def genes(self) -> pd.Index:
        """The only names that there are, whether symbols or identifiers."""
        return self.symbols

    @property
    def is_by_cell(self) -> bool:
        """Text has no index: every read passes over all of it."""
        return False

    @property
    def barcodes(self) -> pd.Index:
        """Names of the cells."""
        return self._across if self._lines_are_genes else self._by_line

    @property
    def symbols(self) -> pd.Index:
        """Gene names."""
        return self._by_line if self._lines_are_genes else self._across

    def select(self, cells: np.ndarray, columns: np.ndarray) -> tuple[sp.csr_matrix, np.ndarray]:
        """Reads all lines once and keeps what is asked for; see `Expression.select`."""
        if self._lines_are_genes:
            across, wanted = cells, columns
        else:
            across, wanted = columns, cells
        place = np.full(len(self._line_names), -1)
        place[wanted] = np.arange(len(wanted))
        totals = np.zeros(len(cells))
        is_gene = ~np.isin(np.asarray(self.symbols, dtype=object), _NO_GENES)
        parts, at = [], []
        for start, values in self._blocks(None if self._lines_are_genes else place >= 0):
            where = place[start]
            if self._lines_are_genes:
                totals += values[is_gene[start]][:, cells].sum(axis=0, dtype=np.float64)
            else:
                totals[where] = values[:, is_gene].sum(axis=1, dtype=np.float64)
            kept = where >= 0
            parts.append(sp.csr_matrix(values[kept][:, across]))
            at.append(where[kept])
        if not parts:
            return sp.csr_matrix((len(cells), len(columns)), dtype=np.float32), totals
        back = np.argsort(np.concatenate(at), kind="stable")
        lines = sp.vstack(parts, format="csr")[back]
        return (lines.T.tocsr() if self._lines_are_genes else lines), totals

    @contextmanager
    def _lines(self) -> Iterator[Iterator[bytes]]:
        with opened(self.path, CellsError) as stream:
            yield (line.rstrip(b"\r\n") for line in iter(lambda: stream.readline(_LONGEST_LINE), b""))

    def _read_names(self, lines: Iterator[bytes], separator: str | None) -> None:
        name = str(self.path).removesuffix(".gz")
        self._header_line = 1
        header, below = self._decoded(next(lines, b""), 1), next(lines, None)
        while below is not None and is_above_header(header, self._decoded(below, self._header_line + 1), name):
            self._header_line += 1
            header, below = self._decoded(below, self._header_line), next(lines, None)
        lines = chain([] if below is None else [below], lines)
        if not header.removeprefix("\ufeff").strip():
            raise CellsError(f"{self.source}: is empty, or holds nothing but empty lines")
        if "\r" in header:
            raise CellsError(
                f"{self.source}, line {self._header_line}: a carriage return inside the line; save it with usual line "
                "ends"
            )
        self._separator = separator or separator_of(header, name)
        names = self._fields(header, self._header_line)
        self._line_names: list[str] = []
        for number, line in enumerate(lines, self._header_line + 1):
            if line.strip():
                self._line_names.append(self._decoded(self._name_and_values(line, number)[0], number))
                if len(self._line_names) == 1:
                    width = self._n_values(line, number)
            elif self._line_names:
                self._line_names.append("")
        while self._line_names and not self._line_names[-1]:
            self._line_names.pop()  # empty lines at the end
        if not self._line_names:
            raise CellsError(f"{self.source}: has a header but no rows")
        if "" in self._line_names:
            line_number = self._line_names.index("") + self._header_line + 1
            raise CellsError(f"{self.source}, line {line_number}: has no name in the first column")
        # R leaves out the corner, so that the header is one shorter than the rows.
        self._header = names if len(names) == width else names[1:]
        if len(self._header) != width:
            raise CellsError(
                f"{self.source}, line {self._header_line + 1}: {width + 1} columns where the header has {len(names)}"
            )
        if "" in self._header:
            raise CellsError(
                f"{self.source}, line {self._header_line}: column {self._header.index('') + 2} has no name"
            )

    def _decoded(self, raw: bytes, number: int) -> str:
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as cause:
            raise CellsError(
                f"{self.source}, line {number}: byte {raw[cause.start]:#04x} is not UTF-8 text; save it as UTF-8"
            ) from None
        if "\x00" in text:
            raise CellsError(f"{self.source}, line {number}: holds a NUL byte; this is not a text table")
        return text.strip()

    def _fields(self, line: str, number: int) -> list[str]:
        try:
            return header_names(line, self._separator)
        except csv.Error as cause:
            raise CellsError(f"{self.source}, line {number}: {cause}") from None

    def _name_and_values(self, line: bytes, number: int) -> tuple[bytes, bytes]:
        separator = self._separator.encode()
        if separator == b" ":
            line = line.strip() if b'"' in line else b" ".join(line.split())
        if line[:1] == b'"':
            end = line.find(b'"', 1)
            if end < 0 or line[end + 1 : end + 2] != separator:
                raise CellsError(f"{self.source}, line {number}: a quoted name that does not end before a separator")
            return line[1:end], line[end + 2 :]
        name, found, values = line.partition(separator)
        if not found:
            raise CellsError(
                f"{self.source}, line {number}: only one column (separator {self._separator!r}; `separator:` "
                "says another)"
            )
        return name, values

    def _place(self, number: int) -> str:
        """What to call a line below the header, counted from 0, in errors."""
        return f"{self.source}, line {number + self._header_line + 1}"

    def _n_values(self, line: bytes, number: int) -> int:
        return self._name_and_values(line, number)[1].count(self._separator.encode()) + 1

    def _told_by_barcodes(self, orientation: Orientation) -> Orientation | None:
        """The orientation that the user says, or the one that barcodes show; None where they do not."""
        if orientation != "auto":
            if orientation not in ("genes_by_cells", "cells_by_genes"):
                raise CellsError(f"{self.source}: no orientation {orientation}")
            return orientation
        lines, columns = (
            sum(bool(_BARCODE.match(name)) for name in names[:50]) / len(names[:50])
            for names in (self._by_line, self._across)
        )
        if (lines > 0.8) == (columns > 0.8):
            return None
        return "genes_by_cells" if columns > 0.8 else "cells_by_genes"

    def _blocks(self, wanted: np.ndarray | None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Numbers of lines (from 0, below the header) with their values, dense, in bounded pieces."""
        width = len(self._header)
        at_once = max(1, _VALUES_AT_ONCE // width)
        with self._lines() as lines:
            for _ in range(self._header_line):
                next(lines, None)
            numbers: list[int] = []
            texts: list[bytes] = []
            for number, line in enumerate(lines):
                if number >= len(self._line_names):
                    break
                if wanted is not None and not wanted[number]:
                    continue
                numbers.append(number)
                texts.append(self._name_and_values(line, number + self._header_line + 1)[1])
                if len(texts) == at_once:
                    yield np.array(numbers), self._parsed(texts, numbers, width)
                    numbers, texts = [], []
            if texts:
                yield np.array(numbers), self._parsed(texts, numbers, width)

    def _parsed(self, texts: list[bytes], numbers: list[int], width: int) -> np.ndarray:
        separator = self._separator.encode()
        for number, text in zip(numbers, texts, strict=True):
            if text.count(separator) + 1 != width:
                raise CellsError(
                    f"{self._place(number)}: {text.count(separator) + 2} columns where there should be {width + 1}"
                )
        try:
            values = np.loadtxt(
                [text.decode("latin-1") for text in texts],
                delimiter=self._separator,
                dtype=np.float32,
                ndmin=2,
                comments=None,
                quotechar='"',
            )
        except ValueError:
            if self.repair.fill is None:
                raise self._not_a_number(texts, numbers) from None
            values = self._with_gaps(texts, numbers)
        if values.shape != (len(texts), width):
            raise self._not_a_number(texts, numbers)
        return self.repair(values)

    def _with_gaps(self, texts: list[bytes], numbers: list[int]) -> np.ndarray:
        """Values some of which are missing, in one of the spellings of programs and people."""
        rows = [[value.strip().strip('"') for value in text.decode("latin-1").split(self._separator)] for text in texts]
        try:
            return np.array(
                [[np.nan if value.lower() in _MISSING else float(value) for value in row] for row in rows], np.float32
            )
        except ValueError:
            raise self._not_a_number(texts, numbers) from None

    def _not_a_number(self, texts: list[bytes], numbers: list[int]) -> CellsError:
        for number, text in zip(numbers, texts, strict=True):
            for column, value in enumerate(text.decode("latin-1").split(self._separator)):
                plain = value.strip().strip('"')
                if plain.lower() in _MISSING and self.repair.fill is not None:
                    continue
                try:
                    float(plain)
                except ValueError:
                    return CellsError(
                        f"{self._place(number)}, column {self._header[column]}: {value[:30]!r} is not a number"
                        + ("; `fill: 0` takes missing values for 0" if plain.lower() in _MISSING else "")
                        + ("; decimals stand behind a point" if _WITH_COMMA.fullmatch(plain) else "")
                        + (_DESCRIBED if plain[:1].isalpha() and plain.lower() not in _MISSING else "")
                    )
        return CellsError(
            f"{self.source}: values that are not numbers, around line {numbers[0] + self._header_line + 1}"
        )
