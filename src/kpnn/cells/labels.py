"""Class labels as tables: a barcode and a 0/1 column for each output, or whatever columns a file holds."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from kpnn.errors import CellsError, near_names, some_names
from kpnn.text_tables import column_name, read_string_table

_log = logging.getLogger(__name__)

_TRUTH = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "0.": 0, "1.": 1, "true": 1, "false": 0}

ROLES = ("barcode", "label", "group")
"""What a column of a table of labels can be, where its own name does not say so."""


def read_label_table(path: str | Path, columns: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Reads a table of labels as it is; what the labels say is not looked at.

    Args:
        path: CSV or TSV, plain or gzipped; one row per cell.
        columns: which columns of the file are `barcode`, `label` (the class of each cell) and `group` (its donor or
            sample). Without `barcode`, the column of that name holds the barcodes, else the first one if it can.

    Returns:
        `barcode` and the other columns under their own names, all text; `attrs["columns"]` says which of them are
        `label` and `group`, and `attrs["barcodes"]` what the file calls the barcodes.

    Raises:
        CellsError: the file is unusable, or a named column is not in it.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder) / "labels.csv"
        ...     pd.DataFrame({"cell": ["c1", "c2"], "state": ["rest", "stim"]}).to_csv(path, index=False)
        ...     read_label_table(path, {"barcode": "cell", "label": "state"})
          barcode state
        0      c1  rest
        1      c2  stim
    """
    if str(path).lower().endswith((".h5ad", ".zarr")):
        raise CellsError(
            f"{path}: is AnnData and no table; its own labels are a column of its obs: leave the file of labels out, "
            "and name the column (data_engineering.label)"
        )
    table = read_string_table(path, CellsError, names_rows=True)
    named = {role: column_name(column) for role, column in (columns or {}).items()}
    for role, column in named.items():
        if role not in ROLES:
            raise CellsError(f"{path}: columns has no {role}; {near_names(role, ROLES)}")
        if column not in table:
            raise CellsError(f"{path}: no column {column} for {role}; {near_names(column, table.columns)}")
    barcodes = named.pop("barcode", None) or _barcode_column(table, str(path))
    if barcodes != "barcode":
        table = table.drop(columns="barcode", errors="ignore").rename(columns={barcodes: "barcode"})
    table.attrs |= {"columns": named, "barcodes": barcodes}
    return table


def _barcode_column(table: pd.DataFrame, source: str) -> str:
    """The column of barcodes of a table in which none is said to hold them."""
    if "barcode" in table:
        return "barcode"
    first = table.columns[0]
    repeated = table.loc[table[first].duplicated() & (table[first] != ""), first].unique()
    can_name_cells = not len(repeated) and (table[first] != "").all() and len(table.columns) > 1
    if not can_name_cells or table[first].str.lower().isin(_TRUTH).all():
        n_names = table[first].nunique()
        why = (
            f"; the first, {first or 'without a name'}, does not name them: {some_names(repeated, 3)} occurs more than "
            "once in it"
            if len(repeated) and n_names > len(table) / 2
            else ""
        )
        raise CellsError(
            f"{source}: no column barcode (found: {some_names(table.columns)}){why}; call the column that names the "
            "cells barcode, or say which it is with `columns: {barcode: ...}` in the catalog"
        )
    _log.info("%s: the first column (%s) names the cells", source, first or "without a name")
    return first


def read_class_labels(
    path: str | Path, *, group_by: str | None = None, columns: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Reads a table of class labels.

    Args:
        path: CSV or TSV, plain or gzipped: one row per cell, a column of barcodes, every other column an output node's
            label: 1 where the cell is of that class, else 0.
        group_by: a column that is not a label but says which cells belong together (donor, sample).
        columns: as in `read_label_table`.

    Returns:
        `barcode` (str), one int8 column per output, and `group_by` (str), in the order of the file.

    Raises:
        CellsError: the file is unusable, a barcode is empty or repeated, or a label is not 0 or 1.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder) / "labels.csv.gz"
        ...     pd.DataFrame({"barcode": ["c1", "c2"], "TCR": ["false", "true"]}).to_csv(path, index=False)
        ...     read_class_labels(path)
          barcode  TCR
        0      c1    0
        1      c2    1
    """
    return check_class_labels(read_label_table(path, columns), str(path), group_by=group_by)


def check_class_labels(
    table: pd.DataFrame,
    source: str = "class labels",
    *,
    group_by: str | None = None,
    outputs: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Checks a table of class labels and brings it into canonical form; see `read_class_labels`.

    Cells without any label are left out.

    Args:
        table: `barcode` and one column per output.
        source: what to call it in errors.
        group_by: a column that is not a label but says which cells belong together.
        outputs: the columns that are labels, in this order; by default all.

    Returns:
        `barcode` (str), one int8 column per output, and `group_by` (str) where the table has it, in the order given.

    Raises:
        CellsError: there are no barcodes or no labels, a barcode is empty or repeated, a label is absent or not 0 or
            1, or two labels differ only by case or blanks.

    Examples:
        >>> table = pd.DataFrame({"barcode": ["c1", "c2"], "TCR": ["0", "1.0"], "donor": ["d1", "d2"]})
        >>> check_class_labels(table, group_by="donor")
          barcode  TCR donor
        0      c1    0    d1
        1      c2    1    d2
        >>> check_class_labels(table.assign(TCR=["0", "2"]), outputs=["TCR"])
        Traceback (most recent call last):
        kpnn.errors.CellsError: class labels: label TCR must be 0 or 1, found 2 in row 2 below the header
    """
    if "barcode" not in table:
        raise CellsError(f"{source}: no column barcode (found: {some_names(table.columns)})")
    found = [name for name in table.columns if name not in ("barcode", group_by)]
    absent = [name for name in outputs or () if name not in found]
    if absent:
        raise CellsError(
            f"{source}: no label {some_names(absent)} (found: {some_names(found)}); {near_names(absent[0], found)}"
        )
    if not found:
        raise CellsError(f"{source}: no column but the barcodes; every output node needs a column of 0 and 1")
    names = list(outputs or found)
    unnamed = [position + 1 for position, name in enumerate(table.columns) if not str(name).strip() and name in names]
    if unnamed:
        raise CellsError(f"{source}: column {some_names(unnamed)} has no name")
    alike = spelt_alike(names)
    if alike:
        raise CellsError(
            f"{source}: labels {' and '.join(map(repr, alike))} differ only by case or blanks; rename or join them"
        )
    table = table.reset_index(drop=True)
    texts = table[names].apply(lambda column: column.astype(str).str.strip().str.lower())
    blank = texts.isin(("", "nan")).all(axis=1)
    if blank.any() and not blank.all():
        _log.warning("%s: %s of %s cells have no label and are left out", source, f"{blank.sum():,}", f"{len(blank):,}")
        table, texts = table[~blank], texts[~blank]
    labels: dict[str, pd.Series] = {"barcode": checked_barcodes(table["barcode"], source)}
    for name in names:
        values = texts[name].map(_TRUTH)
        if values.isna().any():
            wrong = table.loc[values.isna(), name].replace("", "nothing")
            raise CellsError(
                f"{source}: label {name} must be 0 or 1, found {some_names(wrong.unique())} "
                f"in row {some_names(_rows(values.isna()))} below the header"
                + ("" if outputs else f"; {_where_no_label(name, table[name])}")
            )
        labels[name] = values.astype("int8")
    if group_by is not None and group_by in table:
        labels[group_by] = table[group_by].astype(str)
    return pd.DataFrame(labels).reset_index(drop=True)


def checked_barcodes(barcodes: pd.Series, source: str) -> pd.Series:
    """The names of cells as text.

    Raises:
        CellsError: a barcode is empty or occurs more than once.
    """
    names = barcodes.astype(str).astype(object)
    if (names == "").any():
        raise CellsError(f"{source}: empty barcode in row {some_names(_rows(names == ''))} below the header")
    repeated = names[names.duplicated()].unique()
    if len(repeated):
        raise CellsError(
            f"{source}: barcode {some_names(repeated)} occurs more than once; give each cell a name of its own, such "
            "as SAMPLE_BARCODE"
        )
    return names


def _where_no_label(name: str, column: pd.Series) -> str:
    """What to do about a column that holds something else than 0 and 1."""
    advice = f"where {name} is not a label, name the labels in data_engineering.outputs"
    repeats = column.nunique() <= len(column) / 2
    return f"{advice}; where it holds the classes as text, set data_engineering.label: {name}" if repeats else advice


def spelt_alike(names: Sequence[str]) -> list[str]:
    """The first names that differ only by case or blanks, in the order given; none where there are none."""
    spelt: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        spelt.setdefault("".join(str(name).split()).casefold(), []).append(name)
    return next((alike for alike in spelt.values() if len(alike) > 1), [])


def _rows(mask: pd.Series) -> list[int]:
    return [int(position) + 1 for position, wrong in zip(mask.index, mask, strict=True) if wrong]


def warn_of_independence(source: str, classes: Sequence[str]) -> None:
    """Warns that classes of which each cell has exactly one are to be trained each by itself.

    Where all classes read one neuron, what they ask of it adds up to nothing in every cell, so that it learns nothing.

    Args:
        source: what to call the labels.
        classes: their names.
    """
    _log.warning(
        "%s: each cell is of exactly one of the classes %s, but data_engineering.one_of_k: false trains each by "
        "itself: neurons that all of them share may learn nothing, as what one class asks of them others take back; "
        "leave one_of_k at null for one softmax",
        source,
        some_names(classes),
    )
