"""Matching more cells than fit in memory: counted in one pass, written in a second."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp

from kpnn.cells.expression import Expression
from kpnn.cells.joining import Join
from kpnn.cells.steps import Step, dropped_step
from kpnn.cells.transform import Transform

CELLS_AT_ONCE = 4_096
_CHUNK = (1 << 18,)


@dataclass(frozen=True, eq=False)
class StreamedMatch:
    """Cells by genes that stay on disk until they are written in their final form.

    Has the face of `kpnn.cells.Matched`, but holds only names, totals and labels.

    Attributes:
        expression: where the cells are.
        cells: their positions in the file, ascending, shape (cells,).
        totals: each cell's sum over all genes of the file, shape (cells,).
        labels: int8, index the barcodes, one column per output; in the order of the file.
        genes: gene names, shape (genes,).
        steps: what was done, in order.
        join: how repeated genes become one.
    """

    expression: Expression
    cells: np.ndarray
    totals: np.ndarray
    labels: pd.DataFrame
    genes: pd.Index
    steps: tuple[Step, ...]
    join: Join

    def blocks(self) -> Iterator[sp.csr_matrix]:
        """The counts in the order of the cells, some cells at a time."""
        at_once = CELLS_AT_ONCE if self.expression.is_by_cell else max(1, len(self.cells))
        for start in range(0, len(self.cells), at_once):
            counts, _ = self.expression.counts(self.cells[start : start + at_once], self.genes, join=self.join)
            yield counts

    def restricted_to(self, genes: Sequence[str], step: str) -> StreamedMatch:
        """Keeps some of the genes, in the order given."""
        kept = pd.Index(list(genes))
        account = dropped_step(step, len(self.labels), len(kept), self.genes[~self.genes.isin(kept)])
        return replace(self, genes=kept, steps=(*self.steps, account))

    def to_anndata(
        self, transform: Transform, nodes: Sequence[str], more_obs: pd.DataFrame | None = None
    ) -> PendingCells:
        """What `write_h5ad` writes; see `kpnn.cells.Matched.to_anndata`."""
        obs = self.labels.copy() if more_obs is None else self.labels.join(more_obs.astype("category"))
        return PendingCells(self, transform, tuple(nodes), obs)


@dataclass(frozen=True, eq=False)
class PendingCells:
    """An AnnData that exists only once it is written.

    Attributes:
        matched: the cells.
        transform: what is done to the counts.
        nodes: input node of each gene.
        obs: as the file's `obs`.
    """

    matched: StreamedMatch
    transform: Transform
    nodes: tuple[str, ...]
    obs: pd.DataFrame

    @property
    def shape(self) -> tuple[int, int]:
        """Cells and genes."""
        return len(self.obs), len(self.nodes)

    def write_h5ad(self, path: str | Path) -> None:
        """Writes the cells as `Matched.to_anndata(...).write_h5ad` would, some at a time.

        Transformed values and counts share the arrays of their structure in the file too.
        """
        from anndata.io import write_elem

        with h5py.File(path, "w") as file:
            file.attrs["encoding-type"], file.attrs["encoding-version"] = "anndata", "0.1.0"
            write_elem(file, "obs", self.obs)
            write_elem(file, "var", pd.DataFrame({"node": list(self.nodes)}, index=self.matched.genes.astype(str)))
            write_elem(file, "uns", {"transform": self.transform.as_dict()})
            for empty in ("obsm", "varm", "obsp", "varp", "layers"):
                write_elem(file, empty, {})
            transformed, counted = (self._csr(file, name) for name in ("X", "layers/counts"))
            indices = transformed.create_dataset("indices", (0,), np.int32, maxshape=(None,), chunks=_CHUNK)
            ends, at = [np.zeros(1, dtype=np.int64)], 0
            for counts in self.matched.blocks():
                totals = self.matched.totals[at : at + counts.shape[0]]
                at += counts.shape[0]
                _append(indices, counts.indices)
                _append(transformed["data"], self.transform.apply(counts, totals).data)
                _append(counted["data"], counts.data)
                ends.append(ends[-1][-1] + counts.indptr[1:].astype(np.int64))
            transformed["indptr"] = np.concatenate(ends)
            counted["indices"], counted["indptr"] = indices, transformed["indptr"]

    def _csr(self, file: h5py.File, name: str) -> h5py.Group:
        group = file.create_group(name)
        group.attrs["encoding-type"], group.attrs["encoding-version"] = "csr_matrix", "0.1.0"
        group.attrs["shape"] = np.array(self.shape, dtype=np.int64)
        group.create_dataset("data", (0,), np.float32, maxshape=(None,), chunks=_CHUNK)
        return group


def _append(node: h5py.Dataset, values: np.ndarray) -> None:
    start = node.shape[0]
    node.resize((start + len(values),))
    node[start:] = values
