"""Rebuilt inputs of public bug reports end as their README says is right.

The folders lie beside the project; each kind has a test of its own, with files that the test makes, in
`test_cells.py` and `test_edges.py`.
"""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from engineering import engineered, options_of, signs_by_pair

from in_process import Study
from kedro_project import make_project
from kpnn.cells import Transform
from kpnn.errors import KpnnError
from kpnn.pipelines import data_engineering
from kpnn.pkn.readers import read_edges

CASES = Path(__file__).parents[3] / "shared" / "cases"
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="the folder of cases is not beside the project")

READ_WHOLE = ("csv_bd_rhapsody", "mtx_one_column", "mtx_tabs", "txt_spaces", "zarr_compound", "h5ad_gene_ids_missing")
"""Cases that hold the same 90 cells with the same counts."""

REFUSED = {
    "corneto_undirected": r"1 of 55 edges are undirected \(TF1 and TF2\)",
    "gene_with_children": "ends in '_gene' like a measured gene but has children",
    "h5_gz": r"is packed by gzip, not HDF5; unpack it first \(gunzip FILE\)",
    "h5_molecule_info": "is a molecule_info.h5, a list of molecules and no count matrix",
    "labels_text_column": "label cell_type must be 0 or 1",
    "omnipath_raw": r"1 of 9 edges are undirected \(LCK and TF3\)",
    "trrust_raw": "the first line seems to be data",
}


@pytest.mark.parametrize("case", READ_WHOLE)
def test_legal_variants_of_a_format_are_read_whole(case):
    matched, _ = engineered(CASES / case)
    plain = pd.read_csv(CASES / "labels_text_column" / "cells.csv", index_col=0)
    expected = (plain if "CD3D" in plain else plain.T)[list(matched.genes)]
    # Every case has the same cells in the same order, whatever it calls them.
    np.testing.assert_array_equal(matched.counts.toarray(), expected.to_numpy())
    assert matched.counts.shape == (90, 30)


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_meant_is_refused_by_name(case):
    with pytest.raises(KpnnError, match=REFUSED[case]):
        engineered(CASES / case)


def test_fractions_of_starsolo_are_read_without_a_false_alarm(caplog):
    matched, _ = engineered(CASES / "mtx_float")
    assert matched.counts.shape == (90, 30)
    assert (matched.counts.data != np.rint(matched.counts.data)).any()
    assert not caplog.records


def test_a_second_logarithm_is_said_and_one_alone_is_not(caplog):
    engineered(CASES / "double_log")
    assert "its `uns` says that log1p was taken already" in caplog.text
    caplog.clear()
    engineered(CASES / "double_log", transform=Transform(log1p=False))
    assert not caplog.records


def test_losing_most_labelled_cells_is_a_warning_with_examples_and_the_cause(caplog):
    matched, _ = engineered(CASES / "h5_prefixed_labels")
    assert len(matched.labels) == 12
    [record] = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "78 of 90 labelled cells are not in" in record.getMessage()
    assert "s1_" in record.getMessage()
    assert "78 of them differ from a cell of the file only in what comes before or after" in record.getMessage()


def test_identifiers_of_the_old_layout_are_identifiers_and_not_codes():
    import yaml

    from kpnn.cells import open_expression

    folder = CASES / "h5ad_legacy_categories"
    catalog = yaml.safe_load((folder / "conf" / "catalog.yml").read_text().replace("CASE", str(folder)))
    path, options = options_of(catalog, "raw_expression")
    assert list(open_expression(path, **options).genes[:2]) == ["ENSG00000", "ENSG00001"]


def test_a_column_of_text_among_the_labels_is_no_matter_where_outputs_are_named():
    matched, _ = engineered(CASES / "labels_text_column", outputs=["T"])
    assert list(matched.labels.columns) == ["T"]


def test_a_direction_turns_a_table_round():
    _, pkn = engineered(CASES / "signalling_direction")
    assert {("CD28", "LCK"), ("LCK", "ZAP70")} <= set(signs_by_pair(pkn.edges))


def test_a_default_weight_is_no_sign_and_a_named_one_is():
    path = CASES / "graphml_weight1" / "x.graphml"
    assert set(read_edges(path)["sign"]) == {0}
    assert set(read_edges(path, columns={"sign": "weight"})["sign"]) == {1}


def test_fractional_weights_that_are_named_say_their_sign():
    _, pkn = engineered(CASES / "dorothea_decoupler")
    signs = signs_by_pair(pkn.edges)
    assert signs["TF1", "CD3D_gene"] == -1
    assert signs["TF2", "CD3E_gene"] == 1


def test_omnipath_as_it_comes_is_read_once_its_undirected_rows_may_go(caplog):
    folder = CASES / "omnipath_raw"
    columns = {
        "parent": "source_genesymbol",
        "child": "target_genesymbol",
        "stimulation": "is_stimulation",
        "inhibition": "is_inhibition",
    }
    edges = read_edges(folder / "omnipath.tsv", columns=columns, undirected="drop")
    assert len(edges) == 8
    assert "1 of 9 edges are undirected and left out: LCK and TF3" in caplog.text


def test_trrust_as_it_comes_is_read_by_column_numbers():
    path = CASES / "trrust_raw" / "trrust_rawdata.human.tsv"
    edges = read_edges(path, columns={"parent": 1, "child": 2, "sign": 3})
    assert {(row.parent, row.child, row.sign) for row in edges.head(2).itertuples()} == {
        ("TF1", "CD3D", -1),
        ("TF2", "CD3E", 1),
    }


def test_names_with_signs_and_greek_letters_come_through():
    matched, pkn = engineered(CASES / "names_plus")
    assert set(matched.labels.columns) == {"CD8+ Cytotoxic T", "CD4+/CD25 T Reg"}
    assert "NF-κB (p65)" in pkn.hidden


@pytest.mark.parametrize("case", ["donors_2_8", "donors_nested_4"])
def test_too_few_donors_of_a_class_end_the_pipeline_before_anything_is_written(case, tmp_path, monkeypatch):
    root = make_project(tmp_path / "project").root
    (root / "conf" / case).mkdir()
    for file in (CASES / case / "conf").iterdir():
        (root / "conf" / case / file.name).write_text(file.read_text().replace("CASE", str(CASES / case)))
    monkeypatch.chdir(root)
    study = Study(case)
    with pytest.raises(KpnnError, match=r"class [01] of `T` is in 2 groups of `donor` only.*needs three"):
        study.run(data_engineering.create_pipeline())
    assert study.written() == []
