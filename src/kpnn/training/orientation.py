"""Which way round the hidden neurons of a trained network speak, so that several networks can be averaged.

A network may say the same with a neuron that rises as with one that falls: its sign is arbitrary, and another network's
the opposite. Oriented, a neuron that rises speaks for the output.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    import keras

_CELLS_THAT_SETTLE = 2000
"""Cells whose mean gradient settles a network's orientation."""


def signs_per_output(gradients: np.ndarray, differences: np.ndarray | None = None) -> np.ndarray:
    """For each output +1 where a neuron speaks for it, -1 where it speaks against it.

    Args:
        gradients: mean gradient of each output by each neuron, shape (n_outputs, n_neurons).
        differences: difference of each neuron's mean activation between the output's classes, same shape; decides where
            the gradient is 0.

    Returns:
        Shape (n_outputs, n_neurons); +1 where nothing decides.
    """
    signs = np.sign(gradients)
    if differences is not None:
        signs = np.where(signs == 0, np.sign(differences), signs)
    return np.where(signs == 0, 1.0, signs)


def common_signs(gradients: np.ndarray, differences: np.ndarray | None = None) -> np.ndarray:
    """One sign per neuron for what belongs to no single output: edges, and activations that all outputs read.

    The outputs are weighted 1, 1/2, 1/3 ... in their order: with equal weights, a neuron between two classes that
    exclude each other would speak for both equally, and chance would orient it.

    Args:
        gradients: mean gradient of each output by each neuron, shape (n_outputs, n_neurons).
        differences: as for `signs_per_output`.

    Returns:
        Shape (n_neurons,), +1 or -1.
    """
    weights = 1 / np.arange(1, len(gradients) + 1)
    mean_differences = None if differences is None else (weights @ differences)[None, :]
    return signs_per_output((weights @ gradients)[None, :], mean_differences)[0]


def oriented(activations: np.ndarray, signs: np.ndarray, at_rest: np.ndarray) -> np.ndarray:
    """Mirrors the activations of neurons of sign -1 at their activation at rest: a sigmoid's a becomes 1 - a.

    Args:
        activations: shape (n_cells, n_neurons).
        signs: +1 or -1, shape (n_neurons,).
        at_rest: activation of each neuron where its weighted sum is 0, shape (n_neurons,).
    """
    return np.where(signs < 0, 2 * at_rest - activations, activations)


def signs_of_network(network: keras.Model, cells: Any, *, missing_genes: str = "error") -> np.ndarray:
    """The common signs of one network's neurons, by its mean gradient over the first cells given.

    Args:
        network: a model that `build_kpnn` made; of an ensemble, one of its members.
        cells: as for `kpnn.nn.predict`.
        missing_genes: as for `kpnn.nn.predict`.

    Returns:
        Shape (n_neurons,), +1 or -1, in the order of `dag.neurons`.
    """
    from kpnn.nn import output_gradients

    first = cells[:_CELLS_THAT_SETTLE]
    gradients = output_gradients(network, first, missing_genes=missing_genes).mean(axis=1, dtype=np.float64)
    return common_signs(gradients)


def oriented_activations(
    network: keras.Model, cells: Any, signs: np.ndarray, *, missing_genes: str = "error"
) -> pd.DataFrame:
    """Activations of one network's neurons, each the way round that speaks for the output.

    Args:
        network: a model that `build_kpnn` made; of an ensemble, one of its members.
        cells: as for `kpnn.nn.predict`.
        signs: what `signs_of_network` returned for it.
        missing_genes: as for `kpnn.nn.predict`.

    Returns:
        Cells x neurons, in the order of `dag.neurons`.
    """
    from kpnn.nn import node_activations
    from kpnn.nn.layer import sparse_dag

    table = node_activations(network, cells, missing_genes=missing_genes)
    at_rest = np.array([kind.function(np.zeros(1))[0] for kind in sparse_dag(network).neuron_activations])
    return pd.DataFrame(oriented(table.to_numpy(), signs, at_rest), index=table.index, columns=table.columns)


def mean_activations(
    networks: Iterable[keras.Model], cells: Any, signs: Iterable[np.ndarray], *, missing_genes: str = "error"
) -> pd.DataFrame:
    """`oriented_activations` of several networks on one DAG, averaged.

    Args:
        networks: such as the members of an ensemble.
        cells: as for `kpnn.nn.predict`.
        signs: for each network what `signs_of_network` returned.
        missing_genes: as for `kpnn.nn.predict`.

    Returns:
        Cells x neurons, in the order of `dag.neurons`.
    """
    found = [
        oriented_activations(network, cells, of_network, missing_genes=missing_genes)
        for network, of_network in zip(networks, signs, strict=True)
    ]
    return sum(found[1:], start=found[0]) / len(found)
