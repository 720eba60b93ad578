"""The one table of activations that a neuron can have: names and formulas are Keras's.

Who computes with them:

- Keras (`in_keras`), by the name;
- the compiled kernels, by the code; their formulas are in `kpnn.nn.engine.kernels`, because compiled code is cached by
  that file's date;
- float64 arithmetic outside of training, such as `kpnn.interpretation`, by `function` and `derivative`.

A new activation is a row here, a code and two branches there; tests hold all three to each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from scipy.special import expit

from kpnn.errors import SettingsError, some_names
from kpnn.nn.engine import kernels
from kpnn.pkn import Dag

SELU_ALPHA, SELU_SCALE, LEAK = 1.6732632423543772, 1.0507009873554805, 0.2

SOFTMAX = "softmax"
"""Output activation of classes that exclude each other. It is of all outputs together, so no row of the table: in the
network each output is linear, a logit, and the prediction is the softmax of all logits."""


@dataclass(frozen=True)
class Activation:
    """One activation.

    Attributes:
        name: Keras's.
        code: the kernels'.
        function: activations by pre-activations, any shape, float64.
        derivative: of `function`; where that has a corner, the one from below.
    """

    name: str
    code: int
    function: Callable[[np.ndarray], np.ndarray]
    derivative: Callable[[np.ndarray], np.ndarray]

    @property
    def in_keras(self) -> Callable[[Any], Any]:
        """The function for tensors of Keras's backend."""
        function: Callable[[Any], Any] = keras.activations.get(self.name)
        return function


def _exp(z: np.ndarray) -> np.ndarray:
    """exp(z) below 0, where alone it is used: above it would overflow."""
    return np.exp(np.minimum(z, 0.0))


_TABLE = (
    Activation("linear", kernels.LINEAR, lambda z: z, np.ones_like),
    Activation("sigmoid", kernels.SIGMOID, expit, lambda z: expit(z) * expit(-z)),
    Activation("tanh", kernels.TANH, np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    Activation("relu", kernels.RELU, lambda z: np.maximum(z, 0.0), lambda z: np.where(z > 0, 1.0, 0.0)),
    Activation(
        "leaky_relu",
        kernels.LEAKY_RELU,
        lambda z: np.where(z > 0, z, LEAK * z),
        lambda z: np.where(z > 0, 1.0, LEAK),
    ),
    Activation("elu", kernels.ELU, lambda z: np.where(z > 0, z, _exp(z) - 1), lambda z: np.where(z > 0, 1.0, _exp(z))),
    Activation(
        "selu",
        kernels.SELU,
        lambda z: SELU_SCALE * np.where(z > 0, z, SELU_ALPHA * (_exp(z) - 1)),
        lambda z: SELU_SCALE * np.where(z > 0, 1.0, SELU_ALPHA * _exp(z)),
    ),
    Activation("silu", kernels.SILU, lambda z: z * expit(z), lambda z: expit(z) * (1 + z * expit(-z))),
    Activation("softplus", kernels.SOFTPLUS, lambda z: np.logaddexp(0, z), expit),
    Activation("softsign", kernels.SOFTSIGN, lambda z: z / (1 + np.abs(z)), lambda z: 1 / (1 + np.abs(z)) ** 2),
    Activation(
        "hard_sigmoid",
        kernels.HARD_SIGMOID,
        lambda z: np.clip(z / 6 + 0.5, 0.0, 1.0),
        lambda z: np.where(np.abs(z) < 3, 1 / 6, 0.0),
    ),
)

ACTIVATIONS: Mapping[str, Activation] = {each.name: each for each in _TABLE}
"""By name."""

BY_CODE: Mapping[int, Activation] = {each.code: each for each in _TABLE}
"""By the kernels' code."""


def activations_of(dag: Dag, hidden: str, output: str, by_node: Mapping[str, str]) -> tuple[Activation, ...]:
    """Returns the activation of every neuron, in the order of `dag.neurons`.

    Args:
        dag: whose neurons.
        hidden: activation of hidden nodes.
        output: activation of output nodes; `softmax` leaves them linear.
        by_node: activations of single neurons, before the two above.

    Raises:
        SettingsError: an activation is unknown, a node is not a neuron, or the softmax is asked of one output, or of
            outputs that have activations of their own.
    """
    stray = [name for name in by_node if name not in set(dag.neurons)]
    if stray:
        raise SettingsError(f"activation given for {some_names(stray)}, which is not a neuron of the DAG")
    outputs = set(dag.outputs)
    if output == SOFTMAX:
        own = [name for name in by_node if name in outputs]
        if own:
            raise SettingsError(f"output_activation softmax is of all outputs; leave out that of {some_names(own)}")
        if len(outputs) < 2:
            raise SettingsError(
                f"output_activation softmax needs several classes, each an output; {dag.outputs[0]} is the only one: "
                "choose sigmoid"
            )
        output = "linear"
    for name in (hidden, output, *by_node.values()):
        if name not in ACTIVATIONS:
            raise SettingsError(f"no activation named {name!r}; choose one of {', '.join(ACTIVATIONS)}")
    names = (by_node.get(neuron, output if neuron in outputs else hidden) for neuron in dag.neurons)
    return tuple(ACTIVATIONS[name] for name in names)
