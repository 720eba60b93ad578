"""How far long work has come: told by whoever is at it, asked by whoever breaks a silence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

_Thing = TypeVar("_Thing")
_within: ContextVar[str] = ContextVar("what this thread's work is part of", default="")
_going_on: dict[object, tuple[str, Callable[[], str]]] = {}


@contextmanager
def within(name: str) -> Iterator[None]:
    """Names what this thread's work is part of meanwhile, within what was named before.

    Args:
        name: such as that of a fold.
    """
    token = _within.set(f"{_within.get()}, {name}".removeprefix(", "))
    try:
        yield
    finally:
        _within.reset(token)


@contextmanager
def telling(how_far: Callable[[], str]) -> Iterator[None]:
    """Lets others ask meanwhile how far this work has come.

    Args:
        how_far: says it in a few words, from any thread and at any time; empty where there is nothing to say.

    Examples:
        >>> with within("fold 1"), within("trials 1 to 5 of 9"), telling(lambda: "3 of 5 networks still train"):
        ...     print(told())
        fold 1, trials 1 to 5 of 9: 3 of 5 networks still train
    """
    key, of = object(), _within.get()
    _going_on[key] = f"{of}: " if of else "", how_far
    try:
        yield
    finally:
        del _going_on[key]


@contextmanager
def counted(things: Sequence[_Thing], what: str) -> Iterator[Iterator[_Thing]]:
    """Gives one thing after the other, telling meanwhile which one it is.

    Args:
        things: what there is to do.
        what: what one of them is called; its number follows.

    Examples:
        >>> with counted([300, 30_000], "network") as sizes:
        ...     for size in sizes:
        ...         print(size, "edges;", told())
        300 edges; network 1 of 2
        30000 edges; network 2 of 2
        >>> told()
        ''
    """
    begun = 0

    def each() -> Iterator[_Thing]:
        nonlocal begun
        for thing in things:
            begun += 1
            yield thing

    with telling(lambda: f"{what} {begun} of {len(things)}" if begun else ""):
        yield each()


def told() -> str:
    """How far all work of this process has come, what began first at the front; empty where none tells."""
    return "; ".join(of + said for of, how_far in list(_going_on.values()) if (said := how_far()))
