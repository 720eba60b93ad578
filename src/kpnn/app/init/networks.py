"""How a user's file of knowledge is to be read: what the readers do not find out by themselves."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from kpnn.errors import PknError, UndirectedError
from kpnn.pkn.formats import format_of_name
from kpnn.pkn.readers import read_edges
from kpnn.pkn.signs import arrows_in, signs_of, unknown_among
from kpnn.text_tables import read_string_table

_PAIRS = (
    ("parent", "child"),
    ("source", "target"),
    ("tf", "target"),
    ("regulator", "target"),
    ("from", "to"),
    ("gene1", "gene2"),
)
"""What tables call parent and child, in small letters; readers know some of them as they stand here."""
_SIGNS = ("mode", "weight", "effect")
"""Columns that may hold signs, but are as often something else, so that readers do not take them unasked."""


@dataclass(frozen=True, eq=False)
class NetworkFile:
    """A file of edges and how to read it.

    Attributes:
        path: the file.
        options: what the catalog says about it beside the path.
        edges: what is read so: `parent`, `child`, `sign`.
        notes: what was seen and decided, for a person.
    """

    path: Path
    options: dict[str, Any]
    edges: pd.DataFrame = field(repr=False)
    notes: tuple[str, ...] = ()

    @property
    def children_are_genes(self) -> bool:
        """Whether the file holds sets of genes, which as input nodes take the suffix."""
        return bool(self.edges.attrs.get("children_are_genes"))

    def turned(self) -> NetworkFile:
        """The same file read the other way round."""
        edges = self.edges.assign(parent=self.edges["child"], child=self.edges["parent"])
        edges.attrs = dict(self.edges.attrs)
        note = "its edges lead from genes to the class (the computing direction)"
        options = self.options | {"direction": "child_to_parent"}
        return replace(self, options=options, edges=edges, notes=(*self.notes, note))


def look_at_network(path: Path) -> NetworkFile:
    """Finds out how to read a file of edges or sets of genes, and reads it.

    Args:
        path: the file.

    Raises:
        PknError: there is no such file, or it cannot be read in any of the ways that are known.
    """
    columns: dict[str, Any] = {}
    notes: tuple[str, ...] = ()
    if format_of_name(path) == "table":
        columns, notes = _columns_of(path)
    options: dict[str, Any] = {"columns": columns} if columns else {}
    try:
        edges = read_edges(path, **options)
    except UndirectedError:
        options["undirected"] = "drop"
        edges = read_edges(path, **options)
        notes = (*notes, "edges without a direction are left out")
    edges.attrs["source"] = str(path)
    account = str(edges.attrs["account"]).removeprefix(f"{path}: ")
    return NetworkFile(path, options, edges, (account, *notes))


def _columns_of(path: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The columns that must be named because no reader takes them by itself."""
    table = read_string_table(path, PknError)
    names = list(table.columns)
    by_small = {name.lower(): name for name in reversed(names)}
    pair = next(((by_small[a], by_small[b]) for a, b in _PAIRS if {a, b} <= set(by_small)), None)
    is_known = bool({"parent", "child", "source", "tf", "source_genesymbol"} & set(names))
    if pair is None and not is_known and len(names) >= 2 and _is_data(table):
        return _numbers_of(table), ("it has no header: its columns are numbered",)
    are_unknown = pair is None and not is_known
    if are_unknown and len(names) == 2 and not any(_are_numbers(table[name]) for name in names):
        # Which way round they point is found out later.
        told = f"`{names[0]}` is taken for the parent and `{names[1]}` for the child"
        return {"parent": names[0], "child": names[1]}, (told,)
    columns: dict[str, Any] = {} if pair is None or is_known else {"parent": pair[0], "child": pair[1]}
    if {"sign", "mor", "is_stimulation", "interaction"} & set(names):
        return columns, ()
    for name in names:
        if _are_arrows(table[name]):
            return {**columns, "sign": name}, (f"column `{name}` holds arrows",)
    for name in _SIGNS:
        # Positive numbers alone may as well say how sure an edge is.
        if name in names and not unknown_among(table[name]) and (signs_of(table[name], "") < 0).any():
            return {**columns, "sign": name}, (f"column `{name}` holds signs",)
    return columns, ()


def _numbers_of(table: pd.DataFrame) -> dict[str, Any]:
    """Columns of a table without a header: signs stand behind the nodes; arrows, as in SIF, may stand between them."""
    columns = [pd.Series([name, *table[name]]) for name in table.columns[:3]]
    if len(columns) == 3 and _are_arrows(columns[1]):
        return {"parent": 1, "sign": 2, "child": 3}
    has_signs = len(columns) == 3 and not unknown_among(columns[2])
    return {"parent": 1, "child": 2, **({"sign": 3} if has_signs else {})}


def _are_arrows(column: pd.Series) -> bool:
    """Whether there are arrows in a column, and nothing else but signs."""
    return bool(arrows_in(column.unique())) and not unknown_among(column)


def _are_numbers(column: pd.Series) -> bool:
    return bool(pd.to_numeric(column, errors="coerce").notna().all())


def _is_data(table: pd.DataFrame) -> bool:
    """Whether the header is a row of data: an arrow, or a name that stands again below."""
    return bool(arrows_in(table.columns)) or any(
        (table.iloc[:1000, position] == name).any() for position, name in enumerate(table.columns)
    )
