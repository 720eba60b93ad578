"""What nodes hand each other in memory."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, update_wrapper
from typing import Any, Self


class HandedOn:
    """Base of frozen dataclasses that travel between nodes: they do not change, so that Kedro need not copy them."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


def for_arm(function: Callable[..., Any], arm: str) -> Callable[..., Any]:
    """The node function of one arm: a function with its first argument given. Unlike a closure it can go to a process.

    Args:
        function: a function of a module, which takes the arm's name first.
        arm: name of the arm.
    """
    return update_wrapper(partial(function, arm), function)
