"""Several networks in one model and one file."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pandas as pd
import pytest
from keras import ops

from kpnn.errors import ModelError
from kpnn.nn import (
    adapt_normalization,
    biases,
    build_ensemble,
    build_kpnn,
    dag_of,
    edge_weights,
    fit_kpnn,
    fit_kpnns,
    load_kpnn,
    members_of,
    node_activations,
    output_gradients,
    predict,
    set_edge_weights,
)

KINDS = [
    {"input_normalization": "standard", "dropout": 0.2},
    {"hidden_activation": "tanh", "dropout": 0.3, "dropout_on": "nodes", "kernel_l2": 1e-3},
    {"output_activation": "linear", "input_normalization": "batch", "signed": True},
]


@pytest.fixture(scope="module")
def trained(random_dag, random_cells):
    """Three networks that differ in kind and in the cells that they saw, and their ensemble."""
    dag = random_dag(50, n_genes=14, signs=True)
    X, y = random_cells(dag, 90, 50)
    members = [build_kpnn(dag, seed=place, **kind) for place, kind in enumerate(KINDS)]
    folds = np.arange(90) % 3
    fit_kpnns(
        members,
        X,
        y,
        training_rows=[np.flatnonzero(folds != fold) for fold in range(3)],
        validation_rows=[np.flatnonzero(folds == fold) for fold in range(3)],
    )
    genes = [name.removesuffix("_gene") for name in dag.inputs]
    return dag, X, members, build_ensemble(members), pd.DataFrame(X.toarray(), columns=genes)


def mean_logit_probabilities(members, X):
    """By Keras's own layers, in float64."""
    logits = []
    for member in members:
        normalization = [layer for layer in member.layers if layer.name == "input_normalization"]
        cells = ops.convert_to_tensor(X.toarray().astype("float32"))
        for layer in normalization:
            cells = layer(cells)
        logits.append(ops.convert_to_numpy(member.get_layer("sparse_dag").logits(cells)).astype(float))
    return 1 / (1 + np.exp(-np.mean(logits, axis=0)))


def test_its_prediction_is_the_sigmoid_of_the_mean_logit_of_its_members(trained):
    dag, X, members, ensemble, _ = trained
    expected = mean_logit_probabilities(members, X)
    predicted = predict(ensemble, X)
    assert list(predicted.columns) == list(dag.outputs)
    np.testing.assert_allclose(predicted, expected, atol=1e-6)
    np.testing.assert_allclose(ops.convert_to_numpy(ensemble(X.toarray())), expected, atol=1e-6)
    single = np.stack([predict(member, X) for member in members])
    assert np.abs(single - single[0]).max() > 1e-3  # the members differ, so that a mean is something


def test_logits_are_averaged_even_where_a_probability_rounds_to_one(chain_dag):
    members = [build_kpnn(chain_dag, seed=seed) for seed in range(2)]
    for member, bias in zip(members, (60.0, -58.0), strict=True):
        set_edge_weights(member, dict.fromkeys(edge_weights(member).index, 0.0), {"OUT": bias})
    ensemble = build_ensemble(members)
    x = np.ones((1, 2))
    for probability in (predict(ensemble, x).to_numpy(), ops.convert_to_numpy(ensemble(x))):
        np.testing.assert_allclose(probability, 1 / (1 + np.exp(-1.0)), atol=1e-6)


def test_a_single_network_is_an_ensemble_of_itself(trained):
    _, X, members, _, _ = trained
    assert members_of(members[0]) == (members[0],)
    np.testing.assert_allclose(predict(build_ensemble(members[:1]), X), predict(members[0], X), atol=1e-6)


def test_its_members_are_the_networks_themselves_and_a_file_gives_them_back_bit_for_bit(trained, tmp_path):
    dag, X, members, ensemble, table = trained
    assert members_of(ensemble) == tuple(members)
    ensemble.save(tmp_path / "ensemble.keras")
    for loaded in (load_kpnn(tmp_path / "ensemble.keras"), keras.saving.load_model(tmp_path / "ensemble.keras")):
        assert dag_of(loaded).fingerprint == dag.fingerprint
        assert len(members_of(loaded)) == 3
        for again, member in zip(members_of(loaded), members, strict=True):
            pd.testing.assert_series_equal(edge_weights(again), edge_weights(member), check_exact=True)
            pd.testing.assert_series_equal(biases(again), biases(member), check_exact=True)
            pd.testing.assert_frame_equal(predict(again, X), predict(member, X), check_exact=True)
            histories = [fit_kpnn(each, X, np.ones((90, 2)), max_epochs=2).loss for each in (again, copy_of(member))]
            np.testing.assert_array_equal(*histories)  # dropout, penalty, signs and normalization came along
    shuffled = table.iloc[:, ::-1].assign(Other=1.0)
    again = load_kpnn(tmp_path / "ensemble.keras")
    pd.testing.assert_frame_equal(predict(again, shuffled), predict(ensemble, table), check_exact=True)


def copy_of(member):
    twin = keras.models.clone_model(member)
    twin.set_weights(member.get_weights())
    return twin


def test_the_file_names_the_dag_once(trained, tmp_path):
    ensemble = trained[3]
    ensemble.save(tmp_path / "ensemble.keras")
    with zipfile.ZipFile(tmp_path / "ensemble.keras") as archive:
        text = archive.read("config.json").decode()
        assert not any(name.endswith((".pkl", ".pickle", ".py")) for name in archive.namelist())
    assert text.count('"edge_parents"') == 1
    assert "__lambda__" not in text


def test_parameters_are_counted_for_one_member(trained):
    dag, _, members, ensemble, _ = trained
    assert dag_of(ensemble).n_parameters == dag.n_parameters == len(dag.edges) + len(dag.neurons)
    assert ensemble.count_params() == sum(member.count_params() for member in members)


def test_genes_are_matched_by_name_and_missing_ones_reported(trained):
    _, X, _, ensemble, table = trained
    pd.testing.assert_frame_equal(predict(ensemble, table.iloc[:, ::-1]), predict(ensemble, X))
    fewer = table.iloc[:, 2:]
    with pytest.raises(ModelError, match="2 of the model's 14 genes are not among the cells' 12 genes"):
        predict(ensemble, fewer)
    predicted = predict(ensemble, fewer, missing_genes="zeros")
    assert predicted.attrs["missing_genes"] == list(table.columns[:2])


@pytest.mark.parametrize(
    "question",
    [
        edge_weights,
        biases,
        lambda model: set_edge_weights(model, {}),
        lambda model: node_activations(model, np.ones((1, 14))),
        lambda model: output_gradients(model, np.ones((1, 14))),
        lambda model: adapt_normalization(model, np.ones((3, 14))),
        lambda model: fit_kpnn(model, np.ones((3, 14)), np.ones((3, 2))),
    ],
)
def test_what_only_a_single_network_can_answer_points_to_the_members(question, trained):
    with pytest.raises(ModelError, match=r"is an ensemble of 3 networks.*kpnn\.nn\.members_of\(model\)"):
        question(trained[3])


def test_networks_that_do_not_fit_together_are_refused(trained, random_dag):
    dag, _, members, ensemble, _ = trained
    peer = keras.Sequential([keras.Input((14,)), keras.layers.Dense(1)])
    for given, message in (
        ([], "at least one network"),
        ([members[0], members[0]], "holds the same network twice"),
        ([members[0], build_kpnn(random_dag(51, n_genes=14))], "networks on one DAG"),
        ([members[0], build_kpnn(dag, gene_suffix="")], "differ in gene_suffix"),
        ([members[0], build_kpnn(dag, dtype="float64")], "differ in dtype"),
        ([build_kpnn(dag, output_activation="relu")], "must be sigmoid"),
        ([ensemble], "is an ensemble of 3 networks"),
        ([peer], "0 sparse DAG layers"),
    ):
        with pytest.raises(ModelError, match=message):
            build_ensemble(given)


LOAD = """
import sys, numpy as np, pandas as pd, kpnn.nn, keras
model = keras.saving.load_model(sys.argv[1])
table = pd.read_parquet(sys.argv[2])
predicted = kpnn.nn.predict(model, table)
assert abs(model.predict(table.to_numpy(), verbose=0) - predicted.to_numpy()).max() < 1e-6
members = kpnn.nn.members_of(model)
kernels = {f"member{k}": np.asarray(m.get_layer("sparse_dag").kernel) for k, m in enumerate(members)}
np.savez(sys.argv[3], predicted=predicted, **kernels)
print(keras.backend.backend())
"""


def test_a_file_saved_on_torch_gives_the_same_predictions_and_members_on_jax(trained, tmp_path):
    pytest.importorskip("jax", reason="JAX is an optional dependency")
    _, X, members, ensemble, table = trained
    ensemble.save(tmp_path / "ensemble.keras")
    table.to_parquet(tmp_path / "cells.parquet")
    arguments = [str(tmp_path / name) for name in ("ensemble.keras", "cells.parquet", "found.npz")]
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    done = subprocess.run([sys.executable, "-c", LOAD, *arguments], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "jax"
    found = np.load(tmp_path / "found.npz")
    np.testing.assert_allclose(found["predicted"], mean_logit_probabilities(members, X), atol=1e-6)
    for place, member in enumerate(members):
        kernel = ops.convert_to_numpy(member.get_layer("sparse_dag").kernel)
        np.testing.assert_array_equal(found[f"member{place}"], kernel)
