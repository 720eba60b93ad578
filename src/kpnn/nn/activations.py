"""The activation functions a neuron can have, by the names and with the formulas that Keras gives them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kpnn.errors import SettingsError, some_names
from kpnn.pkn import Dag

ACTIVATIONS = (
    "linear",
    "sigmoid",
    "tanh",
    "relu",
    "leaky_relu",
    "elu",
    "selu",
    "silu",
    "softplus",
    "softsign",
    "hard_sigmoid",
)
"""Names in the order of the codes that the compiled kernels use."""


def activation_code(name: str) -> int:
    """Returns the code of an activation.

    Raises:
        SettingsError: there is no activation of that name.
    """
    if name not in ACTIVATIONS:
        raise SettingsError(f"no activation named {name!r}; choose one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS.index(name)


def activation_codes(dag: Dag, hidden: str, output: str, by_node: Mapping[str, str]) -> np.ndarray:
    """Returns the activation's code of every neuron, shape (n_neurons,), int32.

    Args:
        dag: whose neurons.
        hidden: activation of hidden nodes.
        output: activation of output nodes.
        by_node: activations of single neurons, before the two above.

    Raises:
        SettingsError: an activation is unknown, or a node is no neuron.
    """
    stray = [name for name in by_node if name not in set(dag.neurons)]
    if stray:
        raise SettingsError(f"activation given for {some_names(stray)}, which is no neuron of the DAG")
    outputs = set(dag.outputs)
    names = [by_node.get(name, output if name in outputs else hidden) for name in dag.neurons]
    codes = {name: activation_code(name) for name in {hidden, output, *names}}
    return np.array([codes[name] for name in names], dtype=np.int32)
