"""Control inputs make every gene equally predictive, whatever it was before."""

from threading import Event

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from kpnn.cells import CellsOnDisk, Transform
from kpnn.errors import SettingsError
from kpnn.simulation import (
    control_counts,
    control_inputs,
    most_control_entries,
    simulate,
    write_control_inputs,
)
from kpnn.stopping import StoppedError, stopped_by


@pytest.fixture(scope="module")
def study():
    simulation = simulate("single", n_cells=3_000, n_nodes=5, genes_per_node=10, fold_change=3.0)
    classes = simulation.labels.set_index("barcode")["OUT"].loc[simulation.barcodes].to_numpy()
    return simulation.counts, classes


def test_every_gene_has_the_fold_change_or_its_inverse_half_of_them_each(study):
    counts, classes = study
    drawn, fold_changes = control_counts(counts, classes, seed=1)
    assert sorted(np.unique(fold_changes)) == [0.5, 2.0]
    assert (fold_changes == 2).sum() == 25
    depth = np.asarray(counts.sum(axis=1)).ravel()
    rates = np.stack([np.asarray(drawn[classes == c].sum(axis=0)).ravel() / depth[classes == c].sum() for c in (0, 1)])
    np.testing.assert_allclose(rates[1] / rates[0], fold_changes, rtol=0.15)


def test_the_pooled_profile_stays_and_neither_class_has_more_counts(study):
    counts, classes = study
    drawn, _ = control_counts(counts, classes, seed=1)
    before, after = (np.asarray(each.sum(axis=0)).ravel() for each in (counts, drawn))
    assert np.corrcoef(np.log(before), np.log(after))[0, 1] > 0.97
    depth = np.asarray(drawn.sum(axis=1)).ravel()
    assert abs(depth[classes == 1].mean() / depth[classes == 0].mean() - 1) < 0.25


def test_with_a_flat_profile_all_genes_are_equally_common(study):
    counts, classes = study
    drawn, _ = control_counts(counts, classes, seed=2, flat_profile=True)
    means = np.asarray(drawn.mean(axis=0)).ravel()
    assert means.std() / means.mean() < 0.05


def test_matched_cells_keep_names_labels_and_transform(study):
    counts, classes = study
    transform = Transform(library_size=500.0)
    totals = np.asarray(counts.sum(axis=1)).ravel()
    cells = ad.AnnData(
        transform.apply(counts, totals), obs=pd.DataFrame({"T": classes}, index=[f"c{n}" for n in range(len(classes))])
    )
    cells.layers["counts"], cells.uns["transform"] = sp.csr_matrix(counts), transform.as_dict()
    control = control_inputs(cells, "T", seed=3)
    assert list(control.obs_names) == list(cells.obs_names)
    np.testing.assert_allclose(np.expm1(control.X.toarray()).sum(axis=1), 500.0, rtol=1e-3)
    assert (control.layers["counts"] != cells.layers["counts"]).nnz > 0


@pytest.mark.parametrize("unit", [1.0, 0.25])
def test_written_some_at_a_time_they_are_the_same(study, tmp_path, unit):
    counts, classes = study
    counts, classes, transform = sp.csr_matrix(counts)[:1500], classes[:1500], Transform(library_size=500.0)
    cells = ad.AnnData(transform.apply(counts, np.asarray(counts.sum(axis=1)).ravel()))
    cells.obs["T"], cells.obs["U"] = classes, 1 - classes
    cells.layers["counts"], cells.uns["transform"] = counts * np.float32(unit), transform.as_dict()
    expected = control_inputs(cells, ["T", "U"], seed=3, flat_profile=True).X
    write_control_inputs(cells, ["T", "U"], 3, tmp_path / "control.h5ad", flat_profile=True)
    read = list(CellsOnDisk.open(tmp_path / "control.h5ad").buffers())
    written = sp.vstack([part for part, _ in read], format="csr")[np.argsort(np.concatenate([at for _, at in read]))]
    assert (written != expected).nnz == 0
    assert expected.nnz <= most_control_entries(cells) <= min(counts.sum(), np.prod(counts.shape))


def test_drawing_ends_when_it_is_asked_to(study):
    counts, classes = study
    asked = Event()
    with stopped_by(asked):
        control_counts(counts, classes, seed=1)
        asked.set()
        with pytest.raises(StoppedError):
            control_counts(counts, classes, seed=1)


def test_fractions_cannot_be_redrawn(study):
    counts, classes = study
    with pytest.raises(SettingsError, match="hold fractions"):
        control_counts(sp.csr_matrix(counts * 0.3), classes, seed=1)


def test_with_several_outputs_every_gene_tells_each_of_them(study):
    counts, _ = study
    classes = np.random.default_rng(0).integers(0, 2, (counts.shape[0], 2))
    drawn, fold_changes = control_counts(counts, classes, seed=4, flat_profile=True)
    assert fold_changes.shape == (50, 2)
    for output in range(2):
        one, other = (np.asarray(drawn[classes[:, output] == c].mean(axis=0)).ravel() for c in (1, 0))
        np.testing.assert_allclose(np.sign(np.log(one / other)), np.sign(np.log(fold_changes[:, output])))
        assert np.abs(np.log(one / other)).mean() == pytest.approx(np.log(2), rel=0.1)


def test_cells_that_were_normalized_before_get_control_inputs_on_their_own_scale(study):
    counts, classes = study
    names = [f"c{n}" for n in range(len(classes))]
    normalized = sp.csr_matrix(np.log1p(sp.csr_matrix(counts, dtype=float) * 0.37))
    cells = ad.AnnData(normalized, obs=pd.DataFrame({"T": classes}, index=names))
    cells.layers["counts"], cells.uns["transform"] = normalized, Transform(log1p=False).as_dict()
    control = control_inputs(cells, "T", seed=3)
    one = np.log1p(0.37)
    np.testing.assert_allclose(control.X.data / one, np.round(control.X.data / one), atol=1e-3)
    assert control.X.mean() == pytest.approx(normalized.mean(), rel=0.4)
    ratio = np.asarray(control.X[classes == 1].mean(axis=0) / control.X[classes == 0].mean(axis=0)).ravel()
    assert np.corrcoef(np.log(ratio), np.log(control.var["fold_change"]))[0, 1] > 0.95


def test_negative_values_are_no_counts():
    with pytest.raises(SettingsError, match="hold -2"):
        control_counts(sp.csr_matrix([[1.0, -2.0], [3.0, 0.0]]), np.array([0, 1]), seed=1)
