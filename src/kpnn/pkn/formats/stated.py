"""What a file says about its edges, before anything is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from kpnn.pkn.account import Dropped

FIELDS = ("parent", "child", "sign", "cost", "stimulation", "inhibition", "directed")


@dataclass(frozen=True, eq=False)
class Stated:
    """The edges of a file, as text.

    Attributes:
        edges: `parent`, `child`, and where the file has them other `FIELDS`; one row an edge.
        columns: whatever else the file says about each edge, by the file's own names; the same rows.
        names: field -> what the file calls it.
        complexes: names that the file marks as complexes of several proteins.
        passed_over: what the format itself says is not an edge, such as annotations with NOT.
        notes: what else was made of the file.
    """

    edges: pd.DataFrame
    columns: pd.DataFrame
    names: Mapping[str, str] = field(default_factory=dict)
    complexes: frozenset[str] = frozenset()
    passed_over: tuple[Dropped, ...] = ()
    notes: tuple[str, ...] = ()
