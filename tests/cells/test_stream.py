"""Cells that stay on disk: the same cells, the same numbers, shuffled, and networks that learn as well from them."""

from dataclasses import astuple, replace

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from kpnn.cells import CellStream, InMemory, Limits, Matched, StreamedMatch, Transform, match, open_expression
from kpnn.errors import CellsError, SettingsError

N, GENES = 1_500, [f"G{n}" for n in range(40)]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    rng = np.random.default_rng(5)
    counts = sp.random(N, len(GENES), 0.2, "csr", np.float32, random_state=5, data_rvs=lambda n: rng.integers(1, 9, n))
    barcodes = [f"cell{n:05d}" for n in range(N)]
    obs = pd.DataFrame({"T": np.repeat([0, 1], N // 2).astype(np.int8)}, index=barcodes)
    var = pd.DataFrame({"node": [f"{gene}_gene" for gene in GENES]}, index=GENES)
    path = tmp_path_factory.mktemp("cells") / "matched.h5ad"
    cells = ad.AnnData(counts, obs=obs, var=var)
    cells.write_h5ad(path)
    return path, cells


@pytest.fixture
def stream(source, monkeypatch):
    monkeypatch.setattr("kpnn.cells.stream.ENTRIES_PER_BLOCK", 400)
    return CellStream.open(source[0], ["T"], blocks_per_buffer=4)


def test_an_epoch_brings_every_cell_once_with_its_own_label(source, stream):
    cells = source[1]
    parts = list(stream.buffers(np.random.default_rng(0)))
    assert len(parts) > 5
    rows = sp.vstack([expression for expression, _ in parts]).toarray()
    labels = np.concatenate([labels for _, labels in parts])[:, 0]
    joined = np.column_stack([rows, labels])
    expected = np.column_stack([cells.X.toarray(), cells.obs["T"]])
    np.testing.assert_array_equal(joined[np.lexsort(joined.T)], expected[np.lexsort(expected.T)])


def test_epochs_differ_and_the_same_generator_repeats_one(stream):
    def first(seed):
        return next(iter(stream.buffers(np.random.default_rng(seed))))[0].toarray()

    np.testing.assert_array_equal(first(1), first(1))
    assert first(1).shape != first(2).shape or (first(1) != first(2)).any()


def test_batches_have_the_size_asked_for_but_the_last(stream):
    sizes = [len(labels) for _, labels in stream.batches(np.random.default_rng(0), 64)]
    assert set(sizes[:-1]) == {64}
    assert sum(sizes) == N


def test_a_file_sorted_by_class_comes_well_mixed(stream):
    mixed = replace(stream, blocks_per_buffer=16)
    shares = np.array([labels.mean() for _, labels in mixed.batches(np.random.default_rng(3), 100)])
    # In the order of the file the first half of the batches would be all 0.
    assert np.abs(np.corrcoef(shares, np.arange(len(shares)))[0, 1]) < 0.6
    assert shares.min() > 0
    assert shares.max() < 1


def test_a_part_holds_those_cells_and_no_others(source, stream):
    rows = np.random.default_rng(1).permutation(N)[:700]
    part = stream.part(rows)
    assert part.n_cells == 700
    seen = sp.vstack([expression for expression, _ in part.in_order()]).toarray()
    np.testing.assert_array_equal(seen, source[1].X.toarray()[np.sort(rows)])
    again = part.part(np.arange(10))
    assert list(again.barcodes) == list(part.barcodes[:10])


def test_columns_follow_the_nodes_asked_for(source, stream):
    nodes = ["G7_gene", "G3_gene", "G39_gene"]
    narrow = stream.restricted_to(nodes)
    seen = sp.vstack([expression for expression, _ in narrow.in_order()])
    np.testing.assert_array_equal(seen.toarray(), source[1][:, ["G7", "G3", "G39"]].X.toarray())
    assert narrow.restricted_to(["G39_gene"]).shape == (N, 1)
    with pytest.raises(CellsError, match="no input node G99_gene"):
        stream.restricted_to(["G99_gene"])


def test_moments_are_those_of_the_cells(source, stream):
    rows = np.arange(0, N, 3)
    means, variances = stream.part(rows).moments()
    dense = source[1].X.toarray()[rows].astype(np.float64)
    np.testing.assert_allclose(means, dense.mean(axis=0))
    np.testing.assert_allclose(variances, dense.var(axis=0))


def test_zarr_streams_too(source, stream, tmp_path):
    source[1].write_zarr(tmp_path / "a.zarr")
    rows = sp.vstack([expression for expression, _ in CellStream.open(tmp_path / "a.zarr", ["T"]).in_order()])
    np.testing.assert_array_equal(rows.toarray(), source[1].X.toarray())


def test_what_cannot_be_streamed_is_named(source, tmp_path):
    path = tmp_path / "a.h5ad"
    cells = source[1].copy()
    cells.X = sp.csc_matrix(cells.X)
    cells.write_h5ad(path)
    with pytest.raises(CellsError, match=r"a.h5ad: X is stored csc"):
        CellStream.open(path, ["T"])
    with pytest.raises(CellsError, match="obs has no column U"):
        CellStream.open(source[0], ["U"])
    with pytest.raises(SettingsError, match="blocks_per_buffer"):
        CellStream.open(source[0], ["T"], blocks_per_buffer=1)


@pytest.fixture
def raw(tmp_path):
    rng = np.random.default_rng(2)
    names = [*GENES, "G3", "G9"]
    counts = sp.csr_matrix(rng.poisson(0.3, (300, len(names))).astype(np.float32))
    barcodes = [f"c{n}" for n in range(300)]
    ad.AnnData(counts, pd.DataFrame(index=barcodes), pd.DataFrame(index=names)).write_h5ad(tmp_path / "raw.h5ad")
    chosen = rng.permutation(300)[:200]
    labels = pd.DataFrame({"barcode": [barcodes[n] for n in chosen], "T": rng.integers(0, 2, 200).astype(np.int8)})
    return open_expression(tmp_path / "raw.h5ad"), labels


@pytest.mark.parametrize("limits", [Limits(), Limits(min_counts_per_cell=12, min_cells_per_gene=45)])
def test_matching_in_bounded_memory_writes_the_same_file(raw, limits, tmp_path, monkeypatch):
    monkeypatch.setattr("kpnn.cells.streaming_match.CELLS_AT_ONCE", 33)
    monkeypatch.setattr("kpnn.cells.matching.CELLS_AT_ONCE", 33)
    expression, labels = raw
    transform = Transform(library_size=100.0)
    written = {}
    for in_memory_cells in (None, 50):
        matched = match(expression, labels, [*GENES, "ABSENT"], limits=limits, in_memory_cells=in_memory_cells)
        assert isinstance(matched, Matched if in_memory_cells is None else StreamedMatch)
        kept = list(matched.genes[::-1])[:-2]
        matched = matched.restricted_to(kept, "turned round")
        path = tmp_path / f"{in_memory_cells}.h5ad"
        groups = pd.DataFrame({"donor": "d1"}, index=labels["barcode"])
        matched.to_anndata(transform, [f"{gene}_gene" for gene in kept], groups).write_h5ad(path)
        written[in_memory_cells] = (matched, ad.read_h5ad(path))
    (one, in_memory), (two, streamed) = written.values()
    # The examples differ where cells are dropped: in memory they come in the order of the labels.
    assert [step[:4] for step in map(astuple, one.steps)] == [step[:4] for step in map(astuple, two.steps)]
    assert in_memory.n_obs > 0
    streamed = streamed[in_memory.obs_names]
    pd.testing.assert_frame_equal(streamed.obs, in_memory.obs)
    pd.testing.assert_frame_equal(streamed.var, in_memory.var)
    np.testing.assert_array_equal(streamed.X.toarray(), in_memory.X.toarray())
    np.testing.assert_array_equal(streamed.layers["counts"].toarray(), in_memory.layers["counts"].toarray())
    assert dict(streamed.uns["transform"]) == dict(in_memory.uns["transform"])


def test_matched_in_bounded_memory_holds_structure_once_in_the_file(raw, tmp_path):
    expression, labels = raw
    matched = match(expression, labels, GENES, in_memory_cells=0)
    matched.to_anndata(Transform(), [f"{gene}_gene" for gene in matched.genes]).write_h5ad(tmp_path / "a.h5ad")
    with h5py.File(tmp_path / "a.h5ad") as file:
        assert file["X/indices"] == file["layers/counts/indices"]
    assert CellStream.open(tmp_path / "a.h5ad", ["T"]).n_cells == 200


def test_an_anndata_in_memory_is_a_handle_like_any_other(source):
    cells = source[1]
    labels = pd.DataFrame({"barcode": cells.obs_names[:100], "T": 1})
    matched = match(InMemory(cells), labels, ["G5", "G1"])
    np.testing.assert_array_equal(matched.counts.toarray(), cells[:100, ["G5", "G1"]].X.toarray())
