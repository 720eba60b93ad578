"""A model's numbers as the compiled kernels read them, and back."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from kpnn.nn.dropout import Dropout
from kpnn.nn.kernels import BATCH, Drops, Plan, Rows, Rule, Space, State
from kpnn.nn.layer import SparseDag, sparse_dag
from kpnn.nn.layout import Layout
from kpnn.nn.normalization import EPSILON, MOMENTUM, InputNormalization, input_normalization, moments

CELLS_AT_ONCE = 64
"""Cells that are computed at once, of a minibatch or outside of training: 64 lanes fit the caches of a core."""


@dataclass(frozen=True, eq=False)
class Engine:
    """One model, ready for the functions of `kpnn.nn.kernels`.

    Training changes `state`; the Keras model changes by `store` and `adapt` alone.
    """

    model: keras.Model
    layer: SparseDag
    normalization: InputNormalization | None
    plan: Plan
    drops: Drops
    no_drops: Drops
    state: State
    rule: Rule
    space: Space

    @classmethod
    def of(
        cls,
        model: keras.Model,
        *,
        batch_size: int = CELLS_AT_ONCE,
        learning_rate: float = 0.0,
        optimizer: str = "adam",
        training: bool = False,
    ) -> Engine:
        """Reads a model's weights and makes space for its steps."""
        layer, normalization = sparse_dag(model), input_normalization(model)
        layout, dtype = layer.layout, np.dtype(layer.variable_dtype)
        drops = _drops(layer.dropout, layout, dtype)
        no_drops = drops._replace(of_genes=False, of_neurons=False)
        penalty = layer.penalty
        rule = Rule(
            learning_rate=float(learning_rate),
            adam=optimizer == "adam",
            kernel_l1=float(penalty.kernel_l1),
            kernel_l2=float(penalty.kernel_l2),
            bias_l1=float(penalty.bias_l1),
            bias_l2=float(penalty.bias_l2),
            signed=layer.signed,
            normalization=0 if normalization is None else {"standard": 1, "batch": 2}[normalization.kind],
            batch_size=int(batch_size),
            epsilon=EPSILON,
            momentum=MOMENTUM,
        )
        return cls(
            model=model,
            layer=layer,
            normalization=normalization,
            plan=Plan(
                layout.order,
                layout.outputs,
                layer.activation_codes,
                layout.gene_starts,
                layout.parents[layout.gene_edges],
                layout.neuron_starts,
                layout.children[layout.neuron_edges] - np.int32(layout.n_inputs),
            ),
            drops=drops,
            no_drops=no_drops,
            state=_state(layer, normalization, dtype),
            rule=rule,
            space=_space(layout, drops if training else no_drops, rule, dtype),
        )

    def adapt(self, rows: Rows, cells: np.ndarray) -> None:
        """Computes mean and variance of the training cells, unless the model has some already (`standard` only)."""
        layer = self.normalization
        if layer is None or layer.kind != "standard" or int(ops.convert_to_numpy(layer.n_cells)) > 0:
            return
        means, variances = moments(rows, cells, self.layer.layout.n_inputs)
        layer.mean.assign(means.astype(layer.variable_dtype))
        layer.variance.assign(variances.astype(layer.variable_dtype))
        layer.n_cells.assign(len(cells))
        self.use_stored_normalization()

    def use_stored_normalization(self) -> None:
        """Sets shift and scale to what the model uses outside of training."""
        if self.normalization is not None:
            if self.rule.normalization == BATCH:
                self.state.means[:] = self.state.moving_mean
                self.state.scales[:] = 1.0 / np.sqrt(self.state.moving_variance + EPSILON)
            else:
                self.state.means[:], self.state.scales[:] = self.normalization.shift_and_scale()

    def snapshot(self) -> tuple[np.ndarray, ...]:
        """Copies everything that training changes and the model keeps."""
        state = self.state
        return tuple(each.copy() for each in (state.kernel, state.bias, state.moving_mean, state.moving_variance))

    def store(self, snapshot: tuple[np.ndarray, ...], n_cells: int) -> None:
        """Writes a snapshot into the Keras model."""
        kernel, bias, mean, variance = snapshot
        self.layer.kernel.assign(kernel)
        self.layer.bias.assign(bias)
        if self.normalization is not None and self.normalization.kind == "batch":
            dtype = self.normalization.variable_dtype
            self.normalization.mean.assign(mean.astype(dtype))
            self.normalization.variance.assign(variance.astype(dtype))
            self.normalization.n_cells.assign(n_cells)


def _state(layer: SparseDag, normalization: InputNormalization | None, dtype: np.dtype) -> State:
    layout = layer.layout
    kernel = np.array(ops.convert_to_numpy(layer.kernel), dtype=dtype)
    bias = np.array(ops.convert_to_numpy(layer.bias), dtype=dtype)
    if normalization is None:
        means, scales = np.zeros(layout.n_inputs), np.ones(layout.n_inputs)
        moving_mean, moving_variance = np.zeros(0), np.zeros(0)
    else:
        means, scales = normalization.shift_and_scale()
        moving_mean = np.array(ops.convert_to_numpy(normalization.mean), dtype=np.float64)
        moving_variance = np.array(ops.convert_to_numpy(normalization.variance), dtype=np.float64)
    return State(
        kernel=kernel,
        bias=bias,
        kernel_m=np.zeros_like(kernel),
        kernel_v=np.zeros_like(kernel),
        bias_m=np.zeros_like(bias),
        bias_v=np.zeros_like(bias),
        kernel_gradient=np.zeros_like(kernel),
        weights=np.zeros_like(kernel),
        signs=layout.signs,
        gene_edges=layout.gene_edges,
        neuron_edges=layout.neuron_edges,
        means=means,
        scales=scales,
        moving_mean=moving_mean,
        moving_variance=moving_variance,
    )


def _drops(dropout: Dropout, layout: Layout, dtype: np.dtype) -> Drops:
    on_edges = dropout.on == "edges"
    kept_edges = dropout.kept_edges(layout)
    genes = kept_edges[layout.gene_edges] if on_edges else dropout.kept_inputs(layout)
    neurons = kept_edges[layout.neuron_edges] if on_edges else dropout.kept_neurons(layout)
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


def _space(layout: Layout, drops: Drops, rule: Rule, dtype: np.dtype) -> Space:
    n = min(CELLS_AT_ONCE, rule.batch_size)
    n_gene_edges, n_neuron_edges = len(layout.gene_edges), len(layout.neuron_edges)
    with_factors = drops.of_neurons
    n_batch_genes = layout.n_inputs if rule.normalization == BATCH else 0
    return Space(
        z=np.zeros((layout.n_neurons, n), dtype),
        a=np.zeros((layout.n_neurons, n), dtype),
        seen=np.zeros((layout.n_neurons, n), dtype),
        dz=np.zeros((layout.n_neurons, n), dtype),
        da=np.zeros((layout.n_neurons, n), dtype),
        neuron_factors=np.zeros((len(drops.neuron_limits) if with_factors else 0, n), dtype),
        genes=np.zeros((layout.n_inputs, n), dtype),
        sums=np.zeros(n_batch_genes, np.float64),
        squares=np.zeros(n_batch_genes, np.float64),
        gene_weights=np.zeros(n_gene_edges, dtype),
        gene_factors=np.zeros(n_gene_edges, dtype),
        gene_gradient=np.zeros(n_gene_edges, dtype),
        neuron_weights=np.zeros(n_neuron_edges, dtype),
        neuron_gradient=np.zeros(n_neuron_edges, dtype),
        bias_gradient=np.zeros(layout.n_neurons, dtype),
        keys=np.zeros((2, n), np.uint32),
    )
