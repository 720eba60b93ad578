"""A `.keras` file that is damaged, or is something else, is one message that names it."""

from __future__ import annotations

import zipfile

import numpy as np
import pandas as pd
import pytest

from kpnn.errors import ModelError
from kpnn.nn import build_kpnn, edge_weights, loading
from kpnn.nn.loading import load_kpnn
from kpnn.pkn import Dag


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> bytes:
    edges = pd.DataFrame({"parent": ["TCR", "A", "A"], "child": ["A", "G1_gene", "G2_gene"]})
    path = tmp_path_factory.mktemp("saved") / "model.keras"
    build_kpnn(Dag.from_edges(edges, outputs=["TCR"])).save(path)
    return path.read_bytes()


@pytest.mark.parametrize("kind", ["empty", "text", "half", "a zip of something else"])
def test_what_is_no_network_is_named(kind, saved, tmp_path):
    path = tmp_path / "model.keras"
    if kind == "a zip of something else":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("readme.txt", "hello")
    else:
        path.write_bytes({"empty": b"", "text": b"a network", "half": saved[: len(saved) // 2]}[kind])
    with pytest.raises(ModelError, match=rf"^{path}: not a network that kpnn saved"):
        load_kpnn(path)


def test_a_damaged_network_is_one_error_or_the_network_itself(saved, tmp_path):
    path = tmp_path / "model.keras"
    path.write_bytes(saved)
    whole = edge_weights(load_kpnn(path))
    drawn = np.random.default_rng(0)
    refused = 0
    for _ in range(40):
        damaged = bytearray(saved)
        for place in drawn.integers(0, len(saved), 4):
            damaged[place] ^= 1 << int(drawn.integers(8))
        path.write_bytes(bytes(damaged))
        try:
            pd.testing.assert_frame_equal(edge_weights(load_kpnn(path)), whole)
        except ModelError:
            refused += 1
    assert refused > 20


def test_a_file_that_would_fill_the_memory_is_not_opened(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "_MOST_BYTES", 1_000_000)
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", bytes(5_000_000))
    with pytest.raises(ModelError, match=r"would unpack to 0\.0 GB; it is not opened"):
        load_kpnn(path)
