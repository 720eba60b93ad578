"""Genes that a file has under another spelling than the network: in other case, or with a version behind the name."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pandas as pd

ENSEMBL = re.compile(r"^ENS([A-Z]*)G\d{9,}(\.\d+)?$")
"""Ensembl's identifiers of genes: the species is its first group, the version its second."""

FEW = 0.1
"""Share of the network's genes, or of a smaller file's, below which something is wrong with their names."""


def other_spelling(genes: Iterable[str], names: Iterable[str]) -> str:
    """What to do where few of the genes are among the names, but would be in another spelling; else empty.

    Args:
        genes: of the network.
        names: of the file's genes.
    """
    wanted, there = pd.Index(list(genes), dtype=object), pd.Index(list(names), dtype=object)
    enough = FEW * min(len(wanted), len(there))
    if wanted.isin(there).sum() >= enough:
        return ""
    n_unversioned = int(_unversioned(wanted).isin(_unversioned(there)).sum())
    if n_unversioned >= max(enough, 1):
        return (
            f"{n_unversioned:,} would be found without the versions of Ensembl's ids (ENSG00000010610.10): take what "
            "stands behind the dot away, in the cells and in the network"
        )
    n_otherwise = int(_lower(wanted).isin(_lower(there)).sum())
    if n_otherwise >= max(enough, 1):
        return (
            f"{n_otherwise:,} would be found if case were ignored: the cells and the network are of two species; "
            "bring one to the other's names by a table of orthologues"
        )
    return ""


def _unversioned(names: pd.Index) -> pd.Index:
    """Ensembl's ids without their versions; other names are none here."""
    found = (ENSEMBL.match(str(name)) for name in names)
    return pd.Index([one.string.split(".")[0] for one in found if one], dtype=object)


def _lower(names: pd.Index) -> pd.Index:
    return pd.Index([str(name).lower() for name in names], dtype=object)
