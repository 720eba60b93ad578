"""Whole passes over cells, compiled: an epoch of training, a loss, the values of all neurons, gradients of outputs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from kpnn.nn.kernels import (
    FLAGS,
    activate,
    add_moments,
    back_through_activation,
    dense_gene_gradient,
    dense_gene_sums,
    fill_genes,
    fill_keys,
    fill_neuron_factors,
    neuron_gradients,
    neuron_values,
    sparse_gene_gradient,
    sparse_gene_sums,
)

BATCH = 2  # kind of normalization: 0 none, 1 standard, 2 batch
LINEAR, SIGMOID = 0, 1  # codes of activations


class State(NamedTuple):
    """What training changes, and where it stands in the edges: weights' arrays by edge, biases' by neuron."""

    kernel: np.ndarray
    bias: np.ndarray
    kernel_m: np.ndarray
    kernel_v: np.ndarray
    bias_m: np.ndarray
    bias_v: np.ndarray
    kernel_gradient: np.ndarray
    weights: np.ndarray  # the signed weights, where `signed`
    signs: np.ndarray
    gene_edges: np.ndarray
    neuron_edges: np.ndarray
    means: np.ndarray  # float64, by gene: what is subtracted
    scales: np.ndarray  # float64, by gene: what the difference is multiplied with
    moving_mean: np.ndarray  # float64, by gene
    moving_variance: np.ndarray


class Rule(NamedTuple):
    """How a step is made."""

    learning_rate: float
    adam: bool
    kernel_l1: float
    kernel_l2: float
    bias_l1: float
    bias_l2: float
    signed: bool
    normalization: int
    batch_size: int
    epsilon: float  # of batch normalization
    momentum: float  # of its moving averages


@njit(**FLAGS)
def load_weights(plan, state, rule, drops, dropping, space):
    """Brings the weights into the order of the kernels, normalization and dropout's scales multiplied in."""
    kernel, weights, signs = state.kernel, state.weights, state.signs
    if rule.signed:
        for e in range(len(kernel)):
            weights[e] = kernel[e]
            if signs[e] != 0:
                weights[e] = signs[e] * (max(kernel[e], 0) + np.log1p(np.exp(-abs(kernel[e]))))
    else:
        weights[:] = kernel
    dropping_genes = dropping and drops.of_genes
    for gene in range(len(plan.gene_starts) - 1):
        scale = state.scales[gene]
        if dropping_genes and not drops.on_edges:
            scale *= drops.gene_scales[gene]
        for k in range(plan.gene_starts[gene], plan.gene_starts[gene + 1]):
            factor = scale
            if dropping_genes and drops.on_edges:
                factor *= drops.gene_scales[k]
            space.gene_factors[k] = factor
            space.gene_weights[k] = weights[state.gene_edges[k]] * factor
    for k in range(len(state.neuron_edges)):
        space.neuron_weights[k] = weights[state.neuron_edges[k]]


@njit(**FLAGS)
def forward(plan, rows, cells, n, state, rule, drops, dropping, space):
    """Computes every neuron for up to a minibatch of cells; returns whether genes had to be made dense."""
    dense = dropping and drops.of_genes and rule.normalization != 0
    if dropping and drops.of_neurons:
        fill_neuron_factors(n, drops, space)
    if dense:
        fill_genes(rows, cells, n, state.means, drops, dropping, space)
        dense_gene_sums(plan, n, state.bias, drops, dropping, space)
    else:
        offsets = state.bias.astype(np.float64)
        if rule.normalization != 0:
            for gene in range(len(state.means)):
                for k in range(plan.gene_starts[gene], plan.gene_starts[gene + 1]):
                    offsets[plan.gene_parents[k]] -= state.means[gene] * space.gene_weights[k]
        sparse_gene_sums(plan, rows, cells, n, offsets, drops, dropping, space)
    neuron_values(plan, n, drops, dropping, space)
    return dense


@njit(**FLAGS)
def backward(plan, rows, cells, n, state, rule, drops, dropping, dense, space):
    """From dz of the outputs: the gradient of every weight, into `state.kernel_gradient`, and of every bias."""
    neuron_gradients(plan, n, drops, dropping, space)
    if dense:
        dense_gene_gradient(plan, n, drops, dropping, space)
    else:
        sparse_gene_gradient(plan, rows, cells, n, drops, dropping, space)
        if rule.normalization != 0:
            for v in range(len(space.row)):
                space.row[v] = space.bias_gradient[v]
            for gene in range(len(state.means)):
                for k in range(plan.gene_starts[gene], plan.gene_starts[gene + 1]):
                    space.gene_gradient[k] -= state.means[gene] * space.row[plan.gene_parents[k]]
    for k in range(len(state.gene_edges)):
        state.kernel_gradient[state.gene_edges[k]] = space.gene_gradient[k] * space.gene_factors[k]
    for k in range(len(state.neuron_edges)):
        state.kernel_gradient[state.neuron_edges[k]] = space.neuron_gradient[k]


@njit(**FLAGS)
def cross_entropy(plan, labels, label_weights, cells, n, space, with_gradient):
    """Mean over cells and outputs of weight * cross-entropy, from logits; its gradient into dz of the outputs."""
    total = 0.0
    n_outputs = len(plan.outputs)
    if with_gradient:
        space.dz[:, :n] = 0
    for o in range(n_outputs):
        v = plan.outputs[o]
        for b in range(n):
            z = np.float64(space.z[v, b])
            y = np.float64(labels[cells[b], o])
            weight = y * label_weights[o, 1] + (1.0 - y) * label_weights[o, 0]
            shrunk = np.exp(-abs(z))
            total += weight * (max(z, 0.0) - z * y + np.log1p(shrunk))
            if with_gradient:
                p = 1.0 / (1.0 + shrunk) if z >= 0 else shrunk / (1.0 + shrunk)
                space.dz[v, b] = weight * (p - y) / (n * n_outputs)
    return total / (n * n_outputs)


@njit(**FLAGS)
def penalty_of(values, l1, l2):
    """L1 * sum |value| + l2 * sum value^2, float64."""
    total = 0.0
    for i in range(len(values)):
        value = np.float64(values[i])
        total += l1 * abs(value) + l2 * value * value
    return total


@njit(**FLAGS)
def add_penalty_gradient(values, gradient, l1, l2):
    """Adds the gradient of `penalty_of` to a gradient."""
    first, second = gradient.dtype.type(l1), gradient.dtype.type(2 * l2)
    for i in range(len(values)):
        gradient[i] += second * values[i]
        if values[i] > 0:
            gradient[i] += first
        elif values[i] < 0:
            gradient[i] -= first


@njit(**FLAGS)
def descend(values, gradient, m, v, step, adam, learning_rate):
    """Makes one step of Adam (as in Keras: beta 0.9 and 0.999, epsilon 1e-7) or of gradient descent."""
    dtype = values.dtype.type
    if adam:
        alpha = dtype(learning_rate * np.sqrt(1.0 - 0.999**step) / (1.0 - 0.9**step))
        first, second, epsilon = dtype(1.0 - 0.9), dtype(1.0 - 0.999), dtype(1e-7)
        for i in range(len(values)):
            g = gradient[i]
            m[i] += (g - m[i]) * first
            v[i] += (g * g - v[i]) * second
            values[i] -= alpha * m[i] / (np.sqrt(v[i]) + epsilon)
    else:
        rate = dtype(learning_rate)
        for i in range(len(values)):
            values[i] -= rate * gradient[i]


@njit(**FLAGS)
def normalize_batch(rows, cells, state, rule):
    """Takes mean and variance of a minibatch for its normalization, and adds them to the moving averages."""
    n = len(cells)
    sums, squares = np.zeros(len(state.means)), np.zeros(len(state.means))
    add_moments(rows, cells, sums, squares)
    for gene in range(len(sums)):
        mean = sums[gene] / n
        variance = max(squares[gene] / n - mean * mean, 0.0)
        state.means[gene] = mean
        state.scales[gene] = 1.0 / np.sqrt(variance + rule.epsilon)
        state.moving_mean[gene] = state.moving_mean[gene] * rule.momentum + mean * (1.0 - rule.momentum)
        state.moving_variance[gene] = state.moving_variance[gene] * rule.momentum + variance * (1.0 - rule.momentum)


@njit(**FLAGS)
def gradient_of_minibatch(plan, rows, cells, labels, label_weights, state, rule, drops, dropping, space):
    """Loss and penalty of a minibatch; their gradient into `state.kernel_gradient` and `space.bias_gradient`."""
    n = len(cells)
    load_weights(plan, state, rule, drops, dropping, space)
    dense = forward(plan, rows, cells, n, state, rule, drops, dropping, space)
    loss = cross_entropy(plan, labels, label_weights, cells, n, space, True)
    backward(plan, rows, cells, n, state, rule, drops, dropping, dense, space)
    penalty = 0.0
    if rule.kernel_l1 > 0 or rule.kernel_l2 > 0:
        penalty += penalty_of(state.weights, rule.kernel_l1, rule.kernel_l2)
        add_penalty_gradient(state.weights, state.kernel_gradient, rule.kernel_l1, rule.kernel_l2)
    if rule.bias_l1 > 0 or rule.bias_l2 > 0:
        penalty += penalty_of(state.bias, rule.bias_l1, rule.bias_l2)
        add_penalty_gradient(state.bias, space.bias_gradient, rule.bias_l1, rule.bias_l2)
    if rule.signed:
        for e in range(len(state.kernel)):
            if state.signs[e] != 0:
                state.kernel_gradient[e] *= state.signs[e] / (1.0 + np.exp(-state.kernel[e]))
    return loss, penalty


@njit(**FLAGS)
def train_epoch(plan, rows, cells, labels, label_weights, state, rule, drops, dropping, base, steps_before, space):
    """Makes one pass over `cells`, in their order, a minibatch a step.

    Returns loss (penalty included) and penalty, averaged over cells, and the steps made; it ends where a loss is not finite.
    """
    total, total_penalty, step = 0.0, 0.0, steps_before
    for first in range(0, len(cells), rule.batch_size):
        batch = cells[first : first + rule.batch_size]
        if dropping:
            fill_keys(space.keys, base, first, len(batch))
        if rule.normalization == BATCH:
            normalize_batch(rows, batch, state, rule)
        loss, penalty = gradient_of_minibatch(
            plan, rows, batch, labels, label_weights, state, rule, drops, dropping, space
        )
        total += (loss + penalty) * len(batch)
        total_penalty += penalty * len(batch)
        step += 1
        if not np.isfinite(loss + penalty):
            break
        descend(
            state.kernel, state.kernel_gradient, state.kernel_m, state.kernel_v, step, rule.adam, rule.learning_rate
        )
        descend(state.bias, space.bias_gradient, state.bias_m, state.bias_v, step, rule.adam, rule.learning_rate)
    return total / len(cells), total_penalty / len(cells), step


@njit(**FLAGS)
def loss_of(plan, rows, cells, labels, label_weights, state, rule, drops, space):
    """Mean cross-entropy of cells without dropout and penalty."""
    total, most = 0.0, space.z.shape[1]
    load_weights(plan, state, rule, drops, False, space)
    for first in range(0, len(cells), most):
        batch = cells[first : first + most]
        forward(plan, rows, batch, len(batch), state, rule, drops, False, space)
        total += cross_entropy(plan, labels, label_weights, batch, len(batch), space, False) * len(batch)
    return total / len(cells)


@njit(**FLAGS)
def values_of(plan, rows, cells, state, rule, drops, space, z, a):
    """Writes pre-activations and activations, cells x neurons, without dropout."""
    most = space.z.shape[1]
    load_weights(plan, state, rule, drops, False, space)
    for first in range(0, len(cells), most):
        batch = cells[first : first + most]
        forward(plan, rows, batch, len(batch), state, rule, drops, False, space)
        for b in range(len(batch)):
            for v in range(len(plan.order)):
                z[first + b, v] = space.z[v, b]
                a[first + b, v] = space.a[v, b]


@njit(**FLAGS)
def output_gradients_of(plan, rows, cells, state, rule, drops, space, gradients):
    """Writes d prediction of output / d activation of neuron, outputs x cells x neurons, without dropout.

    The prediction of an output is its activation, or the sigmoid of it where that is linear.
    """
    most = space.z.shape[1]
    load_weights(plan, state, rule, drops, False, space)
    for first in range(0, len(cells), most):
        batch = cells[first : first + most]
        n = len(batch)
        forward(plan, rows, batch, n, state, rule, drops, False, space)
        for o in range(len(plan.outputs)):
            v = plan.outputs[o]
            space.dz[:, :n] = 0
            space.seen[v, :n] = 1
            if plan.codes[v] == LINEAR:
                activate(SIGMOID, space.z[v], space.seen[v], n)
                for b in range(n):
                    space.seen[v, b] *= 1 - space.seen[v, b]
                space.dz[v, :n] = space.seen[v, :n]
            else:
                back_through_activation(plan.codes[v], space.z[v], space.a[v], space.seen[v], space.dz[v], n)
            neuron_gradients(plan, n, drops, False, space)
            for b in range(n):
                for u in range(len(plan.order)):
                    gradients[o, first + b, u] = space.da[u, b]
                gradients[o, first + b, v] = space.seen[v, b]
