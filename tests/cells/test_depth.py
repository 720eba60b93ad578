"""Sequencing depth: scaled away where values are counts, and warned of where it tells the classes."""

from __future__ import annotations

import logging

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from kpnn.cells import (
    DepthByClass,
    InMemory,
    depth_by_class,
    depth_by_column,
    depth_warnings,
    match,
    warn_of_depth,
)
from kpnn.pipelines.data_engineering.settings import DataEngineeringSettings

GENES = [f"G{number}" for number in range(20)]
BARCODES = [f"c{number}" for number in range(60)]
LABELS = pd.DataFrame({"barcode": BARCODES, "T": np.arange(60) % 2}).astype({"T": "int8"})


def matched(depth: float = 1.0, scale: float = 1.0, uns: dict | None = None):
    rng = np.random.default_rng(0)
    counts = rng.poisson(2.0 * np.where(np.arange(60) % 2, depth, 1.0)[:, None], (60, 20)) * scale
    table = ad.AnnData(
        counts.astype(np.float32), pd.DataFrame(index=BARCODES), pd.DataFrame(index=GENES), uns=uns or {}
    )
    return match(InMemory(table), LABELS, GENES[:15])


def test_by_default_counts_are_scaled_to_the_median_of_the_studys_cells():
    cells = matched()
    transform = DataEngineeringSettings().transform_of(cells)
    assert transform.library_size == np.median(cells.totals)
    assert DataEngineeringSettings(library_size=None).transform_of(cells).library_size is None
    assert DataEngineeringSettings(library_size=1e4).transform_of(cells).library_size == 1e4


@pytest.mark.parametrize("already", [{"scale": 0.37}, {"uns": {"log1p": {"base": None}}}])
def test_what_is_normalized_already_is_left_as_it_is_and_that_is_said(already, caplog):
    caplog.set_level(logging.INFO, logger="kpnn")
    assert DataEngineeringSettings().transform_of(matched(**already)).library_size is None
    assert "library_size: median does not scale" in caplog.text


@pytest.mark.parametrize("size", ["mean", 0, -1.0, float("inf")])
def test_other_library_sizes_are_refused(size):
    with pytest.raises(ValueError, match=r"must be a number above 0, median|finite number"):
        DataEngineeringSettings(library_size=size)


def test_depth_is_measured_against_the_class():
    cells = matched(depth=1.3)
    found = {one.measure: one for one in depth_by_class(cells)}
    classes = cells.labels["T"].to_numpy()
    assert found["counts"].roc_auc == roc_auc_score(classes, cells.totals)
    assert found["counts"].tells_classes and found["counts"].median_1 > found["counts"].median_0
    detected = (cells.counts.toarray() > 0).sum(axis=1)
    assert found["detected genes"].roc_auc == roc_auc_score(classes, detected)
    assert not any(one.tells_classes for one in depth_by_class(matched()))
    assert [one.measure for one in depth_by_class(matched(scale=0.37))] == ["detected genes"]


def test_a_class_that_is_deeper_is_a_warning_with_advice(caplog):
    warn_of_depth(depth_by_class(matched()), scaled=False, grouped=False)
    assert not caplog.records
    deeper = [one for one in depth_by_class(matched(depth=0.6)) if one.measure == "counts"]
    warn_of_depth(deeper, scaled=False, grouped=False)
    assert "counts alone predict T with ROC-AUC" in caplog.text
    assert "set data_engineering.library_size to median" in caplog.text and "group_by" in caplog.text
    caplog.clear()
    warn_of_depth(deeper, scaled=True, grouped=True)
    assert "library_size" not in caplog.text and "group_by" not in caplog.text and len(caplog.records) == 1


def test_many_outputs_that_depth_tells_are_one_warning_the_clearest_named():
    areas = {"a": 0.7, "b": 0.1, "c": 0.8, "d": 0.66, "e": 0.5, "f": 0.75}
    found = [DepthByClass(name, "counts", area, 1.0, 2.0) for name, area in areas.items()]
    (told,) = depth_warnings(found, scaled=True, grouped=True)
    assert told.startswith(
        "counts alone predict b with ROC-AUC 0.90 (median 1 in class 1, 2 in class 0), c with ROC-AU"
    )
    assert "f with ROC-AUC 0.75" in told and " and 2 more outputs: a network can learn depth" in told


def test_depth_is_measured_against_the_columns_of_the_cells():
    rng = np.random.default_rng(0)
    donors = pd.DataFrame({"donor": np.repeat(["a", "b", "c"], 20), "chance": rng.integers(0, 3, 60)}, index=BARCODES)
    counts = rng.poisson(np.repeat([2.0, 6.0, 18.0], 20)[:, None], (60, 20)).astype(np.float32)
    cells = match(InMemory(ad.AnnData(counts, pd.DataFrame(index=BARCODES), pd.DataFrame(index=GENES))), LABELS, GENES)
    found = {one.column: one for one in depth_by_column(cells, donors) if one.measure == "counts"}
    logs = pd.Series(np.log1p(counts.sum(axis=1, dtype=float)))
    parts = [part for _, part in logs.groupby(donors["donor"].to_numpy())]
    within = sum(((part - part.mean()) ** 2).sum() for part in parts)
    assert found["donor"].explained == pytest.approx(1 - within / ((logs - logs.mean()) ** 2).sum())
    assert found["donor"].explained > 0.9 > 0.2 > found["chance"].explained and found["donor"].n_values == 3
    assert depth_by_column(cells, None) == ()
