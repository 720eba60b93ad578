"""Edges in SIF: source, relation and targets, in words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from kpnn.errors import PknError, some_names
from kpnn.pkn.formats.stated import Stated
from kpnn.pkn.signs import signs_of
from kpnn.text_tables import read_text

_UNDIRECTED_RELATIONS = ("undirected", "--")


def read_sif(path: Path, _columns: Mapping[str, str | int]) -> Stated:
    """Reads a SIF file; a line with a node alone is no edge.

    Raises:
        PknError: a line has no relation or target, or a relation is no sign.
    """
    rows: list[tuple[str, str, str, int]] = []
    for number, line in enumerate(read_text(path, PknError).splitlines(), 1):
        fields = [field.strip() for field in (line.split("\t") if "\t" in line else line.split())]
        if not line.strip() or line.startswith("#"):
            continue
        if len(fields) == 1:
            continue  # a node without edges
        if len(fields) == 2 or not all(fields):
            raise PknError(f"{path}, line {number}: needs source, relation and target; found {some_names(fields)}")
        rows += [(fields[0], target, fields[1], number) for target in fields[2:]]
    edges = pd.DataFrame(rows, columns=["parent", "child", "sign", "line"])
    is_undirected = edges["sign"].str.lower().isin(_UNDIRECTED_RELATIONS)
    edges["directed"] = [("no" if undirected else "yes") for undirected in is_undirected]
    edges.loc[is_undirected, "sign"] = ""
    for relation, line in edges.drop_duplicates("sign")[["sign", "line"]].itertuples(index=False):
        try:
            signs_of(pd.Series([relation]), "")
        except PknError:
            raise PknError(
                f"{path}, line {line}: {relation!r} is no sign (1, -1, activation, inhibition, unknown...)"
            ) from None
    return Stated(edges.drop(columns="line"), pd.DataFrame(index=edges.index))
