"""What a file says about its edges, before anything is made of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
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


def with_usual_names(
    named: Mapping[str, str], usual: Mapping[str, tuple[str, ...]], there: Collection[str]
) -> dict[str, str]:
    """Adds to the columns or attributes that the user names those whose own names say what they are.

    Args:
        named: field -> name, as the user has it.
        usual: field -> names that mean it, the first one first.
        there: names that the file has.
    """
    fields = dict(named)
    for name_of, names in usual.items():
        found = [name for name in names if name in there]
        if found and name_of not in fields and not (name_of == "sign" and "stimulation" in fields):
            fields[name_of] = found[0]
    return fields
