"""What `build_kpnn` makes, and what it refuses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from keras import ops

from kpnn.errors import KpnnError, SettingsError
from kpnn.nn import biases, build_kpnn, edge_weights, predict, set_edge_weights
from kpnn.nn.layer import sparse_dag
from kpnn.pkn import Dag


@pytest.fixture(scope="module")
def fans():
    """Neurons with 1, 4 and 60 children."""
    edges = [
        ("ONE", "G0_gene"),
        *[("FOUR", f"G{i}_gene") for i in range(4)],
        *[("SIXTY", f"G{i}_gene") for i in range(57)],
    ]
    edges += [("SIXTY", name) for name in ("ONE", "FOUR")] + [("OUT", "SIXTY"), ("SIXTY", "G60_gene")]
    return Dag.from_edges(pd.DataFrame(edges, columns=["parent", "child"]), outputs=["OUT"])


@pytest.mark.parametrize(
    ("initializer", "limit"),
    [
        ("glorot_uniform", lambda n: np.sqrt(6 / (n + 1))),
        ("lecun_uniform", lambda n: np.sqrt(3 / n)),
        ("he_uniform", lambda n: np.sqrt(6 / n)),
    ],
)
def test_weights_start_by_the_fan_in_of_each_neuron(initializer, limit, fans):
    draws = [edge_weights(build_kpnn(fans, initializer=initializer, seed=seed)) for seed in range(100)]
    for neuron, n_children in (("ONE", 1), ("FOUR", 4), ("SIXTY", 60)):
        values = np.concatenate([draw[neuron].to_numpy() for draw in draws])
        assert 0.9 * limit(n_children) < np.abs(values).max() <= limit(n_children)
        assert abs(values.mean()) < 0.3 * limit(n_children)
    assert (biases(build_kpnn(fans, initializer=initializer)) == 0).all()


def test_the_normal_initializer_is_the_papers(fans):
    models = [build_kpnn(fans, initializer="standard_normal", seed=seed) for seed in range(30)]
    values = np.concatenate([np.append(edge_weights(model), biases(model)) for model in models])
    assert abs(values.mean()) < 0.1
    assert abs(values.std() - 1) < 0.1


def test_the_seed_alone_decides_the_start(fans):
    first, same, other = (edge_weights(build_kpnn(fans, seed=seed)) for seed in (1, 1, 2))
    pd.testing.assert_series_equal(first, same)
    assert not first.equals(other)


def test_weights_are_float32_and_read_in_the_order_of_the_edges(fans):
    model = build_kpnn(fans)
    weights = edge_weights(model)
    assert weights.dtype == np.float32
    assert list(weights.index) == list(zip(fans.edges["parent"], fans.edges["child"], strict=True))
    assert list(biases(model).index) == list(fans.neurons)
    set_edge_weights(model, {("FOUR", "G2_gene"): 0.25}, {"OUT": -0.5})
    after = edge_weights(model)
    assert after["FOUR", "G2_gene"] == 0.25
    assert (after.drop(("FOUR", "G2_gene")) == weights.drop(("FOUR", "G2_gene"))).all()
    assert biases(model)["OUT"] == -0.5


def test_a_deep_chain_and_a_neuron_of_many_children_compute(fans):
    edges = [(f"H{i}", f"H{i + 1}") for i in range(60)] + [("H60", "A_gene")]
    deep = Dag.from_edges(pd.DataFrame(edges, columns=["parent", "child"]), outputs=["H0"])
    model = build_kpnn(deep, hidden_activation="linear", output_activation="linear")
    set_edge_weights(model, dict.fromkeys(edge_weights(model).index, 1.0), dict.fromkeys(deep.neurons, 0.01))
    assert float(ops.convert_to_numpy(model(np.array([[0.5]])))[0, 0]) == pytest.approx(0.5 + 0.61)
    x = np.linspace(-1, 1, len(fans.inputs))[None, :]
    np.testing.assert_allclose(ops.convert_to_numpy(build_kpnn(fans)(x)), predict(build_kpnn(fans), x), atol=1e-6)


def test_another_suffix_of_genes_can_be_named():
    dag = Dag.from_edges(pd.DataFrame({"parent": ["O", "O"], "child": ["A__rna", "B_gene__rna"]}), outputs=["O"])
    model = build_kpnn(dag, gene_suffix="__rna")
    assert sparse_dag(model).get_config()["genes"] == ["A", "B_gene"]
    predict(model, pd.DataFrame({"B_gene": [1.0], "A": [2.0]}))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dropout": 1.0}, "dropout rate of genes must be at least 0 and below 1, not 1.0"),
        ({"node_dropout": -0.1}, "dropout rate of nodes"),
        ({"dropout_on": "layers"}, "dropout_on must be one of edges, nodes, not 'layers'"),
        ({"kernel_l1": -1.0}, "kernel_l1 must be 0 or more"),
        ({"bias_l2": float("nan")}, "bias_l2 must be 0 or more"),
        ({"hidden_activation": "sine"}, "no activation named 'sine'"),
        ({"activations": {"X": "relu"}}, "X, which is not a neuron"),
        ({"initializer": "ones"}, "no initializer named 'ones'"),
    ],
)
def test_arguments_that_make_no_sense_are_errors_that_say_so(arguments, message, fans):
    with pytest.raises(SettingsError, match=message):
        build_kpnn(fans, **arguments)
    assert issubclass(SettingsError, KpnnError)
