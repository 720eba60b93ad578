"""What a file says about its edges, before anything is made of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import pandas as pd

from kpnn.errors import some_names
from kpnn.pkn.account import Dropped
from kpnn.pkn.signs import arrows_in, unknown_among

# What means a field without being named. A weight is none of them: it may be a sign, but is as often a confidence, and
# many programs give every edge 1.0. `mor` (mode of regulation) is a sign by its definition.
_USUAL_NAMES = {"sign": ("sign", "mor"), "cost": ("cost",), "directed": ("is_directed", "directed")}
_USUAL_SIGNS = ("is_stimulation", "is_inhibition")
_INTERACTION = "interaction"
"""What Cytoscape and SIF call the word or arrow between two nodes."""

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


def with_usual_names(named: Mapping[str, str], there: Collection[str]) -> dict[str, str]:
    """Adds to the columns or attributes that the user names those whose own names say what they are.

    Args:
        named: field -> name, as the user has it.
        there: names that the file has.
    """
    fields = dict(named)
    says_signs = bool({"sign", "stimulation"} & set(fields)) or "sign" in there
    if not says_signs and set(_USUAL_SIGNS) <= set(there):
        fields |= zip(("stimulation", "inhibition"), _USUAL_SIGNS, strict=True)
    for name_of, names in _USUAL_NAMES.items():
        found = [name for name in names if name in there]
        if found and name_of not in fields and not (name_of == "sign" and "stimulation" in fields):
            fields[name_of] = found[0]
    return fields


def signs_by_interaction(
    fields: Mapping[str, str], columns: pd.DataFrame
) -> tuple[dict[str, str], pd.Series | None, tuple[str, ...]]:
    """Takes `interaction` for signs where a file has it and nothing else that says them.

    Nobody asked for it, so that words which are no signs (`binds`) leave a sign unknown; beside arrows they are kept
    as they are, and refused, because an arrow says a direction too.

    Args:
        fields: field -> column, of what is known already.
        columns: all that the file says, as text.

    Returns:
        The fields; what is said of the edges' signs, None where that is not by an interaction; what was made of it.
    """
    if {"sign", "stimulation"} & set(fields) or _INTERACTION not in columns:
        return dict(fields), None, ()
    said = columns[_INTERACTION]
    strange = [] if arrows_in(said.unique()) else unknown_among(said.unique())
    if pd.to_numeric(pd.Series(strange, dtype=object), errors="coerce").notna().any():
        return dict(fields), None, ()  # numbers of interactions, or scores
    note = f"`{_INTERACTION}` is taken for the sign, which is unknown where it says {some_names(strange, 3)}"
    named = {**fields, "sign": _INTERACTION}
    return named, said.mask(said.isin(strange), ""), (note,) if strange else ()
