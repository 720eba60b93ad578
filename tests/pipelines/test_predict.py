"""New cells: predicted as the training cells would be, by name, and refused when genes are missing."""

import shutil

import h5py
import numpy as np
import pandas as pd
import pytest
from anndata import read_h5ad

from kedro_project import SMALL, make_project
from kpnn.errors import ModelError
from kpnn.files import seal, sha256_of
from kpnn.pipelines.predict.nodes import SavedArm, find_networks
from kpnn.pipelines.predict.settings import PredictSettings
from kpnn.training.results import FoldStore


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    project = make_project(tmp_path_factory.mktemp("predict") / "project")
    project.kedro("run", "--pipeline", "simulate", "--params", SMALL)
    project.kedro("run", "--pipelines", "data_engineering,dag_pruning,modelling", "--params", SMALL)
    raw = project.root / "data" / "01_raw"
    shutil.copy(raw / "demo" / "Data.h5", raw / "demo" / "new_cells.h5")
    return project


def test_cells_of_the_study_get_the_mean_of_its_networks(trained):
    done = trained.kedro("run", "--pipeline", "predict")
    out = trained.root / "data" / "07_model_output" / "demo"
    predicted = pd.read_csv(out / "new_probabilities.csv").set_index("barcode")
    kept = pd.read_parquet(out / "pruned" / "predictions.parquet").set_index("barcode")
    assert set(kept.index) <= set(predicted.index)
    assert predicted["probability"].between(0, 1).all()
    # With two networks, the mean and their distance give both back; one of them is the out-of-fold prediction.
    both = predicted.loc[kept.index]
    half = both["sd"] / np.sqrt(2)
    distance = np.minimum(
        np.abs(both["probability"] + half - kept["probability"]),
        np.abs(both["probability"] - half - kept["probability"]),
    )
    assert distance.max() < 1e-5
    activations = pd.read_parquet(out / "new_activations.parquet")
    assert len(activations) == len(predicted)
    cells = read_h5ad(out / "new_cells_with_results.h5ad")
    np.testing.assert_allclose(cells.obs["kpnn_RECEPTOR"], predicted["probability"][cells.obs_names], rtol=1e-5)
    assert set(cells.obs_names[cells.obs["kpnn_prediction"] == "in training"]) == set(kept.index)
    assert "bear names of cells that the networks were trained on" in done.stderr + done.stdout
    assert cells.uns["kpnn"]["study"] == "demo"
    nodes = list(cells.uns["kpnn"]["nodes"])
    np.testing.assert_allclose(cells.obsm["X_kpnn"], activations.loc[cells.obs_names, nodes], rtol=1e-5)


def test_a_gene_that_is_missing_is_named_or_taken_as_zero(trained):
    path = trained.root / "data" / "01_raw" / "demo" / "new_cells.h5"
    with h5py.File(path, "r+") as file:
        names = next(dataset for dataset in ("matrix/features/name", "GRCh38/gene_names") if dataset in file)
        values = file[names][:]
        gene = b"GENE010"
        assert (values == gene).any()
        values[values == gene] = b"SOMETHING"
        file[names][...] = values
    done = trained.kedro("run", "--pipeline", "predict", check=False)
    assert done.returncode != 0
    assert "GENE010" in done.stderr
    assert "predict.missing_genes: zeros" in done.stderr
    done = trained.kedro("run", "--pipeline", "predict", "--params", "predict.missing_genes=zeros")
    assert (done.stdout + done.stderr).count("taken for not expressed") == 1
    summary = (trained.root / "data" / "07_model_output" / "demo" / "prediction_summary.json").read_text()
    assert "GENE010" in summary


def test_networks_that_are_not_there_or_not_what_modelling_left_are_named(trained):
    full = ("run", "--pipeline", "predict", "--params", "predict.arm=full,predict.missing_genes=zeros")
    trained.kedro(*full)
    models = trained.root / "data" / "06_models" / "demo" / "full"
    model = next(models.glob("repeat_*/model.keras"))
    model.write_bytes(b"something else")
    done = trained.kedro(*full, check=False)
    assert f"{model} is not the network that" in done.stderr.replace("\n", " ")
    (models / "models.json").unlink()
    done = trained.kedro(*full, check=False)
    assert "no networks of `full`" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("harm", ["another file of the fold", "no manifest", "the network"])
def test_a_fold_that_is_not_what_modelling_left_is_not_used(tmp_path, harm):
    fold = tmp_path / "repeat_0_fold_0"
    fold.mkdir()
    for name in ("model.keras", "predictions.parquet"):
        (fold / name).write_bytes(name.encode())
    seal(fold)
    models = {fold.name: {"file": f"{fold.name}/model.keras", "sha256": sha256_of(fold / "model.keras")}}
    arm, other = SavedArm(FoldStore(tmp_path), models), SavedArm(FoldStore(tmp_path / "full"), None)
    assert find_networks(other, arm, PredictSettings(arm="pruned")) == [fold / "model.keras"]
    if harm == "no manifest":
        (fold / "manifest.json").unlink()
    else:
        (fold / ("model.keras" if harm == "the network" else "predictions.parquet")).write_bytes(b"something else")
    with pytest.raises(ModelError, match=r"repeat_0_fold_0.* is not .*modelling"):
        find_networks(other, arm, PredictSettings(arm="pruned"))
