"""A progress line every few seconds while a solver is at work."""

from __future__ import annotations

import io
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout

SECONDS_BETWEEN_LINES = 5.0
"""Of a search that goes on."""

_log = logging.getLogger(__name__)


@contextmanager
def progress(describe: Callable[[], str]) -> Iterator[None]:
    """Logs `describe()` every few seconds, from a thread of its own, until the block ends."""
    is_over = threading.Event()

    def report() -> None:
        while not is_over.wait(SECONDS_BETWEEN_LINES):
            _log.info("DAG selection: %s", describe())

    thread = threading.Thread(target=report, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


@contextmanager
def log_lines(prefix: str) -> Iterator[None]:
    """Turns what a solver prints into log lines, at most one every few seconds.

    For solvers that let no other thread run meanwhile, but print through Python.
    """
    cvxpy_log = logging.getLogger("__cvxpy__")
    level = cvxpy_log.level
    cvxpy_log.setLevel(logging.WARNING)
    try:
        with redirect_stdout(_Lines(prefix)):
            yield
    finally:
        cvxpy_log.setLevel(level)


class _Lines(io.TextIOBase):
    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._last = time.monotonic()
        self._rest = ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        shown = [line.strip() for line in lines if "|" in line]
        if shown and time.monotonic() - self._last >= SECONDS_BETWEEN_LINES:
            self._last = time.monotonic()
            _log.info("%s%s", self._prefix, shown[-1])
        return len(text)
