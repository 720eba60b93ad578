"""Folds: every cell once per repeat, classes spread, groups whole, bad input named."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from kpnn.cells.folds import FoldSettings, make_folds
from kpnn.errors import CellsError


def labels_of(n, seed=0, outputs=("TCR",)):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({name: rng.integers(0, 2, n) for name in outputs}, index=[f"cell{i}" for i in range(n)])
    table.iloc[: n // 2] = 0
    table.iloc[n // 2 :] = 1
    return table


@settings(max_examples=30, deadline=None)
@given(st.integers(20, 60), st.integers(2, 5), st.integers(1, 3), st.integers(0, 1000))
def test_every_cell_is_held_out_once_in_every_repeat(n, n_splits, n_repeats, seed):
    labels = labels_of(n)
    folds = make_folds(labels, FoldSettings(n_splits=n_splits, n_repeats=n_repeats, seed=seed))
    for _, table in folds.groupby("repeat"):
        assert sorted(table["barcode"]) == sorted(labels.index)
        assert table["fold"].nunique() == n_splits
        shares = labels["TCR"].reindex(table["barcode"]).groupby(table["fold"].to_numpy()).mean()
        assert shares.between(0.25, 0.75).all()


def test_repeats_differ_and_runs_repeat():
    labels = labels_of(40)
    folds = make_folds(labels, FoldSettings(n_repeats=2))
    first, second = (t.set_index("barcode")["fold"].sort_index() for _, t in folds.groupby("repeat"))
    assert not first.equals(second)
    assert folds.equals(make_folds(labels, FoldSettings(n_repeats=2)))


def test_a_group_is_never_torn_apart():
    labels = labels_of(60)
    donors = pd.Series([f"donor{i % 10}" for i in range(60)], index=labels.index)
    folds = make_folds(labels, FoldSettings(group_by="donor", n_splits=3), donors)
    per_donor = folds.assign(donor=donors.reindex(folds["barcode"]).to_numpy()).groupby("donor")["fold"].nunique()
    assert (per_donor == 1).all()


def test_rare_combinations_of_several_labels_do_not_stop_a_run():
    labels = pd.DataFrame({"A": [0] * 20 + [1] * 20, "B": [0, 1] * 20}, index=[f"c{i}" for i in range(40)])
    labels.iloc[:19, 1] = 0
    folds = make_folds(labels, FoldSettings(n_splits=4))
    assert folds["fold"].nunique() == 4


def test_a_class_too_small_for_the_folds_is_named():
    labels = labels_of(40)
    labels["TCR"] = [1] * 3 + [0] * 37
    theirs = ", ".join(labels.index[:3])
    said = rf"class 1 of `TCR` has 3 cells, fewer than cross_validation.n_splits = 5.*its cells: {theirs}\)"
    with pytest.raises(CellsError, match=said):
        make_folds(labels, FoldSettings())
    labels["TCR"] = [1] + [0] * 39
    with pytest.raises(CellsError, match=rf"class 1 of `TCR` has 1 cell, fewer.*its cells: {labels.index[0]}\)"):
        make_folds(labels, FoldSettings())


def test_groups_that_hold_one_class_each_are_named():
    labels = labels_of(40)
    donors = pd.Series(np.where(labels["TCR"] == 1, "ill", "well"), index=labels.index)
    with pytest.raises(CellsError, match="donor"):
        make_folds(labels, FoldSettings(group_by="donor", n_splits=2), donors)


def test_a_barcode_that_stands_twice_is_named():
    labels = labels_of(20)
    with pytest.raises(CellsError, match="cell0"):
        make_folds(pd.concat([labels, labels.iloc[:1]]), FoldSettings())


def test_one_split_is_no_cross_validation():
    with pytest.raises(ValidationError, match="greater than or equal to 2"):
        FoldSettings(n_splits=1)


@pytest.mark.parametrize(
    ("n_cases", "n_controls", "n_folds"), [(2, 8, 0), (2, 2, 0), (1, 9, 0), (3, 8, 3), (4, 4, 4), (8, 9, 5)]
)
def test_few_donors_make_fewer_folds_or_are_refused_before_any_training(n_cases, n_controls, n_folds, caplog):
    donors = np.repeat([f"d{number}" for number in range(n_cases + n_controls)], 6)
    values = np.repeat([1] * n_cases + [0] * n_controls, 6)
    names = [f"c{number}" for number in range(len(donors))]
    labels, groups = pd.DataFrame({"T": values}, index=names), pd.Series(donors, index=names)
    settings = FoldSettings(group_by="donor")
    if n_folds == 0:
        with pytest.raises(
            CellsError, match=rf"class [01] of `T` is in {n_cases} groups? of `donor` only.*needs three"
        ):
            make_folds(labels, settings, groups)
        return
    folds = make_folds(labels, settings, groups)
    assert folds["fold"].nunique() == n_folds
    assert ("folds instead of cross_validation.n_splits = 5" in caplog.text) is (n_folds < 5)
    assert groups[folds["barcode"]].groupby(folds["fold"].to_numpy()).nunique().sum() == n_cases + n_controls
    for fold in range(n_folds):
        training = folds.loc[folds["fold"] != fold, "barcode"]
        assert groups[training].groupby(labels.loc[training, "T"].to_numpy()).nunique().min() >= 2


def test_training_cells_with_a_class_in_one_donor_are_refused():
    donors = np.repeat([f"d{number}" for number in range(6)], 6)
    names = [f"c{number}" for number in range(36)]
    labels = pd.DataFrame({"T": np.repeat([1, 1, 1, 0, 0, 0], 6)}, index=names)
    with pytest.raises(CellsError, match=r"hold class [01] of `T` in one group of `donor` only.*more folds than 2"):
        make_folds(labels, FoldSettings(n_splits=2, group_by="donor"), pd.Series(donors, index=names))


def test_one_donor_of_all_cells_is_told_that_nothing_can_be_held_out_by_it():
    labels = pd.DataFrame({"T": [0, 1] * 6}, index=[f"c{number}" for number in range(12)])
    groups = pd.Series("d1", index=labels.index)
    with pytest.raises(
        CellsError, match=r"all 12 cells are of one `donor`, d1.*set cross_validation\.group_by to null"
    ):
        make_folds(labels, FoldSettings(group_by="donor"), groups)
