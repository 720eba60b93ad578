"""What a report is made of, before it becomes a page: sentences, tables, figures, and parts that hold others."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from kpnn.reporting.figures.style import Figure

MOST_CSV_ROWS = 3000
"""Rows of a table that can be saved from the page: a report must stay small enough to be sent."""

_NAMES = ("node", "gene", "parent", "child", "arm", "network", "control", "output", "class", "called", "hyperparameter")


@dataclass(frozen=True)
class Text:
    """A paragraph; `names` in backquotes become code.

    Attributes:
        sentence: the words.
        style: CSS class, such as `note`.
    """

    kind: ClassVar[str] = "text"
    sentence: str
    style: str = ""


@dataclass(frozen=True)
class Bullets:
    """A list of sentences."""

    kind: ClassVar[str] = "bullets"
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Column:
    """A column as it stands in the page: `cells` are pairs of what is shown and what it sorts by."""

    heading: str
    style: str
    cells: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, eq=False)
class Table:
    """A table that scrolls sideways on its own, sorts by its headings and can be saved as CSV.

    Attributes:
        data: all rows and columns.
        name: of the CSV file.
        caption: what it shows.
        most_rows: rows shown in the page; the CSV holds more.
        shown: columns shown in the page; the CSV holds all.
        searched: what its section's search calls it, where that looks for names in the first column that is shown.
    """

    kind: ClassVar[str] = "table"
    data: pd.DataFrame
    name: str
    caption: str
    most_rows: int | None = None
    shown: tuple[str, ...] = ()
    searched: str = ""

    @property
    def columns(self) -> list[Column]:
        """The shown columns, formatted."""
        rows = self.data if self.most_rows is None else self.data.head(self.most_rows)
        return [_column(rows[name], str(name)) for name in self.shown or list(rows)]

    @property
    def names_left_out(self) -> list[str]:
        """What the first column holds in rows that are not in the page."""
        return [] if self.most_rows is None else [str(name) for name in self.data[self.shown[0]][self.most_rows :]]

    @property
    def remark(self) -> str:
        """Says which rows are not in the page; empty where all are."""
        parts = []
        if self.most_rows is not None and len(self.data) > self.most_rows:
            parts.append(f"The first {self.most_rows:,} of {len(self.data):,} rows are shown.")
        if len(self.data) > MOST_CSV_ROWS:
            parts.append(f"The CSV in this page holds {MOST_CSV_ROWS:,}; the file beside the report holds all.")
        return " ".join(parts)

    @property
    def csv(self) -> str:
        """The first rows as CSV in base64, for a link that saves them."""
        return base64.b64encode(
            self.data.head(MOST_CSV_ROWS).to_csv(index=False, float_format="%.6g").encode()
        ).decode()


def _column(values: pd.Series, name: str) -> Column:
    is_number = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    style = "number" if is_number else "name" if name in _NAMES else ""
    # Shown digits may tie where the numbers do not.
    keys = [repr(float(value)) if isinstance(value, float) and value == value else None for value in values]
    return Column(name.replace("_", " "), style, tuple(zip(map(shown_value, values), keys, strict=True)))


def shown_value(value: object) -> str:
    """A table's value as text: whole numbers with thousands, others with four significant digits."""
    if value is None or value is pd.NA or (isinstance(value, float) and value != value):
        return "–"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return f"{int(value):,}"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e-3 or abs(value) >= 1e4 else f"{value:.4f}".rstrip("0").rstrip(".")
    return str(value)


@dataclass(frozen=True)
class Row:
    """Figures beside each other where the page is wide enough."""

    kind: ClassVar[str] = "row"
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class Search:
    """A field that finds names in its section: in drawings of called nodes and in tables that are searched."""

    kind: ClassVar[str] = "search"


@dataclass(frozen=True)
class NetworkDrawing:
    """The drawing of the selected DAG, with a search and a switch for what was pruned away.

    Attributes:
        figure: the drawing.
        names: what can be searched for.
        n_away: number of nodes that were pruned away.
    """

    kind: ClassVar[str] = "network"
    figure: Figure
    names: tuple[str, ...]
    n_away: int


@dataclass(frozen=True)
class Details:
    """Blocks that open on demand, and that are left out in print."""

    kind: ClassVar[str] = "details"
    summary: str
    blocks: Blocks


@dataclass(frozen=True)
class ParametersAsJson:
    """Parameters as JSON."""

    kind: ClassVar[str] = "settings"
    json: str


Block = Text | Bullets | Table | Row | Search | NetworkDrawing | Details | ParametersAsJson
Blocks = tuple[Block, ...]


@dataclass(frozen=True)
class Section:
    """A part of the report.

    Attributes:
        name: its anchor, such as `nodes`.
        title: its heading.
        blocks: what it holds.
    """

    name: str
    title: str
    blocks: Blocks


def row_of(figures: Iterable[Figure | None]) -> list[Block]:
    """A row of the figures that are there; nothing where none is."""
    drawn = tuple(figure for figure in figures if figure is not None)
    return [Row(drawn)] if drawn else []


def table_of(data: pd.DataFrame, name: str, caption: str, most_rows: int | None = None) -> list[Block]:
    """A table; nothing where it has no rows."""
    return [Table(data, name, caption, most_rows)] if len(data) else []


def details_of(summary: str, blocks: Iterable[Block]) -> list[Block]:
    """Blocks that open on demand; nothing where there are none."""
    held = tuple(blocks)
    return [Details(summary, held)] if held else []


def leaves(blocks: Iterable[Block]) -> Iterator[Block]:
    """Every block that holds no others, in the order of the page."""
    for block in blocks:
        if isinstance(block, Details):
            yield from leaves(block.blocks)
        else:
            yield block
