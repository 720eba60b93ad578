"""The arms that are compared, and node functions that serve all of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, update_wrapper
from typing import Any

ARMS = {"full": "full_dag", "pruned": "pruned_dag"}
"""Name of each arm and the dataset of its DAG."""


def for_arm(function: Callable[..., Any], arm: str) -> Callable[..., Any]:
    """The node function of one arm: a function with its first argument given. Unlike a closure it can go to a process.

    Args:
        function: a function of a module, which takes the arm's name first.
        arm: name of the arm.
    """
    return update_wrapper(partial(function, arm), function)
