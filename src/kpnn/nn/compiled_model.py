"""A Keras model's numbers as the compiled kernels read them, and back."""

from __future__ import annotations

from dataclasses import dataclass, replace

import keras
import numpy as np
from keras import ops

from kpnn.nn.engine.kernels import BY_BATCH, Drops, Network, Penalties, Rows, Rule
from kpnn.nn.engine.state import CELLS_AT_ONCE, drops_of, initial_state, network_of, sharing_genes, topology_of
from kpnn.nn.layer import SparseDag, sparse_dag
from kpnn.nn.normalization import EPSILON, MOMENTUM, InputNormalization, input_normalization, kernel_code, moments


@dataclass(frozen=True, eq=False)
class CompiledModel:
    """One model, ready for the functions of `kpnn.nn.engine.kernels`.

    Training changes `network.state`; the Keras model changes by `store` and `adapt` alone.

    Attributes:
        model: the Keras model.
        layer: its sparse DAG layer.
        normalization: its normalization layer, if it has one.
        network: what the kernels train: with dropout where it was asked for.
        predictor: the same network, in the same memory, without dropout.
    """

    model: keras.Model
    layer: SparseDag
    normalization: InputNormalization | None
    network: Network
    predictor: Network

    @classmethod
    def of(
        cls,
        model: keras.Model,
        *,
        batch_size: int = CELLS_AT_ONCE,
        learning_rate: float = 0.0,
        optimizer: str = "adam",
        training: bool = False,
        n_training_cells: int = 0,
    ) -> CompiledModel:
        """Reads a model's weights and makes space for its steps.

        Args:
            model: a model that `build_kpnn` made.
            batch_size: cells per step.
            learning_rate: step size.
            optimizer: `adam` or `sgd`.
            training: whether dropout is on.
            n_training_cells: what a prior on the weights is weighed by; needed in training alone.

        Raises:
            ModelError: `build_kpnn` did not make the model.
        """
        layer, normalization = sparse_dag(model), input_normalization(model)
        dtype = np.dtype(layer.variable_dtype)
        rule = Rule(
            learning_rate=float(learning_rate),
            adam=optimizer == "adam",
            signed=layer.signed,
            normalization=kernel_code(normalization),
            batch_size=int(batch_size),
            epsilon=EPSILON,
            momentum=MOMENTUM,
            one_of_k=layer.one_of_k,
        )
        drops = _drops(layer, dtype)
        no_drops = drops._replace(of_genes=False, of_neurons=False)
        state = initial_state(
            _copy(layer.kernel, dtype), _copy(layer.bias, dtype), *_normalization_arrays(layer, normalization)
        )
        topology = topology_of(layer.layout, layer.activation_codes)
        penalties = _penalties(layer, n_training_cells)
        network = network_of(topology, rule, penalties, drops if training else no_drops, state)
        return cls(model, layer, normalization, network, network._replace(drops=no_drops))

    def adapt(self, rows: Rows, which: np.ndarray) -> None:
        """Computes mean and variance of the training cells, where the normalization wants them and has none yet."""
        layer = self.normalization
        if layer is None or not layer.wants_moments():
            return
        layer.set_moments(*moments(rows, which, self.layer.layout.n_inputs), len(which))
        self.use_stored_moments()

    def with_learning_rate_times(self, factor: float) -> CompiledModel:
        """The same model, weights and memory of the optimizer with another step size."""
        rule = self.network.rule
        return replace(
            self, network=self.network._replace(rule=rule._replace(learning_rate=rule.learning_rate * factor))
        )

    def sharing_genes(self, other: CompiledModel) -> CompiledModel:
        """The same model in another's memory for dense expression: what one makes dense, both read."""
        network, predictor = (sharing_genes(one, other.network) for one in (self.network, self.predictor))
        return replace(self, network=network, predictor=predictor)

    def use_moving_moments(self) -> None:
        """Normalizes from here on as outside of training: by the moving averages (`batch` only)."""
        state = self.network.state
        if self.network.rule.normalization == BY_BATCH:
            state.means[:] = state.moving_mean
            state.scales[:] = 1.0 / np.sqrt(state.moving_variance + EPSILON)

    def use_stored_moments(self) -> None:
        """Normalizes from here on by the moments that the Keras layer holds."""
        if self.normalization is not None:
            self.network.state.means[:], self.network.state.scales[:] = self.normalization.shift_and_scale()

    def snapshot(self) -> tuple[np.ndarray, ...]:
        """Copies everything that training changes and the model keeps."""
        state = self.network.state
        return tuple(each.copy() for each in (state.kernel, state.bias, state.moving_mean, state.moving_variance))

    def store(self, snapshot: tuple[np.ndarray, ...], n_cells: int) -> None:
        """Writes a snapshot into the Keras model."""
        kernel, bias, mean, variance = snapshot
        self.layer.kernel.assign(kernel)
        self.layer.bias.assign(bias)
        self.layer.n_training_cells = n_cells
        if self.normalization is not None and self.network.rule.normalization == BY_BATCH:
            self.normalization.set_moments(mean, variance, n_cells)


def _copy(variable: keras.Variable, dtype: np.dtype) -> np.ndarray:
    return np.array(ops.convert_to_numpy(variable), dtype=dtype)


def _normalization_arrays(
    layer: SparseDag, normalization: InputNormalization | None
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Shift and scale of each gene, and the moving moments."""
    if normalization is None:
        n_inputs = layer.layout.n_inputs
        return (np.zeros(n_inputs), np.ones(n_inputs)), (np.zeros(0), np.zeros(0))
    float64 = np.dtype(np.float64)
    moving = _copy(normalization.mean, float64), _copy(normalization.variance, float64)
    return normalization.shift_and_scale(), moving


def _penalties(layer: SparseDag, n_training_cells: int) -> Penalties:
    penalty = layer.penalty
    with_prior = penalty.weight_prior > 0 and n_training_cells > 0
    n_labels = n_training_cells * layer.n_cross_entropies
    return Penalties(
        kernel_l1=float(penalty.kernel_l1),
        kernel_l2=float(penalty.kernel_l2),
        bias_l1=float(penalty.bias_l1),
        bias_l2=float(penalty.bias_l2),
        prior=float(penalty.weight_prior / n_labels) if with_prior else 0.0,
        prior_means=layer.start.means if with_prior else np.zeros(0),
        prior_precisions=1.0 / layer.start.variances if with_prior else np.zeros(0),
    )


def _drops(layer: SparseDag, dtype: np.dtype) -> Drops:
    kept, layout = layer.kept, layer.layout
    if layer.dropout.on == "edges":
        genes, neurons = kept.edges[layout.gene_edges], kept.edges[layout.neuron_edges]
        return drops_of(genes, neurons, on_edges=True, dtype=dtype)
    return drops_of(kept.inputs, kept.neurons, on_edges=False, dtype=dtype)
