"""Renders figures and tables into HTML and remembers them for the files beside the report."""

from __future__ import annotations

import pandas as pd

from kpnn.reporting import html
from kpnn.reporting.style import Figure


class Collector:
    """What a report holds, in the order in which it was rendered.

    Attributes:
        figures: every figure.
        tables: every table by name, in full.
    """

    def __init__(self) -> None:
        self.figures: list[Figure] = []
        self.tables: dict[str, pd.DataFrame] = {}

    def figure(self, drawn: Figure | None, wide: bool = False) -> str:
        """A figure's HTML; nothing where there is none.

        Args:
            drawn: the figure.
            wide: whether it takes the whole width.
        """
        if drawn is None:
            return ""
        self.figures.append(drawn)
        return html.figure(drawn, wide)

    def table(
        self, data: pd.DataFrame, name: str, caption: str, most_rows: int | None = None, shown: list[str] | None = None
    ) -> str:
        """A table's HTML; nothing where it is empty.

        Args:
            data: the table.
            name: of its CSV file.
            caption: what it shows.
            most_rows: rows shown; the CSV holds all.
            shown: columns shown; the CSV holds all.
        """
        if not len(data):
            return ""
        self.tables[name] = data
        return html.table(data, name, caption, most_rows, shown)
