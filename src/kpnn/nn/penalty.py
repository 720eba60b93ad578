"""L1 and L2 regularization of weights and of biases."""

from __future__ import annotations

from dataclasses import dataclass, fields

from kpnn.errors import SettingsError


@dataclass(frozen=True)
class Penalty:
    """What is added to the loss: l1 * sum of |value| + l2 * sum of value^2, apart for weights and biases.

    Attributes:
        kernel_l1: on the weights of the edges (of a signed network: on the signed weights, not on their variables).
        kernel_l2: likewise, squared.
        bias_l1: on the biases of the neurons.
        bias_l2: likewise, squared.
    """

    kernel_l1: float = 0.0
    kernel_l2: float = 0.0
    bias_l1: float = 0.0
    bias_l2: float = 0.0

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if not 0 <= value < float("inf"):
                raise SettingsError(f"{each.name} must be 0 or more, and finite, not {value!r}")

    @property
    def on_weights(self) -> bool:
        """Whether weights cost anything."""
        return self.kernel_l1 > 0 or self.kernel_l2 > 0

    @property
    def on_biases(self) -> bool:
        """Whether biases cost anything."""
        return self.bias_l1 > 0 or self.bias_l2 > 0
