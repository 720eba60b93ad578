"""Regularization of weights and of biases."""

from __future__ import annotations

from dataclasses import dataclass, fields

from kpnn.errors import SettingsError


@dataclass(frozen=True)
class Penalty:
    """What is added to the loss, the mean cross-entropy over cells and outputs (or cells, over classes).

    L1 and L2, apart for weights and biases: l1 * sum of |value| + l2 * sum of value^2. What number is right depends on
    the network and on how many cells there are.

    A prior on the weights in units that carry over: each is Gaussian, with the mean and variance that the initializer
    states (`kpnn.nn.initialization`: for random starts 0 and the variance of the draw), the variance divided by
    `weight_prior`. At 1 the trained weights are expected to move about as far as they started, at 0.01 ten times as
    far; what the cells say against it counts as much as there are cells. The negative logarithm of that density, as a
    share of the mean cross-entropy, is

        weight_prior / (2 * training cells * outputs) * sum over edges of (weight - mean)^2 / variance,

    with 1 in the place of the outputs where they are classes that exclude each other and share one cross-entropy.

    Attributes:
        kernel_l1: on the weights of the edges (of a signed network: on the signed weights, not on their variables).
        kernel_l2: likewise, squared.
        bias_l1: on the biases of the neurons.
        bias_l2: likewise, squared.
        weight_prior: strength of the prior on the weights.
    """

    kernel_l1: float = 0.0
    kernel_l2: float = 0.0
    bias_l1: float = 0.0
    bias_l2: float = 0.0
    weight_prior: float = 0.0

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if not 0 <= value < float("inf"):
                raise SettingsError(f"{each.name} must be 0 or more, and finite, not {value!r}")

    @property
    def on_weights(self) -> bool:
        """Whether weights cost anything."""
        return self.kernel_l1 > 0 or self.kernel_l2 > 0 or self.weight_prior > 0

    @property
    def on_biases(self) -> bool:
        """Whether biases cost anything."""
        return self.bias_l1 > 0 or self.bias_l2 > 0
