"""Random DAGs, cells and the peer's network on the same DAG."""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from kpnn.pkn import Dag


def _random_dag(seed: int, *, n_genes: int = 9, n_hidden: int = 6, n_outputs: int = 2, signs: bool = False) -> Dag:
    """A DAG with skip edges, one-child neurons, shared genes and, often, an output that feeds another neuron."""
    generator = np.random.default_rng(seed)
    genes = [f"G{place}_x_gene" for place in range(n_genes)]
    neurons = [f"H{place}" for place in range(n_hidden)] + [f"OUT{place}" for place in range(n_outputs)]
    pairs = set()
    for place, neuron in enumerate(neurons):
        below = genes + neurons[:place]
        n_children = int(generator.choice([1, 2, 3, 5]))
        for child in generator.choice(len(below), min(n_children, len(below)), replace=False):
            pairs.add((neuron, below[child]))
    with_parents = {child for _, child in pairs}
    for node in genes + neurons[:n_hidden]:
        if node not in with_parents:
            first = neurons.index(node) + 1 if node in neurons else 0
            pairs.add((neurons[int(generator.integers(first, len(neurons)))], node))
    table = pd.DataFrame(sorted(pairs), columns=["parent", "child"])
    if signs:
        table["sign"] = generator.choice([1, -1, 0], len(table))
    outputs = neurons[n_hidden:]
    return Dag.from_edges(table, outputs=[outputs[place] for place in generator.permutation(n_outputs)])


def _cells(dag: Dag, n_cells: int, seed: int, density: float = 0.5) -> tuple[csr_array, np.ndarray]:
    """Sparse expression, float64, and 0/1 labels of every output."""
    generator = np.random.default_rng([seed, 9])
    dense = generator.gamma(2.0, 0.7, (n_cells, len(dag.inputs))) * (
        generator.random((n_cells, len(dag.inputs))) < density
    )
    labels = (generator.random((n_cells, len(dag.outputs))) < 0.5).astype(float)
    return csr_array(dense), labels


def _peer(dag: Dag, **settings):
    """`corneto.ml.build_dagnn` on the same DAG, without sign constraints unless asked for."""
    import corneto
    from corneto.ml import build_dagnn

    graph = corneto.Graph()
    for parent, child in zip(dag.edges["parent"], dag.edges["child"], strict=True):
        graph.add_edge(child, parent)
    settings = {"dropout": 0.0, "batch_norm_input": False, "force_sign": False, **settings}
    return build_dagnn(graph, list(dag.inputs), list(dag.outputs), **settings)


def _peer_children(dag: Dag, layers, neuron: str) -> list[str]:
    """Children of a neuron in the order of the peer's kernel: genes, then neurons, each as its graph lists them."""
    import corneto

    graph = corneto.Graph()
    for parent, child in zip(dag.edges["parent"], dag.edges["child"], strict=True):
        graph.add_edge(child, parent)
    children = list(graph.predecessors(neuron))
    genes = set(dag.inputs)
    return [child for child in children if child in genes] + [child for child in children if child not in genes]


def _copy_weights(model: keras.Model, peer: keras.Model, dag: Dag) -> dict[str, list[str]]:
    """Puts a model's weights into the peer's network; returns the order of children in each of the peer's kernels."""
    from kpnn.nn import biases, edge_weights

    weights, offsets = edge_weights(model), biases(model)
    order = {}
    for neuron in dag.neurons:
        order[neuron] = _peer_children(dag, peer, neuron)
        kernel = np.array([[weights[neuron, child]] for child in order[neuron]])
        peer.get_layer(neuron).set_weights([kernel, np.array([offsets[neuron]])])
    return order


@pytest.fixture(scope="session")
def random_dag():
    return _random_dag


@pytest.fixture(scope="session")
def random_cells():
    return _cells


@pytest.fixture(scope="session")
def build_peer():
    return _peer


@pytest.fixture(scope="session")
def copy_weights():
    return _copy_weights


@pytest.fixture
def chain_dag() -> Dag:
    """One output, one hidden node, two genes one of which the output reads too."""
    edges = [("OUT", "H"), ("H", "A_gene"), ("H", "B_gene"), ("OUT", "B_gene")]
    return Dag.from_edges(pd.DataFrame(edges, columns=["parent", "child"]), outputs=["OUT"])
