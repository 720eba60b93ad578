"""Where corneto's build_dagnn, or the tutorial built on it, does not do what it says: the peer's behaviour and ours."""

from __future__ import annotations

import keras
import numpy as np
import pandas as pd
import pytest
from keras import ops

from kpnn.nn import biases, build_kpnn, dag_of, edge_weights, fit_kpnn, predict, set_edge_weights
from kpnn.nn.layer import sparse_dag
from kpnn.pkn import Dag


def test_the_peers_input_normalization_is_cut_off_and_ours_is_applied(chain_dag, random_cells, build_peer):
    X, y = random_cells(chain_dag, 50, 1)
    X = X * 100.0
    peer = build_peer(chain_dag, batch_norm_input=True)
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in peer.layers)
    assert peer.count_params() == chain_dag.n_parameters  # no mean, no variance

    model = build_kpnn(chain_dag, input_normalization="standard")
    fit_kpnn(model, X, y, max_epochs=1, learning_rate=1e-12)
    assert model.count_params() == chain_dag.n_parameters + 2 * len(chain_dag.inputs) + 1
    dense = X.toarray()
    plain = build_kpnn(chain_dag)
    set_edge_weights(plain, edge_weights(model), biases(model))
    by_hand = (dense - dense.mean(axis=0)) / dense.std(axis=0)
    np.testing.assert_allclose(predict(model, X), predict(plain, by_hand), atol=1e-6)
    assert not np.allclose(predict(model, X), predict(plain, X), atol=1e-3)


def test_the_peer_mixes_up_weight_and_bias_regularization_and_we_do_not(chain_dag, build_peer):
    # The tutorial's arguments: biases are to be regularized, weights not.
    tutorial = {"bias_reg_l1": 1e-3, "bias_reg_l2": 1e-2}
    peer = build_peer(chain_dag, **tutorial)
    for layer in peer.layers:
        if isinstance(layer, keras.layers.Dense):
            layer.bias.assign(ops.ones_like(layer.bias))
    assert all(float(loss) == 0 for loss in peer.losses)  # nothing is regularized

    model = build_kpnn(chain_dag, bias_l1=1e-3, bias_l2=1e-2)
    set_edge_weights(model, {}, dict.fromkeys(chain_dag.neurons, 1.0))
    assert float(sum(model.losses).detach()) == pytest.approx(len(chain_dag.neurons) * (1e-3 + 1e-2))


@pytest.mark.parametrize("number", ["kernel_l1", "kernel_l2", "bias_l1", "bias_l2"])
def test_each_of_the_four_penalties_is_on_what_its_name_says(number, chain_dag, random_cells):
    X, y = random_cells(chain_dag, 20, 1)
    model = build_kpnn(chain_dag, **{number: 0.1})
    weights = {("H", "A_gene"): 2.0, ("H", "B_gene"): -1.0, ("OUT", "H"): 0.5, ("OUT", "B_gene"): -3.0}
    set_edge_weights(model, weights, {"H": -2.0, "OUT": 1.5})
    values = np.array(list(weights.values()) if "kernel" in number else [-2.0, 1.5])
    expected = 0.1 * (np.abs(values).sum() if number.endswith("l1") else (values**2).sum())
    assert float(sum(model.losses).detach()) == pytest.approx(expected)  # in Keras's own fit
    history = fit_kpnn(model, X, y, max_epochs=1, batch_size=20)
    assert history.penalty[0] == pytest.approx(expected)
    probabilities = sigmoid_network(X.toarray())
    cross_entropy = -np.mean(y * np.log(probabilities) + (1 - y) * np.log(1 - probabilities))
    assert history.loss[0] == pytest.approx(expected + cross_entropy, rel=1e-5)


def sigmoid_network(x):
    """The chain's network with the weights of the test above, by hand."""
    sigmoid = lambda z: 1 / (1 + np.exp(-z))  # noqa: E731
    hidden = sigmoid(2.0 * x[:, 0] - 1.0 * x[:, 1] - 2.0)
    return sigmoid(0.5 * hidden - 3.0 * x[:, 1] + 1.5)[:, None]


def test_strong_regularization_shrinks_what_it_is_on(chain_dag, random_cells):
    X, y = random_cells(chain_dag, 100, 1)
    sizes = {}
    for name in ("none", "kernel_l2", "bias_l2"):
        model = build_kpnn(chain_dag, seed=3, **({} if name == "none" else {name: 1.0}))
        set_edge_weights(model, {}, {"H": 1.0, "OUT": -1.0})
        fit_kpnn(model, X, y, max_epochs=200, learning_rate=1e-2)
        sizes[name] = float(np.abs(edge_weights(model)).sum()), float(np.abs(biases(model)).sum())
    assert sizes["kernel_l2"][0] < 0.1 * sizes["none"][0]
    assert sizes["bias_l2"][1] < 0.1 * sizes["none"][1]
    assert sizes["bias_l2"][0] > 0.5 * sizes["none"][0]


def test_early_stopping_watches_only_the_cells_it_is_given(chain_dag, random_cells):
    # The tutorial's early stopping watches the fold that it then reports. Here what is watched is an argument, and the
    # history tells which cells were watched by their loss.
    X, y = random_cells(chain_dag, 60, 4)
    model = build_kpnn(chain_dag)
    history = fit_kpnn(model, X[:40], y[:40], validation_data=(X[40:50], y[40:50]), max_epochs=3)
    probabilities = predict(model, X[40:50]).to_numpy()
    truth = y[40:50]
    loss = -np.mean(truth * np.log(probabilities) + (1 - truth) * np.log(1 - probabilities))
    assert history.val_loss[history.best_epoch - 1] == pytest.approx(loss, rel=1e-5)


def test_genes_with_underscores_keep_their_whole_name():
    # The tutorial cuts at the first underscore, so these three genes would all be called HLA.
    nodes = ["HLA_A_gene", "HLA_B_gene", "HLA_gene", "X_gene_gene"]
    assert {node.split("_")[0] for node in nodes[:3]} == {"HLA"}
    dag = Dag.from_edges(pd.DataFrame({"parent": "OUT", "child": nodes}), outputs=["OUT"])
    model = build_kpnn(dag)
    assert sparse_dag(model).get_config()["genes"] == ["HLA_A", "HLA_B", "HLA", "X_gene"]
    weights = {
        ("OUT", "HLA_A_gene"): 1.0,
        ("OUT", "HLA_B_gene"): 2.0,
        ("OUT", "HLA_gene"): 3.0,
        ("OUT", "X_gene_gene"): 4.0,
    }
    set_edge_weights(model, weights)
    cells = pd.DataFrame({"HLA": [0.1], "X_gene": [-0.3], "HLA_B": [0.2], "HLA_A": [0.5]}, index=["cell"])
    assert predict(model, cells).loc["cell", "OUT"] == pytest.approx(1 / (1 + np.exp(-(0.5 + 0.4 + 0.3 - 1.2))))


def test_the_peer_makes_all_weights_positive_unless_told_and_ours_are_free_unless_told(chain_dag, build_peer):
    peer = build_peer(chain_dag, force_sign=True)
    raw = {layer.name: layer for layer in peer.layers if hasattr(layer, "kernel_raw")}
    assert set(raw) == set(chain_dag.neurons)  # softplus of these: no negative weight can be had
    free = build_kpnn(chain_dag)
    set_edge_weights(free, {("OUT", "H"): -1.0})
    assert edge_weights(free)["OUT", "H"] == -1.0


def test_signed_weights_keep_their_sign_and_unknown_ones_stay_free(random_dag, random_cells):
    dag = random_dag(6, signs=True)
    X, y = random_cells(dag, 60, 6)
    signs = dag.edges["sign"].to_numpy()
    start = {seed: edge_weights(build_kpnn(dag, signed=True, seed=seed)).to_numpy() for seed in range(20)}
    assert all((np.sign(weights[signs != 0]) == signs[signs != 0]).all() for weights in start.values())
    assert {-1.0, 1.0} == {sign for weights in start.values() for sign in np.sign(weights[signs == 0])}
    model = build_kpnn(dag, signed=True)
    before = edge_weights(model).to_numpy()
    fit_kpnn(model, X, y, max_epochs=300, learning_rate=0.1, batch_size=20)
    after = edge_weights(model).to_numpy()
    assert (np.sign(after[signs != 0]) == signs[signs != 0]).all()
    assert np.abs(after - before).max() > 0.5
    np.testing.assert_allclose(ops.convert_to_numpy(model(X.toarray())), predict(model, X), atol=1e-6)
    with_sign = dag.edges[signs != 0].iloc[0]
    edge = (with_sign["parent"], with_sign["child"])
    set_edge_weights(model, {edge: 0.7 * with_sign["sign"]})
    assert edge_weights(model)[edge] == pytest.approx(0.7 * with_sign["sign"])
    with pytest.raises(Exception, match="must have the sign of its edge"):
        set_edge_weights(model, {edge: -0.7 * with_sign["sign"]})


def test_the_dag_of_a_model_holds_the_signs(random_dag):
    dag = random_dag(6, signs=True)
    pd.testing.assert_frame_equal(dag_of(build_kpnn(dag)).edges, dag.edges)
