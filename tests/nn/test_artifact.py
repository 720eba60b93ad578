"""A saved model describes itself, loads in a fresh process on any backend, and refuses what is not its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile

import anndata
import keras
import numpy as np
import pandas as pd
import pytest

from kpnn.errors import ModelError, SettingsError
from kpnn.nn import biases, build_kpnn, dag_of, edge_weights, fit_kpnn, node_activations, predict, set_edge_weights
from kpnn.pkn import Dag


@pytest.fixture(scope="module")
def trained(random_dag, random_cells):
    dag = random_dag(40, n_genes=12, signs=True)
    X, y = random_cells(dag, 80, 40)
    model = build_kpnn(
        dag, dropout=0.2, dropout_on="nodes", input_normalization="standard", signed=True, bias_l1=1e-3,
        activations={"H2": "tanh"}, initializer="he_uniform", seed=5,
    )  # fmt: skip
    fit_kpnn(model, X, y, max_epochs=5)
    genes = [name.removesuffix("_gene") for name in dag.inputs]
    cells = anndata.AnnData(
        X.astype(np.float32), pd.DataFrame(index=[f"cell{i}" for i in range(80)]), pd.DataFrame(index=genes)
    )
    return dag, model, cells


LOAD = """
import sys, kpnn.nn, keras, pandas as pd
model = keras.saving.load_model(sys.argv[1])
table = pd.read_parquet(sys.argv[2])
kpnn.nn.predict(model, table).to_parquet(sys.argv[3])
of_keras = model.predict(table[[g.removesuffix("_gene") for g in kpnn.nn.dag_of(model).inputs]].to_numpy(), verbose=0)
assert abs(of_keras - kpnn.nn.predict(model, table).to_numpy()).max() < 1e-5
kpnn.nn.fit_kpnn(model, table, [[0, 1]] * len(table), max_epochs=2)
model.save(sys.argv[4])
print(keras.backend.backend())
"""


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_a_model_saved_on_torch_predicts_the_same_in_a_fresh_process(backend, trained, tmp_path):
    if backend == "jax":
        pytest.importorskip("jax", reason="JAX is an optional dependency")
    _, model, cells = trained
    model.save(tmp_path / "model.keras")
    cells.to_df().to_parquet(tmp_path / "cells.parquet")
    arguments = [str(tmp_path / name) for name in ("model.keras", "cells.parquet", "predicted.parquet", "fitted.keras")]
    environment = {**os.environ, "KERAS_BACKEND": backend}
    if backend == "torch":
        del environment["KERAS_BACKEND"]  # the default
    done = subprocess.run([sys.executable, "-c", LOAD, *arguments], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == backend
    predicted = pd.read_parquet(tmp_path / "predicted.parquet")
    pd.testing.assert_frame_equal(predicted, predict(model, cells), atol=1e-5, rtol=0)
    # Training is compiled, so it gives the same bits under any backend.
    here = keras.saving.load_model(tmp_path / "model.keras")
    fit_kpnn(here, cells, [[0, 1]] * 80, max_epochs=2)
    there = keras.saving.load_model(tmp_path / "fitted.keras")
    pd.testing.assert_series_equal(edge_weights(here), edge_weights(there), check_exact=True)
    pd.testing.assert_series_equal(biases(here), biases(there), check_exact=True)


def test_a_loaded_model_is_the_saved_one(trained, tmp_path):
    dag, model, cells = trained
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    pd.testing.assert_series_equal(edge_weights(loaded), edge_weights(model))
    pd.testing.assert_series_equal(biases(loaded), biases(model))
    pd.testing.assert_frame_equal(predict(loaded, cells), predict(model, cells))
    assert dag_of(loaded).fingerprint == dag.fingerprint
    histories = [fit_kpnn(each, cells, np.ones((80, 2)), max_epochs=2).loss for each in (model, loaded)]
    np.testing.assert_array_equal(*histories)  # dropout, penalty, signs and normalization came along
    model.save(tmp_path / "again.keras")


def test_the_file_describes_itself(trained, tmp_path):
    dag, model, _ = trained
    model.save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        text = archive.read("config.json").decode()
        assert not any(name.endswith((".pkl", ".pickle", ".py")) for name in archive.namelist())
    assert "__lambda__" not in text
    layers = {layer["class_name"]: layer["config"] for layer in json.loads(text)["config"]["layers"]}
    config = layers["SparseDag"]
    assert config["inputs"] == list(dag.inputs)
    assert config["genes"] == [name.removesuffix("_gene") for name in dag.inputs]
    assert (config["neurons"], config["outputs"]) == (list(dag.neurons), list(dag.outputs))
    assert config["fingerprint"] == dag.fingerprint
    assert layers["InputNormalization"]["kind"] == "standard"


def test_a_changed_file_is_refused(trained, tmp_path):
    _, model, _ = trained
    config = model.get_layer("sparse_dag").get_config()
    config["edge_children"][0], config["edge_children"][1] = config["edge_children"][1], config["edge_children"][0]
    with pytest.raises(ModelError, match="do not match its fingerprint"):
        type(model.get_layer("sparse_dag")).from_config(config)


def test_weights_of_another_dag_are_refused(tmp_path):
    def dag(child):
        return Dag.from_edges(pd.DataFrame({"parent": ["O", "O"], "child": ["A_gene", child]}), outputs=["O"])

    one, other = build_kpnn(dag("B_gene")), build_kpnn(dag("C_gene"))
    one.save_weights(tmp_path / "one.weights.h5")
    build_kpnn(dag("B_gene"), seed=9).load_weights(tmp_path / "one.weights.h5")
    with pytest.raises(Exception, match="these weights belong to another DAG"):
        other.load_weights(tmp_path / "one.weights.h5")
    with pytest.raises(ModelError, match=r"\('O', 'B_gene'\) is not among the edges of this model's DAG"):
        set_edge_weights(other, edge_weights(one))
    with pytest.raises(ModelError, match="X is not among the neurons"):
        set_edge_weights(other, {}, {"X": 1.0})
    with pytest.raises(ModelError, match="is not finite"):
        set_edge_weights(other, {("O", "A_gene"): np.nan})


def test_the_order_of_genes_never_matters_and_more_genes_do_no_harm(trained):
    _, model, cells = trained
    expected = predict(model, cells)
    assert list(expected.index) == list(cells.obs_names)
    generator = np.random.default_rng(0)
    for _ in range(3):
        shuffled = cells[:, generator.permutation(cells.n_vars)].copy()
        pd.testing.assert_frame_equal(predict(model, shuffled), expected)
        table = shuffled.to_df().assign(Another=1.0)
        pd.testing.assert_frame_equal(predict(model, table), expected)
        pd.testing.assert_frame_equal(predict(model, table.add_suffix("_gene")), expected)
    dense = anndata.AnnData(cells.X.toarray(), cells.obs, cells.var)
    pd.testing.assert_frame_equal(predict(model, dense), expected)


def test_missing_genes_are_an_error_or_zeros_with_a_report(trained, caplog):
    _, model, cells = trained
    fewer = cells[:, 2:].copy()
    names = list(cells.var_names[:2])
    with pytest.raises(
        ModelError, match=f"2 of the model's 12 genes are not among the cells' 10 genes: {', '.join(names)}"
    ):
        predict(model, fewer)
    with_zeros = cells.to_df()
    with_zeros.iloc[:, :2] = 0
    with caplog.at_level("WARNING", logger="kpnn"):
        predicted = predict(model, fewer, missing_genes="zeros")
    np.testing.assert_array_equal(predicted, predict(model, with_zeros))
    assert predicted.attrs["missing_genes"] == names
    assert "2 of 12 genes are missing and taken as 0" in caplog.text
    with pytest.raises(ModelError, match="none of the model's 12 genes"):
        predict(model, pd.DataFrame({"Other": [1.0]}), missing_genes="zeros")
    with pytest.raises(SettingsError, match="missing_genes must be 'error' or 'zeros'"):
        predict(model, fewer, missing_genes="skip")


def test_repeated_genes_are_an_error_only_where_they_matter(trained):
    _, model, cells = trained
    table = cells.to_df()
    gene = table.columns[3]
    with pytest.raises(ModelError, match=f"gene {gene} occurs more than once"):
        predict(model, pd.concat([table, table[[gene]]], axis=1))
    harmless = table.assign(Other=1.0)
    harmless = pd.concat([harmless, harmless[["Other"]]], axis=1)
    pd.testing.assert_frame_equal(predict(model, harmless), predict(model, cells))


def test_hidden_activations_come_by_name_without_a_new_model(trained):
    dag, model, cells = trained
    activations = node_activations(model, cells)
    assert list(activations.columns) == list(dag.neurons)
    pd.testing.assert_frame_equal(activations[list(dag.outputs)], predict(model, cells))
    pd.testing.assert_frame_equal(node_activations(model, cells, ["H3", "H0"]), activations[["H3", "H0"]])
    with pytest.raises(ModelError, match="Nobody is not a neuron"):
        node_activations(model, cells, ["Nobody"])
    weights, offsets = edge_weights(model)["H2"], biases(model)["H2"]
    genes = [child for child in weights.index if child in set(dag.inputs)]
    scaled = (cells.X.toarray() - cells.X.toarray().mean(0)) / cells.X.toarray().std(0)
    table = pd.DataFrame(scaled, index=cells.obs_names, columns=list(dag.inputs))[genes].join(activations)
    by_hand = np.tanh(table[list(weights.index)].to_numpy() @ weights.to_numpy() + offsets)
    np.testing.assert_allclose(activations["H2"], by_hand, atol=1e-5)


def test_a_model_of_another_kind_is_refused():
    other = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    with pytest.raises(ModelError, match="0 sparse DAG layers, not one; build it with build_kpnn"):
        predict(other, np.ones((1, 2)))


def test_importing_the_package_alone_does_not_import_a_backend():
    code = "import sys, kpnn; assert not {'torch', 'keras', 'numba', 'jax'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
