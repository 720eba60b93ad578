"""Donors, samples and batches: found by name, and warned of where they tell the classes."""

from __future__ import annotations

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest

from kpnn.cells import InMemory, LabelSettings, batch_columns, batch_warnings, batches_by_class, label_cells
from kpnn.cells.formats import open_expression

N = 240
BARCODES = [f"c{number}" for number in range(N)]
DONORS = np.arange(N) % 12


def labels(classes):
    return pd.DataFrame({"T": np.asarray(classes).astype("int8")}, index=BARCODES)


def columns(**values):
    return pd.DataFrame({name: np.asarray(column).astype(str) for name, column in values.items()}, index=BARCODES)


def test_donors_of_one_class_each_tell_it_and_the_advice_is_to_keep_them_together():
    (found,) = batches_by_class(labels(DONORS < 5), columns(donor=DONORS))
    assert (found.roc_auc, found.n_values, found.n_of_class, found.is_nested) == (1.0, 12, 5, True)
    (told,) = batch_warnings([found])
    assert told.startswith("column donor (12 values) alone predicts T with ROC-AUC 1.00")
    assert "set cross_validation.group_by to donor" in told


def test_what_is_kept_together_is_no_warning_nor_are_samples_of_donors_that_are():
    known = columns(donor=DONORS, sample=[f"{donor}{donor < 5}" for donor in DONORS], batch=DONORS < 5)
    found = {one.column: one for one in batches_by_class(labels(DONORS < 5), known, "donor")}
    assert found["donor"].roc_auc == found["sample"].roc_auc == 1.0
    assert [name for name, one in found.items() if one.tells_classes] == ["batch"]
    (told,) = batch_warnings(list(found.values()))
    assert "one class is in 1 of its values only" in told and "group_by" not in told


def test_batches_that_hold_both_classes_in_other_shares_are_told_by_roc_auc():
    rng = np.random.default_rng(0)
    batch = np.arange(N) % 2
    (found,) = batches_by_class(labels(rng.random(N) < np.where(batch, 0.9, 0.1)), columns(batch=batch))
    assert 0.8 < found.roc_auc < 1 and not found.is_nested and found.n_of_class == 2
    assert "too few for cross_validation.group_by" in batch_warnings([found])[0]


def test_a_column_that_has_nothing_to_do_with_the_class_tells_nothing_however_many_values_it_has():
    areas = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        known = columns(donor=rng.integers(0, 40, N))
        areas += [one.roc_auc for one in batches_by_class(labels(rng.random(N) < 0.5), known)]
    assert np.mean(areas) == pytest.approx(0.5, abs=0.02) and len(areas) == 30
    names = columns(sample=BARCODES, batch=["x"] * N)  # names of cells, and one batch, tell nothing
    assert batches_by_class(labels(DONORS < 5), names) == ()


def test_columns_are_found_by_their_names_in_the_labels_table_and_in_obs():
    obs = pd.DataFrame({"Donor_ID": DONORS.astype(str), "type": "x", "batch": ["NA", "b1"] * (N // 2)}, index=BARCODES)
    cells = InMemory(ad.AnnData(np.ones((N, 1), dtype=np.float32), obs))
    table = pd.DataFrame({"barcode": BARCODES[::-1], "T": "1", "patient": DONORS[::-1].astype(str)})
    found = label_cells(table, cells, LabelSettings(outputs=["T"]), "Donor_ID")
    known = batch_columns(table, cells, found)
    assert set(known) == {"Donor_ID", "patient", "batch"}
    of_cell = dict(zip(BARCODES, DONORS.astype(str), strict=True))
    assert known["patient"].to_dict() == known["Donor_ID"].to_dict() == of_cell
    assert known.loc[["c0", "c1"], "batch"].tolist() == ["", "b1"]


def test_a_damaged_column_that_nobody_asked_for_is_left_out(tmp_path):
    obs = pd.DataFrame({"type": ["A", "B"] * (N // 2), "donor": DONORS.astype(str)}, index=BARCODES)
    ad.AnnData(np.ones((N, 1), dtype=np.float32), obs).write_h5ad(tmp_path / "a.h5ad")
    with h5py.File(tmp_path / "a.h5ad", "a") as file:
        del file["obs/donor"]
        file["obs/donor"] = np.arange(3)
    cells = open_expression(tmp_path / "a.h5ad")
    found = label_cells(None, cells, LabelSettings(label="type"))
    assert batch_columns(None, cells, found).shape == (N, 0)
