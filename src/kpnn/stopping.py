"""How long work on other threads is told to stop: only the main thread hears of Ctrl-C."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Event
from types import TracebackType
from typing import Self, TypeVar

_Found = TypeVar("_Found")
_asked: ContextVar[Event | None] = ContextVar("asked to stop", default=None)


class StoppedError(Exception):
    """Work ended because whoever gave it out asked it to."""


@contextmanager
def stopped_by(event: Event) -> Iterator[None]:
    """What this thread does meanwhile ends soon after the event is set, with `StoppedError`."""
    token = _asked.set(event)
    try:
        yield
    finally:
        _asked.reset(token)


def asked_to_stop() -> Event:
    """What tells this thread's work to stop; an event that nobody sets where nobody may."""
    return _asked.get() or Event()


def stop_if_asked() -> None:
    """Ends work between two of its pieces, neither of which can be stopped itself.

    Raises:
        StoppedError: it was asked to stop.
    """
    if asked_to_stop().is_set():
        raise StoppedError


class SideBySide:
    """Several pieces of work on a few threads, each begun in turn; leaving the block waits for them.

    Where the block ends by an error, Ctrl-C or that of a piece whose result it asked for, nothing else begins, and
    what has begun is asked to stop.
    """

    def __init__(self, n_at_once: int) -> None:
        """Begins nothing yet.

        Args:
            n_at_once: pieces of work at the same time, at least 1.
        """
        self._stop, self._threads = Event(), ThreadPoolExecutor(n_at_once)

    def begin(self, work: Callable[[], _Found]) -> Future[_Found]:
        """Has a piece of work done as soon as a thread is free."""

        def told_to_stop() -> _Found:
            with stopped_by(self._stop):
                return work()

        return self._threads.submit(told_to_stop)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            self._stop.set()
        self._threads.shutdown(wait=True, cancel_futures=kind is not None)
