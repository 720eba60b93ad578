"""Names changed by a user's table: orthologues of another species, identifiers to symbols."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from kpnn.errors import PknError, some_names
from kpnn.pkn.account import few_of
from kpnn.pkn.edge_options import Rename
from kpnn.pkn.formats.ontology import names_of_terms
from kpnn.text_tables import read_string_table

_log = logging.getLogger(__name__)

_MOST_LACKING = 0.5
"""Share of the names from which keeping those that the table lacks is warned of."""


def renamed(edges: pd.DataFrame, rename: Rename, path: str) -> tuple[pd.DataFrame, list[str], np.ndarray]:
    """Changes the names of nodes; an edge whose name becomes several becomes several.

    Args:
        edges: `parent`, `child` and more, rows numbered from 0.
        rename: by which table.
        path: the edges' file, for errors.

    Returns:
        The edges, numbered by the kept rows that they were made of; what is worth saying; which rows are kept, shape
        (n_edges,).

    Raises:
        PknError: the table has none of the names, or lacks some and that is an error.
    """
    targets = _read(rename)
    ends = ("parent", "child") if rename.of == "both" else (rename.of,)
    names = set().union(*(edges[end] for end in ends))
    known = names & set(targets)
    if not known:
        raise PknError(
            f"{rename.filepath}: has none of the names of {path}, such as {some_names(sorted(names), 3)}; it names "
            f"{some_names(sorted(targets), 3)}"
        )
    missing = sorted(names - known)
    if missing and rename.missing == "error":
        raise PknError(f"{rename.filepath}: lacks {len(missing):,} names of {path}: {some_names(missing)}")
    if rename.missing == "keep" and len(missing) > _MOST_LACKING * len(names):
        _log.warning(
            "%s: %s lacks %s of %s names, which are left as they are: %s; it names %s",
            path,
            rename.filepath,
            f"{len(missing):,}",
            f"{len(names):,}",
            some_names(missing, 3),
            some_names(sorted(targets), 3),
        )
    kept = np.ones(len(edges), dtype=bool)
    if rename.missing == "drop":
        for end in ends:
            kept &= edges[end].isin(known).to_numpy()
    made = edges[kept].reset_index(drop=True)
    for end in ends:
        made = made.assign(**{end: [targets.get(name, [name]) for name in made[end]]}).explode(end)
    return made, _said(targets, known, missing, rename), kept


def _said(targets: dict[str, list[str]], known: Iterable[str], missing: list[str], rename: Rename) -> list[str]:
    notes = [f"{len(list(known)):,} names are changed by {rename.filepath}"]
    if missing:
        left = "left out" if rename.missing == "drop" else "left as they are"
        notes[0] += f", {len(missing):,} that it lacks are {left} ({few_of(missing)})"
    several = sorted(name for name in known if len(targets[name]) > 1)
    sources: dict[str, list[str]] = {}
    for name in known:
        for target in targets[name]:
            sources.setdefault(target, []).append(name)
    joined = sorted(target for target, names in sources.items() if len(names) > 1)
    if several:
        notes.append(f"{len(several):,} names become several ({few_of(several)})")
    if joined:
        notes.append(f"{len(joined):,} names are those of several ({few_of(joined)})")
    return notes


def _read(rename: Rename) -> dict[str, list[str]]:
    """Every name's new names, in the order of the table."""
    if rename.source is None or rename.target is None:
        pairs: Iterable[tuple[str, str]] = names_of_terms(Path(rename.filepath))
    else:
        source, target = str(rename.source), str(rename.target)
        has_header = not isinstance(rename.source, int)
        table = read_string_table(rename.filepath, PknError, needs=[source, target], has_header=has_header)
        pairs = zip(table[source], table[target], strict=True)
    targets: dict[str, list[str]] = {}
    for name, new in pairs:
        if name and new and new not in targets.setdefault(name, []):
            targets[name].append(new)
    return {name: new for name, new in targets.items() if new}
