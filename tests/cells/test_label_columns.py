"""Labels are found where people have them: a column of `obs` or of a table, as text, categories, numbers or 0/1."""

import logging

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest

from kpnn.cells import InMemory, LabelSettings, label_cells, open_expression, read_label_table
from kpnn.errors import CellsError, SettingsError
from kpnn.pipelines.data_engineering.settings import DataEngineeringSettings
from kpnn.pipelines.validation import validated

N = 24
BARCODES = [f"cell{number}" for number in range(N)]
TYPES = np.array(["T", "B", "NK", ""], dtype=object)[np.arange(N) % 4]
DONORS = np.array([f"d{number % 6}" for number in range(N)])


def obs():
    return pd.DataFrame(
        {
            "type": pd.Categorical(np.where(TYPES == "", None, TYPES)),
            "text": TYPES,
            "cluster": [float(number % 3) if number % 4 else np.nan for number in range(N)],
            "treated": np.arange(N) % 2 == 0,
            "T": (np.arange(N) % 2).astype(float),
            "donor": pd.Categorical(DONORS),
            "a/b": TYPES,
        },
        index=BARCODES,
    )


def cells_of(table):
    return ad.AnnData(np.ones((N, 2), dtype=np.float32), table, pd.DataFrame(index=["A", "B"]))


@pytest.fixture(scope="module", params=["memory", "h5ad", "zarr", "csv"])
def source(request, tmp_path_factory):
    """A table of labels and a handle on cells: whichever of them holds the columns."""
    adata, folder = cells_of(obs()), tmp_path_factory.mktemp("labels")
    if request.param == "memory":
        return None, InMemory(adata)
    if request.param == "csv":
        obs().to_csv(folder / "labels.csv")
        return read_label_table(folder / "labels.csv"), InMemory(cells_of(pd.DataFrame(index=BARCODES)))
    place = folder / f"a.{request.param}"
    if request.param == "zarr":  # AnnData writes no slash there
        del adata.obs["a/b"]
    getattr(adata, f"write_{request.param}")(place)
    return None, open_expression(place)


def labelled(source, group_by=None, **settings):
    return label_cells(*source, LabelSettings(**settings), group_by)


def columns_of(found):
    return found.table.set_index("barcode")


@pytest.mark.parametrize("label", ["type", "text"])
def test_three_classes_of_a_column_are_outputs_that_exclude_each_other(source, label, caplog):
    found = labelled(source, label=label, group_by="donor")
    table, expected = columns_of(found), pd.Series(TYPES, BARCODES)[TYPES != ""]
    assert list(table.columns) == ["B", "NK", "T"]
    assert found.one_of_k
    assert list(table.idxmax(axis=1)) == list(expected)
    assert list(table.index) == list(expected.index)
    assert (table.sum(axis=1) == 1).all()
    assert set(table.dtypes) == {np.dtype("int8")}
    assert dict(found.groups["donor"]) == {
        name: d for name, d in zip(BARCODES, DONORS, strict=True) if name in table.index
    }
    assert not labelled(source, label=label, one_of_k=False).one_of_k
    assert "leave one_of_k at null for one softmax" in caplog.text


def test_a_column_whose_name_holds_a_slash_is_one_column(tmp_path):
    cells_of(obs()).write_h5ad(tmp_path / "a.h5ad")
    handle = open_expression(tmp_path / "a.h5ad")
    assert sorted(handle.cell_columns) == sorted(obs())
    assert labelled((None, handle), label="a/b").outputs == ["B", "NK", "T"]


def test_numbers_that_missing_entries_made_into_fractions_are_whole(source):
    found = labelled(source, label="cluster", classes=[0, 1.0, "2"])
    assert found.outputs == ["0", "1", "2"]
    assert len(found.table) == N * 3 // 4


def test_two_classes_are_one_output_and_it_is_said_which_is_1(source, caplog):
    caplog.set_level(logging.INFO)
    found = labelled(source, label="type", classes=["T", "B"])
    assert found.outputs == ["B"]
    assert not found.one_of_k
    assert "B is 1 and T is 0; data_engineering.positive: T swaps them" in caplog.text
    assert "left out: NK (6)" in caplog.text
    assert labelled(source, label="type", classes=["B", "T"]).outputs == ["T"]
    assert labelled(source, label="type", classes=["B", "T"], positive="B").outputs == ["B"]
    both = labelled(source, label="type", classes=["B", "T"], one_of_k=True)
    assert (both.outputs, both.one_of_k) == (["B", "T"], True)


def test_one_class_against_the_rest(source):
    found = labelled(source, label="type", positive="T")
    expected = pd.Series(TYPES, BARCODES)[TYPES != ""] == "T"
    assert found.outputs == ["T"]
    assert list(columns_of(found)["T"]) == list(expected.astype(int))
    other = labelled(source, label="type", classes=["T"], rest="other")
    pd.testing.assert_frame_equal(other.table, found.table)
    three = labelled(source, label="type", classes=["T", "B"], rest="other")
    assert three.outputs == ["T", "B", "other"]
    assert three.one_of_k


def test_a_class_can_be_made_of_several_values(source):
    found = labelled(source, label="type", classes={"lymphoid": ["T", "B"], "innate": "NK"}, positive="lymphoid")
    assert found.table["lymphoid"].sum() == N // 2
    assert found.of_cell.value_counts().to_dict() == {"lymphoid": N // 2, "innate": N // 4}


def test_yes_and_no_of_yaml_mean_the_truth_values_of_the_data(source):
    assert labelled(source, label="treated", positive=True).outputs == ["True"]
    table = pd.DataFrame({"barcode": BARCODES, "sick": ["yes", "no"] * (N // 2)})
    assert label_cells(table, source[1], LabelSettings(label="sick", positive=True)).outputs == ["yes"]


def test_columns_of_0_and_1_are_taken_from_obs_too(source):
    found = labelled(source, outputs=["T"], group_by="donor")
    assert list(columns_of(found)["T"]) == [number % 2 for number in range(N)]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"label": "tpye"}, "no column tpye; did you mean type"),
        ({"label": "type", "positive": "t cell"}, "positive: t cell is none of the classes .*there are B, NK, T"),
        ({"label": "type", "classes": ["T", "nk"]}, "classes: no cell has nk .*did you mean NK"),
        ({"label": "type", "classes": ["T"]}, "all 6 cells are of one class, T"),
        ({"label": "type", "group_by": "donner"}, "group_by: .*no column donner; did you mean donor"),
        ({"outputs": ["Tx"]}, "T"),
    ],
)
def test_a_name_that_is_not_there_is_told_with_near_ones(source, settings, message):
    with pytest.raises((CellsError, SettingsError), match=message):
        labelled(source, **settings)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["T cell", "t cell", "B"], r"'T cell' \(8 cells\) and 't cell' \(8 cells\) differ only by case or blanks"),
        (["T cell", "T  cell", "B"], "differ only by case or blanks"),
        (["", "nan", "NA"], "is blank in all 24 cells"),
        (["T"], "all 24 cells are of one class, T"),
        ([f"{number / 7}" for number in range(N)], "24 values in 24 cells .* are not classes"),
    ],
)
def test_a_column_that_cannot_be_meant_is_refused_before_anything_else(values, message):
    table = obs().assign(text=(values * N)[:N])
    with pytest.raises(CellsError, match=f"label text: .*{message}"):
        label_cells(None, InMemory(cells_of(table)), LabelSettings(label="text"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"classes": ["A"]}, "classes are values of `label`"),
        ({"label": "x", "outputs": ["A"]}, "set one of them to null"),
        ({"label": "x", "rest": "other"}, "rest: other needs `classes`"),
        ({"label": "x", "positive": "A", "one_of_k": True}, "positive makes one output"),
        ({"label": "x", "classes": ["A", "A"]}, "A occurs more than once"),
        ({"label": "x", "classes": {"P": ["A"], "Q": ["A"]}}, "A occurs more than once"),
        ({"label": "x", "classes": []}, "classes is empty"),
    ],
)
def test_parameters_that_contradict_each_other_are_refused(settings, message):
    with pytest.raises(SettingsError, match=message):
        validated(DataEngineeringSettings, settings, "data_engineering")


# Columns of 0 and 1 that exclude each other


def table_of(**columns):
    return pd.DataFrame({"barcode": BARCODES[: len(next(iter(columns.values())))], **columns}).astype(str)


def exclusive(n=30):
    one = np.eye(3, dtype=int)[np.arange(n) % 3]
    return pd.DataFrame(
        {"barcode": [f"c{number}" for number in range(n)], "T": one[:, 0], "B": one[:, 1], "M": one[:, 2]}
    )


def settled(table, **settings):
    return label_cells(table, InMemory(cells_of(obs())), LabelSettings(**settings))


def test_three_columns_of_which_each_cell_has_exactly_one_are_one_of_k(caplog):
    caplog.set_level(logging.INFO)
    assert settled(exclusive()).one_of_k
    assert "each cell is of exactly one of the classes T, B, M: one of k" in caplog.text
    assert "may learn nothing" not in caplog.text
    assert not settled(exclusive(), one_of_k=False).one_of_k
    assert "neurons that all of them share may learn nothing" in caplog.text
    two = exclusive()[["barcode", "T", "B"]].query("T + B == 1")
    assert not settled(two).one_of_k
    assert settled(two, one_of_k=True).one_of_k
    with pytest.raises(SettingsError, match="one_of_k needs two classes or more"):
        settled(exclusive(), outputs=["T"], one_of_k=True)


def test_cells_in_none_or_two_of_columns_that_exclude_each_other_are_named(caplog):
    table = exclusive()
    table.loc[4, ["T", "B", "M"]] = 0
    table.loc[7, ["T", "B", "M"]] = [1, 1, 0]
    assert not settled(table).one_of_k
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "1 is in none (c4) and 1 is in several (c7: T and B)" in caplog.text
    with pytest.raises(
        CellsError, match=r"one_of_k needs each cell in exactly one of T, B, M.*none \(c4\).*c7: T and B"
    ):
        settled(table, one_of_k=True)
    caplog.clear()
    table.loc[:9, "T"] = 1
    assert not settled(table).one_of_k
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


def test_columns_that_differ_only_by_case_are_refused():
    with pytest.raises(CellsError, match="labels 'tcr' and 'TCR' differ only by case"):
        settled(table_of(tcr=[0, 1], TCR=[1, 0]))


def test_cells_without_any_label_are_left_out_and_that_is_said(caplog):
    table = table_of(T=["1", "", "0", "nan"])
    assert list(settled(table).table["barcode"]) == ["cell0", "cell2"]
    assert "2 of 4 cells have no label and are left out" in caplog.text


# Tables whose columns have other names


def write(tmp_path, text):
    (tmp_path / "l.csv").write_text(text)
    return tmp_path / "l.csv"


@pytest.mark.parametrize("header", ["", "barcode", "cell_id", "index"])
def test_the_first_column_names_the_cells_whatever_it_is_called(tmp_path, header):
    table = read_label_table(write(tmp_path, f"{header},n_genes,T\na,5,1\nb,7,0\n"))
    assert list(table["barcode"]) == ["a", "b"]
    assert list(settled(table, outputs=["T"]).table["T"]) == [1, 0]


def test_columns_say_which_is_which_and_the_others_do_not_matter(tmp_path):
    path = write(tmp_path, "n,cell_id,cluster,donor,cluster2\n1,a,T,d1,x\n2,b,B,d2,\n2,c,T,d3,y\n")
    table = read_label_table(path, {"barcode": "cell_id", "label": "cluster", "group": "donor"})
    handle = InMemory(cells_of(obs()))
    for settings in (LabelSettings(), LabelSettings(label="cluster"), LabelSettings(label="label")):
        for group_by in ("donor", "group"):
            found = label_cells(table, handle, settings, group_by)
            assert columns_of(found).to_dict() == {"T": {"a": 1, "b": 0, "c": 1}}
            assert found.groups[group_by].to_dict() == {"a": "d1", "b": "d2", "c": "d3"}
    with pytest.raises(SettingsError, match="group_by is not set; set it to donor"):
        label_cells(table, handle, LabelSettings())
    with pytest.raises(CellsError, match="no column clusters for label; did you mean cluster"):
        read_label_table(path, {"label": "clusters"})
    with pytest.raises(CellsError, match="columns has no batch"):
        read_label_table(path, {"batch": "cluster"})


def test_labels_of_a_table_and_groups_of_obs_are_joined_by_barcode():
    table = pd.DataFrame({"barcode": [*BARCODES[::-1], "ghost"], "T": ["0", "1"] * 12 + ["1"]})
    found = label_cells(table, InMemory(cells_of(obs())), LabelSettings(), "donor")
    assert list(found.groups["donor"]) == [*DONORS[::-1], ""]


def test_cells_without_a_group_are_said(caplog):
    table = obs().assign(donor=[*DONORS[:3], None, *DONORS[4:]])
    label_cells(None, InMemory(cells_of(table)), LabelSettings(label="type", positive="B"), "donor")
    assert "no donor" not in caplog.text  # the group of a cell without a class does not matter
    label_cells(
        None, InMemory(cells_of(table.assign(text="x", type=["T", "B"] * 12))), LabelSettings(label="type"), "donor"
    )
    assert "1 of 24 labelled cells have no donor and count as one group: cell3" in caplog.text


def test_without_any_labels_the_columns_that_there_are_are_named():
    with pytest.raises(SettingsError, match=r"no class labels: .*they have type, text, cluster"):
        label_cells(None, InMemory(cells_of(obs())), LabelSettings())


def test_a_damaged_column_troubles_only_who_asks_for_it(tmp_path):
    cells_of(obs()).write_h5ad(tmp_path / "a.h5ad")
    with h5py.File(tmp_path / "a.h5ad", "a") as file:
        del file["obs/text"]
        file["obs/text"] = np.arange(3)
    handle = open_expression(tmp_path / "a.h5ad")
    assert label_cells(None, handle, LabelSettings(label="type")).outputs == ["B", "NK", "T"]
    with pytest.raises(CellsError, match="obs/text has 3 entries for 24 cells; damaged"):
        label_cells(None, handle, LabelSettings(label="text"))


def test_an_output_that_is_called_as_the_column_of_groups_is_refused():
    found = label_cells(None, InMemory(cells_of(obs())), LabelSettings(label="type", positive="B"), "donor")
    assert found.named({"B": "B_cell"}).outputs == ["B_cell"]
    with pytest.raises(SettingsError, match="group_by: donor is the name of an output"):
        found.named({"B": "donor"})


@pytest.mark.parametrize("taken", ["barcode", "_index", "total_counts"])
def test_an_output_whose_name_tables_of_cells_need_is_refused_with_what_to_do(taken):
    table = pd.DataFrame({"barcode": BARCODES, "type": np.where(np.arange(N) % 2, taken, "B")})
    handle = InMemory(cells_of(obs()))
    with pytest.raises(SettingsError, match=rf"label type: an output cannot be called {taken}.*\{{NAME: \[VALUE\]\}}"):
        label_cells(table, handle, LabelSettings(label="type", positive=taken))
    labels = label_cells(table, handle, LabelSettings(label="type", classes={"B": ["B"], "C": [taken]}, positive="C"))
    assert labels.outputs == ["C"]
    with pytest.raises(
        SettingsError, match=f"the network: an output cannot be called {taken}.*call its node otherwise"
    ):
        labels.named({"C": taken})
    if taken != "barcode":
        with pytest.raises(SettingsError, match="rename the column"):
            label_cells(pd.DataFrame({"barcode": BARCODES, taken: ["0", "1"] * (N // 2)}), handle, LabelSettings())
