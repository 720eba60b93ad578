"""The cells and labels that fits read."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from kpnn.cells import DEPTH, CellsInMemory, CellsOnDisk, CellStore
from kpnn.errors import CellsError, SettingsError, some_names

if TYPE_CHECKING:
    from anndata import AnnData


@dataclass(frozen=True, eq=False)
class LabelledCells:
    """Cells with their classes.

    Attributes:
        store: transformed expression, shape (n_cells, n_genes), in memory or on disk; a matrix given instead is
            taken as float32 CSR in memory.
        labels: 0/1, shape (n_cells, n_outputs), float32.
        barcodes: names of the rows, shape (n_cells,).
        nodes: input node names of the columns.
        outputs: output node names of the label columns.
        groups: donor or sample of each cell whose cells stay together, shape (n_cells,), or None.
        one_of_k: whether the outputs are classes that exclude each other: a cell is of exactly one.
        depth: sum of each cell's counts over all genes of the file, shape (n_cells,), or None where it is not known.
            No fit sees it: it is what nodes are tested beside.

    Examples:
        >>> expression = np.array([[0, 2], [1, 0], [3, 1]])
        >>> labels = np.array([[0], [1], [1]], dtype=np.float32)
        >>> cells = LabelledCells(expression, labels, np.array(["a", "b", "c"]), ("CD69_gene", "IL2_gene"), ("TCR",))
        >>> cells.restricted_to(["IL2_gene"]).expression.toarray().ravel().tolist()
        [2.0, 0.0, 1.0]
        >>> cells.rows_of(["c", "a"]).tolist()
        [0, 2]
    """

    store: CellStore
    labels: np.ndarray
    barcodes: np.ndarray
    nodes: tuple[str, ...]
    outputs: tuple[str, ...]
    groups: np.ndarray | None = None
    one_of_k: bool = False
    depth: np.ndarray | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.store, CellStore):
            object.__setattr__(self, "store", CellsInMemory(csr_matrix(self.store, dtype=np.float32)))
        if self.store.shape != (len(self.barcodes), len(self.nodes)):
            raise CellsError(
                f"expression of shape {self.store.shape} for {len(self.barcodes):,} cells and {len(self.nodes):,} "
                "input nodes"
            )
        if self.one_of_k:
            self._require_one_class_each()

    def _require_one_class_each(self) -> None:
        if len(self.outputs) < 2:
            raise CellsError("classes that exclude each other must be several outputs, and these cells have one")
        astray = self.labels.sum(axis=1) != 1
        if astray.any():
            raise CellsError(
                f"the classes exclude each other, but {some_names(self.barcodes[astray])} is of none of them, or of "
                "several; label each cell once, or set data_engineering.one_of_k: false"
            )

    @classmethod
    def from_anndata(cls, cells: AnnData, outputs: Sequence[str], group_by: str | None = None) -> LabelledCells:
        """Takes the matched cells as `data_engineering` leaves them.

        Args:
            cells: `X` transformed expression, `var["node"]` the input node names, one `obs` column per output;
                `uns["kpnn"]["one_of_k"]` says whether these exclude each other. If it is backed by its file, expression
                stays there. `obs["total_counts"]` says, where it is known, how deep each cell was read.
            outputs: output node names.
            group_by: column of `obs` whose values stay together in every split.

        Raises:
            CellsError: a column of `obs` or `var` is missing, labels are not 0 or 1, or classes that exclude each other
                do not.
        """
        missing = [name for name in (*outputs, *(() if group_by is None else (group_by,))) if name not in cells.obs]
        if missing:
            raise CellsError(f"the matched cells' obs has no column {some_names(missing)}")
        if "node" not in cells.var:
            raise CellsError(
                "the matched cells' var has no column node; `kedro run --pipeline data_engineering` writes it"
            )
        labels = cells.obs[list(outputs)].to_numpy(dtype=np.float32)
        if not np.isin(labels, (0, 1)).all():
            raise CellsError("the matched cells' labels must be 0 or 1")
        return cls(
            CellsOnDisk.open(cells.filename) if cells.isbacked else cells.X,
            labels,
            cells.obs_names.to_numpy().astype(str),
            tuple(cells.var["node"].astype(str)),
            tuple(outputs),
            None if group_by is None else cells.obs[group_by].astype(str).to_numpy(),
            bool(cells.uns.get("kpnn", {}).get("one_of_k", False)),
            _depth_of(cells, (*outputs, group_by)),
        )

    @property
    def expression(self) -> csr_matrix:
        """Expression in memory, for what cannot work in bounded memory.

        Raises:
            CellsError: expression stays on disk.
        """
        matrix = self.store.whole()
        if matrix is None:
            raise CellsError(
                "baselines and node weights need the cells in memory, but these stay on disk; switch them off, or "
                "raise stream_above_entries of matched_cells in the catalog"
            )
        return matrix

    def columns_of(self, inputs: Sequence[str]) -> np.ndarray:
        """Positions of a DAG's inputs among the genes, shape (n_inputs,).

        Args:
            inputs: names of input nodes.

        Raises:
            CellsError: an input is not among the genes.
        """
        positions = pd.Index(self.nodes).get_indexer(pd.Index(inputs))
        missing = [name for name, position in zip(inputs, positions, strict=True) if position < 0]
        if missing:
            raise CellsError(f"the cells have no gene for input {some_names(missing)} of the DAG")
        return positions

    def restricted_to(self, inputs: Sequence[str]) -> LabelledCells:
        """The same cells with the genes of a DAG's inputs, in their order.

        Args:
            inputs: names of input nodes.

        Raises:
            CellsError: an input is not among the genes.
        """
        if tuple(inputs) == self.nodes:
            return self
        return replace(self, store=self.store.columns(self.columns_of(inputs)), nodes=tuple(inputs))

    def with_labels(self, labels: np.ndarray) -> LabelledCells:
        """The same cells with other labels.

        Args:
            labels: 0/1, shape (n_cells, n_outputs), float32.
        """
        return replace(self, labels=labels)

    def top_genes(self, rows: np.ndarray, n: int) -> list[str]:
        """The input nodes of the genes of highest variance; of equal variances the earlier gene is taken.

        It looks at `rows` alone, so that it can be asked inside each fold.

        Args:
            rows: positions of the cells: a training part.
            n: how many genes, at least 1; if there are no more, all are taken.

        Returns:
            Names in the order of `nodes`.

        Raises:
            CellsError: there are no cells to learn from.
        """
        if n < 1:
            raise SettingsError(f"top_genes must be at least 1, found {n}")
        if len(rows) == 0:
            raise CellsError("top_genes: no training cells")
        _, variances = self.store.rows(rows).moments()
        highest = np.argsort(-variances, kind="stable")[:n]
        return [self.nodes[column] for column in np.sort(highest)]

    def rows_of(self, barcodes: Sequence[str] | pd.Series) -> np.ndarray:
        """Positions of barcodes among the cells, ascending, shape (n,).

        Args:
            barcodes: names of cells, n of them.

        Raises:
            CellsError: a barcode is not among the cells.
        """
        positions = pd.Index(self.barcodes).get_indexer(pd.Index(barcodes))
        missing = [name for name, position in zip(barcodes, positions, strict=True) if position < 0]
        if missing:
            raise CellsError(
                f"the folds name cells that the matched cells lack: {some_names(missing)}; run data_engineering again"
            )
        return np.sort(positions)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of everything that a fit could see, in hexadecimal."""
        digest = hashlib.sha256(np.ascontiguousarray(self.labels).tobytes())
        digest.update(self.store.fingerprint)
        for names in (self.barcodes, self.nodes, self.outputs, () if self.groups is None else self.groups):
            digest.update("\t".join(names).encode())
        if self.one_of_k:
            digest.update(b"one of k")
        return digest.hexdigest()


def _depth_of(cells: AnnData, spoken_for: Sequence[str | None]) -> np.ndarray | None:
    """Sum of each cell's counts, where it is known and its column is none of the study's own."""
    return None if DEPTH in spoken_for or DEPTH not in cells.obs else cells.obs[DEPTH].to_numpy(dtype=np.float64)
