"""The sparse DAG layer: one weight per edge, one bias per neuron, the whole DAG in one Keras layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import cached_property
from typing import Any

import keras
import numpy as np
import pandas as pd
from keras import ops

from kpnn.errors import ModelError
from kpnn.nn.activations import SOFTMAX, activations_of
from kpnn.nn.dropout import Dropout
from kpnn.nn.engine.layout import Layout
from kpnn.nn.forward import Dropping, Parameters, forward
from kpnn.nn.initialization import Start, start_of
from kpnn.nn.penalty import Penalty
from kpnn.pkn import Dag


@keras.saving.register_keras_serializable(package="kpnn")
class SparseDag(keras.layers.Layer):
    """Computes every neuron of a DAG, act(sum over children of weight * value + bias), and returns the outputs' values.

    How it does so is `kpnn.nn.forward`.

    Args:
        dag: the DAG; its names and edges become part of the layer's config.
        hidden_activation: activation of hidden nodes, one of `kpnn.nn.activations.ACTIVATIONS`.
        output_activation: activation of output nodes; `softmax` where they are classes that exclude each other.
        activations: activations of single neurons by name, before the two above.
        dropout: what is dropped in training.
        penalty: what large weights and biases cost.
        signed: whether an edge of known sign has the weight sign * softplus(variable); others are free.
        initializer: how weights start, one of `kpnn.nn.initialization.INITIALIZERS`.
        gene_suffix: what to remove from an input node's name to get its gene.
        seed: of the initial weights, and of dropout where Keras's own `fit` trains the model.
        **kwargs: `name`, `dtype` and other arguments of a Keras layer.

    Attributes:
        kernel: variable of each edge, shape (n_edges,), in the order of `dag.edges`: its weight unless `signed`.
        bias: bias of each neuron, shape (n_neurons,), in the order of `dag.neurons`.
        n_training_cells: number of cells that the model was last trained on, 0 before: what the prior is weighed by.

    Examples:
        >>> import numpy as np
        >>> import pandas as pd
        >>> from kpnn.pkn import Dag
        >>> edges = [("R", "A"), ("R", "B"), ("A", "g1"), ("B", "g1"), ("B", "g2")]
        >>> layer = SparseDag(Dag.from_edges(pd.DataFrame(edges, columns=["parent", "child"])))
        >>> tuple(layer(np.zeros((4, 2), dtype="float32")).shape)  # 4 cells x 2 inputs to 4 cells x 1 output
        (4, 1)
        >>> layer.kernel.shape, layer.bias.shape  # a weight per edge, a bias per neuron
        ((5,), (3,))
    """

    def __init__(
        self,
        dag: Dag,
        *,
        hidden_activation: str = "sigmoid",
        output_activation: str = "sigmoid",
        activations: Mapping[str, str] | None = None,
        dropout: Dropout | None = None,
        penalty: Penalty | None = None,
        signed: bool = False,
        initializer: str = "glorot_uniform",
        gene_suffix: str = "_gene",
        seed: int = 42,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dag = dag
        self.layout = Layout.of(dag)
        self.hidden_activation, self.output_activation = hidden_activation, output_activation
        self.activations = dict(activations or {})
        self.neuron_activations = activations_of(dag, hidden_activation, output_activation, self.activations)
        self.activation_codes = np.array([each.code for each in self.neuron_activations], dtype=np.int32)
        self.dropout = dropout or Dropout()
        self.kept, self.all_kept = self.dropout.kept(self.layout), Dropout().kept(self.layout)
        self.penalty = penalty or Penalty()
        self.signed, self.initializer, self.gene_suffix, self.seed = bool(signed), initializer, gene_suffix, int(seed)
        self.random_numbers = keras.random.SeedGenerator(self.seed)
        self.n_training_cells = 0
        self.edge_signs = self.layout.signs.astype(self.variable_dtype) if self.signed else None

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates the variables."""
        if input_shape[-1] != self.layout.n_inputs:
            raise ModelError(f"this DAG has {self.layout.n_inputs} input nodes, not {input_shape[-1]}")
        weights = self.start.weights
        if self.edge_signs is not None:
            weights = raw_weights(weights, self.edge_signs)
        self.kernel = self._variable("kernel", weights, self._kernel_penalty if self.penalty.on_weights else None)
        self.bias = self._variable("bias", self.start.biases, self._bias_penalty if self.penalty.on_biases else None)

    def _variable(self, name: str, values: np.ndarray, regularizer: Any) -> Any:
        def start(shape: Any, dtype: Any = None) -> Any:  # noqa: ARG001 - Keras asks for a shape
            return ops.convert_to_tensor(values, dtype=dtype)

        return self.add_weight(shape=values.shape, initializer=start, regularizer=regularizer, name=name)

    def _kernel_penalty(self, kernel: Any) -> Any:
        weights, penalty = self.weights_of(kernel), self.penalty
        total = penalty.kernel_l1 * ops.sum(ops.abs(weights)) + penalty.kernel_l2 * ops.sum(ops.square(weights))
        if penalty.weight_prior > 0:
            away = weights - ops.convert_to_tensor(self.start.means, dtype=self.variable_dtype)
            precisions = ops.convert_to_tensor(1.0 / self.start.variances, dtype=self.variable_dtype)
            total = total + self.prior_strength / 2 * ops.sum(precisions * ops.square(away))
        return total

    @property
    def one_of_k(self) -> bool:
        """Whether the outputs are classes that exclude each other: their probabilities add up to 1 in every cell."""
        return self.output_activation == SOFTMAX

    @property
    def n_cross_entropies(self) -> int:
        """Number of cross-entropies whose mean is a cell's loss: one per output, or one over all classes."""
        return 1 if self.one_of_k else len(self.layout.outputs)

    @cached_property
    def start(self) -> Start:
        """Where training starts, and what a prior on the weights expects."""
        how = (self.initializer, self.seed, self.neuron_activations, self.edge_signs)
        return start_of(self.layout, *how, one_of_k=self.one_of_k)

    @property
    def prior_strength(self) -> float:
        """What the prior's precisions are multiplied with in the loss.

        Raises:
            ModelError: the number of training cells is not known.
        """
        if self.n_training_cells == 0:
            raise ModelError(
                "weight_prior counts against the training cells, and how many there are is not known yet: "
                "call adapt_normalization(model, X) before Keras's own fit, or train with fit_kpnn"
            )
        return self.penalty.weight_prior / (self.n_training_cells * self.n_cross_entropies)

    def _bias_penalty(self, bias: Any) -> Any:
        return self.penalty.bias_l1 * ops.sum(ops.abs(bias)) + self.penalty.bias_l2 * ops.sum(ops.square(bias))

    def weights_of(self, kernel: Any) -> Any:
        """Weight of each edge from its variable, shape (n_edges,): the same unless `signed`.

        Args:
            kernel: the variable, shape (n_edges,).
        """
        if self.edge_signs is None:
            return kernel
        signs = ops.convert_to_tensor(self.edge_signs, dtype=self.variable_dtype)
        return ops.where(signs == 0, kernel, signs * ops.softplus(kernel))

    def logits(self, inputs: Any, *, training: bool = False) -> Any:
        """Returns the outputs' pre-activations, cells x outputs; arguments as for `call`.

        Args:
            inputs: as for `call`.
            training: as for `call`.
        """
        before, _ = self.node_values(inputs, training=training)
        return ops.take(before, self.layout.outputs, axis=1)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Returns the outputs' values.

        Args:
            inputs: expression, cells x input nodes in the order of `dag.inputs`, dense, floating point.
            training: whether dropout is on.

        Returns:
            Cells x outputs: activated, so probabilities where the output activation is the sigmoid or the softmax.
        """
        _, values = self.node_values(inputs, training=bool(training))
        of_outputs = ops.take(values, self.layout.outputs, axis=1)
        return ops.softmax(of_outputs, axis=-1) if self.one_of_k else of_outputs

    def compute_output_spec(self, inputs: Any, training: bool | None = None) -> Any:  # noqa: ARG002 - Keras passes it
        """Shape and dtype of what `call` returns, without computing anything."""
        return keras.KerasTensor((*inputs.shape[:-1], len(self.layout.outputs)), dtype=self.compute_dtype)

    def node_values(self, inputs: Any, *, training: bool = False) -> tuple[Any, Any]:
        """Computes every neuron.

        Args:
            inputs: as for `call`.
            training: whether dropout is on.

        Returns:
            Pre-activations and activations, both cells x neurons in the order of `dag.neurons`, differentiable. Under
            the softmax an output's activation is its logit.
        """
        parameters = Parameters(self.weights_of(ops.convert_to_tensor(self.kernel)), ops.convert_to_tensor(self.bias))
        dropping = Dropping(self.kept if training else self.all_kept, self.random_numbers)
        return forward(inputs, parameters, self.layout, self.activation_codes, dropping)

    def get_config(self) -> dict[str, Any]:
        """Everything that `from_config` needs, names included, as JSON."""
        return {**super().get_config(), **self.dag_config(), **self._settings()}

    def dag_config(self) -> dict[str, Any]:
        """The part of the config that networks on the same DAG share."""
        dag = self.dag
        return {
            "inputs": list(dag.inputs),
            "genes": list(dag.genes(self.gene_suffix)),
            "neurons": list(dag.neurons),
            "outputs": list(dag.outputs),
            "edge_parents": self.layout.parents.tolist(),
            "edge_children": self.layout.children.tolist(),
            "edge_signs": self.layout.signs.tolist(),
            "fingerprint": dag.fingerprint,
            "gene_suffix": self.gene_suffix,
        }

    def _settings(self) -> dict[str, Any]:
        return {
            "hidden_activation": self.hidden_activation,
            "output_activation": self.output_activation,
            "activations": dict(self.activations),
            "dropout_genes": self.dropout.genes,
            "dropout_nodes": self.dropout.nodes,
            "dropout_on": self.dropout.on,
            "kernel_l1": self.penalty.kernel_l1,
            "kernel_l2": self.penalty.kernel_l2,
            "bias_l1": self.penalty.bias_l1,
            "bias_l2": self.penalty.bias_l2,
            "weight_prior": self.penalty.weight_prior,
            "n_training_cells": self.n_training_cells,
            "signed": self.signed,
            "initializer": self.initializer,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SparseDag:
        """Rebuilds the layer from its config.

        Raises:
            ModelError: the edges do not have the fingerprint that the config gives.
        """
        dag, config = cls.dag_from(config)
        return cls.on(dag, config)

    @classmethod
    def on(cls, dag: Dag, config: dict[str, Any]) -> SparseDag:
        """Rebuilds the layer on a DAG, from the rest of its config.

        Args:
            dag: the DAG.
            config: as `dag_from` leaves it.
        """
        config = dict(config)
        dropout = Dropout(config.pop("dropout_genes"), config.pop("dropout_nodes"), config.pop("dropout_on"))
        # Files saved before the prior existed do not name it.
        penalty = Penalty(**{each.name: config.pop(each.name, each.default) for each in fields(Penalty)})
        n_training_cells = config.pop("n_training_cells", 0)
        layer = cls(dag, dropout=dropout, penalty=penalty, **config)
        layer.n_training_cells = n_training_cells
        return layer

    @staticmethod
    def dag_from(config: dict[str, Any]) -> tuple[Dag, dict[str, Any]]:
        """Takes the DAG out of a config; `gene_suffix` stays, because the layer holds it.

        Args:
            config: as `get_config` gives it.

        Raises:
            ModelError: the edges do not have the fingerprint that the config gives.
        """
        config = dict(config)
        inputs, neurons = config.pop("inputs"), config.pop("neurons")
        nodes = np.array([*inputs, *neurons], dtype=object)
        edges = pd.DataFrame(
            {
                "parent": np.array(neurons, dtype=object)[config.pop("edge_parents")],
                "child": nodes[config.pop("edge_children")],
                "sign": np.array(config.pop("edge_signs"), dtype=np.int8),
                "cost": 1.0,
            }
        )
        dag = Dag(edges, tuple(inputs), tuple(config.pop("outputs")))
        if dag.fingerprint != config.pop("fingerprint"):
            raise ModelError(
                "the model's edges do not match its fingerprint: the file was changed; build the model anew"
            )
        config.pop("genes")
        return dag, config

    def save_own_variables(self, store: Any) -> None:
        """Stores the variables and the fingerprint of the DAG they belong to."""
        super().save_own_variables(store)
        store["fingerprint"] = np.frombuffer(bytes.fromhex(self.dag.fingerprint), dtype=np.uint8)

    def load_own_variables(self, store: Any) -> None:
        """Loads the variables.

        Raises:
            ModelError: they belong to another DAG.
        """
        keys = list(store.keys())
        if "fingerprint" not in keys or bytes(np.asarray(store["fingerprint"])).hex() != self.dag.fingerprint:
            raise ModelError(
                "these weights belong to another DAG: their edges, signs or outputs differ from this model's; "
                "build the model on the DAG that the weights were trained on"
            )
        super().load_own_variables({key: store[key] for key in keys if key != "fingerprint"})


def raw_weights(weights: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """Variables that give these weights under `signed`: the inverse of sign * softplus(variable)."""
    size = np.maximum(np.abs(weights), 1e-30)
    return np.where(signs == 0, weights, size + np.log(-np.expm1(-size)))


def sparse_dag(model: keras.Model) -> SparseDag:
    """The one sparse DAG layer of a model.

    Raises:
        ModelError: the model has none, so `build_kpnn` did not build it, or is an ensemble.
    """
    layers = [layer for layer in model.layers if isinstance(layer, SparseDag)]
    members = [member for layer in model.layers for member in getattr(layer, "members", ())]
    if members:
        raise ModelError(
            f"model {model.name!r} is an ensemble of {len(members)} networks, each with weights of its own; "
            "take its members one by one: kpnn.nn.members_of(model)"
        )
    if len(layers) != 1:
        raise ModelError(f"model {model.name!r} has {len(layers)} sparse DAG layers, not one; build it with build_kpnn")
    return layers[0]
