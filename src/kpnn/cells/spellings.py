"""Genes that a file names otherwise than the network: in other case, with something around the name, by other ids."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pandas as pd

ENSEMBL = re.compile(r"^ENS([A-Z]*)G\d{9,}(\.\d+)?$")
"""Ensembl's identifiers of genes: the species is its first group, the version its second."""

FEW = 0.1
"""Share of the network's genes, or of a smaller file's, below which something is wrong with their names."""


_DATE = re.compile(r"\d{1,2}-(Feb|Mar|Apr|Sep|Oct|Nov|Dec)|(Feb|Mar|Apr|Sep|Oct|Nov|Dec)-\d{1,2}")

_OTHER_KINDS = (
    (re.compile(r"[OPQ]\d[A-Z\d]{3}\d(-\d+)?|[A-NR-Z]\d([A-Z][A-Z\d]{2}\d){1,2}(-\d+)?"), "UniProt's accessions"),
    (re.compile(r"\d+"), "numbers, as Entrez has them"),
    (re.compile(r"[NX][MRP]_\d+(\.\d+)?"), "RefSeq's accessions"),
    (re.compile(r"HGNC:\d+"), "HGNC's numbers"),
    (ENSEMBL, "Ensembl's ids"),
)
"""What names of genes are that are no symbols."""

_AROUND = "_|: ;."
"""What files put between a gene's name and something else."""

_TABLE = "a table (of the network: `rename:` in the catalog)"


def dates_among(names: Iterable[str]) -> list[str]:
    """Names that spreadsheets made dates of.

    Args:
        names: of genes.

    Examples:
        >>> dates_among(["1-Mar", "MARCHF1", "Sep-02", "SEPTIN2"])
        ['1-Mar', 'Sep-02']
    """
    return [name for name in map(str, names) if _DATE.fullmatch(name)]


def other_spelling(genes: Iterable[str], names: Iterable[str]) -> str:
    """What to do where few of the genes are among the names, but would be in another spelling; else empty.

    Args:
        genes: of the network.
        names: of the file's genes.

    Examples:
        >>> other_spelling(["CD69", "IL2"], ["GRCh38_CD69", "GRCh38_IL2", "GRCh38_LCK"])
        "2 would be found by what stands behind the first `_` of the cells' names for genes: name them by that"
    """
    wanted, there = pd.Index(list(genes), dtype=object), pd.Index(list(names), dtype=object)
    share = FEW * min(len(wanted), len(there))
    if wanted.isin(there).sum() >= share:
        return ""
    enough = max(share, 1)
    n_unversioned = int(_unversioned(wanted).isin(_unversioned(there)).sum())
    if n_unversioned >= enough:
        return (
            f"{n_unversioned:,} would be found without the versions of Ensembl's ids (ENSG00000010610.10): take what "
            "stands behind the dot away, in the cells and in the network"
        )
    n_otherwise = int(_lower(wanted).isin(_lower(there)).sum())
    if n_otherwise >= enough:
        are_small = [side for side, of in (("network's", wanted), ("cells'", there)) if _are_small(of)]
        cause = f", or the {are_small[0]} were written in small letters" if len(are_small) == 1 else ""
        return (
            f"{n_otherwise:,} would be found if case were ignored: the cells and the network are of two species{cause};"
            f" bring one to the other's names by {_TABLE}, of orthologues"
        )
    return _by_a_part(wanted, there, enough)


def _by_a_part(wanted: pd.Index, there: pd.Index, enough: float) -> str:
    """What to do where a part of the cells' names is what the network has."""
    best, told = 0, ""
    for separator in _AROUND:
        split = [str(name) for name in there if separator in str(name)]
        for place, cut, at in (
            ("behind the first", str.partition, 2),
            ("behind the last", str.rpartition, 2),
            ("before the first", str.partition, 0),
            ("before the last", str.rpartition, 0),
        ):
            n_found = int(wanted.isin([cut(name, separator)[at] for name in split]).sum())
            if n_found > best:
                best, told = n_found, f"{place} `{separator}`"
    if best < enough:
        return ""
    return f"{best:,} would be found by what stands {told} of the cells' names for genes: name them by that"


def other_kind(genes: Iterable[str], names: Iterable[str]) -> str:
    """What to do where the network's genes are named by other identifiers than the file's; else empty.

    Args:
        genes: of the network.
        names: of the file's genes.

    Examples:
        >>> other_kind(["P01579", "P05412"], ["CD69", "IL2"])  # doctest: +ELLIPSIS
        "the network's names are UniProt's accessions, the cells' are symbols: ..."
    """
    network, cells = _kind(genes), _kind(names)
    if network == cells:
        return ""
    return (
        f"the network's names are {network}, the cells' are {cells}: take a network of the same names, or bring one to "
        f"the other's by {_TABLE}"
    )


def _kind(names: Iterable[str]) -> str:
    """What most of the names are."""
    listed = [str(name) for name in names]
    for shape, kind in _OTHER_KINDS:
        if sum(bool(shape.fullmatch(name)) for name in listed) > len(listed) / 2:
            return kind
    return "symbols"


def _are_small(names: pd.Index) -> bool:
    return sum(str(name).islower() for name in names) > len(names) / 2


def _unversioned(names: pd.Index) -> pd.Index:
    """Ensembl's ids without their versions; other names are none here."""
    found = (ENSEMBL.match(str(name)) for name in names)
    return pd.Index([one.string.split(".")[0] for one in found if one], dtype=object)


def _lower(names: pd.Index) -> pd.Index:
    return pd.Index([str(name).lower() for name in names], dtype=object)
