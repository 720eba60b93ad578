"""How long work on other threads is told to stop: only the main thread hears of Ctrl-C."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Event

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
