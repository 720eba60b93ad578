"""`.h5ad` files and `.zarr` stores, read cell by cell without loading them."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
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
from kpnn.cells.values import choice_in_words, kind_of, most_like_counts
from kpnn.errors import CellsError, KpnnError, NoMatrixError, near_names, some_names

_log = logging.getLogger(__name__)

_ENOUGH_VALUES = 100_000

_BROKEN = (OSError, RuntimeError, KeyError, ValueError, TypeError, IndexError, AttributeError, EOFError)
_WORSE = (MemoryError, OverflowError, SystemError, NotImplementedError, ZeroDivisionError)


class AnnDataFile(Expression):
    """An AnnData on disk: HDF5 (`.h5ad`, also of the oldest layout) or Zarr (versions 2 and 3).

    Only names are read at first; values are read row by row (or column by column, where they are
    stored so) in bounded pieces.

    Args:
        path: the `.h5ad` file or the `.zarr` folder.
        values: where the expression is: `X`, `raw`, the name of a layer, or `auto`: whichever holds counts, else what
            was normalized, else logarithms.
        gene_names: name genes by `symbol` (the index of `var`) or by `id`.
        id_column: the column of `var` that holds identifiers, for `gene_names: id`; by default `gene_ids`.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        values: str = "X",
        gene_names: GeneNames = "symbol",
        id_column: str | None = None,
    ):
        super().__init__(str(path), gene_names)
        if id_column is not None and gene_names != "id":
            raise CellsError(f"{path}: `id_column: {id_column}` is for `gene_names: id`; say that too, or leave it out")
        self.path = Path(path)
        self.values = values
        if self.path.is_dir() and self.path.suffix == ".h5ad":
            raise CellsError(f"{path}: is a folder, not a file")
        if self.path.is_dir():
            _refuse_links(self.path)
        with self.opened() as root:
            if values == "auto":
                values = self.values = self._told(root)
            matrix_key, var_key = self._places(root)
            self._matrix_key = matrix_key
            self._barcodes = _index(root, "obs", self.source)
            self._symbols = _index(root, var_key, self.source)
            self._var_key, self._id_column = var_key, id_column or "gene_ids"
            self._is_logged = values == "X" and "uns" in root and "log1p" in root["uns"]
            self._others = _other_values(root, values)
            self.layout, shape, self.indptr = self._structure(root[matrix_key])
            if shape != (len(self._barcodes), len(self._symbols)):
                raise CellsError(
                    f"{path}: {values} has shape {shape}, but there are {len(self._barcodes):,} cells "
                    f"and {len(self._symbols):,} genes"
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

    def _told(self, root: Any) -> str:
        """The matrix that is most like counts, and says so."""
        kinds = {name: kind_of(_some_values(root[_key_of(root, name)])) for name in _other_values(root, "auto")}
        chosen = most_like_counts(kinds)
        _log.info("%s: %s", self.source, choice_in_words(kinds, chosen))
        return chosen

    def _places(self, root: Any) -> tuple[str, str]:
        """Names of the matrix and of the gene table that belongs to it."""
        matrix = _key_of(root, self.values)
        var = {"raw.X": "raw.var", "raw/X": "raw/var"}.get(matrix, "var") if self.values == "raw" else "var"
        if "obs" not in root or "var" not in root:
            is_tenx = any("barcodes" in node for node in root.values() if hasattr(node, "keys"))
            advice = ", but a 10x file: say `format: tenx_h5` in the catalog" if is_tenx else ""
            raise CellsError(f"{self.source}: has no obs and var; this is not an AnnData file{advice}")
        if matrix not in root:
            there = some_names(_other_values(root, self.values)) or "nothing"
            raise NoMatrixError(f"{self.source}: has no {self.values} (found: {there})")
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

    @cached_property
    def gene_ids(self) -> pd.Index | None:
        """Gene identifiers, if `var` has them; read only when asked for. A gene without one has the empty name."""
        with self.opened() as root:
            return _column(root, self._var_key, self._id_column, self.source)

    @cached_property
    def genes(self) -> pd.Index:
        """The names by which genes are asked for; see `Expression.genes`."""
        if self.gene_names == "id" and self.gene_ids is None:
            near = near_names(self._id_column, self.gene_columns) if self.gene_columns else "there are none"
            raise CellsError(
                f"{self.source}: {self._var_key} has no column {self._id_column}; {near}; say which with "
                "`id_column:`, or `gene_names: symbol`"
            )
        return super().genes

    @cached_property
    def gene_columns(self) -> tuple[str, ...]:
        """The columns of the genes' table; looked at only when asked for."""
        with self.opened() as root:
            return tuple(_column_names(root[self._var_key]))

    @cached_property
    def cell_columns(self) -> tuple[str, ...]:
        """The columns of `obs`; looked at only when asked for."""
        with self.opened() as root:
            return tuple(_column_names(root["obs"]))

    def cell_column(self, name: str) -> pd.Index:
        """A column of `obs` as text; see `Expression.cell_column`."""
        with self.opened() as root:
            found = _column(root, "obs", name, self.source) if name in self.cell_columns else None
        if found is None:
            return super().cell_column(name)
        if len(found) != len(self._barcodes):
            raise CellsError(
                f"{self.source}: obs/{name} has {len(found):,} entries for {self.n_cells:,} cells; damaged"
            )
        return found

    @cached_property
    def embeddings(self) -> tuple[str, ...]:
        """The names in `obsm`; looked at only when asked for."""
        with self.opened() as root:
            node = root.get("obsm", {})
            return tuple(node.dtype.names or ()) if hasattr(node, "dtype") else tuple(node)

    def embedding(self, name: str) -> np.ndarray:
        """An array of `obsm`; see `Expression.embedding`."""
        if name not in self.embeddings:
            return super().embedding(name)
        with self.opened() as root:
            whole = root["obsm"]
            node = _compound(whole)[name] if hasattr(whole, "dtype") else whole[name]
            if not hasattr(node, "dtype"):
                raise CellsError(f"{self.source}: obsm/{name} is no plain array of coordinates")
            return self._first_two(name, np.asarray(node[:]))

    @property
    def is_logged(self) -> bool:
        """Whether the file says so: scanpy's `log1p` leaves its mark in `uns`."""
        return self._is_logged

    @property
    def other_values(self) -> tuple[str, ...]:
        """What else `values` could be: `X`, `raw` and layers."""
        return self._others

    @property
    def is_by_cell(self) -> bool:
        """Whether values are stored cell by cell."""
        return self.layout != "csc"

    def select(self, cells: np.ndarray, columns: np.ndarray) -> tuple[sp.csr_matrix, np.ndarray]:
        """Reads some cells and columns in bounded pieces; see `Expression.select`."""
        with self.opened() as root:
            node = root[self._matrix_key]
            if self.layout == "dense":
                return select_dense_rows(node, cells, columns, self.source, self.repair)
            lookup = np.full(len(self._symbols), -1, dtype=np.int32)
            lookup[columns] = np.arange(len(columns), dtype=np.int32)
            assert self.indptr is not None
            matrix = CompressedMatrix(node["data"], node["indices"], self.indptr, self.source, self.repair)
            if self.layout == "csr":
                return select_rows(matrix, cells, lookup, len(columns))
            return select_columns(matrix, cells, lookup, len(self._barcodes))


def _key_of(root: Any, values: str) -> str:
    """Where the matrix lies that `X`, `raw` or the name of a layer stands for."""
    if values == "raw":
        return "raw.X" if "raw.X" in root else "raw/X"
    return values if values == "X" else f"layers/{values}"


def _some_values(node: Any) -> np.ndarray:
    """The first values of a matrix, enough to tell what kind they are."""
    if hasattr(node, "dtype"):
        few = max(1, _ENOUGH_VALUES // max(1, node.shape[-1])) if len(node.shape) == 2 else 0
        values = np.asarray(node[:few])
    else:
        values = np.asarray(node["data"][:_ENOUGH_VALUES]) if "data" in node else np.zeros(0)
    return values if values.dtype.kind in "iufb" else np.zeros(0)


def _other_values(root: Any, values: str) -> tuple[str, ...]:
    there = [*(["X"] if "X" in root else []), *(["raw"] if "raw/X" in root or "raw.X" in root else [])]
    layers = sorted(root["layers"]) if "layers" in root else []
    return tuple(name for name in (*there, *layers) if name != values)


def _index(root: Any, table: str, source: str) -> pd.Index:
    """The index of `obs` or `var` as text."""
    node = root[table]
    if hasattr(node, "dtype"):  # the oldest layout: one compound dataset
        names = node.dtype.names or ()
        field = "index" if "index" in names else names[0] if names else None
        if field is None:
            raise CellsError(f"{source}: {table} is not a table")
        return _texts(_compound(node)[field], f"{source}: {table}")
    key = text_attribute(node, "_index") or "_index"
    if key not in node:
        raise CellsError(f"{source}: {table} has no index")
    return _texts(_elements(node[key], f"{source}: {table}/{key}"), f"{source}: {table}/{key}")


def _column_names(table: Any, begin: str = "") -> Iterator[str]:
    """Names of the columns of `obs`; one that holds a slash is stored as a group in a group."""
    if hasattr(table, "dtype"):
        names = list(table.dtype.names or ())
        index = "index" if "index" in names else "".join(names[:1])
        yield from (name for name in names if name != index)
        return
    index = text_attribute(table, "_index") or "_index"
    for key in table:
        node = table[key]
        if begin or key not in (index, "__categories"):
            is_column = hasattr(node, "dtype") or "categories" in node or "values" in node
            yield from [begin + key] if is_column else _column_names(node, f"{begin}{key}/")


def _column(root: Any, table: str, name: str, source: str) -> pd.Index | None:
    """A column of `obs` or `var` as text, in any of the layouts that anndata ever wrote; missing entries are empty."""
    node, where = root[table], f"{source}: {table}/{name}"
    categories: Any = None
    if hasattr(node, "dtype"):  # the oldest layout; the categories of a column are in `uns`
        if name not in (node.dtype.names or ()):
            return None
        values = _compound(node)[name]
        uns = root.get("uns", {})
        categories = uns.get(f"{name}_categories")
    elif name not in node:
        return None
    elif "__categories" in node and name in node["__categories"]:  # anndata 0.7: codes beside their categories
        values, categories = np.asarray(node[name][:]), node["__categories"][name]
    else:
        values = _elements(node[name], where, missing="")
    if categories is not None and values.dtype.kind in "iu":
        values = _decoded(values, _elements(categories, where), where, missing="")
    return _texts(values, where)


def _compound(node: Any) -> np.ndarray:
    """A table that is one structured array, whole: Zarr cannot read one field of it."""
    if isinstance(node, h5py.Dataset):
        types = [node.dtype[field] for field in node.dtype.names or ()]
        if any(kind.kind == "O" and h5py.check_string_dtype(kind) is None for kind in types):
            raise CellsError(f"{node.name}: holds a type that is neither text nor numbers; damaged")
    return np.asarray(node[:])


def _elements(node: Any, where: str, missing: str | None = None) -> np.ndarray:
    """An array, or a categorical or nullable one, as plain values.

    Args:
        node: how it is stored.
        where: what to call it in errors.
        missing: what stands for a missing entry; None: there must be none.
    """
    if hasattr(node, "dtype"):
        if len(node.shape) != 1:
            raise CellsError(f"{where}: has {len(node.shape)} dimensions")
        if isinstance(node, h5py.Dataset) and node.dtype.kind == "O" and h5py.check_string_dtype(node.dtype) is None:
            raise CellsError(f"{where}: has a type that is neither text nor numbers; damaged")
        return np.asarray(node[:])
    if "codes" in node and "categories" in node:
        return _decoded(np.asarray(node["codes"][:]), _elements(node["categories"], where), where, missing)
    if "values" in node and "mask" in node:
        values, is_missing = np.asarray(node["values"][:]), np.asarray(node["mask"][:]).astype(bool)
        if not is_missing.any():
            return values
        if missing is None:
            raise CellsError(f"{where}: has missing entries")
        return np.where(is_missing, missing, values.astype(object))
    raise CellsError(f"{where}: is stored in a way that is not supported")


def _decoded(codes: np.ndarray, categories: np.ndarray, where: str, missing: str | None = None) -> np.ndarray:
    """The categories that codes stand for; -1 stands for a missing entry."""
    if len(codes) and (codes.min() < -1 or codes.max() >= len(categories)):
        raise CellsError(f"{where}: has codes without a category; damaged")
    is_missing = codes < 0
    if not is_missing.any():
        return categories[codes]
    if missing is None:
        raise CellsError(f"{where}: has missing entries")
    decoded = np.full(len(codes), missing, dtype=object)
    decoded[~is_missing] = categories[codes[~is_missing]]
    return decoded


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


def _refuse_links(folder: Path) -> None:
    """Raises CellsError where a store of files links to one outside of it, which would be read in its place."""
    whole = folder.resolve()
    for place, folders, files in os.walk(whole):
        for name in (*folders, *files):
            part = Path(place, name)
            if part.is_symlink() and not part.resolve().is_relative_to(whole):
                raise CellsError(f"{folder}: {part.relative_to(whole)} is a link to {part.resolve()}, outside of it")
