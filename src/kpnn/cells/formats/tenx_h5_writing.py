"""10x `.h5` files written in either layout."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp

from kpnn.errors import CellsError
from kpnn.files import written_whole

_GENOME = "GRCh38"
# Cell Ranger's own chunk length and compression.
_ENTRIES = {"chunks": (80_000,), "compression": "gzip", "compression_opts": 4, "shuffle": True}


def write_tenx_h5(
    path: str | Path,
    counts: sp.csr_matrix,
    barcodes: pd.Index,
    symbols: pd.Index,
    gene_ids: pd.Index,
    *,
    layout: Literal["genome", "features"] = "features",
) -> None:
    """Writes counts as a 10x file; the file appears only when it is complete.

    Args:
        path: the file; its folder is made.
        counts: cells x genes, integers.
        barcodes: names of the cells.
        symbols: gene symbols, which may repeat.
        gene_ids: gene identifiers.
        layout: `genome` writes Cell Ranger's older layout (a group named after the genome), `features` the newer.

    Raises:
        CellsError: names and counts differ in number.
    """
    if counts.shape != (len(barcodes), len(symbols)) or len(symbols) != len(gene_ids):
        raise CellsError(
            f"{path}: counts of shape {counts.shape} with {len(barcodes):,} barcodes and {len(symbols):,} genes"
        )
    with written_whole(path) as partial, h5py.File(partial, "w") as file:
        group = file.create_group("matrix" if layout == "features" else _GENOME)
        _names(group, "barcodes", barcodes)
        _entries(group, "data", counts.data.astype(np.int32))
        _entries(group, "indices", counts.indices.astype(np.int64))
        _entries(group, "indptr", counts.indptr.astype(np.int64))
        group.create_dataset("shape", data=np.array(counts.shape[::-1], dtype=np.int32))
        if layout == "features":
            features = group.create_group("features")
            _names(features, "id", gene_ids)
            _names(features, "name", symbols)
            _names(features, "feature_type", pd.Index(["Gene Expression"]).repeat(len(symbols)))
            _names(features, "genome", pd.Index([_GENOME]).repeat(len(symbols)))
        else:
            _names(group, "genes", gene_ids)
            _names(group, "gene_names", symbols)


def _names(group: h5py.Group, name: str, names: pd.Index) -> None:
    raw = np.array([str(text).encode() for text in names], dtype="S")
    compressed = {"chunks": True, "compression": "gzip"} if len(raw) else {}
    group.create_dataset(name, data=raw, **compressed)


def _entries(group: h5py.Group, name: str, values: np.ndarray) -> None:
    options = _ENTRIES if len(values) >= 80_000 else {}
    group.create_dataset(name, data=values, **options)
