"""Cells that stay on disk: the same cells, the same numbers, shuffled, and networks that learn as well from them."""

from dataclasses import astuple, replace

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from kpnn.cells import (
    CellsInMemory,
    CellsOnDisk,
    CountLimits,
    InMemory,
    Matched,
    StreamedMatch,
    Transform,
    match,
    open_expression,
)
from kpnn.errors import CellsError, SettingsError
from kpnn.training.data import LabelledCells

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
    monkeypatch.setattr("kpnn.cells.store.ENTRIES_PER_RUN", 400)
    return CellsOnDisk.open(source[0], runs_per_buffer=4)


def read(store, generator=None):
    """All cells of a store in its own order, and how many buffers they came in."""
    parts = list(store.buffers(generator))
    places = np.concatenate([places for _, places in parts])
    assert sorted(places) == list(range(store.n_cells))
    return sp.vstack([block for block, _ in parts]).toarray()[np.argsort(places)], len(parts)


@pytest.fixture(params=["memory", "disk"])
def store(request, source, stream):
    return stream if request.param == "disk" else CellsInMemory(source[1].X)


def test_an_epoch_brings_every_cell_once_and_says_which_it_is(source, stream):
    seen, n_buffers = read(stream, np.random.default_rng(0))
    assert n_buffers > 5
    np.testing.assert_array_equal(seen, source[1].X.toarray())


def test_epochs_differ_and_the_same_generator_repeats_one(stream):
    def first(seed):
        return next(iter(stream.buffers(np.random.default_rng(seed))))[1]

    np.testing.assert_array_equal(first(1), first(1))
    assert not np.array_equal(first(1), first(2))


def test_a_file_sorted_by_class_comes_well_mixed(source, stream):
    labels = source[1].obs["T"].to_numpy()
    generator = np.random.default_rng(3)
    epoch = [generator.permutation(places) for _, places in replace(stream, runs_per_buffer=16).buffers(generator)]
    shares = labels[np.concatenate(epoch)].reshape(-1, 100).mean(axis=1)
    # In the order of the file the first half of the batches would be all 0.
    assert np.abs(np.corrcoef(shares, np.arange(len(shares)))[0, 1]) < 0.6
    assert shares.min() > 0
    assert shares.max() < 1


def test_rows_are_those_cells_in_the_order_asked_for(source, store):
    rows = np.random.default_rng(1).permutation(N)[:700]
    part = store.rows(rows)
    assert part.shape == (700, len(GENES))
    np.testing.assert_array_equal(read(part)[0], source[1].X.toarray()[rows])
    np.testing.assert_array_equal(read(part.rows(np.array([9, 3])))[0], source[1].X.toarray()[rows[[9, 3]]])
    with pytest.raises(CellsError, match="no cell 1500, -1 among 1,500"):
        store.rows(np.array([3, N, -1]))
    with pytest.raises(CellsError, match="asked for twice"):
        store.rows(np.array([3, 3]))


def test_columns_are_those_genes_in_the_order_asked_for(source, store):
    narrow = store.columns([7, 3, 39])
    np.testing.assert_array_equal(read(narrow)[0], source[1][:, ["G7", "G3", "G39"]].X.toarray())
    assert narrow.columns([2]).shape == (N, 1)
    np.testing.assert_array_equal(read(narrow.columns([2]))[0], source[1][:, ["G39"]].X.toarray())
    shuffled = store.columns(np.arange(len(GENES))[::-1]).rows(np.arange(5))
    np.testing.assert_array_equal(read(shuffled)[0], source[1].X.toarray()[:5, ::-1])


def test_moments_are_those_of_the_cells(source, store):
    rows = np.arange(0, N, 3)
    means, variances = store.rows(rows).moments()
    dense = source[1].X.toarray()[rows].astype(np.float64)
    np.testing.assert_allclose(means, dense.mean(axis=0))
    np.testing.assert_allclose(variances, dense.var(axis=0))


def test_a_fingerprint_tells_cells_columns_and_their_order_apart(store):
    rows, columns = np.arange(N), np.arange(len(GENES))
    stores = [
        store,
        store.rows(rows[:-1]),
        store.rows(rows[::-1]),
        store.columns(columns[:-1]),
        store.columns(columns[::-1]),
    ]
    assert len({each.fingerprint for each in stores}) == len(stores)
    assert store.rows(rows[:5]).fingerprint == store.rows(rows[:5]).fingerprint


def test_zarr_is_read_too(source, stream, tmp_path):
    source[1].write_zarr(tmp_path / "a.zarr")
    np.testing.assert_array_equal(read(CellsOnDisk.open(tmp_path / "a.zarr"))[0], source[1].X.toarray())


def test_what_cannot_be_read_cell_by_cell_is_named(source, tmp_path):
    path = tmp_path / "a.h5ad"
    cells = source[1].copy()
    cells.X = sp.csc_matrix(cells.X)
    cells.write_h5ad(path)
    with pytest.raises(CellsError, match=r"a.h5ad: X is stored csc"):
        CellsOnDisk.open(path)
    with pytest.raises(SettingsError, match="runs_per_buffer"):
        CellsOnDisk.open(source[0], runs_per_buffer=1)


@pytest.mark.parametrize("backed", [None, "r"])
def test_labelled_cells_are_the_same_in_memory_and_on_disk(source, backed):
    cells = LabelledCells.from_anndata(ad.read_h5ad(source[0], backed=backed), ["T"])
    assert (cells.store.whole() is None) is (backed == "r")
    inputs = ["G7_gene", "G3_gene", "G39_gene"]
    np.testing.assert_array_equal(
        read(cells.restricted_to(inputs).store)[0], source[1][:, ["G7", "G3", "G39"]].X.toarray()
    )
    with pytest.raises(CellsError, match="no gene for input G99_gene"):
        cells.restricted_to(["G99_gene"])
    variances = source[1].X.toarray()[:300].astype(float).var(axis=0)
    expected = {f"{GENES[place]}_gene" for place in np.argsort(variances)[-6:]}
    assert set(cells.top_genes(np.arange(300), 6)) == expected
    with pytest.raises(CellsError, match="obs has no column U"):
        LabelledCells.from_anndata(ad.read_h5ad(source[0], backed=backed), ["U"])


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


@pytest.mark.parametrize("limits", [CountLimits(), CountLimits(min_counts_per_cell=12, min_cells_per_gene=45)])
def test_matching_in_bounded_memory_writes_the_same_file(raw, limits, tmp_path, monkeypatch):
    monkeypatch.setattr("kpnn.cells.matched.CELLS_AT_ONCE", 33)
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
    assert CellsOnDisk.open(tmp_path / "a.h5ad").n_cells == 200


def test_an_anndata_in_memory_is_a_handle_like_any_other(source):
    cells = source[1]
    labels = pd.DataFrame({"barcode": cells.obs_names[:100], "T": 1})
    matched = match(InMemory(cells), labels, ["G5", "G1"])
    np.testing.assert_array_equal(matched.counts.toarray(), cells[:100, ["G5", "G1"]].X.toarray())
