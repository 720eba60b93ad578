"""Labelled cells and measured genes meet as in the tutorial, with underscores in gene names left alone."""

import numpy as np
import pandas as pd
import pytest
import scanpy as sc
import scipy.sparse as sp

from kpnn.cells import CountLimits, InMemory, Transform, match, open_expression
from kpnn.cells.formats.tenx_h5_writing import write_tenx_h5
from kpnn.errors import CellsError, SettingsError
from kpnn.pkn import gene_of
from kpnn.simulation import TcrShape, simulate


def in_memory(values, barcodes, genes):
    import anndata as ad

    return InMemory(ad.AnnData(np.asarray(values, np.float32), pd.DataFrame(index=barcodes), pd.DataFrame(index=genes)))


@pytest.fixture
def handle():
    values = [[1, 0, 2, 5, 0], [0, 0, 3, 1, 0], [4, 0, 0, 2, 9], [0, 0, 1, 0, 1]]
    return in_memory(values, ["c1", "c2", "c3", "c4"], ["A", "SILENT", "HLA_A", "A", "OTHER"])


def labels_of(*barcodes):
    return pd.DataFrame({"barcode": barcodes, "T": [n % 2 for n in range(len(barcodes))]}).astype({"T": "int8"})


def test_every_step_is_accounted_for(handle):
    matched = match(handle, labels_of("c3", "ghost", "c1"), ["HLA_A", "A", "SILENT", "ABSENT"])
    assert list(matched.genes) == ["HLA_A", "A"]
    assert list(matched.labels.index) == ["c3", "c1"]
    np.testing.assert_array_equal(matched.counts.toarray(), [[0, 4], [2, 5]])
    np.testing.assert_array_equal(matched.totals, [15, 8])
    told = [(step.cells, step.genes, step.dropped, step.examples) for step in matched.steps]
    assert told == [
        (4, 5, 0, ()),
        (2, 5, 1, ("ghost",)),
        (2, 4, 1, ("ABSENT",)),
        (2, 3, 1, ()),
        (2, 2, 1, ("SILENT",)),
    ]


def test_sums_where_the_user_says_so(handle):
    matched = match(handle, labels_of("c1", "c3"), ["A"], join="sum")
    np.testing.assert_array_equal(matched.counts.toarray(), [[6], [6]])


def test_limits_drop_poor_cells_first_and_then_rare_genes(handle):
    limits = CountLimits(min_counts_per_cell=3, min_cells_per_gene=2)
    matched = match(handle, labels_of("c1", "c2", "c3", "c4"), ["A", "HLA_A", "OTHER"], limits=limits)
    assert list(matched.labels.index) == ["c1", "c2", "c3"]
    assert list(matched.genes) == ["A", "HLA_A"]


@pytest.mark.parametrize(
    ("labels", "genes", "limits", "message"),
    [
        (
            ["x1", "x2"],
            ["A"],
            CountLimits(),
            "none of the 2 labelled cells; the labels name x1, x2, the file c1, c2, c3",
        ),
        (["c1", "c2"], ["B", "C"], CountLimits(), "none of the network's 2 genes; the network names B, C, the file A"),
        (["c1", "c2"], ["SILENT"], CountLimits(), "no gene of the network is seen"),
        (["c1", "c2"], ["A"], CountLimits(min_counts_per_cell=100), "no labelled cell has min_counts_per_cell = 100"),
    ],
)
def test_nothing_in_common_is_a_clear_error(handle, labels, genes, limits, message):
    with pytest.raises(CellsError, match=message):
        match(handle, labels_of(*labels), genes, limits=limits)


def test_limits_below_zero_are_refused():
    with pytest.raises(SettingsError):
        CountLimits(min_counts_per_cell=-1)


def test_the_tutorials_steps_and_ours_agree_but_for_names_with_underscores(tmp_path):
    shape = TcrShape(
        n_class_0=40, n_class_1=35, n_barcodes=3_000, n_file_genes=1_500, n_entries=40_000, n_hidden=61,
        n_silent_hidden=3, n_measured=500, n_silent=30, n_absent=9, n_matching_columns=575, n_repeats_seen=8,
        n_measured_edges=1_000, n_edges=1_100,
    )  # fmt: skip
    study = simulate("tcr_like", **shape.__dict__)
    path = tmp_path / "tcr.h5"
    write_tenx_h5(path, study.counts, study.barcodes, study.symbols, study.gene_ids, layout="genome")
    inputs = sorted(set(study.edges["child"]) - set(study.edges["parent"]))
    ours = match(open_expression(path), study.labels, [gene_of(name, "_gene") for name in inputs])
    ours_logged = pd.DataFrame(
        Transform().apply(ours.counts, ours.totals).toarray(), index=ours.labels.index, columns=ours.genes
    )
    # The tutorial, by its own means.
    adata = sc.read_10x_h5(path)
    sc.pp.log1p(adata)
    matched = adata[
        adata.obs_names.isin(study.labels["barcode"]), adata.var_names.isin({name.split("_")[0] for name in inputs})
    ]
    frame = matched.to_df()
    frame = frame.loc[:, frame.sum(axis=0) != 0].T.groupby(level=0).max().T
    assert len(frame.columns) == 500
    assert set(ours.genes) - set(frame.columns) == {"HLA_DRB1", "IGHV3_OR16", "TRAV1_2"}
    pd.testing.assert_frame_equal(ours_logged[frame.columns].loc[frame.index], frame, check_names=False, rtol=1e-6)


@pytest.mark.parametrize("library_size", [None, 1e4])
@pytest.mark.parametrize("log1p", [True, False])
def test_transforms_are_scanpys(library_size, log1p):
    import anndata as ad

    counts = sp.random(30, 20, 0.3, "csr", np.float32, random_state=1)
    counts.data = np.round(counts.data * 9) + 1
    reference = ad.AnnData(counts.copy())
    if library_size:
        sc.pp.normalize_total(reference, target_sum=library_size)
    if log1p:
        sc.pp.log1p(reference)
    transform = Transform(library_size, log1p)
    ours = transform.apply(counts, np.asarray(counts.sum(axis=1)).ravel())
    np.testing.assert_allclose(ours.toarray(), reference.X.toarray(), rtol=1e-5)
    assert Transform.from_dict(transform.as_dict()) == transform


def test_normalization_of_a_cell_does_not_depend_on_the_others_or_on_the_genes_asked_for(handle):
    transform = Transform(library_size=100.0, log1p=False)
    alone = match(handle, labels_of("c3"), ["A"])
    among = match(handle, labels_of("c1", "c2", "c3"), ["HLA_A", "A"])
    value = transform.apply(alone.counts, alone.totals).toarray()[0, 0]
    assert value == pytest.approx(100 * 4 / 15)
    assert transform.apply(among.counts, among.totals).toarray()[2, 1] == value


def test_an_empty_cell_stays_zero():
    counts = sp.csr_matrix(np.array([[0.0, 0.0], [1.0, 1.0]], dtype=np.float32))
    out = Transform(library_size=10.0).apply(counts, np.array([0.0, 2.0]))
    assert np.isfinite(out.data).all()


@pytest.mark.parametrize("size", [0, -1, float("nan"), float("inf")])
def test_a_library_size_that_makes_no_sense_is_refused(size):
    with pytest.raises(SettingsError):
        Transform(library_size=size)


def test_names_of_genes_that_a_spreadsheet_made_dates_are_a_warning(caplog):
    handle = in_memory(np.ones((2, 3)), ["c1", "c2"], ["A", "2-Sep", "Dec-01"])
    match(handle, labels_of("c1", "c2"), ["A", "SEPTIN2"])
    [record] = [record for record in caplog.records if "dates" in record.message]
    assert record.message.endswith("or they meet nothing: 2-Sep, Dec-01 in AnnData") and record.levelname == "WARNING"
    match(in_memory(np.ones((2, 2)), ["c1", "c2"], ["A", "B"]), labels_of("c1", "c2"), ["A", "1-Mar"])
    assert caplog.records[-1].message.endswith("1-Mar in the network")
