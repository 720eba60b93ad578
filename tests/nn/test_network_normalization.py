"""Input normalization on sparse cells is that of dense ones."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops
from scipy.sparse import csr_array
from sklearn.preprocessing import StandardScaler

from kpnn.errors import SettingsError
from kpnn.nn import (
    adapt_normalization,
    biases,
    build_kpnn,
    edge_weights,
    fit_kpnn,
    load_kpnn,
    predict,
    set_edge_weights,
)
from kpnn.nn.normalization import input_normalization


@pytest.fixture
def cells(random_dag, random_cells):
    dag = random_dag(13)
    X, y = random_cells(dag, 80, 13)
    dense = X.toarray()
    dense[:, 2] = 7.0  # a gene that does not vary
    dense[:, 4] += 1000.0  # a large mean
    return dag, csr_array(dense), y


def test_standard_normalization_is_scikit_learns_on_the_training_cells(cells):
    dag, X, y = cells
    model = build_kpnn(dag, input_normalization="standard", seed=1)
    plain = build_kpnn(dag, seed=1)
    scaled = StandardScaler().fit(X.toarray()[:60]).transform(X.toarray())
    histories = [
        fit_kpnn(each, data[:60], y[:60], validation_data=(data[60:], y[60:]), max_epochs=5)
        for each, data in ((model, X), (plain, scaled))
    ]
    np.testing.assert_allclose(histories[0].loss, histories[1].loss, rtol=1e-5)
    np.testing.assert_allclose(histories[0].val_loss, histories[1].val_loss, rtol=1e-5)
    np.testing.assert_allclose(edge_weights(model), edge_weights(plain), atol=1e-5)
    assert int(input_normalization(model).n_cells.numpy()) == 60


def test_statistics_are_computed_once_and_stay(cells):
    dag, X, y = cells
    model = build_kpnn(dag, input_normalization="standard")
    fit_kpnn(model, X[:40], y[:40], max_epochs=1)
    first = np.array(ops.convert_to_numpy(input_normalization(model).mean))
    fit_kpnn(model, X[40:] * 3.0, y[40:], max_epochs=1)
    np.testing.assert_array_equal(first, ops.convert_to_numpy(input_normalization(model).mean))
    np.testing.assert_allclose(first, X.toarray()[:40].mean(axis=0), rtol=1e-6)


def test_batch_normalization_is_kerass(cells):
    dag, X, y = cells
    X = csr_array(X.toarray() - np.eye(1, X.shape[1], 4) * 1000.0)  # Keras's float32 moments need smaller means
    model = build_kpnn(dag, input_normalization="batch", seed=1)
    inputs = keras.Input((len(dag.inputs),))
    layer = keras.layers.BatchNormalization(center=False, scale=False)
    sparse = build_kpnn(dag, seed=1).get_layer("sparse_dag")
    peer = keras.Model(inputs, sparse(layer(inputs)))
    peer.compile(optimizer=keras.optimizers.Adam(1e-3), loss="binary_crossentropy")
    losses = peer.fit(X.toarray(), y, batch_size=80, epochs=4, shuffle=False, verbose=0).history["loss"]
    history = fit_kpnn(model, X, y, batch_size=80, max_epochs=4)
    np.testing.assert_allclose(history.loss, losses, rtol=2e-5)
    np.testing.assert_allclose(
        ops.convert_to_numpy(input_normalization(model).mean), ops.convert_to_numpy(layer.moving_mean), rtol=1e-4
    )
    np.testing.assert_allclose(predict(model, X), peer.predict(X.toarray(), verbose=0), atol=1e-5)


@pytest.mark.parametrize("kind", ["standard", "common", "batch"])
def test_the_keras_model_and_predict_normalize_alike(kind, cells):
    dag, X, y = cells
    model = build_kpnn(dag, input_normalization=kind)
    fit_kpnn(model, X, y, max_epochs=3)
    np.testing.assert_allclose(ops.convert_to_numpy(model(X.toarray())), predict(model, X), atol=1e-5)


def test_without_normalization_the_model_has_no_such_layer_and_names_are_checked(cells):
    dag, X, _ = cells
    model = build_kpnn(dag, input_normalization="none")
    assert input_normalization(model) is None
    twin = build_kpnn(dag, input_normalization=None)
    set_edge_weights(twin, edge_weights(model), biases(model))
    np.testing.assert_array_equal(predict(model, X), predict(twin, X))
    with pytest.raises(SettingsError, match="input_normalization must be None or one of standard, common, batch"):
        build_kpnn(dag, input_normalization="minmax")


def test_statistics_can_be_had_without_fit_kpnn(cells):
    dag, X, y = cells
    adapted, fitted = (build_kpnn(dag, input_normalization="standard") for _ in range(2))
    adapt_normalization(adapted, X)
    fit_kpnn(fitted, X, y, max_epochs=1)
    for name in ("mean", "variance", "n_cells"):
        values = [ops.convert_to_numpy(getattr(input_normalization(model), name)) for model in (adapted, fitted)]
        np.testing.assert_array_equal(*values)


def test_common_normalization_divides_all_genes_by_the_root_of_their_mean_variance(cells):
    dag, X, y = cells
    model = build_kpnn(dag, input_normalization="common", seed=1, dtype="float64")
    plain = build_kpnn(dag, seed=1, dtype="float64")
    seen = X.toarray()[:60]
    scaled = (X.toarray() - seen.mean(axis=0)) / np.sqrt(seen.var(axis=0).mean())
    histories = [
        fit_kpnn(each, data[:60], y[:60], validation_data=(data[60:], y[60:]), max_epochs=5)
        for each, data in ((model, X), (plain, scaled))
    ]
    np.testing.assert_allclose(histories[0].loss, histories[1].loss, rtol=1e-9)
    np.testing.assert_allclose(histories[0].val_loss, histories[1].val_loss, rtol=1e-9)
    np.testing.assert_allclose(predict(model, X), predict(plain, scaled), atol=1e-9)


def test_common_normalization_does_not_blow_up_a_gene_seen_in_one_cell(cells):
    dag, X, _ = cells
    dense = X.toarray()
    dense[:, 0] = 0.0
    dense[5, 0] = 1.0
    reach = {}
    for kind in ("standard", "common"):
        model = build_kpnn(dag, input_normalization=kind)
        adapt_normalization(model, dense)
        reach[kind] = float(np.abs(ops.convert_to_numpy(input_normalization(model)(dense)))[:, 0].max())
    assert reach["standard"] > 8.0  # sqrt(79): one cell in eighty
    assert reach["common"] < 2.0


def test_common_normalization_of_cells_in_which_nothing_varies_only_shifts(cells):
    dag, _, _ = cells
    model = build_kpnn(dag, input_normalization="common")
    same = np.full((4, len(dag.inputs)), 3.0)
    adapt_normalization(model, same)
    np.testing.assert_array_equal(ops.convert_to_numpy(input_normalization(model)(same + 2.0)), 2.0)
    shift, scale = input_normalization(model).shift_and_scale()
    np.testing.assert_array_equal(shift, 3.0)
    np.testing.assert_array_equal(scale, 1.0)


def test_common_normalization_is_kept_in_the_file(cells, tmp_path):
    dag, X, y = cells
    model = build_kpnn(dag, input_normalization="common")
    fit_kpnn(model, X, y, max_epochs=2)
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(predict(load_kpnn(tmp_path / "model.keras"), X), predict(model, X))
