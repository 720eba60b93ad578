"""Class labels: which cells belong to which class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from kpnn.errors import CellsError, some_names
from kpnn.text_tables import read_string_table

_TRUTH = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "0.": 0, "1.": 1, "true": 1, "false": 0}


def read_class_labels(path: str | Path, *, group_by: str | None = None) -> pd.DataFrame:
    """Reads a table of class labels.

    Args:
        path: CSV or TSV, plain or gzipped: one row per cell, a column `barcode`, every other column
            an output node's label: 1 where the cell is of that class, else 0.
        group_by: a column that is no label but says which cells belong together (donor, sample).

    Returns:
        `barcode` (str), one int8 column per output, and `group_by` (str), in the order of the file.

    Raises:
        CellsError: the file is unusable, a barcode is empty or repeated, or a label is not 0 or 1.
    """
    return check_class_labels(read_string_table(path, CellsError, needs=["barcode"]), str(path), group_by=group_by)


def check_class_labels(
    table: pd.DataFrame,
    source: str = "class labels",
    *,
    group_by: str | None = None,
    outputs: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Checks a table of class labels and brings it into canonical form; see `read_class_labels`.

    Args:
        table: `barcode` and one column per output.
        source: what to call it in errors.
        group_by: a column that is no label but says which cells belong together.
        outputs: the columns that are labels, in this order; by default all.
    """
    if "barcode" not in table:
        raise CellsError(f"{source}: no column barcode (found: {some_names(table.columns)})")
    found = [name for name in table.columns if name not in ("barcode", group_by)]
    absent = [name for name in outputs or () if name not in found]
    if absent:
        raise CellsError(f"{source}: no label {some_names(absent)} (found: {some_names(found)})")
    if not found:
        raise CellsError(f"{source}: no column but the barcodes; every output node needs a column of 0 and 1")
    unnamed = [position + 1 for position, name in enumerate(table.columns) if not str(name).strip()]
    if unnamed:
        raise CellsError(f"{source}: column {some_names(unnamed)} has no name")
    barcodes = table["barcode"].astype(str)
    if (barcodes == "").any():
        raise CellsError(f"{source}: empty barcode in row {some_names(_rows(barcodes == ''))} below the header")
    repeated = barcodes[barcodes.duplicated()].unique()
    if len(repeated):
        raise CellsError(f"{source}: barcode {some_names(repeated)} stands more than once")
    labels: dict[str, pd.Series] = {"barcode": barcodes.astype(object)}
    for name in outputs or found:
        texts = table[name].astype(str).str.strip().str.lower()
        values = texts.map(_TRUTH)
        if values.isna().any():
            wrong = table.loc[values.isna(), name]
            raise CellsError(
                f"{source}: label {name} must be 0 or 1, found {some_names(wrong.unique())} "
                f"in row {some_names(_rows(values.isna()))} below the header"
                + ("" if outputs else f"; where {name} is no label, name the labels in data_engineering.outputs")
            )
        labels[name] = values.astype("int8")
    if group_by is not None and group_by in table:
        labels[group_by] = table[group_by].astype(str)
    return pd.DataFrame(labels).reset_index(drop=True)


def _rows(mask: pd.Series) -> list[int]:
    return [position + 1 for position, wrong in enumerate(mask) if wrong]
