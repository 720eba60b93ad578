"""The files that name the cells and genes of a `.mtx` matrix, as 10x, R and other programs write them."""

from __future__ import annotations

import csv
from collections.abc import Collection
from pathlib import Path

from kpnn.errors import CellsError, some_names
from kpnn.text_tables import read_text

_HEADERS = frozenset(
    {
        *("", "x", "v1", "index", "id", "name", "barcode", "barcodes", "cell", "cells", "cell_id", "cell_barcode"),
        *("gene", "genes", "gene_id", "gene_ids", "geneid", "gene_name", "gene_names", "gene_symbol", "symbol"),
        *("feature", "features", "feature_id", "ensembl_id"),
    }
)
"""What the first column of such a file is called, where it has a header: 10x writes none, R and pandas do."""


def read_name_rows(path: Path, sizes: Collection[int]) -> list[list[str]]:
    """Reads a file with a line for each cell or gene.

    Columns are separated by tabs, or by commas where no line has a tab and all have as many commas; quotes around a
    name are no part of it. A header, and numbers of rows as R writes them, are left out.

    Args:
        path: plain or gzipped.
        sizes: how many names there may be; a header is one line more.

    Returns:
        The columns of each line; the first one is not empty.

    Raises:
        CellsError: the file cannot be read, or a line has no name.
    """
    lines = read_text(path, CellsError).replace("\r\n", "\n").rstrip("\n").split("\n")
    has_tabs, n_commas = any("\t" in line for line in lines), {line.count(",") for line in lines}
    separator = "," if not has_tabs and len(n_commas) == 1 else "\t"
    if any(start in line for start in ('\t"', ',"') for line in lines) or any(line[:1] == '"' for line in lines):
        try:
            rows = [row or [""] for row in csv.reader(lines, delimiter=separator)]
        except csv.Error as cause:
            raise CellsError(f"{path}: cannot be read as names ({cause})") from None
    else:
        rows = [line.split(separator) for line in lines]
    rows = [[field.strip() for field in row] for row in rows]
    has_header = len(rows) not in sizes and len(rows) - 1 in sizes and rows[0][0].lower() in _HEADERS
    rows = rows[1:] if has_header else rows
    if all(len(row) > 1 and row[0] == str(number) for number, row in enumerate(rows, 1)):
        rows = [row[1:] for row in rows]
    empty = [number for number, row in enumerate(rows, 1 + has_header) if not row[0]]
    if empty:
        raise CellsError(f"{path}, line {some_names(empty)}: no name")
    return rows
