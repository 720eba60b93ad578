"""Writes an `.h5ad` some cells at a time, where the whole does not fit in memory."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp

_CHUNK = (1 << 18,)


def begin_anndata(
    file: h5py.File,
    obs: pd.DataFrame,
    var: pd.DataFrame,
    uns: dict[str, Any] | None = None,
    obsm: dict[str, np.ndarray] | None = None,
) -> None:
    """Writes all but the matrices of an AnnData.

    Args:
        file: open and empty.
        obs: as the file's `obs`.
        var: as the file's `var`.
        uns: as the file's `uns`.
        obsm: as the file's `obsm`.
    """
    from anndata.io import write_elem

    file.attrs["encoding-type"], file.attrs["encoding-version"] = "anndata", "0.1.0"
    parts = {"obs": obs, "var": var, "uns": uns or {}, "obsm": obsm or {}, "varm": {}, "obsp": {}, "varp": {}}
    for name, part in {**parts, "layers": {}}.items():
        write_elem(file, name, part)


class GrowingCsr:
    """A CSR matrix of an `.h5ad` that grows by cells."""

    def __init__(self, file: h5py.File, name: str, shape: tuple[int, int], structure: GrowingCsr | None = None) -> None:
        """Makes it without cells.

        Args:
            file: where it is made.
            name: `X`, or `layers/...`.
            shape: that it will have.
            structure: a matrix with entries in the same places, whose arrays it shares; the other is grown first.
        """
        self._group = file.create_group(name)
        self._group.attrs["encoding-type"], self._group.attrs["encoding-version"] = "csr_matrix", "0.1.0"
        self._group.attrs["shape"] = np.array(shape, dtype=np.int64)
        self._data = self._group.create_dataset("data", (0,), np.float32, maxshape=(None,), chunks=_CHUNK)
        self._structure = structure
        self._ends = [np.zeros(1, dtype=np.int64)]
        if structure is None:
            self._group.create_dataset("indices", (0,), np.int32, maxshape=(None,), chunks=_CHUNK)

    def append(self, block: sp.csr_matrix) -> None:
        """More cells, below those that are there."""
        _append(self._data, block.data)
        if self._structure is None:
            _append(self._group["indices"], block.indices)
            self._ends.append(self._ends[-1][-1] + block.indptr[1:].astype(np.int64))

    def close(self) -> None:
        """Says where each cell begins; there are no more of them."""
        if self._structure is None:
            self._group["indptr"] = np.concatenate(self._ends)
        else:
            for name in ("indices", "indptr"):
                self._group[name] = self._structure._group[name]


def _append(node: h5py.Dataset, values: np.ndarray) -> None:
    start = node.shape[0]
    node.resize((start + len(values),))
    node[start:] = values
