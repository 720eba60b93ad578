"""What this process does beyond a folder while it is listened to: files that it writes, addresses that it looks for."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_CHANGES = {"os.rename": 2, "os.remove": 1, "os.rmdir": 1, "os.mkdir": 1, "os.link": 2, "os.symlink": 2}
"""Events that change files, and how many paths come first in what Python tells of each."""

_hearing: list[list[tuple[str, str]]] = []


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if not _hearing:
        return
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        told = [("network", str(arguments[1]))]
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        told = [("network", str(arguments[0]))]
    elif event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR):
        told = [("write", _whole(arguments[0]))] if isinstance(arguments[0], str | os.PathLike) else []
    else:
        paths = arguments[: _CHANGES.get(event, 0)]
        told = [("write", _whole(path)) for path in paths if isinstance(path, str | os.PathLike)]
    for listener in _hearing:
        listener.extend(told)


def _whole(path: str | os.PathLike[str]) -> str:
    return str(Path(path).absolute())


@contextmanager
def listening() -> Iterator[list[tuple[str, str]]]:
    """Gives a list that grows by `("write", path)` and `("network", address)` until the block ends."""
    if not getattr(sys, "_kpnn_tests_hear", False):
        sys.addaudithook(_hear)  # for ever: Python has no way to take one back
        sys._kpnn_tests_hear = True  # type: ignore[attr-defined]
    heard: list[tuple[str, str]] = []
    _hearing.append(heard)
    try:
        yield heard
    finally:
        _hearing.remove(heard)
