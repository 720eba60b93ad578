"""From labels wherever they are to matched cells: by parameters and the catalog alone."""

import logging
import os
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from in_process import Study
from kedro_project import make_project
from kpnn.errors import KpnnError
from kpnn.training.data import LabelledCells

N = 60
GENES = [f"G{number}" for number in range(6)]
TYPES = np.array(["T cell", "B cell", "CD4+/CD25 T Reg"], dtype=object)[np.arange(N) % 3]
NODES = {"T cell": "T", "CD4+/CD25 T Reg": "Treg"}
COORDINATES = np.random.default_rng(1).normal(size=(N, 2))
EXPRESSION = "kpnn.datasets.raw.ExpressionDataset"
LABELS = "kpnn.datasets.raw.ClassLabelsDataset"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A project with one `.h5ad` that holds everything but the network, and the same labels as CSV."""
    root = make_project(tmp_path_factory.mktemp("labels") / "project").root
    raw = root / "data" / "01_raw"
    obs = pd.DataFrame(
        {
            "type": pd.Categorical(TYPES),
            "donor": [f"d{number % 7}" for number in range(N)],
            "state": ["sick", "healthy", ""] * (N // 3),
        },
        index=[f"c{number}" for number in range(N)],
    )
    counts = np.random.default_rng(0).poisson(3.0, (N, len(GENES))).astype(np.float32)
    obsm = {"X_umap": COORDINATES, "X_pca": np.c_[COORDINATES, COORDINATES] * 2, "one": COORDINATES[:, :1]}
    ad.AnnData(counts, obs, pd.DataFrame(index=GENES), obsm=obsm).write_h5ad(raw / "cells.h5ad")
    obs.rename_axis("cell_id").to_csv(raw / "clusters.csv")
    edges = [(root_, f"K{n}") for root_ in ("T", "B cell", "Treg") for n in range(3)]
    edges += [(f"K{n % 3}", f"{gene}_gene") for n, gene in enumerate(GENES)]
    pd.DataFrame(edges, columns=["parent", "child"]).to_csv(raw / "edges.csv", index=False)
    sets = [(f"SET{n % 2}", f"{gene}_gene") for n, gene in enumerate(GENES)]
    pd.DataFrame(sets, columns=["parent", "child"]).to_csv(raw / "sets.csv", index=False)
    before = Path.cwd()
    os.chdir(root)
    yield root
    os.chdir(before)


def engineered(labels=None, edges="edges.csv", group_by=None, more=None, **settings):
    entries = {
        "raw_expression": {"type": EXPRESSION, "filepath": "data/01_raw/cells.h5ad"},
        "class_labels": {"type": LABELS, "filepath": None} if labels is None else {"type": LABELS, **labels},
        "edges": {"type": "kpnn.datasets.raw.EdgeListDataset", "filepath": f"data/01_raw/{edges}"},
        **(more or {}),
    }
    return Study(more=entries).engineer(
        data_engineering=settings, cross_validation={"group_by": group_by, "n_splits": 3}
    )


@pytest.mark.parametrize("in_memory_cells", [1000, 5])
@pytest.mark.parametrize("where", ["obs", "csv"])
def test_a_column_of_strings_becomes_outputs_that_exclude_each_other(folder, where, in_memory_cells):
    columns = {"barcode": "cell_id", "label": "type", "group": "donor"}
    labels = {"filepath": "data/01_raw/clusters.csv", "columns": columns} if where == "csv" else None
    label = {} if where == "csv" else {"label": "type"}
    data = engineered(labels, group_by="donor", output_nodes=NODES, in_memory_cells=in_memory_cells, **label)
    cells = data["matched_cells"]
    assert data["pkn"].outputs == data["full_dag"].outputs == ("B cell", "Treg", "T")
    assert bool(cells.uns["kpnn"]["one_of_k"])
    truth = pd.Series(TYPES, [f"c{number}" for number in range(N)]).replace(NODES)
    assert list(cells.obs[["B cell", "Treg", "T"]].idxmax(axis=1)) == list(truth[cells.obs_names])
    assert list(cells.obs["donor"]) == [f"d{int(name[1:]) % 7}" for name in cells.obs_names]
    read = LabelledCells.from_anndata(cells, data["full_dag"].outputs, "donor")
    assert (read.labels.sum(axis=1) == 1).all()
    assert data["data_summary"]["classes"] == {"B cell": 20, "Treg": 20, "T": 20}
    assert data["data_summary"]["labels"] == {
        "rule": "label type: 3 classes, which exclude each other: B cell, CD4+/CD25 T Reg, T cell",
        "one_of_k": True,
        "sizes": dict.fromkeys(sorted(set(TYPES)), 20),
    }


def test_one_output_may_be_called_by_its_class_or_by_its_column(folder):
    data = engineered(label="type", positive="T cell", output_nodes={"type": "T"})
    assert data["pkn"].outputs == ("T",)
    assert not data["matched_cells"].uns["kpnn"]["one_of_k"]
    np.testing.assert_array_equal(data["matched_cells"].obs["T"], TYPES == "T cell")
    assert data["data_summary"]["labels"]["rule"] == "label type: T cell is 1, B cell, CD4+/CD25 T Reg are 0"
    assert engineered(label="type", positive="B cell")["pkn"].outputs == ("B cell",)


def test_a_root_is_made_above_the_networks_roots(folder, caplog):
    caplog.set_level(logging.INFO)
    data = engineered(edges="sets.csv", label="state", new_roots=True)
    edges = set(zip(data["pkn"].edges["parent"], data["pkn"].edges["child"], strict=True))
    assert {("sick", "SET0"), ("sick", "SET1"), ("SET0", "G0_gene")} <= edges
    assert data["matched_cells"].n_obs == 40
    assert "20 of 60 cells are not labelled" in caplog.text
    several = engineered(edges="sets.csv", label="type", new_roots=True)
    assert several["pkn"].outputs == tuple(sorted(set(TYPES)))
    assert len(several["pkn"].edges) == 3 * 2 + 6


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"label": "type"}, r"class label CD4\+/CD25 T Reg, T cell is not a node.*output_nodes.*new_roots: true"),
        ({"label": "type", "output_nodes": {"t cell": "T"}}, "no class t cell; did you mean T cell"),
        ({"label": "type", "output_nodes": {**NODES, "B cell": "T"}}, "node T is to predict two classes"),
        ({"label": "type", "output_nodes": {**NODES, "T cell": "K1"}}, "K1 is not a root of the network"),
        ({"label": "state", "positive": "ill"}, "positive: ill is none of the classes"),
        ({}, "no class labels: .*data_engineering.label; they have donor, state, type"),
    ],
)
def test_what_does_not_fit_is_one_message(folder, settings, message):
    with pytest.raises(KpnnError, match=f"(?s){message}"):
        engineered(**settings)


def test_every_class_of_too_few_cells_is_named(folder):
    raw = ad.read_h5ad("data/01_raw/cells.h5ad")
    raw.obs["rare"] = [["A", "B"][number % 2] if number > 3 else f"few{number % 2}" for number in range(N)]
    raw.write_h5ad("data/01_raw/rare.h5ad")
    more = {
        "raw_expression": {"type": EXPRESSION, "filepath": "data/01_raw/rare.h5ad"},
        "class_labels": {"type": LABELS, "filepath": None},
        "edges": {"type": "kpnn.datasets.raw.EdgeListDataset", "filepath": "data/01_raw/sets.csv"},
    }
    message = r"class 1 of `few0` has 2 cells, class 1 of `few1` has 2 cells, fewer than cross_validation.n_splits = 5"
    with pytest.raises(KpnnError, match=message):
        Study(more=more).engineer(data_engineering={"label": "rare", "new_roots": True})


def test_donors_that_tell_the_classes_are_a_warning_unless_they_are_kept_together(folder, caplog):
    raw = ad.read_h5ad("data/01_raw/cells.h5ad")
    raw.obs["patient"] = [f"p{number % 9}" for number in range(N)]  # of one type each
    raw.write_h5ad("data/01_raw/nested.h5ad")
    cells = {"raw_expression": {"type": EXPRESSION, "filepath": "data/01_raw/nested.h5ad"}}
    data = engineered(label="type", output_nodes=NODES, more=cells)
    assert "column patient (9 values) alone predicts" in caplog.text
    assert "set cross_validation.group_by to patient" in caplog.text and "column donor" not in caplog.text
    found = {(one["column"], one["output"]): one["roc_auc"] for one in data["data_summary"]["batches"]}
    assert found["patient", "T"] == 1.0 and found["donor", "T"] < 0.65
    caplog.clear()
    engineered(label="type", output_nodes=NODES, more=cells, group_by="patient")
    assert "alone predicts" not in caplog.text


def test_columns_of_the_cells_that_describe_them_come_along_and_are_looked_at_beside_depth(folder):
    data = engineered(label="type", output_nodes=NODES, describe_by=["state", "donor"], group_by="donor")
    obs = data["matched_cells"].obs
    number = obs.index.str.removeprefix("c").astype(int)
    assert obs["state"].tolist() == [["sick", "healthy", ""][n % 3] for n in number]
    assert obs["donor"].tolist() == [f"d{n % 7}" for n in number]
    beside = data["data_summary"]["depth_by_column"]
    assert {(one["column"], one["n_values"]) for one in beside} == {("donor", 7), ("state", 3)}
    with pytest.raises(KpnnError, match=r"the cells have no column stat; .*state"):
        engineered(label="type", output_nodes=NODES, describe_by=["stat"])


@pytest.mark.parametrize("in_memory_cells", [1000, 5])
def test_coordinates_of_the_cells_come_along(folder, in_memory_cells):
    def coordinates(**settings):
        data = engineered(label="type", output_nodes=NODES, in_memory_cells=in_memory_cells, **settings)
        cells = data["matched_cells"]
        return {name: pd.DataFrame(values, cells.obs_names) for name, values in cells.obsm.items()}

    (found,) = coordinates().items()
    assert found[0] == "X_umap"
    np.testing.assert_allclose(found[1].loc[[f"c{number}" for number in range(N)]], COORDINATES)
    (found,) = coordinates(embedding="X_pca").items()
    assert found[0] == "X_pca"
    np.testing.assert_allclose(found[1].loc[[f"c{number}" for number in range(N)]], COORDINATES * 2)
    assert coordinates(embedding=None) == {}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"embedding": "X_tsne"}, r"no coordinates X_tsne in obsm; .*X_pca"),
        ({"embedding": "one"}, r"obsm/one has shape \(60, 1\)"),
        ({"embedding": "compute", "in_memory_cells": 5}, "embedding: compute needs the cells in memory"),
    ],
)
def test_coordinates_that_are_not_to_be_had_are_one_message(folder, settings, message):
    with pytest.raises(KpnnError, match=message):
        engineered(label="type", output_nodes=NODES, **settings)


def test_a_umap_is_computed_where_it_is_asked_for(folder, monkeypatch):
    scanpy, used = pytest.importorskip("scanpy"), []

    def neighbors(cells, **how):  # compiling umap-learn takes longer than all other tests of this file
        used.append(how)

    def umap(cells, random_state):
        cells.obsm["X_umap"] = cells.obsm["X_pca"][:, :2]

    monkeypatch.setattr(scanpy.pp, "neighbors", neighbors)
    monkeypatch.setattr(scanpy.tl, "umap", umap)
    cells = engineered(label="type", output_nodes=NODES, embedding="compute")["matched_cells"]
    assert list(cells.obsm) == ["X_umap"] and used == [{"n_neighbors": 15, "use_rep": "X_pca", "random_state": 0}]
    centred = cells.X.toarray() - cells.X.toarray().mean(axis=0)
    spread = np.linalg.svd(centred, compute_uv=False)[:2]  # of the transformed expression of the network's genes
    np.testing.assert_allclose(np.linalg.norm(cells.obsm["X_umap"], axis=0), spread, rtol=1e-4)
