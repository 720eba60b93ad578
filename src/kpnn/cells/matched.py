"""What matching leaves: cells by genes with an account of what was left out, in memory or still on disk."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp

from kpnn.cells.account import Step, dropped_step
from kpnn.cells.expression import Expression
from kpnn.cells.formats.anndata_writing import GrowingCsr, begin_anndata
from kpnn.cells.joining import Join
from kpnn.cells.transforms import Transform
from kpnn.cells.values import LARGEST_LOGARITHM, are_counts

if TYPE_CHECKING:
    from anndata import AnnData

_log = logging.getLogger(__name__)

DEPTH = "total_counts"
"""Column of `obs`: each cell's sum over all genes of the file, where the values are counts; named as scanpy does."""

CELLS_AT_ONCE = 4_096
_ENOUGH_VALUES = 1_000_000
"""Values that tell counts from other numbers: fractions show among the first."""

Made = TypeVar("Made")


@dataclass(frozen=True)
class Origin:
    """Where counts were read, and whether a logarithm was taken of them there.

    Attributes:
        source: the file.
        is_logged: whether the file says that a logarithm was taken.
        has_counts: whether some values are whole numbers; logarithms of counts are none.
        largest: the largest value.
    """

    source: str
    is_logged: bool = False
    has_counts: bool = False
    largest: float = 0.0

    def with_values(self, values: np.ndarray) -> Origin:
        """The same origin, with what some more of its values tell."""
        if not len(values):
            return self
        some = values[:_ENOUGH_VALUES]
        return replace(
            self, has_counts=self.has_counts or are_counts(some), largest=max(self.largest, float(values.max()))
        )

    def warn_of_second_logarithm(self, transform: Transform) -> None:
        """Warns where `log1p` would be taken of logarithms."""
        if not transform.log1p:
            return
        if self.is_logged:
            why = "its `uns` says that log1p was taken already"
        elif not self.has_counts and 0 < self.largest < LARGEST_LOGARITHM:
            why = f"its values are not whole numbers and none is above {self.largest:.3g}, as after a logarithm"
        else:
            return
        _log.warning(
            "%s: %s, and data_engineering.log1p takes it again: set log1p to false, or name a matrix of counts with "
            "`values:` if the file holds one",
            self.source,
            why,
        )


@dataclass(frozen=True, eq=False)
class _MatchedCells(ABC, Generic[Made]):
    """Cells by genes, before anything is done to their counts.

    Attributes:
        totals: each cell's sum over all genes of the file, shape (cells,).
        labels: int8, index the barcodes, one column per output.
        genes: gene names, shape (genes,).
        steps: what was done, in order.
        origin: where the counts were read, and what the file says about them.
    """

    totals: np.ndarray
    labels: pd.DataFrame
    genes: pd.Index
    steps: tuple[Step, ...]
    origin: Origin

    @property
    @abstractmethod
    def detected_genes(self) -> np.ndarray | None:
        """How many of the genes each cell shows, shape (cells,); None where only a pass over the file could tell."""

    @abstractmethod
    def of_cells(self, kept: np.ndarray, step: str) -> Self:
        """Keeps some of the cells.

        Args:
            kept: whether each cell is kept, bool, shape (cells,).
            step: what to call this in the account.
        """

    @abstractmethod
    def restricted_to(self, genes: Iterable[str], step: str) -> Self:
        """Keeps some of the genes, in the order given.

        Args:
            genes: names among `self.genes`.
            step: what to call this in the account.
        """

    def to_anndata(
        self,
        transform: Transform,
        nodes: Sequence[str],
        more_obs: pd.DataFrame | None = None,
        *,
        one_of_k: bool = False,
    ) -> Made:
        """The cells as training wants them; of cells on disk, what writes them so.

        Args:
            transform: what to do to the counts.
            nodes: the input node of each gene, in the order of `genes`.
            more_obs: further columns of `obs`, such as the donor, index the barcodes.
            one_of_k: whether exactly one of several outputs is 1 in every cell.

        Returns:
            `X` transformed float32 CSR, `layers["counts"]` as read, one int8 `obs` column per output and, of counts,
            `total_counts`, `var["node"]` the input nodes; `uns["transform"]` says what was done,
            `uns["kpnn"]["one_of_k"]` whether classes exclude each other.
        """
        self.origin.warn_of_second_logarithm(transform)
        var = pd.DataFrame({"node": list(nodes)}, index=self.genes.astype(str))
        return self._made(transform, self._obs(more_obs), var, one_of_k)

    @abstractmethod
    def _made(self, transform: Transform, obs: pd.DataFrame, var: pd.DataFrame, one_of_k: bool) -> Made:
        """`to_anndata`, where the tables of cells and genes are made."""

    def _fewer_cells(self, kept: np.ndarray, step: str) -> dict[str, Any]:
        """The fields that change where some cells are kept."""
        account = dropped_step(step, int(kept.sum()), len(self.genes), self.labels.index[~kept])
        return {"totals": self.totals[kept], "labels": self.labels[kept], "steps": (*self.steps, account)}

    def _fewer_genes(self, genes: pd.Index, step: str) -> dict[str, Any]:
        """The fields that change where some genes are kept."""
        account = dropped_step(step, len(self.labels), len(genes), self.genes[~self.genes.isin(genes)])
        return {"genes": genes, "steps": (*self.steps, account)}

    def _obs(self, more_obs: pd.DataFrame | None) -> pd.DataFrame:
        obs = self.labels.copy() if more_obs is None else self.labels.join(more_obs.astype("category"))
        if self.origin.has_counts and not self.origin.is_logged and DEPTH not in obs:
            obs[DEPTH] = self.totals
        return obs


@dataclass(frozen=True, eq=False)
class Matched(_MatchedCells["AnnData"]):
    """Matched cells in memory, in the order of the labels.

    Attributes:
        counts: as read, cells x genes, float32 CSR.

    Examples:
        >>> from anndata import AnnData
        >>> from kpnn.cells import InMemory, match
        >>> counts = AnnData(pd.DataFrame([[3.0, 0.0], [1.0, 5.0]], ["c1", "c2"], ["CD69", "IL2"]))
        >>> labels = pd.DataFrame({"barcode": ["c1", "c2"], "TCR": [0, 1]})
        >>> matched = match(InMemory(counts), labels, ["CD69", "IL2"])
        >>> cells = matched.to_anndata(Transform(log1p=True), ["CD69_gene", "IL2_gene"])
        >>> cells.X.toarray().round(2)
        array([[1.39, 0.  ],
               [0.69, 1.79]], dtype=float32)
        >>> cells.obs["total_counts"].to_list()
        [3.0, 6.0]
    """

    counts: sp.csr_matrix

    @property
    def detected_genes(self) -> np.ndarray:
        """How many of the genes each cell shows, shape (cells,)."""
        return np.diff(self.counts.indptr)

    def of_cells(self, kept: np.ndarray, step: str) -> Matched:
        """Keeps some of the cells."""
        return replace(self, counts=self.counts[kept], **self._fewer_cells(kept, step))

    def restricted_to(self, genes: Iterable[str], step: str) -> Matched:
        """Keeps some of the genes, in the order given."""
        kept = pd.Index(list(genes))
        counts = self.counts if kept.equals(self.genes) else _columns(self.counts, self.genes.get_indexer(kept))
        return replace(self, counts=counts, **self._fewer_genes(kept, step))

    def _made(self, transform: Transform, obs: pd.DataFrame, var: pd.DataFrame, one_of_k: bool) -> AnnData:
        from anndata import AnnData

        adata = AnnData(transform.apply(self.counts, self.totals), obs=obs, var=var)
        adata.layers["counts"] = self.counts
        adata.uns.update(_uns(transform, one_of_k))
        return adata


@dataclass(frozen=True, eq=False)
class StreamedMatch(_MatchedCells["PendingCells"]):
    """Matched cells that stay on disk, in the order of the file, until they are written in their final form.

    Attributes:
        expression: where the cells are.
        cells: their positions in the file, ascending, shape (cells,).
        join: how repeated genes become one.

    Examples:
        >>> from anndata import AnnData
        >>> from kpnn.cells import InMemory, match
        >>> counts = AnnData(pd.DataFrame([[3.0, 0.0], [1.0, 5.0]], ["c1", "c2"], ["CD69", "IL2"]))
        >>> labels = pd.DataFrame({"barcode": ["c2", "c1"], "TCR": [1, 0]})
        >>> matched = match(InMemory(counts), labels, ["IL2", "CD69"], in_memory_cells=1)
        >>> list(matched.labels.index), [block.toarray().tolist() for block in matched.blocks()]
        (['c1', 'c2'], [[[0.0, 3.0], [5.0, 1.0]]])
    """

    expression: Expression
    cells: np.ndarray
    join: Join

    @property
    def detected_genes(self) -> None:
        """Is not known: it would take a pass over the file."""
        return None

    def blocks(self) -> Iterator[sp.csr_matrix]:
        """The counts in the order of the cells, some cells at a time."""
        for part in parts_of(self.expression, len(self.cells)):
            counts, _ = self.expression.counts(self.cells[part], self.genes, join=self.join)
            yield counts

    def of_cells(self, kept: np.ndarray, step: str) -> StreamedMatch:
        """Keeps some of the cells."""
        return replace(self, cells=self.cells[kept], **self._fewer_cells(kept, step))

    def restricted_to(self, genes: Iterable[str], step: str) -> StreamedMatch:
        """Keeps some of the genes, in the order given."""
        return replace(self, **self._fewer_genes(pd.Index(list(genes)), step))

    def _made(self, transform: Transform, obs: pd.DataFrame, var: pd.DataFrame, one_of_k: bool) -> PendingCells:
        return PendingCells(self, transform, obs, var, one_of_k)


@dataclass(frozen=True, eq=False)
class PendingCells:
    """An AnnData that exists only once it is written.

    Attributes:
        matched: the cells.
        transform: what is done to the counts.
        obs: as the file's `obs`.
        var: as the file's `var`.
        one_of_k: whether exactly one of several outputs is 1 in every cell.
        obsm: as the file's `obsm`.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> from anndata import AnnData, read_h5ad
        >>> from kpnn.cells import InMemory, match
        >>> counts = AnnData(pd.DataFrame([[3.0, 0.0], [1.0, 5.0]], ["c1", "c2"], ["CD69", "IL2"]))
        >>> labels = pd.DataFrame({"barcode": ["c1", "c2"], "TCR": [0, 1]})
        >>> matched = match(InMemory(counts), labels, ["CD69", "IL2"], in_memory_cells=1)
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder) / "cells.h5ad"
        ...     matched.to_anndata(Transform(log1p=True), ["CD69_gene", "IL2_gene"]).write_h5ad(path)
        ...     read_h5ad(path).X.toarray().round(2)
        array([[1.39, 0.  ],
               [0.69, 1.79]], dtype=float32)
    """

    matched: StreamedMatch
    transform: Transform
    obs: pd.DataFrame
    var: pd.DataFrame
    one_of_k: bool = False
    obsm: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int]:
        """Cells and genes."""
        return len(self.obs), len(self.var)

    def write_h5ad(self, path: str | Path) -> None:
        """Writes the cells as `Matched.to_anndata(...).write_h5ad` would, some at a time.

        In the file, transformed values and counts share the arrays of their structure, as they do in memory.

        Args:
            path: the file, which is replaced if it is there.
        """
        with h5py.File(path, "w") as file:
            begin_anndata(file, self.obs, self.var, _uns(self.transform, self.one_of_k), self.obsm)
            transformed = GrowingCsr(file, "X", self.shape)
            counted, at = GrowingCsr(file, "layers/counts", self.shape, structure=transformed), 0
            for counts in self.matched.blocks():
                totals = self.matched.totals[at : at + counts.shape[0]]
                at += counts.shape[0]
                transformed.append(self.transform.apply(counts, totals))
                counted.append(counts)
            transformed.close()
            counted.close()


def _uns(transform: Transform, one_of_k: bool) -> dict[str, Any]:
    return {"transform": transform.as_dict(), "kpnn": {"one_of_k": one_of_k}}


def parts_of(expression: Expression, n_cells: int) -> Iterator[slice]:
    """Cuts cells into parts that are read one after the other; one part where every read passes over the whole file."""
    at_once = CELLS_AT_ONCE if expression.is_by_cell else max(1, n_cells)
    for start in range(0, n_cells, at_once):
        yield slice(start, start + at_once)


def _columns(counts: sp.csr_matrix, columns: np.ndarray) -> sp.csr_matrix:
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
