"""Edges in CSV, TSV and blanks, among them the exports of OmniPath, CollecTRI, DoRothEA and TRRUST."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from kpnn.errors import PknError
from kpnn.pkn.formats.stated import Stated, signs_by_interaction, with_usual_names
from kpnn.text_tables import read_string_table

COMPLEX = "COMPLEX:"

# How tables that have no `parent` and `child` call them: OmniPath, DoRothEA and TRRUST, decoupler's networks.
_USUAL_PAIRS = (("source_genesymbol", "target_genesymbol"), ("tf", "target"), ("source", "target"))
_IDENTIFIERS = {"source_genesymbol": "source", "target_genesymbol": "target"}


def read_table(path: Path, columns: Mapping[str, str | int]) -> Stated:
    """Reads a table with a line per edge.

    Args:
        path: the file.
        columns: field -> its column's name, or its number in a table without a header.

    Raises:
        PknError: a column is missing, or names and numbers are mixed.
    """
    numbered = [name for name in columns.values() if isinstance(name, int)]
    if numbered and len(numbered) < len(columns):
        raise PknError(f"{path}: columns: either all names, or all numbers (of a table without a header)")
    named = {field: str(name) for field, name in columns.items()}
    if numbered and not {"parent", "child"} <= set(named):
        raise PknError(f"{path}: columns: a table without a header needs the numbers of `parent` and `child`")
    table = read_string_table(
        path,
        PknError,
        needs=lambda header: _fields(header, named).values(),
        has_header=not numbered,
        if_missing="say which columns are meant, by name or number: `columns: {parent: 1, child: 2, sign: 3}`",
    )
    fields = _fields(list(table), named)
    is_told = {"parent", "child"} & set(named) or fields["parent"] == "parent"
    edges = pd.DataFrame({field: table[name] for field, name in fields.items()})
    fields, signs, notes = signs_by_interaction(fields, table)
    if signs is not None:
        edges["sign"] = signs
    note = f"`{fields['parent']}` is taken for the parent and `{fields['child']}` for the child"
    return Stated(
        edges,
        table,
        names=fields,
        complexes=frozenset().union(*(_complexes(table, fields[end]) for end in ("parent", "child"))),
        notes=(*(() if is_told else (note,)), *notes),
    )


def _fields(header: Sequence[str], named: Mapping[str, str]) -> dict[str, str]:
    """Which columns mean what: those that the user names, and those whose names say it.

    Args:
        header: names of the columns.
        named: field -> column, of the fields that the user names.
    """
    fields = {"parent": "parent", "child": "child", **named}
    if not {"parent", "child"} & set(named) and not {"parent", "child"} <= set(header):
        pair = next((pair for pair in _USUAL_PAIRS if set(pair) <= set(header)), ("parent", "child"))
        fields |= zip(("parent", "child"), pair, strict=True)
    return with_usual_names(fields, header)


def _complexes(table: pd.DataFrame, column: str) -> set[str]:
    """Names of a column that are complexes by themselves, or by the identifier beside them."""
    marked = {name for name in table[column].tolist() if name.startswith(COMPLEX)}
    beside = _IDENTIFIERS.get(column)
    if beside in table:
        marked |= set(table.loc[table[beside].str.startswith(COMPLEX), column])
    return marked
