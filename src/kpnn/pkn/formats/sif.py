"""Edges in SIF: source, relation and targets, in words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from kpnn.errors import PknError, some_names
from kpnn.pkn.formats.stated import Stated
from kpnn.pkn.signs import KNOWN, unknown_among
from kpnn.text_tables import frame_of_texts, read_text, unquoted

_HEADERS = {
    (source, relation, target)
    for source, target in (("source", "target"), ("parent", "child"), ("from", "to"), ("regulator", "target"))
    for relation in ("interaction", "relation", "sign", "type", "edge")
}
"""First lines that name the columns: SIF has none, but tables that became SIF bring theirs along."""


def read_sif(path: Path, _columns: Mapping[str, str | int]) -> Stated:
    """Reads a SIF file; a line with a node alone is not an edge.

    Raises:
        PknError: a line has no relation or target, or a relation is neither a sign nor an arrow.
    """
    sources, targets, relations = list[str](), list[str](), list[str]()
    first_line: dict[str, int] = {}  # where a relation is first used
    for number, line in enumerate(read_text(path, PknError).splitlines(), 1):
        fields = list(map(str.strip, line.split("\t"))) if "\t" in line else line.split()
        if '"' in line:
            fields = [unquoted(field) for field in fields]
        # A comment, a blank line, or a node without edges.
        if len(fields) < 2 or line[0] == "#" or not any(fields):
            continue
        source, relation, *its_targets = fields
        if not sources and tuple(map(str.lower, fields)) in _HEADERS:
            continue
        if not its_targets or "" in fields:
            raise PknError(f"{path}, line {number}: needs source, relation and target; found {some_names(fields)}")
        if relation not in first_line:
            first_line[relation] = number
        for target in its_targets:
            sources.append(source)
            relations.append(relation)
            targets.append(target)
    edges = frame_of_texts({"parent": sources, "child": targets, "sign": relations})
    strange = unknown_among(first_line)
    if strange:
        raise PknError(f"{path}, line {first_line[strange[0]]}: {strange[0]!r} is not a sign ({KNOWN})")
    return Stated(edges, pd.DataFrame(index=edges.index))
