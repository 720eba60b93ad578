"""Initial weights, by the fan-in of each neuron."""

from __future__ import annotations

import numpy as np

from kpnn.errors import SettingsError
from kpnn.nn.engine.layout import Layout

INITIALIZERS = ("glorot_uniform", "lecun_uniform", "he_uniform", "standard_normal")


def initial_weights(layout: Layout, initializer: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws a weight for every edge and a bias for every neuron.

    A neuron with n children is a layer of its own, so n is its fan-in and 1 its fan-out. `glorot_uniform` draws from
    +-sqrt(6 / (n + 1)) (Glorot & Bengio 2010), as `corneto.ml.build_dagnn` does; it is the default because neurons
    with few and with many children then start with pre-activations of like size. `lecun_uniform` draws from +-sqrt(3 /
    n), `he_uniform` from +-sqrt(6 / n). Biases start at 0. `standard_normal` draws weights and biases from N(0, 1)
    whatever the fan-in, as KPNN_Function.py (Fortelny & Bock 2020) does.

    Args:
        layout: the DAG's arrays.
        initializer: one of the four names.
        seed: of a generator of its own; the same seed gives the same weights.

    Returns:
        Weights, shape (n_edges,), and biases, shape (n_neurons,), float64.

    Raises:
        SettingsError: there is no such initializer.
    """
    generator = np.random.default_rng([seed, 0])
    if initializer == "standard_normal":
        return generator.standard_normal(layout.n_edges), generator.standard_normal(layout.n_neurons)
    limits = _limits(layout, initializer)
    return generator.uniform(-1.0, 1.0, layout.n_edges) * limits, np.zeros(layout.n_neurons)


def initial_variances(layout: Layout, initializer: str) -> np.ndarray:
    """Variance of each weight's initial distribution, shape (n_edges,), float64.

    Args:
        layout: the DAG's arrays.
        initializer: as for `initial_weights`.
    """
    if initializer == "standard_normal":
        return np.ones(layout.n_edges)
    return _limits(layout, initializer) ** 2 / 3.0


def _limits(layout: Layout, initializer: str) -> np.ndarray:
    """Largest size of each initial weight of a uniform initializer."""
    fan_in = layout.fan_in[layout.parents]
    if initializer == "glorot_uniform":
        return np.sqrt(6.0 / (fan_in + 1))
    if initializer == "lecun_uniform":
        return np.sqrt(3.0 / fan_in)
    if initializer == "he_uniform":
        return np.sqrt(6.0 / fan_in)
    raise SettingsError(f"no initializer named {initializer!r}; choose one of {', '.join(INITIALIZERS)}")
