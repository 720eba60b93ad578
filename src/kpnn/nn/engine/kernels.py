"""The network's arithmetic, compiled: whole epochs of training, losses, and values of neurons, from sparse cells.

One call computes on one core without holding Python's lock, so that several networks can train at the same time, each
exactly as it would alone. Values of neurons are held as neurons x cells, so that a step along an edge is one vector
operation over cells.

Cells are sparse in memory and made dense a few at a time: at a tenth of the entries stored, running through all
entries in vector lanes is several times faster than jumping to the stored ones. Making them dense is half of the work
of a small network, so networks that learn from the same cells in the same order share it.

Random numbers are a function of a key (one per cell and epoch) and of what they decide (an edge, a gene or a neuron),
so forward and backward agree on them without storing any, and lanes draw theirs side by side.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit, uint32, uint64

from kpnn.compiled import FLAGS, entry

# Sums over the cells of a minibatch may be reordered into vector lanes: the same on every run of one machine.
LANES: dict[str, Any] = {**FLAGS, "fastmath": {"reassoc", "contract", "nsz"}}

# Kinds of normalization.
NOT_NORMALIZED, BY_STORED_MOMENTS, BY_BATCH = 0, 1, 2

# Activations. Their formulas are in `activate` and `back_through_activation` below: numba decides by this file alone
# whether kept code is still good, so kernels that read the table of `kpnn.nn.activations` would go stale unnoticed.
LINEAR, SIGMOID, TANH, RELU, LEAKY_RELU, ELU, SELU, SILU, SOFTPLUS, SOFTSIGN, HARD_SIGMOID = range(11)

GENES_AT_ONCE = 1024
"""Genes that are made dense and summed before the next are: of 64 cells a quarter of a megabyte, which a core keeps
near beside the sums of several networks."""

NETWORKS_AT_ONCE = 3
"""Places for networks that share cells. With five a step took a tenth less, and compiling it half as long again."""


class Rows(NamedTuple):
    """Cells x input nodes in CSR form, the genes of a cell in their order: `indices` int32, `indptr` int64."""

    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray


class LabelledRows(NamedTuple):
    """Some rows of a matrix, and the labels of all of its rows."""

    rows: Rows
    which: np.ndarray  # int64: the rows meant, in the order in which they are visited
    labels: np.ndarray  # rows x outputs, from 0 to 1
    label_weights: np.ndarray  # outputs x 2, float64: what a cell of label 0, and of label 1, weighs in the loss;
    # of classes that exclude each other what a cell of the class weighs is that of label 1


class Topology(NamedTuple):
    """What is fixed by the DAG and the activations; see `kpnn.nn.engine.layout.Layout`."""

    order: np.ndarray
    outputs: np.ndarray
    activations: np.ndarray  # codes, by neuron
    gene_edges: np.ndarray
    gene_starts: np.ndarray
    gene_parents: np.ndarray
    neuron_edges: np.ndarray
    neuron_starts: np.ndarray
    neuron_children: np.ndarray
    signs: np.ndarray


class Rule(NamedTuple):
    """How a step is made."""

    learning_rate: float
    adam: bool
    signed: bool
    normalization: int
    batch_size: int
    epsilon: float  # of batch normalization
    momentum: float  # of its moving averages
    one_of_k: bool  # whether the outputs are classes that exclude each other, and so linear: logits of one softmax


class Penalties(NamedTuple):
    """What is added to the loss.

    l1 * sum |value| + l2 * sum value^2, and prior / 2 * sum (weight - mean)^2 * precision.
    """

    kernel_l1: float
    kernel_l2: float
    bias_l1: float
    bias_l2: float
    prior: float
    prior_means: np.ndarray  # float64, by edge; empty where there is no prior
    prior_precisions: np.ndarray  # likewise


class Drops(NamedTuple):
    """What is dropped: an entry is kept where its random number, uint32, is at most `*_limits`.

    `on_edges` tells whether entries of `gene_limits` are gene edges or genes, and of `neuron_limits` neuron edges or
    neurons; `*_scales` is one over the probability of being kept.
    """

    on_edges: bool
    of_genes: bool
    of_neurons: bool
    gene_limits: np.ndarray
    gene_scales: np.ndarray
    neuron_limits: np.ndarray
    neuron_scales: np.ndarray


class State(NamedTuple):
    """What training changes: weights' arrays by edge, biases' by neuron, those of the normalization by gene."""

    kernel: np.ndarray
    bias: np.ndarray
    kernel_m: np.ndarray  # Adam's mean of the gradient
    kernel_v: np.ndarray  # and of its square
    bias_m: np.ndarray
    bias_v: np.ndarray
    means: np.ndarray  # float64: what is subtracted
    scales: np.ndarray  # float64: what the difference is multiplied with
    moving_mean: np.ndarray  # float64
    moving_variance: np.ndarray


class Space(NamedTuple):
    """Memory for the cells of a minibatch that are computed at once; neurons x cells unless said otherwise."""

    z: np.ndarray  # pre-activations
    a: np.ndarray  # activations
    seen: np.ndarray  # activations as parents see them, where neurons are dropped
    dz: np.ndarray
    da: np.ndarray
    neuron_factors: np.ndarray  # neuron edges (or neurons) x cells: 0 or one over the probability of being kept
    genes: np.ndarray  # input nodes x cells
    cursors: np.ndarray  # int64, 2 x cells: places in the rows of the next gene to be made dense, and of the end
    sums: np.ndarray  # float64, by gene, of x in a minibatch, where it is normalized by itself
    squares: np.ndarray  # likewise of x^2
    weights: np.ndarray  # by edge: the signed weights, where `signed`
    kernel_gradient: np.ndarray  # by edge
    gene_weights: np.ndarray  # by gene edge, with normalization and dropout's scale multiplied in
    gene_factors: np.ndarray  # those two factors, by gene edge
    gene_gradient: np.ndarray  # by gene edge
    neuron_weights: np.ndarray  # by neuron edge
    neuron_gradient: np.ndarray  # by neuron edge
    bias_gradient: np.ndarray  # by neuron
    keys: np.ndarray  # uint32, 2 x cells


class Network(NamedTuple):
    """One network, all that computing and training it needs but cells."""

    topology: Topology
    rule: Rule
    penalties: Penalties
    drops: Drops
    state: State
    space: Space


Networks = tuple[Network, ...]
"""Some networks that read the same expression; of one type, so that a loop may run over them."""


@entry
def random_number(what: Any, first_key: Any, second_key: Any) -> Any:
    """A uint32, uniform, for the thing numbered `what` under a pair of keys: two rounds of multiply and shift."""
    h = uint32(uint32(what) * uint32(0x9E3779B1) + first_key)
    h ^= h >> uint32(16)
    h = uint32(h * uint32(0x7FEB352D))
    h ^= second_key
    h ^= h >> uint32(15)
    h = uint32(h * uint32(0x846CA68B))
    h ^= h >> uint32(16)
    return uint32(h)


@njit(**FLAGS)
def fill_keys(keys: np.ndarray, base: np.uint64, first: int, n: int) -> None:
    """Draws the pair of keys of n cells from the one at `first` in an epoch (SplitMix64: Steele, Lea & Flood 2014)."""
    for b in range(n):
        x = uint64(base) + uint64(first + b + 1) * uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> uint64(30))) * uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> uint64(27))) * uint64(0x94D049BB133111EB)
        x = x ^ (x >> uint64(31))
        keys[0, b] = uint32(x & uint64(0xFFFFFFFF))
        keys[1, b] = uint32(x >> uint64(32))


@njit(**FLAGS)
def activate(code: int, z: np.ndarray, a: np.ndarray, n: int) -> None:
    """Writes the activations of one neuron; `code` is one of the codes above."""
    # Constants of the network's own dtype: a float64 among them would turn a whole float32 loop into float64. One
    # branch for a neuron and a loop in each, not the other way round, so that each loop is vector code.
    one = z.dtype.type(1)
    zero = z.dtype.type(0)
    if code == LINEAR:
        for b in range(n):
            a[b] = z[b]
    elif code == SIGMOID:
        for b in range(n):
            a[b] = one / (one + np.exp(-z[b]))
    elif code == TANH:
        for b in range(n):
            a[b] = np.tanh(z[b])
    elif code == RELU:
        for b in range(n):
            a[b] = max(z[b], zero)
    elif code == LEAKY_RELU:
        slope = z.dtype.type(0.2)
        for b in range(n):
            a[b] = z[b] if z[b] > zero else slope * z[b]
    elif code == ELU:
        for b in range(n):
            a[b] = z[b] if z[b] > zero else np.expm1(z[b])
    elif code == SELU:
        scale = z.dtype.type(1.0507009873554805)
        alpha = z.dtype.type(1.7580993408473766)
        for b in range(n):
            a[b] = scale * z[b] if z[b] > zero else alpha * np.expm1(z[b])
    elif code == SILU:
        for b in range(n):
            a[b] = z[b] / (one + np.exp(-z[b]))
    elif code == SOFTPLUS:
        for b in range(n):
            a[b] = max(z[b], zero) + np.log1p(np.exp(-abs(z[b])))
    elif code == SOFTSIGN:
        for b in range(n):
            a[b] = z[b] / (one + abs(z[b]))
    else:
        half = z.dtype.type(0.5)
        sixth = z.dtype.type(1 / 6)
        for b in range(n):
            a[b] = min(max(z[b] * sixth + half, zero), one)


@njit(**FLAGS)
def back_through_activation(code: int, z: np.ndarray, a: np.ndarray, da: np.ndarray, dz: np.ndarray, n: int) -> None:
    """Adds da * act'(z) of one neuron to dz.

    It adds because an output's dz already holds the gradient of the loss, taken from its logit.
    """
    one = z.dtype.type(1)
    zero = z.dtype.type(0)
    if code == LINEAR:
        for b in range(n):
            dz[b] += da[b]
    elif code == SIGMOID:
        for b in range(n):
            dz[b] += da[b] * a[b] * (one - a[b])
    elif code == TANH:
        for b in range(n):
            dz[b] += da[b] * (one - a[b] * a[b])
    elif code == RELU:
        for b in range(n):
            dz[b] += da[b] if z[b] > zero else zero
    elif code == LEAKY_RELU:
        slope = z.dtype.type(0.2)
        for b in range(n):
            dz[b] += da[b] if z[b] > zero else slope * da[b]
    elif code == ELU:
        for b in range(n):
            dz[b] += da[b] if z[b] > zero else da[b] * (a[b] + one)
    elif code == SELU:
        scale = z.dtype.type(1.0507009873554805)
        alpha = z.dtype.type(1.7580993408473766)
        for b in range(n):
            dz[b] += da[b] * (scale if z[b] > zero else a[b] + alpha)
    elif code == SILU:
        for b in range(n):
            s = one / (one + np.exp(-z[b]))
            dz[b] += da[b] * s * (one + z[b] * (one - s))
    elif code == SOFTPLUS:
        for b in range(n):
            dz[b] += da[b] / (one + np.exp(-z[b]))
    elif code == SOFTSIGN:
        for b in range(n):
            d = one + abs(z[b])
            dz[b] += da[b] / (d * d)
    else:
        sixth = z.dtype.type(1 / 6)
        three = z.dtype.type(3)
        for b in range(n):
            dz[b] += da[b] * sixth if abs(z[b]) < three else zero


@njit(**FLAGS)
def fill_genes(network: Network, rows: Rows, n: int, start: int, stop: int) -> None:
    """Writes centred expression of the genes from `start` to `stop`, input nodes x cells, with dropped genes at 0.

    Genes are visited in their order, and those of a cell are sorted: `cursors` tells where each cell's next one is, and
    where its last one ends.
    """
    genes, means, drops, space = network.space.genes, network.state.means, network.drops, network.space
    # What is not stored is 0 before centring. Centring happens in float64: of a gene whose mean is far larger than its
    # spread, float32 would leave little of the difference.
    for gene in range(start, stop):
        for b in range(n):
            genes[gene, b] = -means[gene]
    # Numbers without a sign: of one that could be negative every use would ask whether it counts from the end, which
    # took as long as all else here.
    for b in range(n):
        t, end = uint64(space.cursors[0, b]), uint64(space.cursors[1, b])
        while t < end:
            column = uint64(uint32(rows.indices[t]))
            if column >= uint64(stop):
                break
            genes[column, b] = np.float64(rows.data[t]) - means[column]
            t += uint64(1)
        space.cursors[0, b] = t
    if drops.of_genes and not drops.on_edges:
        first_keys, second_keys = space.keys[0], space.keys[1]
        for gene in range(start, stop):
            limit = drops.gene_limits[gene]
            for b in range(n):
                if random_number(gene, first_keys[b], second_keys[b]) > limit:
                    genes[gene, b] = 0


@njit(**LANES)
def add_gene_sums(network: Network, n: int, start: int, stop: int) -> None:
    """Adds the sums over edges of the genes from `start` to `stop` to z."""
    topology, drops, space = network.topology, network.drops, network.space
    first_keys, second_keys = space.keys[0], space.keys[1]
    zero = space.z.dtype.type(0)
    on_edges = drops.of_genes and drops.on_edges
    for gene in range(start, stop):
        x = space.genes[gene]
        for k in range(topology.gene_starts[gene], topology.gene_starts[gene + 1]):
            z = space.z[topology.gene_parents[k]]
            w = space.gene_weights[k]
            if on_edges:
                limit = drops.gene_limits[k]
                # A choice between two values and no jump: lanes stay lanes, and drawing costs less than reading.
                for b in range(n):
                    kept = random_number(k, first_keys[b], second_keys[b]) <= limit
                    z[b] += x[b] * w if kept else zero
            else:
                for b in range(n):
                    z[b] += x[b] * w


@njit(**FLAGS)
def biases_to_z(network: Network, n: int) -> None:
    """Sets z to the biases."""
    biases, z = network.state.bias, network.space.z
    for v in range(len(biases)):
        for b in range(n):
            z[v, b] = biases[v]


@njit(**FLAGS)
def gene_sums(networks: Networks, going: np.ndarray, rows: Rows, which: np.ndarray, first: int, n: int) -> None:
    """Computes centred expression, once for all networks, and z = biases + sums over gene edges of each."""
    space, n_genes = networks[0].space, len(networks[0].state.means)
    # One look at a place of a tuple is one copy of all that stands there, and takes its time to compile.
    for i in range(len(networks)):
        if going[i]:
            biases_to_z(networks[i], n)
    for b in range(n):
        cell = which[first + b]
        space.cursors[0, b], space.cursors[1, b] = rows.indptr[cell], rows.indptr[cell + 1]
    for start in range(0, n_genes, GENES_AT_ONCE):
        stop = min(start + GENES_AT_ONCE, n_genes)
        fill_genes(networks[0], rows, n, start, stop)
        for i in range(len(networks)):
            if going[i]:
                add_gene_sums(networks[i], n, start, stop)


@njit(**LANES)
def add_gene_gradients(network: Network, n: int, start: int, stop: int) -> None:
    """Adds x * dz, summed over the cells, to `space.gene_gradient` of the genes from `start` to `stop`."""
    topology, drops, space = network.topology, network.drops, network.space
    first_keys, second_keys = space.keys[0], space.keys[1]
    zero = space.z.dtype.type(0)
    on_edges = drops.of_genes and drops.on_edges
    for gene in range(start, stop):
        x = space.genes[gene]
        for k in range(topology.gene_starts[gene], topology.gene_starts[gene + 1]):
            dz = space.dz[topology.gene_parents[k]]
            total = zero
            if on_edges:
                # The same numbers as in `add_gene_sums`, drawn again: to keep them would be one per edge and cell.
                limit = drops.gene_limits[k]
                for b in range(n):
                    kept = random_number(k, first_keys[b], second_keys[b]) <= limit
                    total += x[b] * dz[b] if kept else zero
            else:
                for b in range(n):
                    total += x[b] * dz[b]
            space.gene_gradient[k] += total


@njit(**FLAGS)
def gene_gradients(networks: Networks, going: np.ndarray, n: int) -> None:
    """Adds the gradients of all gene edges of each network; the genes are dense from `gene_sums` on."""
    n_genes = len(networks[0].state.means)
    for start in range(0, n_genes, GENES_AT_ONCE):
        stop = min(start + GENES_AT_ONCE, n_genes)
        for i in range(len(networks)):
            if going[i]:
                add_gene_gradients(networks[i], n, start, stop)


@njit(**FLAGS)
def fill_neuron_factors(n: int, drops: Drops, space: Space) -> None:
    """Draws for every neuron edge (or neuron) and cell: 0 or one over the probability of being kept."""
    first_keys, second_keys = space.keys[0], space.keys[1]
    zero = space.z.dtype.type(0)
    # Neurons are numbered downwards from the largest number, genes upwards from 0: no random number is used twice.
    for k in range(len(drops.neuron_limits)):
        limit, scale, factors = drops.neuron_limits[k], drops.neuron_scales[k], space.neuron_factors[k]
        what = uint32(0xFFFFFFFF) - uint32(k)
        for b in range(n):
            factors[b] = scale if random_number(what, first_keys[b], second_keys[b]) <= limit else zero


@njit(**LANES)
def neuron_values(topology: Topology, n: int, drops: Drops, space: Space) -> None:
    """From z with the genes' part in it: z, a and seen of every neuron, in computing order."""
    on_edges, on_neurons = drops.of_neurons and drops.on_edges, drops.of_neurons and not drops.on_edges
    seen = space.seen if on_neurons else space.a
    # In computing order, so that every child is done before its parents read it.
    for place in range(len(topology.order)):
        v = topology.order[place]
        z = space.z[v]
        for k in range(topology.neuron_starts[place], topology.neuron_starts[place + 1]):
            child = seen[topology.neuron_children[k]]
            w = space.neuron_weights[k]
            if on_edges:
                factors = space.neuron_factors[k]
                for b in range(n):
                    z[b] += w * factors[b] * child[b]
            else:
                for b in range(n):
                    z[b] += w * child[b]
        activate(topology.activations[v], z, space.a[v], n)
        if on_neurons:
            for b in range(n):
                seen[v, b] = space.a[v, b] * space.neuron_factors[v, b]


@njit(**LANES)
def neuron_gradients(topology: Topology, n: int, drops: Drops, space: Space) -> None:
    """From dz of the outputs (0 elsewhere): dz and da of all; adds to gradients of neuron edges and biases."""
    on_edges, on_neurons = drops.of_neurons and drops.on_edges, drops.of_neurons and not drops.on_edges
    seen = space.seen if on_neurons else space.a
    zero = space.z.dtype.type(0)
    for v in range(len(topology.order)):
        for b in range(n):
            space.da[v, b] = zero
    # From the outputs down: when a neuron's turn comes, all of its parents have added to its da.
    for place in range(len(topology.order) - 1, -1, -1):
        v = topology.order[place]
        dz, da = space.dz[v], space.da[v]
        if on_neurons:
            for b in range(n):
                da[b] *= space.neuron_factors[v, b]
        back_through_activation(topology.activations[v], space.z[v], space.a[v], da, dz, n)
        total = zero
        for b in range(n):
            total += dz[b]
        space.bias_gradient[v] += total
        for k in range(topology.neuron_starts[place], topology.neuron_starts[place + 1]):
            child, of_child = seen[topology.neuron_children[k]], space.da[topology.neuron_children[k]]
            w = space.neuron_weights[k]
            total = zero
            if on_edges:
                factors = space.neuron_factors[k]
                for b in range(n):
                    total += factors[b] * dz[b] * child[b]
                    of_child[b] += w * factors[b] * dz[b]
            else:
                for b in range(n):
                    total += dz[b] * child[b]
                    of_child[b] += w * dz[b]
            space.neuron_gradient[k] += total


@entry
def add_moments(rows: Rows, which: np.ndarray, first: int, n: int, sums: np.ndarray, squares: np.ndarray) -> None:
    """Adds x and x^2 of some cells, gene by gene, to two float64 arrays."""
    for cell in which[first : first + n]:
        for t in range(rows.indptr[cell], rows.indptr[cell + 1]):
            x = np.float64(rows.data[t])
            sums[rows.indices[t]] += x
            squares[rows.indices[t]] += x * x


@entry
def add_squared_deviations(
    rows: Rows, which: np.ndarray, means: np.ndarray, deviations: np.ndarray, stored: np.ndarray
) -> None:
    """Adds (x - mean)^2 of the stored values of some cells, gene by gene, and counts them."""
    for cell in which:
        for t in range(rows.indptr[cell], rows.indptr[cell + 1]):
            gene = rows.indices[t]
            deviations[gene] += (np.float64(rows.data[t]) - means[gene]) ** 2
            stored[gene] += 1


@njit(**FLAGS)
def load_weights(network: Network) -> None:
    """Brings the weights into the order of the kernels, normalization and dropout's scales multiplied in."""
    topology, drops, state, space = network.topology, network.drops, network.state, network.space
    kernel, weights, signs = state.kernel, space.weights, topology.signs
    if network.rule.signed:  # sign * softplus(variable), in the form that does not overflow
        for e in range(len(kernel)):
            weights[e] = kernel[e]
            if signs[e] != 0:
                weights[e] = signs[e] * (max(kernel[e], 0) + np.log1p(np.exp(-abs(kernel[e]))))
    else:
        for e in range(len(kernel)):
            weights[e] = kernel[e]
    # Scales go into the weights once a step, not into the expression of every cell.
    for gene in range(len(topology.gene_starts) - 1):
        scale = state.scales[gene]
        if drops.of_genes and not drops.on_edges:
            scale *= drops.gene_scales[gene]
        for k in range(topology.gene_starts[gene], topology.gene_starts[gene + 1]):
            factor = scale
            if drops.of_genes and drops.on_edges:
                factor *= drops.gene_scales[k]
            space.gene_factors[k] = factor
            space.gene_weights[k] = weights[topology.gene_edges[k]] * factor
    for k in range(len(topology.neuron_edges)):
        space.neuron_weights[k] = weights[topology.neuron_edges[k]]


@njit(**FLAGS)
def neurons_of(network: Network, n: int) -> None:
    """From z with the genes' part in it: every neuron, some of them dropped."""
    if network.drops.of_neurons:
        fill_neuron_factors(n, network.drops, network.space)
    neuron_values(network.topology, n, network.drops, network.space)


@njit(**FLAGS)
def forward_all(networks: Networks, going: np.ndarray, rows: Rows, which: np.ndarray, first: int, n: int) -> None:
    """Computes every neuron of some networks for n cells, as many as the space holds or fewer."""
    gene_sums(networks, going, rows, which, first, n)
    for i in range(len(networks)):
        if going[i]:
            neurons_of(networks[i], n)


@njit(**FLAGS)
def forward(network: Network, rows: Rows, which: np.ndarray, first: int, n: int) -> None:
    """Likewise of one network."""
    forward_all((network,), np.ones(1, np.bool_), rows, which, first, n)


@njit(**FLAGS)
def zero_dz(n: int, space: Space) -> None:
    """Sets dz to 0."""
    for v in range(len(space.dz)):
        for b in range(n):
            space.dz[v, b] = 0


@njit(**FLAGS)
def cross_entropy(network: Network, cells: LabelledRows, first: int, n: int, of: int, with_gradient: bool) -> float:
    """Sums weight * cross-entropy over n cells, from logits, as their part of the mean over `of` cells and all outputs.

    Its gradient goes into dz of the outputs.
    """
    space, outputs, label_weights = network.space, network.topology.outputs, cells.label_weights
    total = 0.0
    n_outputs = len(outputs)
    for o in range(n_outputs):
        v = outputs[o]
        for b in range(n):
            z = np.float64(space.z[v, b])
            y = np.float64(cells.labels[cells.which[first + b], o])
            weight = y * label_weights[o, 1] + (1.0 - y) * label_weights[o, 0]
            # log(1 + exp(z)) - z * y by an exponential that is at most 1: no probability is ever rounded to 0 or 1.
            shrunk = np.exp(-abs(z))
            total += weight * (max(z, 0.0) - z * y + np.log1p(shrunk))
            if with_gradient:
                p = 1.0 / (1.0 + shrunk) if z >= 0 else shrunk / (1.0 + shrunk)
                space.dz[v, b] = weight * (p - y) / (of * n_outputs)
    return total / (of * n_outputs)


@njit(**FLAGS)
def log_of_summed_exponentials(outputs: np.ndarray, b: int, space: Space) -> float:
    """log(sum over outputs of exp(logit)) of one cell, float64: what the softmax takes off every logit."""
    largest = -np.inf
    for v in outputs:
        largest = max(largest, np.float64(space.z[v, b]))
    # By exponentials that are at most 1, one of them 1: nothing overflows and the sum is never 0.
    total = 0.0
    for v in outputs:
        total += np.exp(np.float64(space.z[v, b]) - largest)
    return largest + np.log(total)


@njit(**FLAGS)
def class_cross_entropy(
    network: Network, cells: LabelledRows, first: int, n: int, of: int, with_gradient: bool
) -> float:
    """Sums weight * cross-entropy over classes of n cells, from logits, as their part of the mean over `of` cells.

    Its gradient goes into dz of the outputs.
    """
    space, outputs, label_weights = network.space, network.topology.outputs, cells.label_weights
    total = 0.0
    n_outputs = len(outputs)
    for b in range(n):
        cell = cells.which[first + b]
        log_sum = log_of_summed_exponentials(outputs, b, space)
        mass = 0.0
        for o in range(n_outputs):
            weight = np.float64(cells.labels[cell, o]) * label_weights[o, 1]
            total += weight * (log_sum - np.float64(space.z[outputs[o], b]))
            mass += weight
        if with_gradient:
            for o in range(n_outputs):
                v = outputs[o]
                p = np.exp(np.float64(space.z[v, b]) - log_sum)
                space.dz[v, b] = (mass * p - np.float64(cells.labels[cell, o]) * label_weights[o, 1]) / of
    return total / of


@njit(**FLAGS)
def label_loss(network: Network, cells: LabelledRows, first: int, n: int, of: int, with_gradient: bool) -> float:
    """The cross-entropy that the network's outputs ask for: each with its own label, or one over all classes."""
    if with_gradient:  # of all neurons but the outputs it starts at 0
        zero_dz(n, network.space)
    if network.rule.one_of_k:
        return class_cross_entropy(network, cells, first, n, of, with_gradient)
    return cross_entropy(network, cells, first, n, of, with_gradient)


@njit(**FLAGS)
def penalty_of(values: np.ndarray, l1: float, l2: float) -> float:
    """L1 * sum |value| + l2 * sum value^2, float64."""
    total = 0.0
    for i in range(len(values)):
        value = np.float64(values[i])
        total += l1 * abs(value) + l2 * value * value
    return total


@njit(**FLAGS)
def add_penalty_gradient(values: np.ndarray, gradient: np.ndarray, l1: float, l2: float) -> None:
    """Adds the gradient of `penalty_of` to a gradient."""
    first, second = gradient.dtype.type(l1), gradient.dtype.type(2 * l2)
    for i in range(len(values)):
        gradient[i] += second * values[i]
        if values[i] > 0:
            gradient[i] += first
        elif values[i] < 0:
            gradient[i] -= first


@njit(**FLAGS)
def add_prior(weights: np.ndarray, gradient: np.ndarray, penalties: Penalties) -> float:
    """The prior's part of the loss, float64; adds its gradient to a gradient."""
    total = 0.0
    for e in range(len(weights)):
        away = np.float64(weights[e]) - penalties.prior_means[e]
        slope = penalties.prior * penalties.prior_precisions[e] * away
        total += 0.5 * slope * away
        gradient[e] += slope
    return total


@njit(**FLAGS)
def descend(values: np.ndarray, gradient: np.ndarray, m: np.ndarray, v: np.ndarray, step: int, rule: Rule) -> None:
    """Makes one step of Adam (as in Keras: beta 0.9 and 0.999, epsilon 1e-7) or of gradient descent."""
    dtype = values.dtype.type
    if rule.adam:
        # Keras's order of operations: both bias corrections in the step size, epsilon added to the uncorrected root.
        alpha = dtype(rule.learning_rate * np.sqrt(1.0 - 0.999**step) / (1.0 - 0.9**step))
        first, second, epsilon = dtype(1.0 - 0.9), dtype(1.0 - 0.999), dtype(1e-7)
        for i in range(len(values)):
            g = gradient[i]
            m[i] += (g - m[i]) * first
            v[i] += (g * g - v[i]) * second
            values[i] -= alpha * m[i] / (np.sqrt(v[i]) + epsilon)
    else:
        rate = dtype(rule.learning_rate)
        for i in range(len(values)):
            values[i] -= rate * gradient[i]


@njit(**FLAGS)
def normalize_batch(network: Network, rows: Rows, which: np.ndarray, first: int, n: int) -> None:
    """Takes mean and variance of a minibatch for its normalization, and adds them to the moving averages."""
    state, rule, sums, squares = network.state, network.rule, network.space.sums, network.space.squares
    for gene in range(len(sums)):
        sums[gene] = 0
        squares[gene] = 0
    add_moments(rows, which, first, n, sums, squares)
    for gene in range(len(sums)):
        # Of squares in float64: two passes would be exact, but read the minibatch twice.
        mean = sums[gene] / n
        variance = max(squares[gene] / n - mean * mean, 0.0)
        state.means[gene] = mean
        state.scales[gene] = 1.0 / np.sqrt(variance + rule.epsilon)
        state.moving_mean[gene] = state.moving_mean[gene] * rule.momentum + mean * (1.0 - rule.momentum)
        state.moving_variance[gene] = state.moving_variance[gene] * rule.momentum + variance * (1.0 - rule.momentum)


@njit(**FLAGS)
def begin_step(network: Network, cells: LabelledRows, first: int, n: int) -> None:
    """Looks at the minibatch where it is normalized by it, loads the weights and sets all gradients to 0."""
    space = network.space
    if network.rule.normalization == BY_BATCH:
        normalize_batch(network, cells.rows, cells.which, first, n)
    load_weights(network)
    for k in range(len(space.gene_gradient)):
        space.gene_gradient[k] = 0
    for k in range(len(space.neuron_gradient)):
        space.neuron_gradient[k] = 0
    for v in range(len(space.bias_gradient)):
        space.bias_gradient[v] = 0


@njit(**FLAGS)
def gradient_of_weights(network: Network) -> float:
    """Brings the gradient into the order of the weights and adds that of the penalty, which it returns."""
    topology, penalties, state, space = network.topology, network.penalties, network.state, network.space
    penalty = 0.0
    # What a weight was multiplied with on its way in (`load_weights`), its gradient is on its way out.
    for k in range(len(topology.gene_edges)):
        space.kernel_gradient[topology.gene_edges[k]] = space.gene_gradient[k] * space.gene_factors[k]
    for k in range(len(topology.neuron_edges)):
        space.kernel_gradient[topology.neuron_edges[k]] = space.neuron_gradient[k]
    if penalties.kernel_l1 > 0 or penalties.kernel_l2 > 0:
        penalty += penalty_of(space.weights, penalties.kernel_l1, penalties.kernel_l2)
        add_penalty_gradient(space.weights, space.kernel_gradient, penalties.kernel_l1, penalties.kernel_l2)
    if penalties.prior > 0:
        penalty += add_prior(space.weights, space.kernel_gradient, penalties)
    if penalties.bias_l1 > 0 or penalties.bias_l2 > 0:
        penalty += penalty_of(state.bias, penalties.bias_l1, penalties.bias_l2)
        add_penalty_gradient(state.bias, space.bias_gradient, penalties.bias_l1, penalties.bias_l2)
    if network.rule.signed:  # from the weight to its variable: the derivative of softplus is the sigmoid
        for e in range(len(state.kernel)):
            if topology.signs[e] != 0:
                space.kernel_gradient[e] *= topology.signs[e] / (1.0 + np.exp(-state.kernel[e]))
    return penalty


@njit(**FLAGS)
def draw_keys(network: Network, base: np.uint64, first: int, n: int) -> None:
    """Draws the keys of n cells where anything is dropped."""
    if network.drops.of_genes or network.drops.of_neurons:
        fill_keys(network.space.keys, base, first, n)


@njit(**FLAGS)
def loss_and_neuron_gradients(network: Network, cells: LabelledRows, first: int, n: int, of: int) -> float:
    """From the values of neurons: the loss of n cells, and the gradients of all that lies above the genes."""
    loss = label_loss(network, cells, first, n, of, True)
    neuron_gradients(network.topology, n, network.drops, network.space)
    return loss


@njit(**FLAGS)
def add_gradients(
    networks: Networks, going: np.ndarray, cells: LabelledRows, first: int, n: int, base: np.uint64
) -> np.ndarray:
    """Adds the gradients of a minibatch, `n` cells from `first` on; returns the loss of each network."""
    losses = np.zeros(len(networks))
    # As many cells at a time as there are lanes; gradients add up, so a minibatch of any size is one step.
    lanes = networks[0].space.z.shape[1]
    for start in range(first, first + n, lanes):
        m = min(lanes, first + n - start)
        for i in range(len(networks)):
            if going[i]:
                draw_keys(networks[i], base, start, m)
        forward_all(networks, going, cells.rows, cells.which, start, m)
        for i in range(len(networks)):
            if going[i]:
                losses[i] += loss_and_neuron_gradients(networks[i], cells, start, m, n)
        gene_gradients(networks, going, m)
    return losses


@njit(**FLAGS)
def end_step(network: Network, step: int, loss: float) -> float:
    """Changes weights and biases along their gradients if the whole loss is finite; returns the penalty."""
    state, space, rule = network.state, network.space, network.rule
    penalty = gradient_of_weights(network)
    if abs(loss + penalty) < np.inf:  # false of NaN too
        descend(state.kernel, space.kernel_gradient, state.kernel_m, state.kernel_v, step, rule)
        descend(state.bias, space.bias_gradient, state.bias_m, state.bias_v, step, rule)
    return penalty


@entry
def train_epoch(
    networks: Networks, going: np.ndarray, cells: LabelledRows, base: np.uint64, steps_before: int, sums: np.ndarray
) -> int:
    """Makes one pass over the cells, in their order, a minibatch a step, with each network that is `going`.

    Expression is read as the first network's normalization centres it and dropped as the first network drops genes; all
    must agree on that, and share its space's `genes` and `cursors`.

    Writes loss (penalty included) and penalty, averaged over cells, into `sums`, networks x 2, and returns the steps
    made. A network whose loss is not finite goes no further.
    """
    n_cells, step, batch_size = len(cells.which), steps_before, networks[0].rule.batch_size
    sums[:] = 0
    for first in range(0, n_cells, batch_size):
        n = min(batch_size, n_cells - first)
        for i in range(len(networks)):
            if going[i]:
                begin_step(networks[i], cells, first, n)
        losses = add_gradients(networks, going, cells, first, n, base)
        step += 1
        for i in range(len(networks)):
            if going[i]:
                penalty = end_step(networks[i], step, losses[i])
                # The last minibatch may be smaller: weighed by its cells, the mean is one over cells.
                sums[i, 0] += (losses[i] + penalty) * n
                sums[i, 1] += penalty * n
                going[i] = abs(losses[i] + penalty) < np.inf
    for i in range(len(networks)):
        for j in range(2):
            sums[i, j] /= n_cells
    return step


@entry
def loss_of(networks: Networks, going: np.ndarray, cells: LabelledRows, losses: np.ndarray) -> None:
    """Writes the mean cross-entropy of cells, by network that is `going`, without penalty.

    Without dropout where the networks have none; they share what those of `train_epoch` do.
    """
    most, n_cells = networks[0].space.z.shape[1], len(cells.which)
    losses[:] = 0
    for i in range(len(networks)):
        if going[i]:
            load_weights(networks[i])
    for first in range(0, n_cells, most):
        n = min(most, n_cells - first)
        forward_all(networks, going, cells.rows, cells.which, first, n)
        for i in range(len(networks)):
            if going[i]:
                losses[i] += label_loss(networks[i], cells, first, n, n_cells, False)


@entry
def values_of(network: Network, rows: Rows, which: np.ndarray, neurons: np.ndarray, values: np.ndarray) -> None:
    """Writes the activations of some neurons, cells x neurons, of a network without dropout."""
    space, most = network.space, network.space.z.shape[1]
    load_weights(network)
    for first in range(0, len(which), most):
        n = min(most, len(which) - first)
        forward(network, rows, which, first, n)
        # Neurons x cells inside, cells x neurons for everyone else.
        for b in range(n):
            for place in range(len(neurons)):
                values[first + b, place] = space.a[neurons[place], b]


@entry
def logits_of(network: Network, rows: Rows, which: np.ndarray, logits: np.ndarray) -> None:
    """Writes the pre-activations of the outputs, cells x outputs, of a network without dropout."""
    space, outputs, most = network.space, network.topology.outputs, network.space.z.shape[1]
    load_weights(network)
    for first in range(0, len(which), most):
        n = min(most, len(which) - first)
        forward(network, rows, which, first, n)
        for b in range(n):
            for o in range(len(outputs)):
                logits[first + b, o] = space.z[outputs[o], b]


@njit(**FLAGS)
def softmax_gradient(outputs: np.ndarray, o: int, n: int, space: Space) -> None:
    """Writes d probability of output `o` / d logit, p_o * (1 - p_o) or -p_o * p_other, to dz of all outputs."""
    for b in range(n):
        log_sum = log_of_summed_exponentials(outputs, b, space)
        p = np.exp(np.float64(space.z[outputs[o], b]) - log_sum)
        for place in range(len(outputs)):
            q = np.exp(np.float64(space.z[outputs[place], b]) - log_sum)
            space.dz[outputs[place], b] = p * (1.0 - p) if place == o else -p * q


@entry
def output_gradients_of(network: Network, rows: Rows, which: np.ndarray, gradients: np.ndarray) -> None:
    """Writes d prediction of output / d activation of neuron, outputs x cells x neurons, of a network without dropout.

    The prediction of an output is its activation, or the sigmoid of it where that is linear; of classes that exclude
    each other it is the softmax of all of them.
    """
    topology, space, most = network.topology, network.space, network.space.z.shape[1]
    load_weights(network)
    for first in range(0, len(which), most):
        n = min(most, len(which) - first)
        forward(network, rows, which, first, n)
        for o in range(len(topology.outputs)):
            v = topology.outputs[o]
            zero_dz(n, space)
            if network.rule.one_of_k:
                softmax_gradient(topology.outputs, o, n, space)
                neuron_gradients(topology, n, network.drops, space)
                for b in range(n):
                    for u in range(len(topology.order)):
                        gradients[o, first + b, u] = space.da[u, b]
                    # An output's activation is its logit: dz, to which what its parents ask of it was added.
                    for other in topology.outputs:
                        gradients[o, first + b, other] = space.dz[other, b]
                continue
            # Without dropout nothing reads `seen`: it holds the gradient by the output's own activation.
            for b in range(n):
                space.seen[v, b] = 1
            if topology.activations[v] == LINEAR:
                activate(SIGMOID, space.z[v], space.seen[v], n)
                for b in range(n):
                    space.seen[v, b] *= 1 - space.seen[v, b]
                    space.dz[v, b] = space.seen[v, b]
            else:
                back_through_activation(topology.activations[v], space.z[v], space.a[v], space.seen[v], space.dz[v], n)
            neuron_gradients(topology, n, network.drops, space)
            for b in range(n):
                for u in range(len(topology.order)):
                    gradients[o, first + b, u] = space.da[u, b]
                gradients[o, first + b, v] = space.seen[v, b]
