"""Edges in CSV, TSV and blanks, among them the exports of OmniPath, CollecTRI, DoRothEA and TRRUST."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pandas as pd

from kpnn.errors import PknError
from kpnn.pkn.formats.stated import Stated
from kpnn.text_tables import read_string_table

COMPLEX = "COMPLEX:"

# Columns that mean a field without being named. A weight is none of them: it may be a sign, but is as often a
# confidence. `mor` (mode of regulation) is a sign by its definition.
_USUAL_NAMES = {"sign": ("sign", "mor"), "cost": ("cost",), "directed": ("is_directed", "directed")}
# How tables that have no `parent` and `child` call them: OmniPath, DoRothEA and TRRUST, decoupler's networks.
_USUAL_PAIRS = (("source_genesymbol", "target_genesymbol"), ("tf", "target"), ("source", "target"))
_USUAL_SIGNS = ("is_stimulation", "is_inhibition")
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
    read = partial(
        read_string_table,
        path,
        PknError,
        has_header=not numbered,
        without_header="or number them: `columns: {parent: 1, child: 2, sign: 3}`",
    )
    table = read()
    notes: tuple[str, ...] = ()
    if not {"parent", "child"} & set(named) and not {"parent", "child"} <= set(table):
        pair = next((pair for pair in _USUAL_PAIRS if set(pair) <= set(table)), None)
        if pair is not None:
            named = {"parent": pair[0], "child": pair[1], **named}
            notes = (f"`{pair[0]}` is taken for the parent and `{pair[1]}` for the child",)
    named = {"parent": "parent", "child": "child", **named}
    missing = [name for name in named.values() if name not in table]
    if missing:
        read(needs=missing)  # says what is there, and where data stand in the place of a header
    if not {"sign", "stimulation"} & set(named) and "sign" not in table and set(_USUAL_SIGNS) <= set(table):
        named = {**named, "stimulation": _USUAL_SIGNS[0], "inhibition": _USUAL_SIGNS[1]}
    for field, usual in _USUAL_NAMES.items():
        for name in usual:
            if name in table and field not in named and not (field == "sign" and "stimulation" in named):
                named[field] = name
    return Stated(
        pd.DataFrame({field: table[name] for field, name in named.items()}),
        table,
        names=named,
        complexes=frozenset().union(*(_complexes(table, named[end]) for end in ("parent", "child"))),
        notes=notes,
    )


def _complexes(table: pd.DataFrame, column: str) -> set[str]:
    """Names of a column that are complexes by themselves, or by the identifier that stands beside them."""
    marked = table[column].str.startswith(COMPLEX)
    beside = _IDENTIFIERS.get(column)
    if beside in table:
        marked |= table[beside].str.startswith(COMPLEX)
    return set(table.loc[marked, column])
