"""Seeds that derive from one another, so that nothing random is drawn twice from the same one."""

from __future__ import annotations

import numpy as np


def derived_seeds(n: int, *numbers: int) -> list[int]:
    """Seeds of several draws that belong together.

    Args:
        n: how many.
        numbers: what tells these draws from all others: a seed, a repeat, a fold...
    """
    # One bit less than numpy gives: these fit int32, the narrowest type that any library here keeps a seed in.
    return (np.random.SeedSequence(numbers).generate_state(n) >> 1).tolist()


def derived_seed(*numbers: int) -> int:
    """The seed of one draw, from the numbers that tell it from all others."""
    return derived_seeds(1, *numbers)[0]
