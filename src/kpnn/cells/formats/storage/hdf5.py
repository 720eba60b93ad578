"""HDF5 files read with care: whatever the library says about a broken file becomes one clear error."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from kpnn.cells.formats.storage.inspection import damage_of
from kpnn.errors import CellsError, KpnnError
from kpnn.file_kinds import N_BYTES, kind_by_beginning

# gzip cannot compress better than 1 : 1032; a dataset beyond that is a damaged header, not data.
_MOST_COMPRESSION = 1100

_MAGIC = b"\x89HDF"
_HEAP = b"GCOL\x01\0\0\0"
_HEAPS_WITHIN = 128 * 2**20
"""Bytes at either end of a file in which heaps are looked for: all of a large one would take minutes."""
_NAMES_AT_ONCE = 2**16


@contextmanager
def open_hdf5(path: str | Path) -> Iterator[h5py.File]:
    """Opens a file for reading; every failure inside the block becomes a `CellsError` that names it.

    A process of its own looks into it first (`damage_of`): some damage crashes libhdf5, or keeps it for ever.
    """
    place = Path(path)
    if place.is_dir():
        raise CellsError(f"{path}: is a folder, not a file")
    if not place.exists():
        raise CellsError(f"{path}: no such file")
    if place.stat().st_size == 0:
        raise CellsError(f"{path}: is empty")
    _refuse_other_kinds(place)
    found = place.stat()
    if _has_endless_heap(str(place), found.st_size, found.st_mtime_ns):
        raise CellsError(f"{path}: damaged HDF5: a heap of names does not end")
    if (damage := damage_of(path)) is not None:
        raise CellsError(damage)
    try:
        with h5py.File(place, "r") as file:
            yield file
    except KpnnError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, IndexError, AttributeError) as cause:
        text = str(cause).splitlines()[0] if str(cause) else type(cause).__name__
        if "filter" in text or "plugin" in text:
            raise CellsError(
                f"{path}: is compressed by a filter that is not installed here ({text}); `pip install hdf5plugin` and "
                "`import hdf5plugin`, or write the file again with gzip"
            ) from cause
        raise CellsError(f"{path}: cannot be read as HDF5; damaged, cut short or another format ({text})") from cause
    except (MemoryError, OverflowError, SystemError, UnicodeError, NotImplementedError) as cause:
        raise CellsError(f"{path}: damaged HDF5 ({type(cause).__name__}: {cause})") from cause


def _refuse_other_kinds(path: Path) -> None:
    """Says what a file is that is not HDF5 but begins like something well known."""
    with path.open("rb") as file:
        begin = file.read(N_BYTES)
    found = None if begin.startswith(_MAGIC) else kind_by_beginning(begin)
    if found is not None:
        raise CellsError(f"{path}: is {found[0]}, not HDF5; {found[1]}")


@lru_cache(maxsize=64)
def _has_endless_heap(path: str, size: int, _modified: int) -> bool:
    """Whether a heap of variable-length text is damaged in the way that libhdf5 (2.0, 1.14) reads for ever.

    A heap is a row of objects; number 0 is free space, and one of size 0 is read again and again. Of very large files
    only the beginning and the end are searched.
    """
    with Path(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as raw:
        for first, last in {(0, min(size, _HEAPS_WITHIN)), (max(0, size - _HEAPS_WITHIN), size)}:
            at = raw.find(_HEAP, first, last)
            while at >= 0:
                if _is_endless(raw, at, size):
                    return True
                at = raw.find(_HEAP, at + 8, last)
    return False


def _is_endless(raw: mmap.mmap, start: int, size: int) -> bool:
    end = min(size, start + int.from_bytes(raw[start + 8 : start + 16], "little"))
    at = start + 16
    while at + 16 <= end:
        number = int.from_bytes(raw[at : at + 2], "little")
        length = int.from_bytes(raw[at + 8 : at + 16], "little")
        if number == 0 and length == 0:
            return True
        at += length if number == 0 else 16 + -(-length // 8) * 8
    return False


def dataset(group: Any, name: str, path: str | Path, *, kinds: str = "iufbSO") -> h5py.Dataset:
    """A one-dimensional dataset of a group, checked for its type and a believable size.

    Args:
        group: an open group.
        name: the dataset's name in it.
        path: the file, for errors.
        kinds: numpy's kind letters that are acceptable.

    Raises:
        CellsError: it does not exist, or is not of this shape and type.
    """
    node = group.get(name)
    where = f"{path}: {group.name.rstrip('/')}/{name}"
    if not isinstance(node, h5py.Dataset):
        raise CellsError(f"{where}: no such dataset" if node is None else f"{where}: is not a dataset")
    if node.ndim != 1 or node.dtype.kind not in kinds:
        raise CellsError(f"{where}: has type {node.dtype} and {node.ndim} dimensions; damaged or another format")
    if node.size * node.dtype.itemsize > _MOST_COMPRESSION * Path(path).stat().st_size + 2**16:
        raise CellsError(f"{where}: claims {node.size:,} entries, more than the file can hold; damaged")
    return node


def texts(node: h5py.Dataset, path: str | Path) -> pd.Index:
    """A dataset of names as text, shape (n,).

    Raises:
        CellsError: a name is not UTF-8.
    """
    raw = node[:]
    try:
        if raw.dtype.kind == "S":
            return pd.Index([name.decode("utf-8") for name in raw.tolist()], dtype=object)
        return pd.Index([name.decode("utf-8") if isinstance(name, bytes) else str(name) for name in raw], dtype=object)
    except UnicodeDecodeError:
        raise CellsError(f"{path}: {node.name}: names that are not UTF-8 text; damaged") from None


def find_names(node: h5py.Dataset, wanted: list[bytes]) -> list[list[int]]:
    """The positions of names in a dataset of fixed-width text, read in bounded pieces.

    Args:
        node: fixed-width text, shape (n,).
        wanted: the names to find.

    Returns:
        For each wanted name its positions, ascending; none if it does not exist.
    """
    width = -(-node.dtype.itemsize // 8) * 8
    positions: dict[bytes, list[int]] = {name: [] for name in wanted if len(name) <= node.dtype.itemsize}
    if positions:
        # Most names are told apart by a table of 2^20 bits; those that share a bit with a wanted one are compared.
        keys = _mixed(np.array(list(positions), dtype=f"S{width}"), width) >> np.uint64(44)
        is_key = np.zeros(1 << 20, dtype=bool)
        is_key[keys] = True
        for start in range(0, node.shape[0], _NAMES_AT_ONCE):
            names = node[start : start + _NAMES_AT_ONCE]
            likely = np.flatnonzero(is_key[_mixed(names.astype(f"S{width}"), width) >> np.uint64(44)])
            for at, name in zip(likely.tolist(), names[likely].tolist(), strict=True):
                if name in positions:
                    positions[name].append(start + at)
    return [positions.get(name, []) for name in wanted]


def _mixed(names: np.ndarray, width: int) -> np.ndarray:
    """A 64-bit number for each name of `width` bytes, a multiple of 8."""
    words = np.ascontiguousarray(names).view(np.uint64).reshape(len(names), width // 8)
    mixed = np.zeros(len(names), dtype=np.uint64)
    for column in range(words.shape[1]):
        mixed = (mixed ^ words[:, column]) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return mixed * np.uint64(0xBF58476D1CE4E5B9)


def text_attribute(node: Any, name: str) -> str | None:
    """An attribute of HDF5 or Zarr that is text; None if there is none of that name.

    The type is looked at before the value is read: libhdf5 crashes on values of a damaged type.
    """
    if name not in node.attrs:
        return None
    if isinstance(node, h5py.HLObject):
        stored = h5py.h5a.open(node.id, name.encode())
        if not isinstance(stored.get_type(), h5py.h5t.TypeStringID) or stored.shape not in ((), (1,)):
            raise ValueError(f"attribute {name} is not text")
    return str(np.asarray(node.attrs[name]).ravel()[0])


def integers_attribute(node: Any, name: str) -> list[int] | None:
    """An attribute of HDF5 or Zarr that is a few whole numbers; None if there is none of that name."""
    if name not in node.attrs:
        return None
    if isinstance(node, h5py.HLObject):
        stored = h5py.h5a.open(node.id, name.encode())
        if not isinstance(stored.get_type(), h5py.h5t.TypeIntegerID) or int(np.prod(stored.shape)) > 8:
            raise ValueError(f"attribute {name} is not a short list of whole numbers")
    return [int(number) for number in np.asarray(node.attrs[name]).ravel()]
