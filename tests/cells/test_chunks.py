"""Chunks that are unpacked here hold what HDF5 itself reads from them."""

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kpnn.cells.formats.storage.hdf5_chunks import ChunkedNumbers
from kpnn.errors import CellsError

FILTERS = [
    {"compression": "gzip", "shuffle": True},
    {"compression": "gzip"},
    {"compression": "lzf"},
    {"shuffle": True},
    {"compression": "gzip", "fletcher32": True},
    {},
]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    dtype=st.sampled_from(["<i4", "<i8", "<u2", "<u8", "<f4", "<f8", ">i4", "<i1"]),
    filters=st.sampled_from(FILTERS),
    n=st.integers(1, 3_000),
    large=st.booleans(),
    seed=st.integers(0, 1_000),
    ends=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_every_slice_is_that_of_hdf5(tmp_path, dtype, filters, n, large, seed, ends):
    rng = np.random.default_rng(seed)
    kind = np.dtype(dtype)
    if kind.kind == "f":
        values = rng.normal(size=n).astype(kind)
    else:
        limits = np.iinfo(kind)
        values = rng.integers(limits.min if large else 0, limits.max if large else 100, n, dtype=kind.newbyteorder("="))
    start, stop = sorted(int(end * (n + 10)) for end in ends)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        node = file.create_dataset("x", data=values.astype(kind), chunks=(500,) if n > 500 else (n,), **filters)
        with ChunkedNumbers(node, "a.h5") as numbers:
            np.testing.assert_array_equal(numbers[start:stop], values[start:stop])


def test_chunks_that_were_never_written_are_zeros(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        node = file.create_dataset("x", (2_000,), "<i4", chunks=(500,), compression="gzip", shuffle=True)
        node[1_600:1_700] = 7
        with ChunkedNumbers(node, "a.h5") as numbers:
            np.testing.assert_array_equal(numbers[1_400:1_650], node[1_400:1_650])


def test_a_chunk_that_unpacks_to_too_much_is_refused(tmp_path):
    import zlib

    with h5py.File(tmp_path / "a.h5", "w") as file:
        node = file.create_dataset("x", data=np.arange(1_000, dtype="<i4"), chunks=(1_000,), compression="gzip")
        node.id.write_direct_chunk((0,), zlib.compress(bytes(10_000_000)))
        with (
            ChunkedNumbers(node, "a.h5") as numbers,
            pytest.raises(CellsError, match=r"a.h5: /x: a chunk of the wrong"),
        ):
            numbers[0:10]
