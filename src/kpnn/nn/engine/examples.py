"""A network of three nodes, without Keras: what the kernels are called with so that they are compiled.

Importing Keras takes longer than compiling half of the kernels.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kpnn.nn.engine import kernels
from kpnn.nn.engine.kernels import LabelledRows, Network, Networks, Penalties, Rows, Rule, Topology
from kpnn.nn.engine.state import drops_of, initial_state, network_of, together

_FLOAT = np.dtype(np.float32)
"""Of the numbers of a network, as Keras makes them unless told otherwise."""


def example_network() -> Network:
    """An output above a hidden neuron above a gene."""
    both, gene_starts = np.array([0, 1], dtype=np.int32), np.array([0, 1])
    topology = Topology(
        order=both[::-1].copy(),
        outputs=both[:1],
        activations=both.copy(),
        gene_edges=both[1:],
        gene_starts=gene_starts,
        gene_parents=both[1:],
        neuron_edges=both[:1],
        neuron_starts=np.array([0, 0, 1]),
        neuron_children=both[1:],
        signs=np.zeros(2, dtype=np.int8),
    )
    rule = Rule(
        learning_rate=1e-3,
        adam=True,
        signed=False,
        normalization=kernels.NOT_NORMALIZED,
        batch_size=2,
        epsilon=1e-3,
        momentum=0.99,
        one_of_k=False,
    )
    penalties = Penalties(
        kernel_l1=0.0,
        kernel_l2=0.0,
        bias_l1=0.0,
        bias_l2=0.0,
        prior=0.0,
        prior_means=np.zeros(0),
        prior_precisions=np.zeros(0),
    )
    drops = drops_of(np.ones(1), np.ones(2), on_edges=False, dtype=_FLOAT)
    weights, biases = np.ones(2, dtype=_FLOAT), np.zeros(2, dtype=_FLOAT)
    state = initial_state(weights, biases, (np.zeros(1), np.ones(1)), (np.zeros(0), np.zeros(0)))
    return network_of(topology, rule, penalties, drops, state)


def example_cells() -> LabelledRows:
    """Two cells, one of each class."""
    rows = Rows(np.ones(1, dtype=_FLOAT), np.zeros(1, dtype=np.int32), np.array([0, 0, 1]))
    return LabelledRows(rows, np.arange(2), np.array([[0], [1]], dtype=_FLOAT), np.ones((1, 2)))


def _example_networks() -> tuple[Networks, np.ndarray]:
    """As many as there are places for, one of which is trained."""
    return together([example_network()])


def _train_epoch() -> None:
    networks, going = _example_networks()
    kernels.train_epoch(networks, going, example_cells(), np.uint64(1), 0, np.zeros((len(networks), 2)))


def _loss_of() -> None:
    networks, going = _example_networks()
    kernels.loss_of(networks, going, example_cells(), np.zeros(len(networks)))


def _values_of() -> None:
    cells = example_cells()
    kernels.values_of(example_network(), cells.rows, cells.which, np.arange(2), np.zeros((2, 2), dtype=_FLOAT))


def _logits_of() -> None:
    cells = example_cells()
    kernels.logits_of(example_network(), cells.rows, cells.which, np.zeros((2, 1), dtype=_FLOAT))


def _output_gradients_of() -> None:
    cells = example_cells()
    kernels.output_gradients_of(example_network(), cells.rows, cells.which, np.zeros((1, 2, 2), dtype=_FLOAT))


CALLS: dict[str, Callable[[], None]] = {
    "train_epoch": _train_epoch,
    "loss_of": _loss_of,
    "values_of": _values_of,
    "logits_of": _logits_of,
    "output_gradients_of": _output_gradients_of,
}
"""Calls each kernel that takes long to compile, by its name."""
