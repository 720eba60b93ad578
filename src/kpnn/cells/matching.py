"""Labelled cells and measured genes brought together with a PKN, and an account of what was left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

import numpy as np
import pandas as pd
import scipy.sparse as sp

from kpnn.cells.expression import Expression
from kpnn.cells.joining import Join
from kpnn.cells.steps import Step, dropped_step
from kpnn.cells.streaming_match import CELLS_AT_ONCE, StreamedMatch
from kpnn.cells.transform import Transform
from kpnn.errors import CellsError, SettingsError, some_names

if TYPE_CHECKING:
    from anndata import AnnData


@dataclass(frozen=True)
class Limits:
    """Which cells and genes have enough counts to be used; everything is, by default.

    Attributes:
        min_counts_per_cell: least sum over all genes of the file.
        min_cells_per_gene: least number of labelled cells in which a gene is seen; a gene seen in none never
            carries information, so the default is 1.
    """

    min_counts_per_cell: float = 0.0
    min_cells_per_gene: int = 1

    def __post_init__(self) -> None:
        if self.min_counts_per_cell < 0 or self.min_cells_per_gene < 0:
            raise SettingsError(f"limits must not be negative, found {self}")


@dataclass(frozen=True, eq=False)
class Matched:
    """Cells by genes, ready for training.

    Attributes:
        counts: as read, cells x genes, float32 CSR.
        totals: each cell's sum over all genes of the file, shape (cells,).
        labels: int8, index the barcodes, one column per output.
        genes: gene names, shape (genes,).
        steps: what was done, in order.
    """

    counts: sp.csr_matrix
    totals: np.ndarray
    labels: pd.DataFrame
    genes: pd.Index
    steps: tuple[Step, ...]

    def restricted_to(self, genes: Sequence[str], step: str) -> Matched:
        """Keeps some of the genes, in the order given.

        Args:
            genes: names among `self.genes`.
            step: what to call this in the account.
        """
        kept = pd.Index(list(genes))
        account = dropped_step(step, len(self.labels), len(kept), self.genes[~self.genes.isin(kept)])
        same = kept.equals(self.genes)
        counts = self.counts if same else _chosen(self.counts, self.genes.get_indexer(kept))
        return Matched(counts, self.totals, self.labels, kept, (*self.steps, account))

    def to_anndata(self, transform: Transform, nodes: Sequence[str], more_obs: pd.DataFrame | None = None) -> AnnData:
        """The cells as training wants them.

        Args:
            transform: what to do to the counts.
            nodes: the input node of each gene, in the order of `genes`.
            more_obs: further columns of `obs`, such as the donor, index the barcodes.

        Returns:
            AnnData: `X` transformed float32 CSR, `layers["counts"]` as read, one int8 `obs` column per output,
            `var["node"]` the input nodes; `uns["transform"]` says what was done.
        """
        from anndata import AnnData

        obs = self.labels.copy() if more_obs is None else self.labels.join(more_obs.astype("category"))
        var = pd.DataFrame({"node": list(nodes)}, index=self.genes.astype(str))
        adata = AnnData(transform.apply(self.counts, self.totals), obs=obs, var=var)
        adata.layers["counts"] = self.counts
        adata.uns["transform"] = transform.as_dict()
        return adata


@overload
def match(
    expression: Expression, labels: pd.DataFrame, genes: Iterable[str], *, join: Join = ..., limits: Limits | None = ...
) -> Matched: ...


@overload
def match(
    expression: Expression,
    labels: pd.DataFrame,
    genes: Iterable[str],
    *,
    join: Join = ...,
    limits: Limits | None = ...,
    in_memory_cells: int | None,
) -> Matched | StreamedMatch: ...


def match(
    expression: Expression,
    labels: pd.DataFrame,
    genes: Iterable[str],
    *,
    join: Join = "max",
    limits: Limits | None = None,
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
    """
    limits = limits or Limits()
    at, indexed, steps = _labelled(expression, labels)
    known, columns, step = _known_genes(expression, pd.Index(list(dict.fromkeys(genes))), len(indexed))
    joined = Step(f"repeated genes joined ({join})", len(indexed), len(known), columns - len(known))
    account = (*steps, step, joined)
    if in_memory_cells is not None and len(indexed) > in_memory_cells:
        return _streamed(expression, at, indexed, known, join, limits, account)
    counts, totals = expression.counts(at, known, join=join)
    kept, step_of_cells = _enough_counts(totals, indexed, len(known), limits)
    if kept is not None:
        counts, totals, indexed = counts[kept], totals[kept], indexed[kept]
    matched = Matched(counts, totals, indexed, known, (*account, *step_of_cells))
    seen_in = np.bincount(counts.indices, minlength=len(known))
    return matched.restricted_to(*_seen_genes(known, seen_in, len(indexed), limits))


def _labelled(expression: Expression, labels: pd.DataFrame) -> tuple[np.ndarray, pd.DataFrame, list[Step]]:
    """Positions and labels of the labelled cells that the file has."""
    indexed = labels.set_index("barcode")
    at = expression.locate(indexed.index)
    unknown = indexed.index[at < 0]
    if len(unknown) == len(indexed):
        raise CellsError(
            f"{expression.source}: has none of the {len(indexed):,} labelled cells; the labels name "
            f"{some_names(indexed.index, 3)}, the file {some_names(expression.barcodes[:3])}"
        )
    found = at >= 0
    steps = [
        Step("in the expression file", expression.n_cells, len(expression.genes)),
        dropped_step("labelled cells", int(found.sum()), len(expression.genes), unknown),
    ]
    return at[found], indexed[found], steps


def _known_genes(expression: Expression, wanted: pd.Index, n_cells: int) -> tuple[pd.Index, int, Step]:
    """The wanted genes that the file has, the number of their columns, and the account."""
    is_known = wanted.isin(expression.genes)
    known = wanted[is_known]
    if not len(known):
        raise CellsError(
            f"{expression.source}: has none of the network's {len(wanted):,} genes; the network names "
            f"{some_names(wanted, 3)}, the file {some_names(expression.genes[:3])} "
            f"(gene_names: {expression.gene_names})"
        )
    columns = int(expression.genes.isin(known).sum())
    return known, columns, dropped_step("columns of genes in the network", n_cells, columns, wanted[~is_known])


def _enough_counts(
    totals: np.ndarray, labels: pd.DataFrame, n_genes: int, limits: Limits
) -> tuple[np.ndarray | None, list[Step]]:
    """Which cells have enough counts (None: all), and the account."""
    if limits.min_counts_per_cell <= 0:
        return None, []
    kept = totals >= limits.min_counts_per_cell
    if not kept.any():
        raise CellsError(
            f"no labelled cell has min_counts_per_cell = {limits.min_counts_per_cell:g} counts; "
            f"the richest has {totals.max():g}"
        )
    name = f"cells with at least {limits.min_counts_per_cell:g} counts"
    return kept, [dropped_step(name, int(kept.sum()), n_genes, labels.index[~kept])]


def _seen_genes(genes: pd.Index, seen_in: np.ndarray, n_cells: int, limits: Limits) -> tuple[list[str], str]:
    """The genes that are seen in enough cells, and what to call the step."""
    kept = seen_in >= limits.min_cells_per_gene
    if not kept.any():
        raise CellsError(
            f"no gene of the network is seen in min_cells_per_gene = {limits.min_cells_per_gene} of the "
            f"{n_cells:,} labelled cells"
        )
    plural = "cell" if limits.min_cells_per_gene == 1 else "cells"
    return list(genes[kept]), f"genes seen in at least {limits.min_cells_per_gene} {plural}"


def _streamed(
    expression: Expression,
    at: np.ndarray,
    labels: pd.DataFrame,
    genes: pd.Index,
    join: Join,
    limits: Limits,
    account: tuple[Step, ...],
) -> StreamedMatch:
    order = np.argsort(at, kind="stable")
    at, labels = at[order], labels.iloc[order]
    at_once = CELLS_AT_ONCE if expression.is_by_cell else len(at)
    totals, seen_in = np.zeros(len(at)), np.zeros(len(genes), dtype=np.int64)
    for start in range(0, len(at), at_once):
        part = slice(start, start + at_once)
        counts, totals[part] = expression.counts(at[part], genes, join=join)
        enough = totals[part] >= limits.min_counts_per_cell
        seen_in += np.bincount(counts[enough].indices, minlength=len(genes))
    kept, step_of_cells = _enough_counts(totals, labels, len(genes), limits)
    if kept is not None:
        at, totals, labels = at[kept], totals[kept], labels[kept]
    matched = StreamedMatch(expression, at, totals, labels, genes, (*account, *step_of_cells), join)
    return matched.restricted_to(*_seen_genes(genes, seen_in, len(labels), limits))


def _chosen(counts: sp.csr_matrix, columns: np.ndarray) -> sp.csr_matrix:
    """Some columns of a matrix in the order given, with sorted indices."""
    place = np.full(counts.shape[1], -1, dtype=counts.indices.dtype)
    place[columns] = np.arange(len(columns))
    indices, data, indptr = place[counts.indices], counts.data, counts.indptr
    kept = indices >= 0
    if not kept.all():
        indptr = np.concatenate([[0], np.cumsum(kept)])[indptr].astype(indptr.dtype)
        indices, data = indices[kept], data[kept]
    chosen = sp.csr_matrix((data, indices, indptr), shape=(counts.shape[0], len(columns)))
    return chosen if chosen.has_sorted_indices else chosen.tocsc().tocsr()
