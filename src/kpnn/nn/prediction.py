"""Predictions and activations of cells, genes matched by name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import pandas as pd
from scipy.special import expit, softmax

from kpnn.errors import ModelError, some_names
from kpnn.nn.compiled_model import CompiledModel
from kpnn.nn.engine.kernels import LINEAR, logits_of, output_gradients_of, values_of
from kpnn.nn.ensemble import is_ensemble, members_of
from kpnn.nn.inputs import as_rows
from kpnn.nn.layer import sparse_dag


def predict(model: keras.Model, cells: Any, *, missing_genes: str = "error") -> pd.DataFrame:
    """Predicts the probability of every output in every cell.

    An ensemble's prediction is the sigmoid (or softmax) of the mean of its members' logits.

    Args:
        model: a model that `build_kpnn` or `build_ensemble` made.
        cells: AnnData (its `X`) or DataFrame, cells x genes, with any further genes in any order: genes are matched by
            name, and the full names of input nodes are accepted too. Or a dense or sparse matrix, cells x `dag.inputs`
            in that order.
        missing_genes: `error`, or `zeros` to take genes that `cells` lacks as not expressed; they are then logged, and
            listed in `.attrs["missing_genes"]` of what is returned.

    Returns:
        Probabilities, cells x outputs: the index holds the cells' names, the columns `dag.outputs`. A linear output's
        value is a logit, and its probability the sigmoid of it. Those of classes that exclude each other (softmax) add
        up to 1 in every cell.

    Raises:
        ModelError: genes are missing or repeated, a matrix has another number of columns, or a value is not finite.

    Examples:
        >>> import pandas as pd
        >>> from kpnn.nn import build_kpnn
        >>> from kpnn.pkn import Dag
        >>> edges = pd.DataFrame({"parent": ["TCR", "ZAP70"], "child": ["ZAP70", "CD69_gene"]})
        >>> model = build_kpnn(Dag.from_edges(edges, outputs=["TCR"]))
        >>> cells = pd.DataFrame({"ACTB": [9.0, 8.0], "CD69": [0.0, 2.5]}, index=["cell1", "cell2"])
        >>> predict(model, cells).shape  # genes of no input are not looked at
        (2, 1)
    """
    if is_ensemble(model):
        table, missing = _ensemble_probabilities(model, cells, missing_genes)
    else:
        layer = sparse_dag(model)
        table, missing = _values(model, cells, layer.dag.outputs, missing_genes)
        linear = layer.activation_codes[layer.layout.outputs] == LINEAR
        if layer.one_of_k:
            classes = softmax(table.to_numpy(dtype=np.float64), axis=1).astype(layer.variable_dtype)
            table = pd.DataFrame(classes, index=table.index, columns=table.columns)
        elif linear.any():
            logits = table.to_numpy()[:, linear]
            table.iloc[:, np.flatnonzero(linear)] = 1 / (1 + np.exp(-np.clip(logits, -80, 80)))
    if missing:
        table.attrs["missing_genes"] = list(missing)
    return table


def node_activations(
    model: keras.Model, cells: Any, nodes: Iterable[str] | None = None, *, missing_genes: str = "error"
) -> pd.DataFrame:
    """Computes the activations of neurons by name, with the trained model as it is.

    Args:
        model: a model that `build_kpnn` made. Of an ensemble, take each of `members_of`: a hidden node may say the
            same with opposite signs in two members, so a mean of its activations would say nothing.
        cells: as for `predict`.
        nodes: neurons, hidden or outputs; by default all, in the order of `dag.neurons`.
        missing_genes: as for `predict`.

    Returns:
        Activations, cells x nodes. Under a softmax an output's activation is its logit.

    Raises:
        ModelError: as `predict`, a node is not a neuron of the model, or the model is an ensemble.

    Examples:
        >>> import pandas as pd
        >>> from kpnn.nn import build_kpnn, set_edge_weights
        >>> from kpnn.pkn import Dag
        >>> edges = pd.DataFrame({"parent": ["TCR", "ZAP70"], "child": ["ZAP70", "CD69_gene"]})
        >>> model = build_kpnn(Dag.from_edges(edges, outputs=["TCR"]))
        >>> set_edge_weights(model, {("ZAP70", "CD69_gene"): 1.0}, {"ZAP70": 0.0})
        >>> found = node_activations(model, pd.DataFrame({"CD69": [0.0, 2.0]}), ["ZAP70"])
        >>> found["ZAP70"].astype(float).round(2).tolist()
        [0.5, 0.88]
    """
    wanted = sparse_dag(model).dag.neurons if nodes is None else nodes
    return _values(model, cells, wanted, missing_genes)[0]


def output_gradients(model: keras.Model, cells: Any, *, missing_genes: str = "error") -> np.ndarray:
    """Computes how each output's prediction changes with each neuron's activation, the other inputs of its parents
    held.

    Args:
        model: a model that `build_kpnn` made; no ensemble.
        cells: as for `predict`.
        missing_genes: as for `predict`.

    Returns:
        Derivatives, outputs x cells x neurons, in the order of `dag.outputs` and `dag.neurons`; 1 for an output by
        itself (for a linear output p(1 - p), because its prediction is the sigmoid p of its value). Of a softmax they
        are those of the class's probability p: by its own logit p(1 - p), by that of a class of probability q -pq.

    Examples:
        >>> import pandas as pd
        >>> from kpnn.nn import build_kpnn, set_edge_weights
        >>> from kpnn.pkn import Dag
        >>> edges = pd.DataFrame({"parent": ["TCR", "ZAP70"], "child": ["ZAP70", "CD69_gene"]})
        >>> model = build_kpnn(Dag.from_edges(edges, outputs=["TCR"]))
        >>> set_edge_weights(model, {("TCR", "ZAP70"): 2.0, ("ZAP70", "CD69_gene"): 0.0}, {"TCR": -1.0, "ZAP70": 0.0})
        >>> gradients = output_gradients(model, pd.DataFrame({"CD69": [2.5]}))  # ZAP70 is 0.5 and TCR p = 0.5
        >>> gradients.shape, gradients[0, 0].tolist()  # of TCR by itself, and by ZAP70: p (1 - p) times the weight
        ((1, 1, 2), [1.0, 0.5])
    """
    rows, names, _ = as_rows(model, cells, missing_genes)
    network = CompiledModel.of(model).predictor
    shape = (len(network.topology.outputs), len(names), len(network.topology.order))
    gradients = np.zeros(shape, dtype=network.state.kernel.dtype)
    output_gradients_of(network, rows, np.arange(len(names)), gradients)
    return gradients


def _ensemble_probabilities(model: keras.Model, cells: Any, missing_genes: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Sigmoid, or softmax, of the members' mean logits, cells x outputs, and the genes taken as zeros."""
    members = members_of(model)
    layer = sparse_dag(members[0])
    # Members share genes, suffix and dtype, so cells are matched and checked once for all of them.
    rows, names, missing = as_rows(members[0], cells, missing_genes)
    total = np.zeros((len(names), len(layer.dag.outputs)))
    logits = np.zeros(total.shape, dtype=layer.variable_dtype)
    for member in members:
        logits_of(CompiledModel.of(member).predictor, rows, np.arange(len(names)), logits)
        total += logits
    mean = total / len(members)
    probabilities = (softmax(mean, axis=1) if layer.one_of_k else expit(mean)).astype(layer.variable_dtype)
    return pd.DataFrame(probabilities, index=names, columns=list(layer.dag.outputs)), missing


def _values(
    model: keras.Model, cells: Any, nodes: Iterable[str], missing_genes: str
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Activations of some neurons, cells x nodes, and the genes taken as zeros."""
    columns = list(nodes)
    neurons = pd.Index(sparse_dag(model).dag.neurons).get_indexer(columns)
    stray = [name for name, place in zip(columns, neurons, strict=True) if place < 0]
    if stray:
        raise ModelError(f"{some_names(stray)} is not a neuron of this model")
    rows, names, missing = as_rows(model, cells, missing_genes)
    network = CompiledModel.of(model).predictor
    values = np.zeros((len(names), len(columns)), dtype=network.state.kernel.dtype)
    values_of(network, rows, np.arange(len(names)), neurons, values)
    return pd.DataFrame(values, index=names, columns=columns), missing
