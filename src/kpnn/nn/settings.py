"""How one network is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kpnn.errors import SettingsError

OPTIMIZERS = ("adam", "sgd")
SCHEDULES = ("constant", "plateau")


@dataclass(frozen=True)
class TrainingSettings:
    """How one network is trained.

    Attributes:
        max_epochs: most epochs.
        epoch_cells: cells after which an epoch ends, drawn anew for each one, and most of the validation cells that it
            looks at, always the same; where there are no more than that, or None: all of them.
        patience: epochs without improvement of the validation loss after which training stops; None never stops early.
        min_epochs: epochs before which patience does not start counting: with a small learning rate, networks of many
            levels stay on a plateau at first, and go on to learn.
        min_delta: how much lower a validation loss must be to count as an improvement.
        batch_size: cells per step; the last step of an epoch takes what is left.
        learning_rate: step size, at first.
        learning_rate_schedule: `constant`, or `plateau`: half the rate after every `patience // 2` epochs (at least
            one) without improvement of the validation loss.
        optimizer: `adam` (beta 0.9 and 0.999, epsilon 1e-7, as Keras) or `sgd` (no momentum).
        class_weight: None, `balanced` (each class of an output weighs as much as the other in the training cells; of a
            softmax each class as much as any other), or a mapping of the labels 0 and 1 to weights; of a softmax, of
            the outputs' names, and those that are not named weigh 1.
        seed: order of the cells and dropout; the same seed repeats a run bit for bit on one machine.

    Examples:
        >>> TrainingSettings(patience=10, learning_rate_schedule="plateau").epochs_to_halving
        5
        >>> TrainingSettings(max_epochs=0)
        Traceback (most recent call last):
        kpnn.errors.SettingsError: max_epochs must be a whole number of at least 1, not 0
    """

    max_epochs: int = 200
    patience: int | None = 10
    min_delta: float = 0.0
    batch_size: int = 64
    learning_rate: float = 1e-3
    optimizer: str = "adam"
    class_weight: str | Mapping[int, float] | Mapping[str, float] | None = None
    seed: int = 42
    min_epochs: int = 0
    learning_rate_schedule: str = "constant"
    epoch_cells: int | None = None

    def __post_init__(self) -> None:
        leasts = {"max_epochs": 1, "batch_size": 1, "patience": 1, "seed": 0, "min_epochs": 0, "epoch_cells": 1}
        for name, least in leasts.items():
            value = getattr(self, name)
            if value is None and name in ("patience", "epoch_cells"):
                continue
            if int(value) != value or value < least:
                raise SettingsError(f"{name} must be a whole number of at least {least}, not {value!r}")
        if not 0 < self.learning_rate < float("inf"):
            raise SettingsError(f"learning_rate must be above 0 and finite, not {self.learning_rate!r}")
        if not 0 <= self.min_delta < float("inf"):
            raise SettingsError(f"min_delta must be 0 or more, not {self.min_delta!r}")
        if self.optimizer not in OPTIMIZERS:
            raise SettingsError(f"optimizer must be one of {', '.join(OPTIMIZERS)}, not {self.optimizer!r}")
        if self.learning_rate_schedule not in SCHEDULES:
            raise SettingsError(
                f"learning_rate_schedule must be one of {', '.join(SCHEDULES)}, not {self.learning_rate_schedule!r}"
            )
        if self.learning_rate_schedule == "plateau" and self.patience is None:
            raise SettingsError("learning_rate_schedule 'plateau' waits for half the patience: give a patience")
        weights = self.class_weight
        if isinstance(weights, str) and weights != "balanced":
            raise SettingsError(f"class_weight must be None, 'balanced' or a mapping, not {weights!r}")
        if isinstance(weights, Mapping):
            if set(weights) != {0, 1} and not (weights and all(isinstance(name, str) for name in weights)):
                raise SettingsError(
                    f"class_weight must give a weight to 0 and to 1, not to {sorted(weights, key=str)}; of classes "
                    "that exclude each other (softmax), to outputs by name"
                )
            if not all(0 <= weight < float("inf") for weight in weights.values()):
                raise SettingsError(f"class weights must be 0 or more, not {dict(weights)}")

    @property
    def epochs_to_halving(self) -> int | None:
        """Epochs without improvement after which the learning rate is halved; None if it never is."""
        if self.learning_rate_schedule == "constant" or self.patience is None:
            return None
        return max(1, self.patience // 2)
