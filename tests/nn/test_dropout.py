"""Dropout has the distribution of the rule it is named for."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest
from keras import ops
from scipy import stats

from kpnn.nn import build_kpnn, edge_weights, fit_kpnn, set_edge_weights
from kpnn.nn.dropout import Dropout
from kpnn.nn.engine.kernels import random_number
from kpnn.nn.engine.layout import Layout
from kpnn.pkn import Dag

RATE = 0.3


def dag_of_groups() -> Dag:
    """OUT has two genes and two neurons (two dropouts each), TWO two genes alone, MIX one gene and one neuron."""
    edges = [
        ("OUT", "A_gene"), ("OUT", "B_gene"), ("OUT", "TWO"), ("OUT", "MIX"),
        ("TWO", "C_gene"), ("TWO", "D_gene"), ("MIX", "E_gene"), ("MIX", "ONE"), ("ONE", "F_gene"),
    ]  # fmt: skip
    return Dag.from_edges(pd.DataFrame(edges, columns=["parent", "child"]), outputs=["OUT"])


def linear_values(dag: Dag) -> tuple[dict, np.ndarray]:
    """Weights under which the linear network's output tells which edges were dropped: sums of distinct powers."""
    weights = dict.fromkeys(zip(dag.edges["parent"], dag.edges["child"], strict=True), 1.0)
    return weights, np.array([[1.0, 10.0, 100.0, 1000.0, 1e4, 1e5]])


def distribution(dag: Dag, kept: pd.Series) -> dict[float, float]:
    """Probability of every value of OUT, by enumerating which edges are kept, each on its own."""
    found: dict[float, float] = {}
    _, x = linear_values(dag)
    value = dict(zip(dag.inputs, x[0], strict=True))
    children = {neuron: list(kept[neuron].index) for neuron in dag.neurons}
    for choice in product([False, True], repeat=len(kept)):
        factor = {edge: of / kept[edge] if of else 0.0 for edge, of in zip(kept.index, choice, strict=True)}
        chance = np.prod([kept[edge] if of else 1 - kept[edge] for edge, of in zip(kept.index, choice, strict=True)])
        values = dict(value)
        for level in dag.levels[1:]:
            for neuron in level:
                values[neuron] = sum(factor[neuron, child] * values[child] for child in children[neuron])
        key = round(values["OUT"], 3)
        found[key] = found.get(key, 0.0) + chance
    return {key: chance for key, chance in found.items() if chance > 0}


def assert_drawn_from(values: np.ndarray, expected: dict[float, float]) -> None:
    keys = np.array(sorted(expected))
    nearest = np.abs(values[:, None] - keys[None, :]).argmin(axis=1)
    assert np.abs(values - keys[nearest]).max() <= 1e-4 * keys.max()
    counts = np.bincount(nearest, minlength=len(keys))
    frequencies = np.array([expected[key] for key in keys]) * len(values)
    common = frequencies >= 5
    observed = np.append(counts[common], counts[~common].sum())
    wanted = np.append(frequencies[common], frequencies[~common].sum())
    present = wanted > 0
    assert stats.chisquare(observed[present], wanted[present] * observed.sum() / wanted.sum()).pvalue > 1e-4


def kept_by_the_rule() -> pd.Series:
    once, twice = 1 - RATE, (1 - RATE) ** 2
    return pd.Series(
        {
            ("OUT", "A_gene"): twice, ("OUT", "B_gene"): twice, ("OUT", "TWO"): twice, ("OUT", "MIX"): twice,
            ("TWO", "C_gene"): once, ("TWO", "D_gene"): once, ("MIX", "E_gene"): once, ("MIX", "ONE"): once,
            ("ONE", "F_gene"): 1.0,
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def expected():
    return distribution(dag_of_groups(), kept_by_the_rule())


def test_edge_dropout_keeps_edges_as_often_as_the_rule_says():
    dag = dag_of_groups()
    kept = Dropout(RATE, RATE, "edges").kept_edges(Layout.of(dag))
    by_name = pd.Series(kept, index=pd.MultiIndex.from_frame(dag.edges[["parent", "child"]]))
    pd.testing.assert_series_equal(by_name.sort_index(), kept_by_the_rule().sort_index(), check_names=False)


def test_build_dagnn_draws_from_the_enumerated_distribution(expected, build_peer, copy_weights):
    dag = dag_of_groups()
    weights, x = linear_values(dag)
    model = build_kpnn(dag)
    set_edge_weights(model, weights)
    activations = {"default_hidden_activation": "linear", "default_output_activation": "linear"}
    peer = build_peer(dag, dropout=RATE, **activations)
    copy_weights(model, peer, dag)
    drawn = ops.convert_to_numpy(peer(np.repeat(x, 20_000, axis=0).astype("float32"), training=True))[:, 0]
    assert_drawn_from(drawn, expected)


def test_the_plain_network_draws_from_the_same_distribution(expected):
    dag = dag_of_groups()
    weights, x = linear_values(dag)
    model = build_kpnn(dag, dropout=RATE, hidden_activation="linear", output_activation="linear")
    set_edge_weights(model, weights)
    drawn = ops.convert_to_numpy(model(np.repeat(x, 20_000, axis=0), training=True))[:, 0]
    assert_drawn_from(drawn, expected)


def test_training_draws_from_the_same_distribution(expected):
    # One cell a step, the label 1/2 and a rate so small that weights stay: the step's loss is log(2 cosh(z / 2)).
    dag = dag_of_groups()
    weights, x = linear_values(dag)
    drawn = []
    model = build_kpnn(dag, dropout=RATE, dtype="float64", hidden_activation="linear", output_activation="linear")
    set_edge_weights(model, {edge: weight * (1e-4 if edge[0] == "OUT" else 1.0) for edge, weight in weights.items()})
    history = fit_kpnn(
        model, x, np.array([0.5]), max_epochs=20_000, learning_rate=1e-30, optimizer="sgd", patience=None, seed=5
    )
    drawn = 2 * np.arccosh(np.maximum(np.exp(history.loss) / 2, 1.0)) * 1e4
    assert_drawn_from(drawn, expected)


def test_node_dropout_is_the_rule_of_fortelny_and_bock():
    # Parents of X have 1 child together, of Y 2, of Z 3, of W 4 (counting genes); outputs are never dropped.
    edges = [
        ("O", "a_gene"), ("O", "PX"), ("O", "PY"), ("O", "PZ"), ("O", "PW"), ("PX", "X"),
        ("PY", "Y"), ("PY", "a_gene"), ("PZ", "Z"), ("PZ", "a_gene"), ("PZ", "b_gene"),
        ("PW", "W"), ("PW", "a_gene"), ("PW", "b_gene"), ("PW", "c_gene"),
        ("X", "a_gene"), ("Y", "a_gene"), ("Z", "a_gene"), ("W", "a_gene"), ("O2", "O"), ("O2", "c_gene"),
    ]  # fmt: skip
    dag = Dag.from_edges(pd.DataFrame(edges, columns=["parent", "child"]), outputs=["O2", "O"])
    dropout = Dropout(genes=0.4, nodes=0.5, on="nodes")
    kept = dict(zip(dag.neurons, dropout.kept_neurons(Layout.of(dag)), strict=True))
    assert kept == {
        "O": 1.0, "O2": 1.0, "X": 1.0, "Y": 0.9, "Z": 0.7, "W": 0.5, "PX": 0.5, "PY": 0.5, "PZ": 0.5, "PW": 0.5
    }  # fmt: skip
    assert set(dropout.kept_inputs(Layout.of(dag))) == {0.6}
    weak = dict(zip(dag.neurons, Dropout(0.0, 0.05, "nodes").kept_neurons(Layout.of(dag)), strict=True))
    assert (weak["Y"], weak["Z"], weak["W"]) == (0.95, 0.95, 0.95)


def test_node_dropout_drops_a_gene_for_all_its_parents_at_once():
    edges = [("O", "P"), ("O", "Q"), ("P", "a_gene"), ("Q", "a_gene")]
    dag = Dag.from_edges(pd.DataFrame(edges, columns=["parent", "child"]), outputs=["O"])
    settings = {"hidden_activation": "linear", "output_activation": "linear", "dtype": "float64"}
    weights = {("P", "a_gene"): 1.0, ("Q", "a_gene"): -1.0, ("O", "P"): 1.0, ("O", "Q"): 1.0}
    losses = {}
    for rule in ("nodes", "edges"):
        model = build_kpnn(
            dag, gene_dropout=0.5, node_dropout=0.5 if rule == "edges" else 0.0, dropout_on=rule, **settings
        )
        set_edge_weights(model, weights)
        losses[rule] = fit_kpnn(model, np.array([[3.0]]), [0.5], max_epochs=200, learning_rate=1e-30).loss
    # +3 and -3 cancel unless one of them is dropped alone.
    np.testing.assert_allclose(losses["nodes"], np.log(2), rtol=1e-12)
    assert len(np.unique(losses["edges"].round(9))) > 1


@pytest.mark.parametrize("rule", ["edges", "nodes"])
@pytest.mark.parametrize("normalization", [None, "standard"])
def test_dropout_leaves_expected_gradients_as_they_are(rule, normalization, random_dag, random_cells):
    # In a linear network with a gradient that does not depend on the output, means over many draws can be compared.
    dag = random_dag(2, n_outputs=1, n_hidden=3)
    X, _ = random_cells(dag, 1, 2, density=0.7)
    X = np.repeat(X.toarray(), 4000, axis=0) * 1e-3
    X[::2] *= 0.5
    sums = {}
    for rate in (0.0, 0.3):
        model = build_kpnn(
            dag, dropout=rate, dropout_on=rule, hidden_activation="linear", dtype="float64", seed=1,
            input_normalization=normalization,
        )  # fmt: skip
        before = edge_weights(model)
        scale = 1e-3 if normalization else 1.0
        set_edge_weights(model, before * scale)
        y = np.tile([0.0, 1.0], len(X) // 2)
        fit_kpnn(model, X, y, max_epochs=1, batch_size=len(X), learning_rate=1.0, optimizer="sgd")
        sums[rate] = (before * scale - edge_weights(model)).to_numpy()
    assert np.abs(sums[0.3] - sums[0.0]).max() <= 0.1 * np.abs(sums[0.0]).max()


def test_random_numbers_are_uniform_and_independent_over_edges_and_cells():
    generator = np.random.default_rng(0)
    keys = generator.integers(0, 2**32, (64, 2), dtype=np.uint32)
    table = (
        np.array([[random_number(np.uint32(edge), *key) for edge in range(2000)] for key in keys], dtype=float) / 2**32
    )
    assert stats.kstest(table.ravel(), "uniform").pvalue > 1e-4
    between_edges = np.corrcoef(table[:, :60].T)[np.triu_indices(60, 1)]
    between_cells = np.corrcoef(table)[np.triu_indices(64, 1)]
    assert abs(between_cells).max() < 5.5 / np.sqrt(2000)
    assert stats.kstest(between_cells * np.sqrt(2000), "norm").pvalue > 1e-4
    assert abs(between_edges.mean()) < 5 / np.sqrt(64 * len(between_edges))
    lagged = [np.corrcoef(table[:, :-lag].ravel(), table[:, lag:].ravel())[0, 1] for lag in (1, 2, 3, 64)]
    assert max(map(abs, lagged)) < 5 / np.sqrt(table.size)
