"""`.h5ad` files and `.zarr` stores, read cell by cell without loading them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp

from kpnn.cells.expression import Expression, GeneNames
from kpnn.cells.formats.storage.hdf5 import integers_attribute, open_hdf5, text_attribute
from kpnn.cells.formats.storage.sparse_rows import (
    CompressedMatrix,
    checked_indptr,
    select_columns,
    select_dense_rows,
    select_rows,
)
from kpnn.errors import CellsError, KpnnError, some_names

_BROKEN = (OSError, RuntimeError, KeyError, ValueError, TypeError, IndexError, AttributeError, EOFError)
_WORSE = (MemoryError, OverflowError, SystemError, NotImplementedError, ZeroDivisionError)


class AnnDataFile(Expression):
    """An AnnData on disk: HDF5 (`.h5ad`, also of the oldest layout) or Zarr (versions 2 and 3).

    Only names are read at first; values are read row by row (or column by column, where they are
    stored so) in bounded pieces.

    Args:
        path: the `.h5ad` file or the `.zarr` folder.
        values: where the expression is: `X`, `raw`, or the name of a layer.
        gene_names: name genes by `symbol` (the index of `var`) or by `id`.
        id_column: the column of `var` that holds identifiers.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        values: str = "X",
        gene_names: GeneNames = "symbol",
        id_column: str = "gene_ids",
    ):
        super().__init__(str(path), gene_names)
        self.path = Path(path)
        self.values = values
        if self.path.is_dir() and self.path.suffix == ".h5ad":
            raise CellsError(f"{path}: is a folder, not a file")
        with self.opened() as root:
            matrix_key, var_key = self._places(root)
            self._matrix_key = matrix_key
            self._obs_names = _index(root, "obs", self.source)
            self._var_names = _index(root, var_key, self.source)
            self._ids = _column(root, var_key, id_column, self.source)
            self.layout, shape, self.indptr = self._structure(root[matrix_key])
            if shape != (len(self._obs_names), len(self._var_names)):
                raise CellsError(
                    f"{path}: {values} has shape {shape}, but there are {len(self._obs_names):,} cells "
                    f"and {len(self._var_names):,} genes"
                )

    @contextmanager
    def opened(self) -> Iterator[Any]:
        """The open file's root group; every failure inside the block becomes a `CellsError` that names the file."""
        with self.reopened(self.path) as root:
            yield root

    @staticmethod
    @contextmanager
    def reopened(path: Path) -> Iterator[Any]:
        """As `opened`, for a file that was looked at before."""
        if not path.is_dir():
            with open_hdf5(path) as file:
                yield file
            return
        import zarr

        try:
            yield zarr.open_group(str(path), mode="r")
        except KpnnError:
            raise
        except (*_BROKEN, *_WORSE) as cause:
            text = str(cause).splitlines()[0] if str(cause) else type(cause).__name__
            raise CellsError(f"{path}: cannot be read as Zarr; damaged or another format ({text})") from cause

    def _places(self, root: Any) -> tuple[str, str]:
        """Names of the matrix and of the gene table that belongs to it."""
        if self.values == "X":
            matrix, var = "X", "var"
        elif self.values == "raw":
            old = "raw.X" in root
            matrix, var = ("raw.X", "raw.var") if old else ("raw/X", "raw/var")
        else:
            matrix, var = f"layers/{self.values}", "var"
        if "obs" not in root or "var" not in root:
            raise CellsError(f"{self.source}: has no obs and var; this is no AnnData file")
        if matrix not in root:
            layers = sorted(root["layers"]) if "layers" in root else []
            there = [*(["X"] if "X" in root else []), *(["raw"] if "raw/X" in root or "raw.X" in root else []), *layers]
            raise CellsError(f"{self.source}: has no {self.values} (found: {some_names(there) or 'nothing'})")
        return matrix, var

    def _structure(self, node: Any) -> tuple[Literal["dense", "csr", "csc"], tuple[int, ...], np.ndarray | None]:
        if hasattr(node, "dtype"):
            if node.dtype.kind not in "iufb" or len(node.shape) != 2:
                raise CellsError(f"{self.source}: {self.values} has type {node.dtype} and shape {node.shape}")
            return "dense", tuple(int(size) for size in node.shape), None
        kind = text_attribute(node, "encoding-type") or text_attribute(node, "h5sparse_format") or ""
        layout = kind.removesuffix("_matrix")
        shape = integers_attribute(node, "shape") or integers_attribute(node, "h5sparse_shape") or []
        if layout not in ("csr", "csc") or len(shape) != 2:
            raise CellsError(f"{self.source}: {self.values} is stored as {kind or 'something'} that is not supported")
        for name in ("data", "indices", "indptr"):
            if name not in node or not hasattr(node[name], "dtype") or node[name].dtype.kind not in "iufb":
                raise CellsError(f"{self.source}: {self.values} has no {name}; damaged")
        if node["data"].shape != node["indices"].shape or len(node["data"].shape) != 1:
            raise CellsError(
                f"{self.source}: {self.values}: {node['data'].shape} values, {node['indices'].shape} indices"
            )
        rows = int(shape[0] if layout == "csr" else shape[1])
        _believable(node["indptr"], rows + 1, self.source)
        pointers = checked_indptr(np.asarray(node["indptr"][:]), rows, int(node["data"].shape[0]), self.source)
        return layout, (int(shape[0]), int(shape[1])), pointers  # type: ignore[return-value]

    @property
    def barcodes(self) -> pd.Index:
        """Names of the cells."""
        return self._obs_names

    @property
    def symbols(self) -> pd.Index:
        """Gene symbols: the index of `var`."""
        return self._var_names

    @property
    def gene_ids(self) -> pd.Index | None:
        """Gene identifiers, if `var` has them."""
        return self._ids

    @property
    def is_by_cell(self) -> bool:
        """Whether values are stored cell by cell."""
        return self.layout != "csc"

    def select(self, cells: np.ndarray, columns: np.ndarray) -> tuple[sp.csr_matrix, np.ndarray]:
        """Reads some cells and columns in bounded pieces; see `Expression.select`."""
        with self.opened() as root:
            node = root[self._matrix_key]
            if self.layout == "dense":
                return select_dense_rows(node, cells, columns, self.source)
            lookup = np.full(len(self._var_names), -1, dtype=np.int32)
            lookup[columns] = np.arange(len(columns), dtype=np.int32)
            assert self.indptr is not None
            matrix = CompressedMatrix(node["data"], node["indices"], self.indptr, self.source)
            if self.layout == "csr":
                return select_rows(matrix, cells, lookup, len(columns))
            return select_columns(matrix, cells, lookup, len(self._obs_names))


def _index(root: Any, table: str, source: str) -> pd.Index:
    """The index of `obs` or `var` as text."""
    node = root[table]
    if hasattr(node, "dtype"):  # the oldest layout: one compound dataset
        names = node.dtype.names or ()
        field = "index" if "index" in names else names[0] if names else None
        if field is None:
            raise CellsError(f"{source}: {table} is no table")
        return _texts(np.asarray(node[field]), f"{source}: {table}")
    key = text_attribute(node, "_index") or "_index"
    if key not in node:
        raise CellsError(f"{source}: {table} has no index")
    return _texts(_elements(node[key], f"{source}: {table}/{key}"), f"{source}: {table}/{key}")


def _column(root: Any, table: str, name: str, source: str) -> pd.Index | None:
    node = root[table]
    if hasattr(node, "dtype"):
        fields = node.dtype.names or ()
        return _texts(np.asarray(node[name]), f"{source}: {table}/{name}") if name in fields else None
    if name not in node:
        return None
    return _texts(_elements(node[name], f"{source}: {table}/{name}"), f"{source}: {table}/{name}")


def texts_of(node: Any, where: str) -> pd.Index:
    """A column of `obs` or `var` as text, however it is stored."""
    return _texts(_elements(node, where), where)


def _elements(node: Any, where: str) -> np.ndarray:
    """An array, or a categorical or nullable one, as plain values."""
    if hasattr(node, "dtype"):
        if len(node.shape) != 1:
            raise CellsError(f"{where}: has {len(node.shape)} dimensions")
        if isinstance(node, h5py.Dataset) and node.dtype.kind == "O" and h5py.check_string_dtype(node.dtype) is None:
            raise CellsError(f"{where}: has a type that is neither text nor numbers; damaged")
        return np.asarray(node[:])
    if "codes" in node and "categories" in node:
        codes, categories = np.asarray(node["codes"][:]), _elements(node["categories"], where)
        if len(codes) and (codes.min() < 0 or codes.max() >= len(categories)):
            raise CellsError(f"{where}: has missing or damaged entries")
        return categories[codes]
    if "values" in node and "mask" in node:
        if np.asarray(node["mask"][:]).any():
            raise CellsError(f"{where}: has missing entries")
        return np.asarray(node["values"][:])
    raise CellsError(f"{where}: is stored in a way that is not supported")


def _texts(raw: np.ndarray, where: str) -> pd.Index:
    try:
        if raw.dtype.kind == "S":
            return pd.Index(np.char.decode(raw, "utf-8").astype(object))
        return pd.Index(
            [name.decode("utf-8") if isinstance(name, bytes) else str(name) for name in raw.tolist()], dtype=object
        )
    except UnicodeDecodeError:
        raise CellsError(f"{where}: names that are not UTF-8 text; damaged") from None


def _believable(node: Any, length: int, source: str) -> None:
    if len(node.shape) != 1 or int(node.shape[0]) != length:
        raise CellsError(f"{source}: indptr has shape {tuple(node.shape)} where {length:,} entries are needed; damaged")
