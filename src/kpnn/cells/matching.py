"""Labelled cells and measured genes brought together with a PKN, and an account of what was left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import scipy.sparse as sp

from kpnn.cells.expression import Expression
from kpnn.cells.joining import Join
from kpnn.cells.transform import Transform
from kpnn.errors import CellsError, SettingsError, some_names

if TYPE_CHECKING:
    from anndata import AnnData

_EXAMPLES = 5


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


@dataclass(frozen=True)
class Step:
    """One step of the matching, for a person to read.

    Attributes:
        name: what was done.
        cells: cells left after it.
        genes: genes (input nodes) left after it.
        dropped: how many it dropped.
        examples: at most five of those dropped.
    """

    name: str
    cells: int
    genes: int
    dropped: int = 0
    examples: tuple[str, ...] = ()


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
        dropped = self.genes[~self.genes.isin(kept)]
        account = Step(step, len(self.labels), len(kept), len(dropped), tuple(dropped[:_EXAMPLES]))
        if len(dropped) or not kept.equals(self.genes):
            counts = _chosen(self.counts, self.genes.get_indexer(kept))
        else:
            counts = self.counts
        return Matched(counts, self.totals, self.labels, kept, (*self.steps, account))

    def to_anndata(self, transform: Transform, nodes: Sequence[str]) -> AnnData:
        """The cells as training wants them.

        Args:
            transform: what to do to the counts.
            nodes: the input node of each gene, in the order of `genes`.

        Returns:
            AnnData: `X` transformed float32 CSR, `layers["counts"]` as read, one int8 `obs` column per output,
            `var["node"]` the input nodes; `uns["transform"]` says what was done.
        """
        from anndata import AnnData

        var = pd.DataFrame({"node": list(nodes)}, index=self.genes.astype(str))
        adata = AnnData(transform.apply(self.counts, self.totals), obs=self.labels.copy(), var=var)
        adata.layers["counts"] = self.counts
        adata.uns["transform"] = transform.as_dict()
        return adata


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


def gene_of(node: str, suffix: str) -> str:
    """The gene that an input node stands for: the node's name without the suffix."""
    return node.removesuffix(suffix) if suffix else node


def match(
    expression: Expression,
    labels: pd.DataFrame,
    genes: Iterable[str],
    *,
    join: Join = "max",
    limits: Limits | None = None,
) -> Matched:
    """Reads the labelled cells and the PKN's genes, and drops what is not usable.

    Args:
        expression: where the cells are.
        labels: `barcode` and one 0/1 column per output.
        genes: the genes that the PKN knows.
        join: how repeated genes become one.
        limits: which cells and genes have enough counts.

    Returns:
        Cells in the order of the labels, genes in the order given, with an account of every step.

    Raises:
        CellsError: no cell or no gene in common, nothing left, or the expression is not usable.
    """
    limits = limits or Limits()
    if limits.min_counts_per_cell < 0 or limits.min_cells_per_gene < 0:
        raise SettingsError(f"limits must not be negative, found {limits}")
    wanted = pd.Index(list(dict.fromkeys(genes)))
    steps = [Step("in the expression file", expression.n_cells, len(expression.genes))]
    indexed = labels.set_index("barcode")
    at = expression.locate(indexed.index)
    unknown = indexed.index[at < 0]
    if len(unknown) == len(indexed):
        raise CellsError(
            f"{expression.source}: has none of the {len(indexed):,} labelled cells; the labels name "
            f"{some_names(indexed.index, 3)}, the file {some_names(expression.barcodes[:3])}"
        )
    indexed, at = indexed[at >= 0], at[at >= 0]
    steps.append(Step("labelled cells", len(indexed), len(expression.genes), len(unknown), tuple(unknown[:_EXAMPLES])))
    known = wanted[wanted.isin(expression.genes)]
    unmeasured = wanted[~wanted.isin(expression.genes)]
    if not len(known):
        raise CellsError(
            f"{expression.source}: has none of the network's {len(wanted):,} genes; the network names "
            f"{some_names(wanted, 3)}, the file {some_names(expression.genes[:3])} "
            f"(gene_names: {expression.gene_names})"
        )
    columns = int(expression.genes.isin(known).sum())
    steps.append(
        Step("columns of genes in the network", len(indexed), columns, len(unmeasured), tuple(unmeasured[:_EXAMPLES]))
    )
    counts, totals = expression.counts(at, known, join=join)
    steps.append(Step(f"repeated genes joined ({join})", len(indexed), len(known), columns - len(known)))
    matched = Matched(counts, totals, indexed, known, tuple(steps))
    return _enough_genes(_enough_cells(matched, limits), limits)


def _enough_cells(matched: Matched, limits: Limits) -> Matched:
    if limits.min_counts_per_cell <= 0:
        return matched
    kept = matched.totals >= limits.min_counts_per_cell
    dropped = matched.labels.index[~kept]
    if not kept.any():
        raise CellsError(
            f"no labelled cell has min_counts_per_cell = {limits.min_counts_per_cell:g} counts; "
            f"the richest has {matched.totals.max():g}"
        )
    step = Step(
        f"cells with at least {limits.min_counts_per_cell:g} counts",
        int(kept.sum()),
        len(matched.genes),
        len(dropped),
        tuple(dropped[:_EXAMPLES]),
    )
    return Matched(
        matched.counts[kept], matched.totals[kept], matched.labels[kept], matched.genes, (*matched.steps, step)
    )


def _enough_genes(matched: Matched, limits: Limits) -> Matched:
    seen_in = np.bincount(matched.counts.indices, minlength=len(matched.genes))
    kept = seen_in >= limits.min_cells_per_gene
    if not kept.any():
        raise CellsError(
            f"no gene of the network is seen in min_cells_per_gene = {limits.min_cells_per_gene} of the "
            f"{len(matched.labels):,} labelled cells"
        )
    plural = "cell" if limits.min_cells_per_gene == 1 else "cells"
    return matched.restricted_to(
        list(matched.genes[kept]), f"genes seen in at least {limits.min_cells_per_gene} {plural}"
    )
