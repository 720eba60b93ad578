"""What users bring to `kpnn init` that cannot be meant, or could be meant better: each is told what to do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from omegaconf import OmegaConf

from kpnn.app.init.command import _receptors, _refuse_name
from kpnn.app.init.expression import look_at_cells, open_cells
from kpnn.app.init.genes import GeneNames, look_at_genes
from kpnn.app.init.knowledge import NetworkFiles
from kpnn.app.init.labelling import Asked
from kpnn.app.init.study import Files, configuration, plan_study
from kpnn.errors import CellsError, KpnnError, SettingsError

GENES = ["TP53", "MYC", "JUN", "FOS", "STAT1", "IRF9"]
IDS = [f"ENSG{number:011d}.{number + 1}" for number in range(len(GENES))]
N = 40
BARCODES = [f"c{number}" for number in range(N)]
STATES = ["stim" if number % 2 else "ctrl" for number in range(N)]


def make_cells(path: Path, var: pd.DataFrame | None = None, **more: object) -> Path:
    counts = np.random.default_rng(0).poisson(3, (N, len(GENES))).astype(np.float32) + 1
    obs = pd.DataFrame({"state": STATES}, BARCODES)
    AnnData(counts, obs, pd.DataFrame(index=GENES) if var is None else var, **more).write_h5ad(path)
    return path


@pytest.fixture
def files(tmp_path) -> Files:
    """A user's cells and network."""
    edges = "parent,child\nCLS,TF\n" + "".join(f"TF,{gene}\n" for gene in GENES)
    (tmp_path / "edges.csv").write_text(edges)
    return Files(make_cells(tmp_path / "cells.h5ad"), NetworkFiles(tmp_path / "edges.csv"))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (Asked("state", classes="stim,stim"), "^data_engineering: classes: stim occurs more than once$"),
        (Asked("state", classes="stim"), "20 cells are left out because .* names this class only: `positive: stim`"),
        (Asked("state", group="state"), "group_by: state is the column of the classes themselves"),
    ],
)
def test_labels_that_cannot_be_meant_are_told_what_to_do(files, asked, message):
    with pytest.raises(KpnnError, match=message):
        plan_study("mine", files, asked)


def test_cells_on_which_hdf5_crashes_are_refused_before_they_are_read(files, monkeypatch):
    monkeypatch.setattr("kpnn.cells.formats.storage.hdf5.damage_of", lambda path: f"{path}: damaged HDF5: crashes")
    with pytest.raises(CellsError, match=r"cells.h5ad: damaged HDF5: crashes"):
        plan_study("mine", files, Asked("state"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("c0,ctrl\nc1,stim\n", "labels.csv has no column state.*its first line is a cell's: put a line with the names"),
        ("cell,state\nc0,ctrl\nc1,stim\nc2,stim\nc1,stim\n", "the first, cell, does not name them: c1 occurs more"),
    ],
    ids=["no header", "a cell twice"],
)
def test_a_table_of_labels_that_names_no_cells_is_told_why(files, tmp_path, text, message):
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(CellsError, match=message):
        plan_study("mine", replace(files, classes=tmp_path / "labels.csv"), Asked("state"))


def test_anndata_in_the_place_of_a_table_of_labels_is_told_where_its_labels_are(files):
    with pytest.raises(CellsError, match="its own labels are a column of its obs"):
        plan_study("mine", replace(files, classes=files.cells), Asked("state"))


@pytest.mark.parametrize("column", ["gene_short_name", "SYMBOL", "index", "name / of gene"])
def test_genes_are_found_in_any_column_that_names_them(tmp_path, column):
    var = pd.DataFrame({"n_cells": range(len(GENES)), "kind": "gene", column: GENES}, index=IDS)
    path = make_cells(tmp_path / "cells.h5ad", var)
    found = look_at_cells(open_cells(path, {}), path, {}, GENES)
    assert found.options == {"gene_names": "id", "id_column": column}
    assert found.genes.n_found == len(GENES)


def test_a_column_of_numbers_that_repeat_is_not_taken_for_entrez_ids(tmp_path):
    path = make_cells(tmp_path / "cells.h5ad", pd.DataFrame({"n_cells": [7, 9] * 3}, index=GENES))
    with pytest.raises(CellsError, match="the network's names are numbers, as Entrez has them, the cells' are symbols"):
        look_at_cells(open_cells(path, {}), path, {}, ["7", "9"])


def test_a_matrix_that_is_not_taken_but_measures_more_of_the_network_is_named(files):
    var = pd.DataFrame(index=GENES[:2])
    counts = np.random.default_rng(0).poisson(3, (N, len(GENES))).astype(np.float32) + 1
    whole = AnnData(np.log1p(counts / counts.sum(1, keepdims=True) * 1e4), var=pd.DataFrame(index=GENES))
    part = AnnData(counts[:, :2], pd.DataFrame({"state": STATES}, BARCODES), var)
    part.raw = whole
    part.write_h5ad(files.cells)
    plan = plan_study("mine", files, Asked("state"))
    assert "raw: 6 genes" in plan.matrices[1] and "measures 6 of the network's genes and X 2" in plan.matrices[1]
    assert plan_study("mine", replace(files, options={"values": "raw"}), Asked("state")).cells.genes.n_found == 6
    part.layers["scaled"] = part.X - 3
    part.write_h5ad(files.cells)
    with pytest.raises(CellsError, match=r"leave --values out, or name another \(X, raw\)"):
        plan_study("mine", replace(files, options={"values": "scaled"}), Asked("state"))


@pytest.mark.parametrize(
    ("cells", "network", "advice"),
    [
        ([f"GRCh38_{gene}" for gene in GENES], GENES, "6 would be found by what stands behind the first `_`"),
        ([f"{gene}|{id_}" for gene, id_ in zip(GENES, IDS, strict=True)], GENES, "stands before the first `|`"),
        ([f" {gene}" for gene in GENES], GENES, "stands behind the first ` `"),
        (GENES, ["P04637", "P01106", "A0A024R1R8"], "the network's names are UniProt's accessions, the cells' are sym"),
        (IDS, GENES, "the network's names are symbols, the cells' are Ensembl's ids"),
        (GENES, [gene.lower() for gene in GENES], "two species, or the network's were written in small letters"),
        ([gene.capitalize() for gene in GENES], GENES, "of two species; bring one to the other's names by a table"),
        (GENES, ["X", "Y"], "the cells name genes such as TP53, MYC, JUN, the network X, Y"),
    ],
    ids=["genome", "joined", "blank", "uniprot", "ensembl", "small", "mouse", "others"],
)
def test_genes_of_other_names_are_told_what_would_make_them_meet(cells, network, advice):
    found = look_at_genes([GeneNames("gene names", {}, pd.Index(cells))], network)
    assert found.n_found == 0 and advice in found.advice


def test_of_two_classes_the_one_that_the_networks_root_is_called_by_is_1(files):
    for root, positive in (("ctrl", "ctrl"), ("stim", "stim"), ("CLS", "stim")):
        text = files.network.network.read_text().replace("CLS,", f"{root},")
        (files.cells.parent / f"{root}.csv").write_text(text)
        network = NetworkFiles(files.cells.parent / f"{root}.csv")
        assert (
            plan_study("mine", replace(files, network=network), Asked("state")).labels.parameters["positive"]
            == positive
        )


@pytest.mark.parametrize("name", ["base", "local", "../x", "my study", "a" * 101, "ü", "."])
def test_a_study_whose_name_makes_no_folder_is_refused(tmp_path, name):
    with pytest.raises(SettingsError, match="a study is named by at most 100 letters, digits, - and _"):
        _refuse_name(name, tmp_path / "conf", force=False)


def test_receptors_may_stand_in_a_file(tmp_path):
    (tmp_path / "receptors.txt").write_text("# of the cells\nREC1\r\nREC2, REC3\n\n")
    found = _receptors((str(tmp_path / "receptors.txt"), f"stim={tmp_path / 'receptors.txt'}", "stim=REC9,REC1"))
    assert found == {"": ("REC1", "REC2", "REC3"), "stim": ("REC1", "REC2", "REC3", "REC9")}
    with pytest.raises(SettingsError, match=r"none\.txt: no such file"):
        _receptors((str(tmp_path / "none.txt"),))


def test_new_cells_are_read_as_the_studys_are(files, tmp_path):
    make_cells(files.cells, pd.DataFrame({"feature_name": GENES}, index=IDS))
    written = configuration(plan_study("mine", files, Asked("state")), tmp_path)["catalog.yml"]
    catalog = OmegaConf.to_container(OmegaConf.create(written))
    new, raw = catalog["new_expression"], catalog["raw_expression"]
    assert new == {**raw, "filepath": "data/01_raw/mine/new_cells.h5ad"} and new["id_column"] == "feature_name"
