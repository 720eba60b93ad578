"""Labelled cells and measured genes brought together with a PKN, and an account of what was left out."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar, overload

import numpy as np
import pandas as pd
import scipy.sparse as sp

from kpnn.cells.account import Step, dropped_step
from kpnn.cells.expression import Expression
from kpnn.cells.joining import Join
from kpnn.cells.matched import Matched, Origin, StreamedMatch, parts_of
from kpnn.cells.spellings import FEW, dates_among, other_kind, other_spelling
from kpnn.errors import CellsError, SettingsError, some_names

_M = TypeVar("_M", Matched, StreamedMatch)

_log = logging.getLogger(__name__)

# Labels are made for the cells of one file, but networks know many genes that an assay does not measure.
_MOST_LOST_CELLS = 0.1
_MOST_LOST_GENES = 0.5

_SEQUENCE = re.compile(r"[ACGTN]{8,}")
_BETWEEN_PARTS = re.compile(r"[-_.:#|/ ]+")


@dataclass(frozen=True)
class CountLimits:
    """Which cells and genes have enough counts to be used; everything is, by default.

    Attributes:
        min_counts_per_cell: least sum over all genes of the file.
        min_cells_per_gene: least number of labelled cells in which a gene is seen; a gene seen in none never
            carries information, so the default is 1.

    Examples:
        >>> from anndata import AnnData
        >>> from kpnn.cells import InMemory
        >>> counts = pd.DataFrame([[3.0, 0.0], [1.0, 5.0], [2.0, 2.0]], ["c1", "c2", "c3"], ["CD69", "IL2"])
        >>> labels = pd.DataFrame({"barcode": ["c1", "c2", "c3"], "TCR": [1, 0, 1]})
        >>> limits = CountLimits(min_cells_per_gene=3)
        >>> matched = match(InMemory(AnnData(counts)), labels, counts.columns, limits=limits)
        >>> list(matched.genes), matched.steps[-1].name
        (['CD69'], 'genes seen in at least 3 cells')
    """

    min_counts_per_cell: float = 0.0
    min_cells_per_gene: int = 1

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value >= 0:
                raise SettingsError(f"limits must not be negative, found {name} = {value:g}")


@overload
def match(
    expression: Expression,
    labels: pd.DataFrame,
    genes: Iterable[str],
    *,
    join: Join = ...,
    limits: CountLimits | None = ...,
) -> Matched: ...


@overload
def match(
    expression: Expression,
    labels: pd.DataFrame,
    genes: Iterable[str],
    *,
    join: Join = ...,
    limits: CountLimits | None = ...,
    in_memory_cells: int | None,
) -> Matched | StreamedMatch: ...


def match(
    expression: Expression,
    labels: pd.DataFrame,
    genes: Iterable[str],
    *,
    join: Join = "max",
    limits: CountLimits | None = None,
    in_memory_cells: int | None = None,
) -> Matched | StreamedMatch:
    """Reads the labelled cells and the PKN's genes, and drops what is not usable.

    Args:
        expression: where the cells are.
        labels: `barcode` and one 0/1 column per output.
        genes: the genes that the PKN knows.
        join: how repeated genes become one.
        limits: which cells and genes have enough counts.
        in_memory_cells: more labelled cells than this stay on disk (`StreamedMatch`), in the order of the file;
            None: all are read.

    Returns:
        Cells in the order of the labels, genes in the order given, with an account of every step.

    Raises:
        CellsError: no cell or no gene in common, nothing left, or the expression is not usable.

    Examples:
        >>> from anndata import AnnData
        >>> from kpnn.cells import InMemory
        >>> counts = pd.DataFrame([[3.0, 0.0], [1.0, 5.0], [0.0, 2.0]], ["c1", "c2", "c3"], ["CD69", "IL2"])
        >>> labels = pd.DataFrame({"barcode": ["c3", "c1"], "TCR": [1, 0]})
        >>> matched = match(InMemory(AnnData(counts)), labels, ["IL2", "CD69", "LCK"])
        >>> pd.DataFrame(matched.counts.toarray(), list(matched.labels.index), matched.genes)
            IL2  CD69
        c3  2.0   0.0
        c1  0.0   3.0
        >>> matched.steps[2].examples  # genes that the file lacks
        ('LCK',)
    """
    limits = limits or CountLimits()
    genes = list(dict.fromkeys(genes))
    expression.settle(labels["barcode"], genes)
    at, indexed, steps = _labelled(expression, labels)
    known, columns, step = _known_genes(expression, pd.Index(genes), len(indexed))
    joined = Step(f"repeated genes joined ({join})", len(indexed), len(known), columns - len(known))
    account = (*steps, step, joined)
    if in_memory_cells is not None and len(indexed) > in_memory_cells:
        order = np.argsort(at, kind="stable")
        at, indexed = at[order], indexed.iloc[order]
        totals, seen_in, origin = _counted(expression, at, known, join, limits)
        return _within(StreamedMatch(totals, indexed, known, account, origin, expression, at, join), seen_in, limits)
    counts, totals = expression.counts(at, known, join=join)
    seen_in = _seen_in(counts, totals, limits)
    origin = Origin(expression.source, expression.is_logged).with_values(counts.data)
    return _within(Matched(totals, indexed, known, account, origin, counts), seen_in, limits)


def _labelled(expression: Expression, labels: pd.DataFrame) -> tuple[np.ndarray, pd.DataFrame, list[Step]]:
    """Positions and labels of the labelled cells that the file has."""
    indexed = labels.set_index("barcode")
    at = expression.locate(indexed.index)
    unknown = indexed.index[at < 0]
    if len(unknown) == len(indexed):
        raise CellsError(
            f"{expression.source}: has none of the {len(indexed):,} labelled cells; the labels name "
            f"{some_names(indexed.index, 3)}, the file {some_names(expression.barcodes[:3])}"
            f"{turned_round(expression, cells=indexed.index)}{_labels_turned_round(expression, labels)}"
            f"{_otherwise_named(expression, unknown)}"
        )
    if len(unknown) > _MOST_LOST_CELLS * len(indexed):
        _log.warning(
            "%s of %s labelled cells are not in %s and are left out: %s; the file names %s%s",
            f"{len(unknown):,}",
            f"{len(indexed):,}",
            expression.source,
            some_names(unknown, 3),
            some_names(expression.barcodes[:3]),
            _otherwise_named(expression, unknown),
        )
    found = at >= 0
    steps = [
        Step("in the expression file", expression.n_cells, len(expression.genes)),
        dropped_step("labelled cells", int(found.sum()), len(expression.genes), unknown),
    ]
    return at[found], indexed[found], steps


def turned_round(expression: Expression, *, cells: Iterable[str] = (), genes: Iterable[str] = ()) -> str:
    """What to do where expression lies on its side, in words that go on after an error; empty where it does not.

    Args:
        expression: that has none of these cells, or none of these genes.
        cells: names of cells that are looked for.
        genes: names of genes that are looked for.
    """
    if not (expression.symbols.isin(list(cells)).any() or expression.barcodes.isin(list(genes)).any()):
        return ""
    return (
        "; what it calls genes are cells: it lies on its side, so turn it (of a table, `orientation:` says which side "
        "holds the cells; of an AnnData, save `adata.T`)"
    )


def _labels_turned_round(expression: Expression, labels: pd.DataFrame) -> str:
    if expression.barcodes.isin(labels.columns[1:]).any():
        return "; the columns of the labels are called like its cells: turn the table of labels, one line per cell"
    return ""


def _otherwise_named(expression: Expression, unknown: pd.Index) -> str:
    """How many of the cells that were not found the file has under the same name with another prefix or suffix."""
    there = Counter(map(_core_of, map(str, expression.barcodes)))
    n_there = sum(there[core] == 1 for core in map(_core_of, map(str, unknown)) if core)
    if not n_there:
        return ""
    return (
        f"; {n_there:,} of them differ from a cell of the file only in what comes before or after: give the cells the "
        "same names in both files"
    )


def _core_of(name: str) -> str:
    """What is left of a cell's name without what programs add: its sequence, or the longest part of another name."""
    sequences = _SEQUENCE.findall(name)
    if sequences:
        return str(sequences[0]) if len(sequences) == 1 else ""
    return max(_BETWEEN_PARTS.split(name), key=len)


def _known_genes(expression: Expression, wanted: pd.Index, n_cells: int) -> tuple[pd.Index, int, Step]:
    """The wanted genes that the file has, the number of their columns, and the account."""
    is_known = wanted.isin(expression.genes)
    known = wanted[is_known]
    if not len(known):
        raise CellsError(
            f"{expression.source}: has none of the network's {len(wanted):,} genes; the network names "
            f"{some_names(wanted, 3)}, the file {some_names(expression.genes[:3])} "
            f"(gene_names: {expression.gene_names}){turned_round(expression, genes=wanted)}"
            f"{_genes_otherwise(expression, wanted)}"
        )
    unknown = wanted[~is_known]
    if len(unknown) > _MOST_LOST_GENES * len(wanted):
        _log.warning(
            "%s of %s genes of the network are not in %s and are left out: %s; the file names %s%s",
            f"{len(unknown):,}",
            f"{len(wanted):,}",
            expression.source,
            some_names(unknown, 3),
            some_names(expression.genes[:3]),
            _genes_otherwise(expression, wanted),
        )
    dates = {expression.source: dates_among(expression.genes), "the network": dates_among(wanted)}
    if any(dates.values()):
        _log.warning(
            "spreadsheets have made dates of genes' names, such as MARCH1, SEPT2 and DEC1: give these their own again, "
            "or they meet nothing: %s",
            " and ".join(f"{some_names(found, 3)} in {where}" for where, found in dates.items() if found),
        )
    columns = int(expression.genes.isin(known).sum())
    return known, columns, dropped_step("columns of genes in the network", n_cells, columns, unknown)


def _genes_otherwise(expression: Expression, wanted: pd.Index) -> str:
    """What to do where the file has most of the network's genes under its other names, or in another spelling."""
    other = "symbol" if expression.gene_names == "id" else "id"
    names = expression.symbols if other == "symbol" else expression.gene_ids
    n_there = 0 if names is None else int(wanted.isin(names).sum())
    if n_there > wanted.isin(expression.genes).sum():
        return f"; {n_there:,} are there by `gene_names: {other}`"
    advice = other_spelling(wanted, expression.genes) or _other_kind(expression, wanted)
    return f"; {advice}" if advice else ""


def _other_kind(expression: Expression, wanted: pd.Index) -> str:
    is_rare = wanted.isin(expression.genes).mean() < FEW
    return other_kind(wanted, expression.genes) if is_rare else ""


def _counted(
    expression: Expression, cells: np.ndarray, genes: pd.Index, join: Join, limits: CountLimits
) -> tuple[np.ndarray, np.ndarray, Origin]:
    """Each cell's sum over all genes, in how many of the cells with enough counts each gene is seen, and the origin."""
    origin = Origin(expression.source, expression.is_logged)
    totals, seen_in = np.zeros(len(cells)), np.zeros(len(genes), dtype=np.int64)
    for part in parts_of(expression, len(cells)):
        counts, totals[part] = expression.counts(cells[part], genes, join=join)
        seen_in += _seen_in(counts, totals[part], limits)
        origin = origin.with_values(counts.data)
    return totals, seen_in, origin


def _seen_in(counts: sp.csr_matrix, totals: np.ndarray, limits: CountLimits) -> np.ndarray:
    """In how many of the cells with enough counts each gene is seen, shape (genes,)."""
    enough = totals >= limits.min_counts_per_cell
    usable = counts if enough.all() else counts[enough]
    return np.bincount(usable.indices, minlength=counts.shape[1])


def _within(matched: _M, seen_in: np.ndarray, limits: CountLimits) -> _M:
    """Drops cells and genes with too few counts.

    Args:
        matched: all cells and genes in common.
        seen_in: in how many of the cells with enough counts each gene is seen, shape (genes,).
        limits: what is enough.
    """
    if limits.min_counts_per_cell > 0:
        enough = matched.totals >= limits.min_counts_per_cell
        if not enough.any():
            raise CellsError(
                f"no labelled cell has min_counts_per_cell = {limits.min_counts_per_cell:g} counts; "
                f"the richest has {matched.totals.max():g}"
            )
        poor = matched.labels.index[~enough]
        if len(poor) > _MOST_LOST_CELLS * len(enough):
            _log.warning(
                "%s of %s labelled cells have fewer than min_counts_per_cell = %g counts and are left out: %s",
                f"{len(poor):,}",
                f"{len(enough):,}",
                limits.min_counts_per_cell,
                some_names(poor, 3),
            )
        matched = matched.of_cells(enough, f"cells with at least {limits.min_counts_per_cell:g} counts")
    kept = seen_in >= limits.min_cells_per_gene
    if not kept.any():
        raise CellsError(
            f"no gene of the network is seen in min_cells_per_gene = {limits.min_cells_per_gene} of the "
            f"{len(matched.labels):,} labelled cells"
        )
    rare = matched.genes[~kept]
    if len(rare) > _MOST_LOST_GENES * len(kept):
        _log.warning(
            "%s of %s genes of the network are seen in fewer than min_cells_per_gene = %d labelled cells and are left "
            "out: %s",
            f"{len(rare):,}",
            f"{len(kept):,}",
            limits.min_cells_per_gene,
            some_names(rare, 3),
        )
    plural = "cell" if limits.min_cells_per_gene == 1 else "cells"
    return matched.restricted_to(matched.genes[kept], f"genes seen in at least {limits.min_cells_per_gene} {plural}")
