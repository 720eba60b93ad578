"""By which names a file's genes meet a network's."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from kpnn.cells.spellings import ENSEMBL, FEW, other_kind, other_spelling
from kpnn.errors import some_names

_MOUSE_SYMBOL = re.compile(r"^[A-Z][a-z0-9-]+$")
_HUMAN_SYMBOL = re.compile(r"^[A-Z][A-Z0-9-]+$")


@dataclass(frozen=True)
class GeneNames:
    """One set of names that a file has for its genes.

    Attributes:
        called: what it is, for a person: `symbols`, or the column of `var`.
        options: what the catalog says to get it; nothing for symbols.
        names: shape (genes,).
    """

    called: str
    options: dict[str, Any]
    names: pd.Index = field(repr=False)


@dataclass(frozen=True)
class GeneLook:
    """The names that meet most of the network's genes.

    Attributes:
        chosen: those names.
        kind: `symbols` or `Ensembl ids`.
        species: `human`, `mouse` or empty where names do not tell.
        n_wanted: genes of the network.
        n_found: how many of them the file has.
        spelling: what to do where it has them under another spelling.
        examples: some of the network's genes.
    """

    chosen: GeneNames
    kind: str
    species: str
    n_wanted: int
    n_found: int
    spelling: str = ""
    examples: tuple[str, ...] = ()

    @property
    def few_meet(self) -> bool:
        """Whether so few genes meet that names may differ in kind.

        A file of some hundred chosen genes has few of the network's, and the network most of the file's.
        """
        return self.n_found < FEW * min(self.n_wanted, len(self.chosen.names))

    @property
    def advice(self) -> str:
        """What to do where few genes meet; empty where there is nothing to be said."""
        if not self.few_meet:
            return ""
        if self.spelling:
            return self.spelling
        return (
            f"the cells name genes such as {some_names(self.chosen.names[:3])}, the network {some_names(self.examples)}"
            ": bring them to the same kind of names"
        )


def look_at_genes(names: Iterable[GeneNames], wanted: Iterable[str]) -> GeneLook:
    """Chooses the names that meet most of the network's genes; the first where that is undecided.

    Args:
        names: the sets of names that the file has, at least one.
        wanted: genes of the network.
    """
    genes = pd.Index(list(dict.fromkeys(wanted)), dtype=object)
    known = list(names)
    chosen = max(known, key=lambda one: int(genes.isin(one.names).sum()))
    kind, species = kind_and_species(chosen.names)
    n_found = int(genes.isin(chosen.names).sum())
    look = GeneLook(chosen, kind, species, len(genes), n_found, examples=tuple(genes[:3]))
    if not look.few_meet:
        return look
    spellings = (other_spelling(genes, one.names) for one in (chosen, *known))
    return replace(look, spelling=next(filter(None, spellings), "") or other_kind(genes, chosen.names))


def kind_and_species(names: Iterable[str]) -> tuple[str, str]:
    """Whether names are symbols or Ensembl's, and of which species, by what most of them look like.

    Args:
        names: of genes.
    """
    listed = [str(name) for name in names]
    ensembl = [found[1] for found in map(ENSEMBL.match, listed) if found]
    if len(ensembl) > len(listed) / 2:
        species = {"": "human", "MUS": "mouse"}.get(max(set(ensembl), key=ensembl.count), "")
        return "Ensembl ids", species
    mouse, human = (sum(bool(shape.match(name)) for name in listed) for shape in (_MOUSE_SYMBOL, _HUMAN_SYMBOL))
    if max(mouse, human) <= len(listed) / 2:
        return "symbols", ""
    return "symbols", "mouse" if mouse > human else "human"
