"""A race of configurations: each earns its next inner folds by its losses on the earlier ones.

A configuration's value is the mean over the inner folds of its validation loss. All start on the first inner fold;
those that are not worse than the leader go on to the second, and of these those that are still not to the rest. Worse
is a mean loss that lies above the leader's by more than one standard error of their difference, which is estimated from
the differences cell by cell over the validation cells of the inner folds so far. Nobody is judged within a fit: a
network of many levels may stay on a plateau for long before it learns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kpnn.training.settings import Hyperparameters


@dataclass(frozen=True, eq=False)
class Member:
    """A configuration's network of one inner fold.

    Attributes:
        network: the trained network, which the race only passes on.
        loss: its lowest validation loss; not finite if it diverged.
        cell_losses: cross-entropy of each validation cell, in the same order for all configurations.
        history: its learning curve, which the race only passes on.
    """

    network: Any
    loss: float
    cell_losses: np.ndarray
    history: Any


TrainMembers = Callable[[Sequence[tuple[Hyperparameters, int]]], Sequence[Member]]
"""Trains networks together, each a configuration on an inner fold, and returns them in that order."""


@dataclass(eq=False)
class Contender:
    """A configuration in the race.

    Attributes:
        hyperparameters: the configuration.
        members: its networks of the inner folds that it earned, in the order of the inner folds.
        dropped: whether it fell behind the leader.
    """

    hyperparameters: Hyperparameters
    members: list[Member] = field(default_factory=list)
    dropped: bool = False

    @property
    def diverged(self) -> bool:
        """Whether the loss of one of its networks was not finite."""
        return not all(np.isfinite(member.loss) for member in self.members)

    def loss(self, n_folds: int | None = None) -> float:
        """Mean validation loss over its first inner folds.

        Args:
            n_folds: how many; None: all that it earned.
        """
        return float(np.mean([member.loss for member in self.members[:n_folds]]))


def race(
    proposed: Sequence[Hyperparameters],
    n_folds: int,
    train: TrainMembers,
    leader: Contender | None = None,
    *,
    dropping: bool = True,
) -> list[Contender]:
    """Trains configurations against each other and against the best so far.

    Args:
        proposed: the configurations.
        n_folds: number of inner folds.
        train: trains networks.
        leader: a configuration that has all inner folds; None: there is none yet, and the best of these gets them.
        dropping: false: all get all inner folds.

    Returns:
        The configurations in their order. Those that are neither dropped nor diverged have all inner folds.
    """
    contenders = [Contender(one) for one in proposed]
    done = 0
    for until in _rungs(n_folds) if dropping else [n_folds]:
        running = [one for one in contenders if not one.dropped and not one.diverged]
        asked = [(one, place) for one in running for place in range(done, until)]
        trained = train([(one.hyperparameters, place) for one, place in asked]) if asked else []
        for (one, _), member in zip(asked, trained, strict=True):
            one.members.append(member)
        done = until
        finite = [one for one in running if not one.diverged]
        if finite and done < n_folds:
            _drop(finite, leader, done)
    return contenders


def _rungs(n_folds: int) -> list[int]:
    """Inner folds that a configuration has after each rung."""
    return sorted({1, min(2, n_folds), n_folds})


def _drop(running: Sequence[Contender], leader: Contender | None, n_folds: int) -> None:
    """Drops configurations that are worse than the best over the inner folds so far; the best stays."""
    best = min([*running] if leader is None else [leader, *running], key=lambda one: one.loss(n_folds))
    for one in running:
        one.dropped = one is not best and _is_worse(one, best, n_folds)


def _is_worse(one: Contender, best: Contender, n_folds: int) -> bool:
    """Whether a mean loss lies above the best by more than a standard error of their difference."""
    pairs = zip(one.members[:n_folds], best.members[:n_folds], strict=True)
    differences = [member.cell_losses - other.cell_losses for member, other in pairs]
    variance = sum(float(np.var(d, ddof=1)) / len(d) for d in differences if len(d) > 1) / n_folds**2
    return one.loss(n_folds) - best.loss(n_folds) > variance**0.5
