"""Node weights against finite differences, the training engine's own gradients, and arithmetic by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from kpnn.errors import ModelError, SettingsError
from kpnn.interpretation import gene_weights, node_weights
from kpnn.interpretation.frozen import FrozenNetwork, expression_of
from kpnn.interpretation.weights import conductances
from kpnn.nn import build_kpnn, fit_kpnn, node_activations, output_gradients, predict, set_edge_weights
from kpnn.nn.activations import ACTIVATIONS
from kpnn.pkn import Dag


def random_dag(seed: int, n_hidden: int = 8, n_genes: int = 12, outputs: tuple[str, ...] = ("OUT",)) -> Dag:
    rng = np.random.default_rng(seed)
    hidden = [f"N{number}" for number in range(n_hidden)]
    rows = []
    for number, node in enumerate(hidden):
        above = [*outputs, *hidden[:number]]
        for parent in rng.choice(above, size=min(len(above), 1 + int(rng.integers(2))), replace=False):
            rows.append((str(parent), node))
    for output in outputs:
        rows.append((output, hidden[0]))
    for gene in range(n_genes):
        for parent in rng.choice(hidden, size=1 + int(rng.integers(2)), replace=False):
            rows.append((str(parent), f"G{gene}_gene"))
    rows += [(node, f"G{number % n_genes}_gene") for number, node in enumerate(hidden)]
    table = pd.DataFrame(rows, columns=["parent", "child"]).drop_duplicates()
    return Dag.from_edges(table, outputs=outputs)


def trained(dag: Dag, seed: int = 0, epochs: int = 5, **options: object):
    rng = np.random.default_rng(seed)
    X = rng.poisson(2.0, (60, len(dag.inputs))).astype(np.float32)
    y = (X[:, :2].sum(axis=1) > 4).astype(float)
    y = np.column_stack([y] * len(dag.outputs))
    model = build_kpnn(dag, seed=seed, initializer="standard_normal", input_normalization="standard", **options)
    fit_kpnn(model, X, y, max_epochs=epochs, patience=None, learning_rate=0.01)
    return model, X, y


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["sigmoid", "tanh", "softplus"]))
def test_the_exact_gradient_is_the_limit_of_fortelny_and_bocks_differences(seed, activation):
    model, X, _ = trained(random_dag(seed), seed, hidden_activation=activation)
    exact, difference = node_weights(model, X), node_weights(model, X, method="difference")
    pd.testing.assert_frame_equal(exact[["node", "output"]], difference[["node", "output"]])
    assert np.abs(exact["weight"] - difference["weight"]).max() < 1e-4


@pytest.mark.parametrize("expressed", [0, 3])
def test_cells_that_do_not_express_the_last_genes_are_weighed_too(expressed: int) -> None:
    dag = random_dag(4)
    model = build_kpnn(dag, seed=4, initializer="standard_normal")
    cells = np.zeros((3, len(dag.inputs)))
    cells[:, :expressed] = 1.0
    np.testing.assert_array_equal(expression_of(model, cells).toarray(), cells)
    exact, difference = node_weights(model, cells), node_weights(model, cells, method="difference")
    assert np.abs(exact["weight"] - difference["weight"]).max() < 1e-4


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_frozen_network_computes_what_the_training_engine_computes(activation):
    dag = random_dag(3, outputs=("A", "B"))
    model, X, _ = trained(dag, 1, hidden_activation=activation)
    network = FrozenNetwork.of(model)
    values = network.run(network.genes_in(expression_of(model, X)))
    np.testing.assert_allclose(values.act, node_activations(model, X), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(network.probabilities(values), predict(model, X), rtol=1e-4, atol=1e-5)
    gradients = np.stack([network.gradients(values, output) for output in network.outputs])
    np.testing.assert_allclose(gradients, output_gradients(model, X), rtol=1e-3, atol=1e-5)


def test_a_logit_output_is_weighed_by_its_probability():
    model, X, _ = trained(random_dag(5), 5, output_activation="linear")
    exact, difference = node_weights(model, X), node_weights(model, X, method="difference")
    assert np.abs(exact["weight"] - difference["weight"]).max() < 1e-4
    assert exact["weight"].abs().max() > 0


def test_weights_of_a_chain_are_the_products_of_its_derivatives():
    edges = pd.DataFrame({"parent": ["T", "Z"], "child": ["Z", "CD69_gene"]})
    model = build_kpnn(Dag.from_edges(edges, outputs=["T"]), hidden_activation="sigmoid")
    set_edge_weights(model, {("T", "Z"): 2.0, ("Z", "CD69_gene"): 0.5}, {"T": -1.0, "Z": 0.25})
    x = np.array([[1.0], [3.0]])
    z = 1 / (1 + np.exp(-(0.5 * x + 0.25)))
    p = 1 / (1 + np.exp(-(2 * z - 1)))
    weight = node_weights(model, x)["weight"].item()
    assert weight == pytest.approx(float(np.mean(2 * p * (1 - p))), rel=1e-6)
    by_gene = gene_weights(model, x)
    assert by_gene.loc[0, ["gene", "node", "output"]].tolist() == ["CD69", "CD69_gene", "T"]
    assert by_gene["weight"].item() == pytest.approx(float(np.mean(2 * p * (1 - p) * z * (1 - z) * 0.5)), rel=1e-5)


def test_gene_weights_agree_with_changing_the_genes_themselves():
    model, X, _ = trained(random_dag(7), 7)
    network = FrozenNetwork.of(model)
    weights = gene_weights(model, X)["weight"].to_numpy()
    for gene in range(X.shape[1]):
        above, below = X.astype(float).copy(), X.astype(float).copy()
        above[:, gene] += 1e-4
        below[:, gene] -= 1e-4
        up, down = (network.probabilities(network.run(network.genes_in(moved))) for moved in (above, below))
        assert weights[gene] == pytest.approx(float(((up - down) / 2e-4).mean()), abs=1e-5)


def test_conductance_of_a_cut_adds_up_to_the_change_of_the_prediction():
    # Every path runs through the children of the output, so they are a cut.
    rows = [("OUT", "A"), ("OUT", "B"), ("A", "C"), ("B", "C"), *(("ABC"[g % 3], f"G{g}_gene") for g in range(9))]
    dag = Dag.from_edges(pd.DataFrame(rows, columns=["parent", "child"]), outputs=["OUT"])
    model, X, _ = trained(dag, 2, epochs=20)
    network = FrozenNetwork.of(model)
    cells = expression_of(model, X)
    genes = network.genes_in(cells)
    prediction = network.probabilities(network.run(genes))[:, 0]
    average = network.probabilities(network.run(genes.mean(axis=0, keepdims=True)))[0, 0]
    cut = [dag.neurons.index("A"), dag.neurons.index("B")]
    flows = conductances(network, cells, steps=200)[0][:, cut].sum(axis=1)
    np.testing.assert_allclose(flows, prediction - average, atol=1e-4)


def test_ablation_is_the_loss_of_roc_auc_when_a_neuron_stands_at_its_mean():
    model, X, y = trained(random_dag(11), 11, epochs=30)
    table = node_weights(model, X, method="ablation", y=y).set_index("node")["weight"]
    network = FrozenNetwork.of(model)
    genes = network.genes_in(expression_of(model, X))
    values = network.run(genes)
    whole = roc_auc_score(y[:, 0], network.probabilities(values)[:, 0])
    for node in table.index:
        place = network.dag.neurons.index(node)
        # The same by hand: the neuron's own inputs are cut and its bias gives the mean.
        act = values.act.copy()
        act[:, place] = act[:, place].mean()
        for level in network.levels:
            for neuron in level:
                if neuron != place:
                    act[:, neuron] = _sigmoid(genes[:, neuron] + act @ network.between[[neuron]].toarray()[0])
        without = roc_auc_score(y[:, 0], act[:, network.outputs[0]])
        assert table[node] == pytest.approx(whole - without, abs=1e-9)


def _sigmoid(z):
    return 1 / (1 + np.exp(-z))


def test_an_unknown_method_missing_labels_and_no_cells_are_errors():
    model, X, _ = trained(random_dag(1), 1)
    with pytest.raises(SettingsError, match="no method 'saliency'"):
        node_weights(model, X, method="saliency")
    with pytest.raises(SettingsError, match="labels"):
        node_weights(model, X, method="ablation")
    with pytest.raises(ModelError, match="no cells"):
        node_weights(model, X[:0])
    with pytest.raises(ModelError):
        node_weights(model, X[:, :3])
