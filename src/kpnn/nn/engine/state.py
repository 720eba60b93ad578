"""Builds the groups of arrays that the kernels read and write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from kpnn.nn.engine.kernels import (
    BY_BATCH,
    NETWORKS_AT_ONCE,
    Drops,
    Network,
    Networks,
    Penalties,
    Rule,
    Space,
    State,
    Topology,
)

if TYPE_CHECKING:
    from kpnn.nn.engine.layout import Layout

CELLS_AT_ONCE = 64
"""Cells that are computed at once, of a minibatch or outside of training: 64 lanes fit the caches of a core."""


def topology_of(layout: Layout, activations: np.ndarray) -> Topology:
    """Takes from a layout what the kernels read.

    Args:
        layout: the DAG's arrays.
        activations: code of each neuron's activation, shape (n_neurons,), int32.
    """
    return Topology(
        order=layout.order,
        outputs=layout.outputs,
        activations=activations,
        gene_edges=layout.gene_edges,
        gene_starts=layout.gene_starts,
        gene_parents=layout.parents[layout.gene_edges],
        neuron_edges=layout.neuron_edges,
        neuron_starts=layout.neuron_starts,
        neuron_children=layout.children[layout.neuron_edges] - np.int32(layout.n_inputs),
        signs=layout.signs,
    )


def drops_of(genes: np.ndarray, neurons: np.ndarray, *, on_edges: bool, dtype: np.dtype) -> Drops:
    """Turns probabilities of being kept into what a uint32 is compared with.

    Args:
        genes: probability of keeping each input node or, `on_edges`, each gene edge in the order of the kernels.
        neurons: likewise of neurons or neuron edges.
        on_edges: what is dropped.
        dtype: of the network's numbers.
    """
    gene_limits, gene_scales = _limits(genes, dtype)
    neuron_limits, neuron_scales = _limits(neurons, dtype)
    return Drops(
        on_edges=on_edges,
        of_genes=bool((genes < 1).any()),
        of_neurons=bool((neurons < 1).any()),
        gene_limits=gene_limits,
        gene_scales=gene_scales,
        neuron_limits=neuron_limits,
        neuron_scales=neuron_scales,
    )


def _limits(kept: np.ndarray, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Largest uint32 random number at which to keep, and one over the probability of that."""
    numbers = np.clip(np.round(kept * 2.0**32), 1, 2.0**32)
    return (numbers - 1).astype(np.uint32), (2.0**32 / numbers).astype(dtype)


def initial_state(
    kernel: np.ndarray,
    bias: np.ndarray,
    shift_and_scale: tuple[np.ndarray, np.ndarray],
    moving: tuple[np.ndarray, np.ndarray],
) -> State:
    """State before the first step: Adam has seen nothing.

    Args:
        kernel: variable of each edge; becomes the state's own.
        bias: bias of each neuron; becomes the state's own.
        shift_and_scale: of each gene, float64.
        moving: moving mean and variance of each gene, float64, or two empty arrays.
    """
    return State(
        kernel=kernel,
        bias=bias,
        kernel_m=np.zeros_like(kernel),
        kernel_v=np.zeros_like(kernel),
        bias_m=np.zeros_like(bias),
        bias_v=np.zeros_like(bias),
        means=shift_and_scale[0],
        scales=shift_and_scale[1],
        moving_mean=moving[0],
        moving_variance=moving[1],
    )


def network_of(topology: Topology, rule: Rule, penalties: Penalties, drops: Drops, state: State) -> Network:
    """Adds the memory that a network needs to be computed."""
    n_cells, dtype = min(CELLS_AT_ONCE, rule.batch_size), state.kernel.dtype
    n_neurons, n_inputs = len(topology.order), len(topology.gene_starts) - 1
    n_gene_edges, n_neuron_edges = len(topology.gene_edges), len(topology.neuron_edges)
    n_factors = len(drops.neuron_limits) if drops.of_neurons else 0
    n_moments = n_inputs if rule.normalization == BY_BATCH else 0
    space = Space(
        z=np.zeros((n_neurons, n_cells), dtype),
        a=np.zeros((n_neurons, n_cells), dtype),
        seen=np.zeros((n_neurons, n_cells), dtype),
        dz=np.zeros((n_neurons, n_cells), dtype),
        da=np.zeros((n_neurons, n_cells), dtype),
        neuron_factors=np.zeros((n_factors, n_cells), dtype),
        genes=np.zeros((n_inputs, n_cells), dtype),
        cursors=np.zeros((2, n_cells), np.int64),
        sums=np.zeros(n_moments, np.float64),
        squares=np.zeros(n_moments, np.float64),
        weights=np.zeros_like(state.kernel),
        kernel_gradient=np.zeros_like(state.kernel),
        gene_weights=np.zeros(n_gene_edges, dtype),
        gene_factors=np.zeros(n_gene_edges, dtype),
        gene_gradient=np.zeros(n_gene_edges, dtype),
        neuron_weights=np.zeros(n_neuron_edges, dtype),
        neuron_gradient=np.zeros(n_neuron_edges, dtype),
        bias_gradient=np.zeros(n_neurons, dtype),
        keys=np.zeros((2, n_cells), np.uint32),
    )
    return Network(topology, rule, penalties, drops, state, space)


def sharing_genes(network: Network, other: Network) -> Network:
    """The network with the other's memory for dense expression: what one makes dense, both read."""
    space = network.space._replace(genes=other.space.genes, cursors=other.space.cursors)
    return network._replace(space=space)


def together(networks: Sequence[Network]) -> tuple[Networks, np.ndarray]:
    """Networks as `train_epoch` takes them: in the first of its places, and which places those are.

    Args:
        networks: 1 to `NETWORKS_AT_ONCE` networks that share their memory for dense expression.
    """
    n_empty = NETWORKS_AT_ONCE - len(networks)
    return (*networks, *[networks[0]] * n_empty), np.arange(NETWORKS_AT_ONCE) < len(networks)
