"""Ontologies in OBO, such as GO: the broader term is the parent of the narrower one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from kpnn.errors import PknError
from kpnn.pkn.account import Dropped
from kpnn.pkn.formats.stated import Stated
from kpnn.text_tables import read_text

BROADER = ("is_a", "part_of")
"""Relations that lead from a term to a broader one, so that what holds for the narrower holds for the broader."""


def read_obo(path: Path, _columns: Mapping[str, str | int]) -> Stated:
    """Reads the relations `is_a` and `part_of` of terms that are in use.

    Others (`regulates`, `has_part`...) are counted and passed over: an annotation does not go up along them.

    Raises:
        PknError: there is no term.
    """
    rows: list[tuple[str, str, str, str]] = []
    others: list[str] = []
    n_terms = n_obsolete = 0
    for term in _terms(path):
        n_terms += 1
        if term.get("is_obsolete") == ["true"]:
            n_obsolete += 1
            continue
        name, namespace = _first(term, "id"), _first(term, "namespace")
        relations = [("is_a", target) for target in term.get("is_a", ())]
        relations += [
            (kind, target) for kind, _, target in (text.partition(" ") for text in term.get("relationship", ()))
        ]
        for kind, target in relations:
            broader = target.split(" ", 1)[0]
            if kind in BROADER:
                rows.append((broader, name, kind, namespace))
            else:
                others.append(f"{name} {kind} {broader}")
    if not n_terms:
        raise PknError(f"{path}: holds no [Term]; this is not an OBO")
    table = pd.DataFrame(rows, columns=["parent", "child", "relation", "namespace"], dtype=object)
    dropped = (Dropped("relations but is_a and part_of", len(others), tuple(others[:3])),) if others else ()
    notes = (f"{n_obsolete:,} terms are obsolete",) if n_obsolete else ()
    return Stated(table[["parent", "child"]], table[["relation", "namespace"]], passed_over=dropped, notes=notes)


def names_of_terms(path: Path) -> list[tuple[str, str]]:
    """Identifier (also those that were merged into others) and name of each term.

    Raises:
        PknError: the file cannot be read.
    """
    return [
        (identifier, _first(term, "name") or identifier)
        for term in _terms(path)
        for identifier in (*term.get("id", ()), *term.get("alt_id", ()))
    ]


def _terms(path: Path) -> Iterator[dict[str, list[str]]]:
    term: dict[str, list[str]] | None = None
    for line in read_text(path, PknError).splitlines():
        text = line.strip()
        if text.startswith("["):
            if term:
                yield term
            term = {} if text == "[Term]" else None
        elif term is not None and ": " in text:
            key, _, value = text.partition(": ")
            term.setdefault(key, []).append(value.split(" ! ", 1)[0].strip())
    if term:
        yield term


def _first(term: Mapping[str, list[str]], key: str) -> str:
    return term.get(key, [""])[0]
