"""A handle on an expression matrix: it knows its cells and genes and reads only what is asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
import scipy.sparse as sp

from kpnn.cells.joining import Join, join_columns, stacked
from kpnn.errors import CellsError, SettingsError, near_names, some_names

if TYPE_CHECKING:
    from anndata import AnnData

_CELLS_AT_ONCE = 256
"""Cells of all genes that are in memory at once."""

GeneNames = Literal["symbol", "id"]


@dataclass(frozen=True)
class Repair:
    """What values that are not counts are taken for; they are an error where nothing is said.

    Attributes:
        fill: what a missing value (NaN) is taken for.
        floor: what a negative value is taken for.
    """

    fill: float | None = None
    floor: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("fill", self.fill), ("floor", self.floor)):
            if value is not None and not 0 <= value < float("inf"):
                raise SettingsError(f"{name} must be a finite number of at least 0, found {value}")

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """The values, repaired; the same array where there is nothing to do."""
        if self.fill is not None and (missing := np.isnan(values)).any():
            values = np.where(missing, np.asarray(self.fill, values.dtype), values)
        if self.floor is not None and (negative := values < 0).any():
            values = np.where(negative, np.asarray(self.floor, values.dtype), values)
        return values


class Expression(ABC):
    """A matrix of cells by genes somewhere on disk or in memory.

    A subclass fills in the names of cells and genes, and says how to select from them; what is common to all
    formats (matching names, joining repeated genes, refusing impossible values) is here.

    Attributes:
        source: what to call the matrix in errors: the file's path.
        gene_names: whether genes are named by `symbol` or by `id` (Ensembl).
        repair: what is done to values that are not counts.

    Examples:
        >>> from anndata import AnnData
        >>> from kpnn.cells import InMemory
        >>> counts = pd.DataFrame([[3.0, 0.0, 2.0], [1.0, 5.0, 4.0]], ["c1", "c2"], ["CD69", "IL2", "LCK"])
        >>> expression = InMemory(AnnData(counts))
        >>> expression.locate(["c2", "c9"]).tolist()
        [1, -1]
        >>> found = expression.read(barcodes=["c2"], genes=["LCK", "CD69"])
        >>> found.to_df()
            LCK  CD69
        c2  4.0   1.0
        >>> found.obs["total_counts"].to_list()  # of all genes of the file
        [10.0]
    """

    _barcodes: pd.Index
    _symbols: pd.Index
    _ids: pd.Index | None = None

    def __init__(self, source: str, gene_names: GeneNames = "symbol"):
        self.source = source
        self.gene_names = gene_names
        self.repair = Repair()

    @property
    def barcodes(self) -> pd.Index:
        """Names of the cells, in the order of the file, shape (n_cells,)."""
        return self._barcodes

    @property
    def symbols(self) -> pd.Index:
        """Gene symbols in the order of the file, shape (n_genes,); they may repeat."""
        return self._symbols

    @property
    def gene_ids(self) -> pd.Index | None:
        """Gene identifiers such as Ensembl's in the order of the file, shape (n_genes,), where the file has them.

        A gene without one has the empty name.
        """
        return self._ids

    @property
    def is_by_cell(self) -> bool:
        """Whether some cells can be read without passing over all the others."""
        return True

    @property
    def is_logged(self) -> bool:
        """Whether the file says that a logarithm was taken of its values."""
        return False

    @property
    def other_values(self) -> tuple[str, ...]:
        """Names of further matrices in the same file, where the format can hold several."""
        return ()

    @property
    def cell_columns(self) -> tuple[str, ...]:
        """Names of what else is known about each cell (AnnData's `obs`), where the format can hold that."""
        return ()

    def cell_column(self, name: str) -> pd.Index:
        """What a column says about each cell, as text, in the order of the file, shape (n_cells,); missing is empty.

        Args:
            name: one of `cell_columns`.

        Raises:
            CellsError: there is no such column.
        """
        columns = self.cell_columns
        near = f"; {near_names(name, columns)}" if columns else ""
        raise CellsError(f"{self.source}: the cells have no column {name}{near}")

    @property
    def embeddings(self) -> tuple[str, ...]:
        """Names of the coordinates of the cells (AnnData's `obsm`), where the format can hold such."""
        return ()

    def embedding(self, name: str) -> np.ndarray:
        """The first two coordinates of each cell.

        Args:
            name: of the coordinates, in `obsm`.

        Returns:
            In the order of the file, float64, shape (n_cells, 2).

        Raises:
            CellsError: there are no such coordinates, or fewer than two of each cell.
        """
        there = self.embeddings
        near = f"; {near_names(name, there)}" if there else ""
        raise CellsError(f"{self.source}: the cells have no coordinates {name} in obsm{near}")

    def _first_two(self, name: str, values: np.ndarray) -> np.ndarray:
        """Two coordinates of each cell, or says why what was stored is no such thing."""
        if values.ndim != 2 or values.shape[0] != self.n_cells or values.shape[1] < 2 or values.dtype.kind not in "iuf":
            raise CellsError(
                f"{self.source}: obsm/{name} has shape {values.shape} and type {values.dtype}: no two coordinates of "
                f"each of {self.n_cells:,} cells"
            )
        return values[:, :2].astype(np.float64)

    def settle(self, barcodes: Iterable[str], genes: Iterable[str]) -> None:  # noqa: B027
        """Takes note of names that are to be looked for, where the file alone does not say which side holds cells.

        Args:
            barcodes: names of cells that will be asked for.
            genes: names of genes that will be asked for.
        """

    @property
    def n_cells(self) -> int:
        """Number of cells in the file."""
        return len(self.barcodes)

    @cached_property
    def genes(self) -> pd.Index:
        """The names by which genes are asked for, shape (n_genes,); they may repeat.

        Raises:
            CellsError: identifiers are asked for and the file has none.
        """
        if self.gene_names == "symbol":
            return self.symbols
        if self.gene_ids is None:
            raise CellsError(f"{self.source}: has no gene identifiers; use gene_names: symbol")
        return self.gene_ids

    @abstractmethod
    def select(self, cells: np.ndarray, columns: np.ndarray) -> tuple[sp.csr_matrix, np.ndarray]:
        """Reads some cells and some columns.

        Args:
            cells: positions in the file, in any order, shape (n,).
            columns: positions of the columns in the file, in any order, shape (m,).

        Returns:
            The values, shape (n, m), float32; and each cell's sum over *all* genes of the file, shape (n,),
            float64. Both after `repair`.
        """

    def locate(self, barcodes: Iterable[str]) -> np.ndarray:
        """Positions of cells in the file, -1 where the file does not have them, shape (n,).

        Args:
            barcodes: names of cells, n of them.

        Raises:
            CellsError: a barcode that is asked for occurs more than once in the file.
        """
        wanted = pd.Index(list(barcodes))
        positions = np.full(len(wanted), -1)
        found = np.flatnonzero(self.barcodes.isin(wanted))
        index = self.barcodes[found]
        if index.has_duplicates:
            raise CellsError(
                f"{self.source}: barcode {some_names(index[index.duplicated()].unique())} occurs more than once"
            )
        at = index.get_indexer(wanted)
        positions[at >= 0] = found[at[at >= 0]]
        return positions

    def read(
        self, barcodes: Iterable[str] | None = None, genes: Iterable[str] | None = None, *, join: Join = "max"
    ) -> AnnData:
        """Reads the cells and genes asked for, in the order asked for.

        Args:
            barcodes: cells; by default all of the file.
            genes: genes, by the name that `gene_names` says; by default all of the file, repeated ones joined.
            join: how columns with the same gene name become one: their `max`imum or their `sum`, in each cell.

        Returns:
            AnnData, cells x genes, float32 CSR, values as in the file; `obs["total_counts"]` is each cell's
            sum over all genes of the file.

        Raises:
            CellsError: a cell or gene is not in the file, stands in it more than once (cells), or the
                file's content is not usable; file and names are in the message.
        """
        from anndata import AnnData

        names = pd.Index(self.barcodes if barcodes is None else list(barcodes))
        wanted = pd.Index(self.genes.unique() if genes is None else list(genes))
        cells = self.locate(names)
        if (cells < 0).any():
            raise CellsError(f"{self.source}: no cell {some_names(names[cells < 0])}")
        unknown = wanted[~wanted.isin(self.genes)]
        if len(unknown):
            raise CellsError(f"{self.source}: no gene {some_names(unknown)}")
        counts, totals = self.counts(cells, wanted, join=join)
        obs = pd.DataFrame({"total_counts": totals}, index=names.astype(str))
        return AnnData(counts, obs=obs, var=pd.DataFrame(index=wanted.astype(str)))

    def counts(self, cells: np.ndarray, genes: pd.Index, *, join: Join = "max") -> tuple[sp.csr_matrix, np.ndarray]:
        """Reads cells by position and genes by name, repeated genes joined; see `select` for what is returned.

        Args:
            cells: positions in the file, in any order, shape (n,).
            genes: names, each once, shape (m,).
            join: what becomes of columns of one gene: `max`, or `sum`.
        """
        columns = np.flatnonzero(self.genes.isin(genes))
        target = genes.get_indexer(self.genes[columns])
        order = np.argsort(cells, kind="stable")
        at_once = _CELLS_AT_ONCE if self.is_by_cell else max(1, len(cells))
        blocks, totals = [], np.zeros(len(cells))
        for start in range(0, max(1, len(cells)), at_once):
            block = order[start : start + at_once]
            values, totals[block] = self.select(cells[block], columns)
            self._refuse_impossible(values, totals[block], cells[block])
            blocks.append(join_columns(values, target, len(genes), join))
        counts = stacked(blocks)
        if (np.diff(order) < 0).any():
            counts = counts[np.argsort(order, kind="stable")]
        return counts, totals

    def _refuse_impossible(self, values: sp.csr_matrix, totals: np.ndarray, cells: np.ndarray) -> None:
        wrong = ~(np.isfinite(values.data) & (values.data >= 0))
        if wrong.any():
            rows = np.unique(np.repeat(np.arange(values.shape[0]), np.diff(values.indptr))[wrong])
            kinds = (
                ("missing", "`fill: 0`", int(np.isnan(values.data).sum())),
                ("infinite", "", int(np.isinf(values.data).sum())),
                ("negative", "`floor: 0`", int((values.data < 0).sum())),
            )
            found = ", ".join(f"{count} {kind}" for kind, _, count in kinds if count)
            offers = " and ".join(option for _, option, count in kinds if count and option)
            taken = f"; {offers} takes them for 0" if offers else ""
            raise CellsError(
                f"{self.source}: negative or non-finite values ({found}, such as {values.data[wrong][0]}) in cell "
                f"{some_names(self.barcodes[cells[rows]])}; expression must be counts or normalized counts, unscaled"
                f"{self._advice()}{taken}"
            )
        wrong = ~(np.isfinite(totals) & (totals >= 0))
        if wrong.any():
            raise CellsError(
                f"{self.source}: the sum over all genes is {totals[wrong][0]} in cell "
                f"{some_names(self.barcodes[cells[wrong]])}; there are negative or non-finite values in other genes"
                f"{self._advice()}; `fill: 0` takes missing values for 0, `floor: 0` negative ones"
            )

    def _advice(self) -> str:
        """Which other matrix of the same file could be meant."""
        if not self.other_values:
            return ""
        named = " or ".join(f"`values: {name}`" for name in self.other_values[:3])
        return f"; the file also holds {some_names(self.other_values)}: say {named} if that is what you mean"
