"""What is done to tables in several rooms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd


def largest_first(table: pd.DataFrame) -> pd.DataFrame:
    """The rows by the size of their `weight`, whatever its sign; rows of equal size stay in their order.

    Args:
        table: with `weight`; its index names each row once.
    """
    return table.loc[table["weight"].abs().sort_values(ascending=False, kind="stable").index]


def stacked(tables: Iterable[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    """Puts tables below each other, with these columns in this order; without any row there are the columns alone.

    A table without rows has no types of its own, and would take those of the others away: it is left out.
    """
    filled = [table for table in tables if len(table)]
    return pd.concat(filled, ignore_index=True)[list(columns)] if filled else pd.DataFrame(columns=list(columns))
