"""Numbers of a chunked HDF5 dataset, unpacked chunk by chunk on all cores."""

from __future__ import annotations

import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import h5py
import numpy as np

from kpnn.errors import CellsError

_SHUFFLE, _DEFLATE = 2, 1


class ChunkedNumbers:
    """A one-dimensional dataset that is read by slices, faster than HDF5 itself unpacks it.

    HDF5 unpacks one chunk at a time under a lock. The usual filters (gzip, with or without shuffle) are undone
    here instead, several chunks at once, and integers come out four bytes wide where their values allow it.
    Datasets with other filters are read the usual way.

    Args:
        node: an open dataset of integers or floating-point numbers.
        source: what to call the file in errors.
    """

    def __init__(self, node: h5py.Dataset, source: str):
        self._node = node
        self._source = source
        self._filters = _usual_filters(node)
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> ChunkedNumbers:
        """Starts the threads."""
        self._pool = ThreadPoolExecutor(min(4, os.cpu_count() or 1))
        return self

    def __exit__(self, *exception: Any) -> None:
        """Ends the threads."""
        if self._pool is not None:
            self._pool.shutdown()

    def __getitem__(self, part: slice) -> np.ndarray:
        """Values of `part`, start and stop given; integers of eight bytes come as four where they fit."""
        start, stop = part.start, min(part.stop, self._node.shape[0])
        if self._filters is None or self._pool is None or stop <= start:
            return self._node[start:stop]
        length = self._node.chunks[0]
        first = start // length
        offsets = range(first * length, stop, length)
        packed = [self._node.id.read_direct_chunk((offset,)) for offset in offsets]
        if any(mask for mask, _ in packed):  # a filter was skipped for some chunk
            return self._node[start:stop]
        # Integers are taken for four bytes wide; if some chunk's are wider, HDF5 reads the part.
        values = np.empty(len(packed) * length, np.int32 if self._is_narrow else self._node.dtype)
        places = [values[at * length : (at + 1) * length] for at in range(len(packed))]
        if not all(self._pool.map(self._unpack, (raw for _, raw in packed), places)):
            return self._node[start:stop]
        return values[start - first * length : stop - first * length]

    @property
    def _is_narrow(self) -> bool:
        dtype = self._node.dtype
        return _SHUFFLE in (self._filters or ()) and dtype.kind in "iu" and dtype.itemsize in (4, 8)

    def _unpack(self, raw: bytes, place: np.ndarray) -> bool:
        """Writes a chunk's numbers to their place; False if they do not fit there."""
        dtype, expected = self._node.dtype, self._node.chunks[0] * self._node.dtype.itemsize
        unpacker = zlib.decompressobj()
        try:
            plain = unpacker.decompress(raw, expected + 1)
        except zlib.error as cause:
            raise CellsError(f"{self._source}: {self._node.name}: a chunk cannot be unpacked ({cause})") from None
        if len(plain) != expected:
            raise CellsError(f"{self._source}: {self._node.name}: a chunk of the wrong length; damaged")
        if _SHUFFLE not in (self._filters or ()):
            place[:] = np.frombuffer(plain, dtype)
            return True
        planes = np.frombuffer(plain, np.uint8).reshape(dtype.itemsize, -1)
        if not self._is_narrow:
            place.view(np.uint8).reshape(-1, dtype.itemsize)[:] = planes.T
            return True
        if planes[3:].any():
            return False
        place[:] = planes[0]
        for number in (1, 2):
            if planes[number].any():
                place |= planes[number].astype(np.int32) << (8 * number)
        return True


def _usual_filters(node: h5py.Dataset) -> tuple[int, ...] | None:
    """The codes of the filters if they are the usual ones and the numbers little-endian, else None."""
    if node.chunks is None or node.dtype.kind not in "iuf" or node.dtype.str[0] not in "<|" or node.ndim != 1:
        return None
    settings = node.id.get_create_plist()
    filters = tuple(settings.get_filter(number)[0] for number in range(settings.get_nfilters()))
    every_chunk = -(-node.shape[0] // node.chunks[0])
    if filters not in ((_DEFLATE,), (_SHUFFLE, _DEFLATE)) or node.id.get_num_chunks() != every_chunk:
        return None
    return filters
