"""Reading and setting a model's weights and biases by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import pandas as pd
from keras import ops

from kpnn.errors import ModelError, some_names
from kpnn.nn.layer import raw_weights, sparse_dag


def edge_weights(model: keras.Model) -> pd.Series:
    """Returns the weight of every edge, float32, indexed by `parent` and `child` in the order of `dag.edges`.

    Args:
        model: a model that `build_kpnn` made.

    Returns:
        Shape (n_edges,).

    Raises:
        ModelError: the model is none of `build_kpnn`, or an ensemble (take its `members_of`).

    Examples:
        >>> import pandas as pd
        >>> from kpnn.nn import build_kpnn
        >>> from kpnn.pkn import Dag
        >>> edges = pd.DataFrame({"parent": ["TCR", "ZAP70"], "child": ["ZAP70", "CD69_gene"]})
        >>> model = build_kpnn(Dag.from_edges(edges, outputs=["TCR"]))
        >>> set_edge_weights(model, {("TCR", "ZAP70"): 0.5})
        >>> float(edge_weights(model)["TCR", "ZAP70"])
        0.5
    """
    layer = sparse_dag(model)
    index = pd.MultiIndex.from_frame(layer.dag.edges[["parent", "child"]])
    weights = ops.convert_to_numpy(layer.weights_of(ops.convert_to_tensor(layer.kernel)))
    return pd.Series(np.array(weights), index=index, name="weight")


def biases(model: keras.Model) -> pd.Series:
    """Returns the bias of every neuron, float32, indexed by `neuron` in the order of `dag.neurons`.

    Args:
        model: a model that `build_kpnn` made.

    Returns:
        Shape (n_neurons,).

    Raises:
        ModelError: as `edge_weights`.

    Examples:
        >>> import pandas as pd
        >>> from kpnn.nn import build_kpnn
        >>> from kpnn.pkn import Dag
        >>> edges = pd.DataFrame({"parent": ["TCR", "ZAP70"], "child": ["ZAP70", "CD69_gene"]})
        >>> model = build_kpnn(Dag.from_edges(edges, outputs=["TCR"]))
        >>> set_edge_weights(model, {}, {"ZAP70": -0.25})
        >>> biases(model).to_dict()
        {'TCR': 0.0, 'ZAP70': -0.25}
    """
    layer = sparse_dag(model)
    index = pd.Index(layer.dag.neurons, name="neuron")
    return pd.Series(np.array(ops.convert_to_numpy(layer.bias)), index=index, name="bias")


def set_edge_weights(
    model: keras.Model,
    weights: Mapping[tuple[str, str], float] | pd.Series,
    biases: Mapping[str, float] | pd.Series | None = None,
) -> None:
    """Sets the weights of some edges, and the biases of some neurons; the others stay as they are.

    Args:
        model: a model that `build_kpnn` made.
        weights: (parent, child) -> weight, as a mapping or as `edge_weights` returns it.
        biases: neuron -> bias, likewise.

    Raises:
        ModelError: an edge or a neuron is not the model's, a value is not finite, or the model is signed and a weight
            has the other sign than its edge. Nothing is set then.

    Examples:
        >>> import pandas as pd
        >>> from kpnn.nn import build_kpnn
        >>> from kpnn.pkn import Dag
        >>> edges = pd.DataFrame({"parent": ["TCR", "ZAP70"], "child": ["ZAP70", "CD69_gene"]})
        >>> model = build_kpnn(Dag.from_edges(edges, outputs=["TCR"]))
        >>> set_edge_weights(model, {("ZAP70", "CD69_gene"): 1.5}, {"TCR": 0.5})
        >>> set_edge_weights(model, {("TCR", "LCK"): 1.0})
        Traceback (most recent call last):
        kpnn.errors.ModelError: ('TCR', 'LCK') is not among the edges of this model's DAG
    """
    layer = sparse_dag(model)
    index = pd.MultiIndex.from_frame(layer.dag.edges[["parent", "child"]])
    new_weights = np.array(edge_weights(model), dtype=np.float64)
    at, values = _found(index, _mapping(weights), "edge")
    new_weights[at] = values
    if layer.edge_signs is not None:
        signs = layer.edge_signs[at]
        wrong = [
            index[place] for place, sign, value in zip(at, signs, values, strict=True) if sign and sign * value <= 0
        ]
        if wrong:
            raise ModelError(f"the model is signed: weight of {some_names(wrong)} must have the sign of its edge")
        given = np.zeros(len(index), dtype=bool)
        given[at] = True
        raw = raw_weights(new_weights, layer.edge_signs)
        new_weights = np.where(given, raw, np.array(ops.convert_to_numpy(layer.kernel), dtype=np.float64))
    new_biases = np.array(ops.convert_to_numpy(layer.bias), dtype=np.float64)
    at, values = _found(pd.Index(layer.dag.neurons), _mapping(biases), "neuron")
    new_biases[at] = values
    layer.kernel.assign(new_weights.astype(layer.variable_dtype))
    layer.bias.assign(new_biases.astype(layer.variable_dtype))


def _mapping(given: Mapping[Any, float] | pd.Series | None) -> dict[Any, float]:
    return {} if given is None else {name: float(value) for name, value in given.items()}


def _found(index: pd.Index, given: Mapping[Any, float], what: str) -> tuple[np.ndarray, np.ndarray]:
    """Places in `index` of the keys of `given`, and their values."""
    names = list(given)
    if not names:
        return np.zeros(0, dtype=int), np.zeros(0)
    places = index.get_indexer(pd.Index(names))
    stray = [name for name, place in zip(names, places, strict=True) if place < 0]
    if stray:
        raise ModelError(f"{some_names(stray)} is not among the {what}s of this model's DAG")
    values = np.array([given[name] for name in names], dtype=np.float64)
    bad = [name for name, value in zip(names, values, strict=True) if not np.isfinite(value)]
    if bad:
        raise ModelError(f"value given for {what} {some_names(bad)} is not finite")
    return places, values
