"""How a network starts, and so what a prior on its weights is centred on and how wide it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kpnn.errors import SettingsError, some_names
from kpnn.nn.activations import Activation
from kpnn.nn.engine.layout import Layout

INITIALIZERS = ("glorot_uniform", "lecun_uniform", "he_uniform", "standard_normal", "conducting")

_SMALL = 0.1
"""Size of a start from a gene, times the root of their number, where it must have a sign: 0 could not hold one."""
_SPREAD = 0.9
"""By how much classes that exclude each other start apart."""
_STEP = 1e-6
"""Of a weighted sum to either side of 0, between whose slopes a corner would show."""


@dataclass(frozen=True, eq=False)
class Start:
    """The weights and biases that training starts from, and what is expected of weights before any cell is seen.

    Attributes:
        weights: of every edge, shape (n_edges,), float64.
        biases: of every neuron, shape (n_neurons,), float64.
        means: what each weight is expected to be, shape (n_edges,).
        variances: how far from it, squared, shape (n_edges,).
    """

    weights: np.ndarray
    biases: np.ndarray
    means: np.ndarray
    variances: np.ndarray


def start_of(
    layout: Layout,
    initializer: str,
    seed: int,
    activations: Sequence[Activation],
    signs: np.ndarray | None = None,
    *,
    one_of_k: bool = False,
) -> Start:
    """Draws a weight for every edge and a bias for every neuron.

    A neuron with n children is a layer of its own, so n is its fan-in and 1 its fan-out. `glorot_uniform` draws from
    +-sqrt(6 / (n + 1)) (Glorot & Bengio 2010), as `corneto.ml.build_dagnn` does; neurons with few and with many
    children then start with pre-activations of like size. `lecun_uniform` draws from +-sqrt(3 / n), `he_uniform` from
    +-sqrt(6 / n). Biases start at 0. `standard_normal` draws weights and biases from N(0, 1) whatever the fan-in, as
    KPNN_Function.py (Fortelny & Bock 2020) does. Weights of these are expected around 0.

    `conducting` draws nothing for one output. Edges from genes start at 0, and every path from there to an output
    conducts: a neuron weighs its m children that are neurons by 1 / (f'(0) * sqrt(m)), f being the child's activation,
    and its bias takes off what they give at rest, so that every weighted sum is 0 and small changes pass on
    undiminished. In a deep DAG whose neurons have one or two children each, random starts fail: some weight on almost
    every path is near 0, and under the sigmoid each level passes on a quarter of a change at most. Weights from neurons
    are expected around their start and as far from it as it is from 0, weights from n genes around 0 with variance 1 /
    n: a strong prior leaves ridge regression on the genes, along the paths that the knowledge draws. All neurons start
    in the direction of the output. In a signed network an edge takes the size of its start and its own sign, and genes
    start at 0.1 / sqrt(n), because the sign of a weight of 0 cannot be held. Several outputs would all ask the neurons
    that they share for the same, and take back from each other what they learn, so they start apart. Each of several
    that do not exclude each other weighs its children in a direction that is drawn, as long as the above. Classes that
    exclude each other weigh them by 0.1 to 1.9 times the above, evenly spread, in an order that is drawn: what all
    classes weigh alike cancels in a softmax, so a neuron below all of them would learn nothing until chance told them
    apart. Where all of them read one neuron, which puts them in a row, networks of other seeds try other rows.

    Args:
        layout: the DAG's arrays.
        initializer: one of `INITIALIZERS`.
        seed: of the random numbers; the same seed gives the same weights.
        activations: of every neuron; `conducting` alone looks at them.
        signs: known sign of each edge of a signed network, 0 where unknown, shape (n_edges,); None: it is not signed.
        one_of_k: whether the outputs are classes that exclude each other.

    Raises:
        SettingsError: there is no such initializer, or a hidden neuron's activation cannot conduct: it is flat or has
            a corner at 0.
    """
    generator, zeros = np.random.default_rng([seed, 0]), np.zeros(layout.n_edges)
    if initializer == "conducting":
        return _conducting(layout, activations, signs, _directions(layout, generator, one_of_k=one_of_k))
    if initializer == "standard_normal":
        weights, biases = generator.standard_normal(layout.n_edges), generator.standard_normal(layout.n_neurons)
        variances = np.ones(layout.n_edges)
    else:
        limits = _limits(layout, initializer)
        weights, biases = generator.uniform(-1.0, 1.0, layout.n_edges) * limits, np.zeros(layout.n_neurons)
        variances = limits**2 / 3.0
    if signs is not None:
        weights = np.where(signs == 0, weights, signs * np.abs(weights))
    return Start(weights, biases, zeros, variances)


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


def _directions(layout: Layout, generator: np.random.Generator, *, one_of_k: bool) -> np.ndarray:
    """What the weights of edges from neurons are multiplied with so that outputs start apart; of one output 1."""
    from_neuron = layout.children >= layout.n_inputs
    parents, n_outputs = layout.parents[from_neuron], len(layout.outputs)
    factors = np.ones(layout.n_neurons)
    if one_of_k:
        factors[layout.outputs] = generator.permutation(np.linspace(1 - _SPREAD, 1 + _SPREAD, n_outputs))
    if one_of_k or n_outputs == 1:
        return factors[parents]
    drawn = np.where(np.isin(parents, layout.outputs), generator.standard_normal(len(parents)), 1.0)
    squares, numbers = (np.bincount(parents, weights)[parents] for weights in (drawn**2, None))
    return drawn / np.sqrt(squares / numbers)


def _conducting(
    layout: Layout, activations: Sequence[Activation], signs: np.ndarray | None, directions: np.ndarray
) -> Start:
    """The start that conducts; `directions` is what weights from neurons are multiplied with, in their order."""
    is_output = np.isin(np.arange(layout.n_neurons), layout.outputs)
    stuck = {each.name for each, top in zip(activations, is_output, strict=True) if not top and not _conducts(each)}
    if stuck:
        raise SettingsError(
            f"initializer conducting needs hidden activations that are smooth at 0, which {some_names(sorted(stuck))} "
            f"is not; choose another activation (sigmoid, tanh, softsign...) or initializer (glorot_uniform...)"
        )
    at_rest = np.array([float(each.function(np.zeros(1))[0]) for each in activations])
    slopes = np.array([float(each.derivative(np.zeros(1))[0]) for each in activations])
    from_gene = layout.children < layout.n_inputs
    genes, neurons = layout.parents[from_gene], layout.parents[~from_gene]
    below = layout.children[~from_gene] - layout.n_inputs
    n_genes = np.bincount(genes, minlength=layout.n_neurons)[genes]
    n_neurons = np.bincount(neurons, minlength=layout.n_neurons)[neurons]

    means, variances = np.zeros(layout.n_edges), np.zeros(layout.n_edges)
    means[~from_gene] = 1.0 / (slopes[below] * np.sqrt(n_neurons))
    variances[~from_gene] = means[~from_gene] ** 2
    variances[from_gene] = 1.0 / n_genes
    means[~from_gene] *= directions
    if signs is not None:
        means = np.where(signs == 0, means, signs * np.abs(means))
    weights = means.copy()
    if signs is not None:
        weights[from_gene] = _SMALL * signs[from_gene] / np.sqrt(n_genes)
    biases = -np.bincount(neurons, weights=weights[~from_gene] * at_rest[below], minlength=layout.n_neurons)
    return Start(weights, biases, means, variances)


def _conducts(activation: Activation) -> bool:
    """Whether a small change of the weighted sum at 0 passes on, up and down alike."""
    below, above = activation.derivative(np.array([-_STEP, _STEP]))
    return bool(below > 0 and abs(below - above) < 1e-3)
