"""Inner splits: both classes on both sides, groups together, settled and said before anything is trained."""

import logging
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from kpnn.errors import CellsError, SettingsError
from kpnn.training.data import LabelledCells
from kpnn.training.inner_folds import check_inner_folds, inner_folds, inner_holdout, inner_splits
from kpnn.training.settings import EvaluationSettings, FitSettings


def cohort(n_cases, n_controls, cells_each=6):
    """Donors that are cases or controls, as in case-control studies."""
    donors = np.repeat([f"d{number}" for number in range(n_cases + n_controls)], cells_each)
    labels = np.repeat([1.0] * n_cases + [0.0] * n_controls, cells_each)[:, None].astype(np.float32)
    matrix = csr_matrix(np.ones((len(donors), 1), dtype=np.float32))
    names = np.array([f"c{number}" for number in range(len(donors))])
    return LabelledCells(matrix, labels, names, ("G_gene",), ("T",), donors)


@pytest.mark.parametrize(("n_cases", "n_controls", "n_parts"), [(2, 8, 2), (3, 8, 3), (4, 4, 4), (9, 9, 5)])
def test_inner_splits_of_few_donors_hold_both_classes_on_both_sides(n_cases, n_controls, n_parts):
    cells = cohort(n_cases, n_controls)
    rows = np.arange(len(cells.labels))
    for seed in range(20):
        parts = inner_folds(cells, rows, 5, seed)
        assert len(parts) == n_parts
        for train, validate in [*parts, inner_holdout(cells, rows, 0.2, seed)]:
            assert not set(cells.groups[train]) & set(cells.groups[validate])
            assert set(cells.labels[train, 0]) == set(cells.labels[validate, 0]) == {0.0, 1.0}
            assert sorted([*train, *validate]) == list(rows)


def test_a_class_in_one_donor_cannot_be_split_and_is_said_to_be_so():
    cells = cohort(1, 8, cells_each=12)
    with pytest.raises(CellsError, match="in one group only"):
        inner_folds(cells, np.arange(len(cells.labels)), 5, 0)


@pytest.mark.parametrize(("ensemble", "n_splits"), [(1, 1), (2, 2), (5, 4), (9, 4)])
def test_a_model_has_a_split_for_each_network_as_far_as_the_rarest_class_goes(ensemble, n_splits):
    cells = replace(cohort(4, 30, cells_each=1), groups=None)
    splits = inner_splits(cells, np.arange(34), FitSettings(ensemble=ensemble), 3)
    assert len(splits) == n_splits
    for train, stop in splits:
        assert set(cells.labels[train, 0]) == set(cells.labels[stop, 0]) == {0.0, 1.0}
    if ensemble > 1:
        assert sorted(np.concatenate([stop for _, stop in splits])) == list(range(34))


def folds_of(cells, held_out):
    """Two folds: the donors that are named, and all others."""
    inside = np.isin(cells.groups, held_out)
    return pd.DataFrame({"repeat": 0, "fold": np.where(inside, 0, 1), "barcode": cells.barcodes})


def test_a_cohort_that_cannot_be_split_twice_is_said_before_training():
    cells = cohort(2, 8)
    with pytest.raises(SettingsError, match=r"fold 0: its training cells are split once more.*one group only"):
        check_inner_folds(cells, folds_of(cells, ["d0", "d2", "d3", "d4", "d5"]), EvaluationSettings())


def test_the_tutorials_protocol_needs_no_inner_split():
    cells = cohort(2, 8)
    check_inner_folds(cells, folds_of(cells, ["d0", "d2", "d3"]), EvaluationSettings(protocol="tutorial"))


def test_fewer_networks_than_asked_for_are_one_warning(caplog):
    cells = cohort(4, 4)
    folds = folds_of(cells, ["d0", "d1", "d4", "d5"])
    with caplog.at_level(logging.WARNING):
        check_inner_folds(cells, folds, EvaluationSettings())
    [said] = [record.getMessage() for record in caplog.records]
    assert "modelling.fit.ensemble = 5" in said
    assert "as few as 2 networks" in said
    caplog.clear()
    check_inner_folds(cells, folds, EvaluationSettings.model_validate({"fit": {"ensemble": 2}}))
    assert not caplog.records


@pytest.mark.parametrize("n_donors", [3, 4])
def test_few_donors_of_both_classes_still_train(n_donors):
    donors = np.repeat([f"d{number}" for number in range(n_donors)], 10)
    labels = (np.arange(len(donors)) % 2)[:, None].astype(np.float32)
    matrix = csr_matrix(np.ones((len(donors), 1), dtype=np.float32))
    names = np.array([f"c{number}" for number in range(len(donors))])
    cells = LabelledCells(matrix, labels, names, ("G_gene",), ("T",), donors)
    folds = pd.DataFrame({"repeat": 0, "fold": np.unique(donors, return_inverse=True)[1], "barcode": names})
    check_inner_folds(cells, folds, EvaluationSettings())
    training = np.flatnonzero(donors != "d0")
    assert len(inner_splits(cells, training, FitSettings(), 0)) == n_donors - 1
