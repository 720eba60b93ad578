"""Do all networks of an arm mean the same by a node?"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from kpnn.interpretation.frozen import FrozenNetwork
from kpnn.interpretation.trained_fold import TrainedFold, expression_for
from kpnn.interpretation.weights import gradient_weights
from kpnn.training.data import LabelledCells
from kpnn.training.orientation import common_signs, oriented

_MOST_CELLS, _LEAST_CELLS = 1000, 200
"""Cells that networks are compared on: a correlation of 0.5 is known within 0.025 by the most, 0.055 by the least."""
_MOST_VALUES = 50_000_000
"""Of networks x cells x neurons, of which a few copies are held: beyond, fewer cells are compared."""


def lowest_over_networks(
    folds: Sequence[TrainedFold], cells: LabelledCells, neurons: Sequence[str], seed: int
) -> pd.DataFrame:
    """For each neuron the lowest correlation of its oriented activations in two networks, of all folds and members.

    Networks see the same cells here, whether they were trained on them or not: what is compared is what they compute,
    not how well they predict.

    Args:
        folds: an arm's folds. Networks that were trained only to weigh nodes are not among them: of more networks the
            lowest would be lower, however much they agree.
        cells: all cells, in memory; at most 1,000 of them, drawn at random, are looked at, fewer (no fewer than 200)
            where there are many networks of many neurons.
        neurons: names of neurons that all folds have.
        seed: of that draw.

    Returns:
        A row for each `repeat` (the index), a column per neuron; NaN where a repeat has one network only.
    """
    n_cells, n_values = len(cells.labels), len(neurons) * sum(len(one.members) for one in folds)
    most = min(_MOST_CELLS, max(_LEAST_CELLS, _MOST_VALUES // max(n_values, 1)))
    rows = np.arange(n_cells)
    if n_cells > most:
        rows = np.sort(np.random.default_rng(seed).choice(n_cells, most, replace=False))
    repeats = sorted({one.repeat for one in folds})
    lowest = []
    for repeat in repeats:
        found = [
            _centred_activations(FrozenNetwork.of(member), expression_for(one.dag, cells, rows), neurons)
            for one in folds
            if one.repeat == repeat
            for member in one.members
        ]
        lowest.append(lowest_correlations(np.stack(found)))
    return pd.DataFrame(np.stack(lowest), index=pd.Index(repeats, name="repeat"), columns=list(neurons))


def lowest_correlations(activations: np.ndarray) -> np.ndarray:
    """For each neuron the lowest correlation of its activations in two networks; 0 where one of them does not vary.

    Args:
        activations: oriented, shape (n_networks, n_cells, n_neurons).

    Returns:
        Shape (n_neurons,); NaN for a single network.
    """
    n_networks, _, n_neurons = activations.shape
    if n_networks < 2:
        return np.full(n_neurons, np.nan)
    centred = activations - activations.mean(axis=1, keepdims=True)
    sizes = np.linalg.norm(centred, axis=1, keepdims=True)
    scaled = np.divide(centred, sizes, out=np.zeros_like(centred), where=sizes > 1e-9)
    lowest = np.full(n_neurons, 1.0)
    for first, second in combinations(scaled, 2):
        lowest = np.minimum(lowest, np.einsum("cn,cn->n", first, second))
    return lowest


def _centred_activations(network: FrozenNetwork, expression: csr_matrix, neurons: Sequence[str]) -> np.ndarray:
    """Activations of some neurons less their means, each the way round that speaks for the output.

    In single precision, of which what varies little has enough digits once its mean is off.
    """
    genes = network.genes_in(expression)
    signs = common_signs(gradient_weights(network, genes))
    act = oriented(network.run(genes).act, signs, network.at_rest)[:, network.places_of(neurons)]
    return (act - act.mean(axis=0)).astype(np.float32)
