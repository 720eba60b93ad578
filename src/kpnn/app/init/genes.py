"""By which names a file's genes meet a network's."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

_ENSEMBL = re.compile(r"^ENS([A-Z]*)G\d{9,}(\.\d+)?$")
_MOUSE_SYMBOL = re.compile(r"^[A-Z][a-z0-9-]+$")
_HUMAN_SYMBOL = re.compile(r"^[A-Z][A-Z0-9-]+$")
_FEW = 0.1


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
        n_otherwise: how many it would have if upper and lower case were one.
        n_unversioned: how many it would have without what stands behind the dot in Ensembl's ids.
    """

    chosen: GeneNames
    kind: str
    species: str
    n_wanted: int
    n_found: int
    n_otherwise: int
    n_unversioned: int = 0

    @property
    def advice(self) -> str:
        """What to do where few genes meet; empty where there is nothing to be said."""
        if self.n_found >= _FEW * self.n_wanted:
            return ""
        if self.n_unversioned >= _FEW * self.n_wanted:
            return (
                f"{self.n_unversioned:,} would be found without the versions of Ensembl's ids (ENSG00000010610.10): "
                "take what stands behind the dot away, in the cells and in the network"
            )
        if self.n_otherwise >= _FEW * self.n_wanted:
            return (
                f"{self.n_otherwise:,} would be found if case were ignored: the cells and the network are "
                "of two species; bring one to the other's names by a table of orthologues"
            )
        return (
            f"the cells name genes such as {', '.join(map(str, self.chosen.names[:3]))}: bring cells and network to "
            "the same kind of names"
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
    lower = pd.Index([str(name).lower() for name in chosen.names])
    n_otherwise = int(genes.astype(str).str.lower().isin(lower).sum())
    plain = _unversioned(genes)
    n_unversioned = max(int(plain.isin(_unversioned(one.names)).sum()) for one in known)
    n_found = int(genes.isin(chosen.names).sum())
    return GeneLook(
        chosen, kind, species, len(genes), n_found, n_otherwise, n_unversioned if n_unversioned > n_found else 0
    )


def _unversioned(names: Iterable[str]) -> pd.Index:
    """Ensembl's ids without their versions; other names are none here."""
    found = (_ENSEMBL.match(str(name)) for name in names)
    return pd.Index([one.string.split(".")[0] for one in found if one], dtype=object)


def kind_and_species(names: Iterable[str]) -> tuple[str, str]:
    """Whether names are symbols or Ensembl's, and of which species, by what most of them look like.

    Args:
        names: of genes.
    """
    listed = [str(name) for name in names]
    ensembl = [found[1] for found in map(_ENSEMBL.match, listed) if found]
    if len(ensembl) > len(listed) / 2:
        species = {"": "human", "MUS": "mouse"}.get(max(set(ensembl), key=ensembl.count), "")
        return "Ensembl ids", species
    mouse, human = (sum(bool(shape.match(name)) for name in listed) for shape in (_MOUSE_SYMBOL, _HUMAN_SYMBOL))
    if max(mouse, human) <= len(listed) / 2:
        return "symbols", ""
    return "symbols", "mouse" if mouse > human else "human"
