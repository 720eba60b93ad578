"""10x `.h5` files of both layouts, read cell by cell."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp

from kpnn.cells.expression import Expression, GeneNames
from kpnn.cells.formats.features import GENES, are_of_type
from kpnn.cells.formats.storage.hdf5 import dataset, find_names, open_hdf5, texts
from kpnn.cells.formats.storage.hdf5_chunks import ChunkedNumbers
from kpnn.cells.formats.storage.sparse_rows import CompressedMatrix, checked_indptr, select_rows
from kpnn.errors import CellsError, GenomeError, some_names

_OLD_LAYOUT = ("barcodes", "data", "indices", "indptr", "shape")


class TenxH5(Expression):
    """A 10x `.h5` file: one group per genome (older layout) or `matrix/features` (newer).

    Only the labelled cells' entries are read from disk, in pieces, so a file with a million empty
    droplets costs no more memory than its list of barcodes.

    Args:
        path: the file.
        genome: which genome to read, where the file has several.
        gene_names: name genes by `symbol` or by `id`.
        feature_type: of the newer layout, which features are genes.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        genome: str | None = None,
        gene_names: GeneNames = "symbol",
        feature_type: str = GENES,
    ):
        super().__init__(str(path), gene_names)
        self.path = Path(path)
        with open_hdf5(self.path) as file:
            self._newer = isinstance(file.get("matrix"), h5py.Group)
            self._group = "matrix" if self._newer else self._genome_group(file, genome)
            group = file[self._group]
            n_genes, n_cells = self._shape(group)
            n_barcodes = dataset(group, "barcodes", path, kinds="SO").size
            if n_barcodes != n_cells:
                raise CellsError(f"{path}: {n_barcodes:,} barcodes where the shape says {n_cells:,}")
            self._n_cells = n_cells
            n_entries = dataset(group, "data", path, kinds="iuf").size
            dataset(group, "indices", path, kinds="iu")
            indptr = dataset(group, "indptr", path, kinds="iu")[:]
            self._indptr = checked_indptr(indptr, n_cells, n_entries, self.source)
            self._read_features(group, n_genes, genome, feature_type)

    def _genome_group(self, file: h5py.File, genome: str | None) -> str:
        groups = {name: node for name, node in file.items() if isinstance(node, h5py.Group)}
        genomes = [name for name, node in groups.items() if all(part in node for part in _OLD_LAYOUT)]
        if not genomes:
            raise CellsError(f"{self.source}: {_what_it_is(file)}")
        self._require_one(genome, genomes)
        return genome or genomes[0]

    def _require_one(self, genome: str | None, found: list[str]) -> None:
        """Refuses a genome that the file lacks, and to choose among several."""
        if genome is None and len(found) > 1:
            raise GenomeError(
                f"{self.source}: holds several genomes ({some_names(found)}); say which with `genome:` in the catalog"
            )
        if genome is not None and genome not in found:
            raise GenomeError(f"{self.source}: no genome {genome} (found: {some_names(found)})")

    def _shape(self, group: Any) -> tuple[int, int]:
        shape = dataset(group, "shape", self.path, kinds="iu")[:]
        if len(shape) != 2 or (shape < 0).any():
            raise CellsError(f"{self.source}: shape {shape.tolist()} is not a pair of genes and cells; damaged")
        return int(shape[0]), int(shape[1])

    def _read_features(self, group: Any, n_genes: int, genome: str | None, feature_type: str) -> None:
        self._is_gene = np.ones(n_genes, dtype=bool)
        if self._newer:
            symbols, ids = self._newer_features(group, genome, feature_type)
        else:
            # Its groups are of one genome each, and all features are genes: no other type can be asked for.
            are_of_type(pd.Index([]), feature_type, self.source)
            symbols = texts(dataset(group, "gene_names", self.path, kinds="SO"), self.path)
            ids = texts(dataset(group, "genes", self.path, kinds="SO"), self.path)
        for what, names in (("names", symbols), ("identifiers", ids)):
            if len(names) != n_genes:
                raise CellsError(f"{self.source}: {len(names):,} gene {what} where the shape says {n_genes:,}")
        self._columns = np.flatnonzero(self._is_gene)
        if not len(self._columns):
            raise CellsError(f"{self.source}: no feature of type {feature_type}")
        self._symbols, self._ids = symbols[self._columns], ids[self._columns]

    def _newer_features(self, group: Any, genome: str | None, feature_type: str) -> tuple[pd.Index, pd.Index]:
        """Names and identifiers of all features; notes which of these are genes of the genome."""
        features = group.get("features")
        if not isinstance(features, h5py.Group):
            raise CellsError(f"{self.source}: matrix has no group `features`; this is not a 10x file")
        symbols = texts(dataset(features, "name", self.path, kinds="SO"), self.path)
        ids = texts(dataset(features, "id", self.path, kinds="SO"), self.path)
        if "feature_type" in features:
            types = texts(dataset(features, "feature_type", self.path, kinds="SO"), self.path)
            self._keep(are_of_type(types, feature_type, self.source))
        else:
            are_of_type(pd.Index([]), feature_type, self.source)
        if genome is not None and "genome" not in features:
            raise CellsError(f"{self.source}: does not say of which genome its features are; leave `genome:` out")
        if "genome" in features:
            genomes = texts(dataset(features, "genome", self.path, kinds="SO"), self.path)
            self._keep(self._of_genome(genomes, genome))
        return symbols, ids

    def _keep(self, kept: np.ndarray) -> None:
        if len(kept) != len(self._is_gene):
            raise CellsError(f"{self.source}: {len(kept):,} features where the shape says {len(self._is_gene):,}")
        self._is_gene &= kept

    def _of_genome(self, genomes: pd.Index, genome: str | None) -> np.ndarray:
        # Of the genes alone: antibodies and guides often have none. Where the lengths differ `_keep` says so later.
        found = sorted(set(genomes[self._is_gene])) if len(genomes) == len(self._is_gene) else sorted(set(genomes))
        self._require_one(genome, found)
        return np.ones(len(genomes), dtype=bool) if genome is None else np.asarray(genomes == genome)

    @property
    def n_cells(self) -> int:
        """Number of barcodes."""
        return self._n_cells

    @cached_property
    def barcodes(self) -> pd.Index:
        """All barcodes of the file; `locate` does without this list."""
        with open_hdf5(self.path) as file:
            return texts(file[self._group]["barcodes"], self.path)

    def locate(self, barcodes: Iterable[str]) -> np.ndarray:
        """Positions of cells in the file, without making a million names into Python's strings.

        Raises:
            CellsError: a barcode that is asked for occurs more than once in the file.
        """
        wanted = pd.Index(list(barcodes))
        with open_hdf5(self.path) as file:
            node = file[self._group]["barcodes"]
            if node.dtype.kind != "S" or "barcodes" in self.__dict__:
                return super().locate(wanted)
            found = find_names(node, [str(name).encode() for name in wanted])
        names = [name for name, positions in zip(wanted, found, strict=True) if len(positions) > 1]
        if names:
            raise CellsError(f"{self.source}: barcode {some_names(dict.fromkeys(names))} occurs more than once")
        return np.array([positions[0] if positions else -1 for positions in found], dtype=np.int64)

    def select(self, cells: np.ndarray, columns: np.ndarray) -> tuple[sp.csr_matrix, np.ndarray]:
        """Reads some cells and columns; totals are over all genes of the chosen genome and feature type."""
        lookup = np.full(len(self._is_gene), -1, dtype=np.int32)
        lookup[self._columns[columns]] = np.arange(len(columns), dtype=np.int32)
        with open_hdf5(self.path) as file:
            group = file[self._group]
            is_gene = None if self._is_gene.all() else self._is_gene
            with (
                ChunkedNumbers(group["data"], self.source) as data,
                ChunkedNumbers(group["indices"], self.source) as at,
            ):
                matrix = CompressedMatrix(data, at, self._indptr, self.source, self.repair)
                return select_rows(matrix, cells, lookup, len(columns), is_gene)


def _what_it_is(file: h5py.File) -> str:
    """Which other kind of HDF5 file this is, as far as its names tell, and what to do."""
    names = set(file)
    if {"barcode_idx", "umi"} <= names or {"barcode_idx", "count"} <= names:
        return (
            "is a molecule_info.h5, a list of molecules and no count matrix; take filtered_feature_bc_matrix.h5 of the "
            "same run"
        )
    if {"obs", "var"} <= names:
        return "is AnnData, not 10x; say `format: h5ad` in the catalog, or let its name end in .h5ad"
    if {"row_attrs", "col_attrs"} <= names:
        return "is a loom file, not 10x; save it as .h5ad (`anndata.io.read_loom`)"
    found = {name: node for name, node in file.items() if isinstance(node, h5py.Group)}
    if not found:
        return f"holds no group (found: {some_names(sorted(names)) or 'nothing'}); this is not a 10x file"
    group = min(found, key=lambda name: sum(part not in found[name] for part in _OLD_LAYOUT))
    missing = [part for part in _OLD_LAYOUT if part not in found[group]]
    return f"group {group} has no {some_names(missing)}; this is not a 10x file (groups: {some_names(sorted(found))})"
