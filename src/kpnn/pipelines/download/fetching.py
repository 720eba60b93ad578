"""One file over HTTP: with progress, resumed where it broke off, tried again with growing pauses."""

from __future__ import annotations

import http.client
import json
import logging
import re
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from kpnn.errors import KpnnError

logger = logging.getLogger(__name__)

_PIECE = 1 << 16


class DownloadError(KpnnError):
    """A file cannot be fetched, or is not what it should be."""


class _TryAgainError(Exception):
    """The connection failed in a way that may pass; `wait_seconds` is what the server asked for."""

    def __init__(self, reason: str, wait_seconds: float = 0.0):
        super().__init__(reason)
        self.wait_seconds = wait_seconds


@dataclass(frozen=True)
class Patience:
    """How long a download is tried.

    Attributes:
        attempts: how often a connection is opened without a byte gained before giving up.
        first_wait_seconds: pause after the first failure; each further one is twice as long.
        longest_wait_seconds: no pause is longer.
        timeout_seconds: longest silence of the server.
    """

    attempts: int = 5
    first_wait_seconds: float = 1.0
    longest_wait_seconds: float = 60.0
    timeout_seconds: float = 30.0


def effective_address(address: str, patience: Patience) -> str:
    """The address after all redirects, ending in a slash, so that file names can be appended."""
    if not address.startswith(("http://", "https://")):
        raise DownloadError(f"download.address must begin with http:// or https://, found {address!r}")

    def ask() -> str:
        with _open(urllib.request.Request(address), patience) as response:
            return str(response.geturl())

    found = _persistently(ask, address, patience)
    path = found.split("?", 1)[0].split("#", 1)[0]
    return path if path.endswith("/") else path.rsplit("/", 1)[0] + "/"


def fetch(url: str, path: Path, patience: Patience) -> Path:
    """Fetches a file to `path`'s name with `.partial` appended; the caller checks it and renames it.

    A `.partial` file of an earlier call is continued if the server still has the same version of the file.

    Args:
        url: what to fetch.
        path: where it shall lie in the end.
        patience: how long to try.

    Returns:
        The complete partial file.

    Raises:
        DownloadError: the server does not have it, or every attempt failed; says how much was fetched.
    """
    partial = path.with_name(path.name + ".partial")
    partial.parent.mkdir(parents=True, exist_ok=True)
    _persistently(lambda: _continue(url, partial, patience), url, patience, lambda: _size(partial))
    _state_file(partial).unlink(missing_ok=True)
    return partial


def discard(partial: Path) -> None:
    """Removes a partial file and what is known about it."""
    partial.unlink(missing_ok=True)
    _state_file(partial).unlink(missing_ok=True)


def _persistently(
    attempt: Callable[[], Any], url: str, patience: Patience, progress: Callable[[], int] = lambda: 0
) -> Any:
    failures, before = 0, progress()
    while True:
        try:
            return attempt()
        except _TryAgainError as failure:
            # A server that breaks off now and then but gets on is not given up.
            gained, before = progress() > before, progress()
            failures = 1 if gained else failures + 1
            if failures >= patience.attempts:
                fetched = f" after {before:,} bytes" if before else ""
                raise DownloadError(f"{url}: {failure}{fetched}; gave up after {failures} attempts") from failure
            wait = min(
                patience.longest_wait_seconds,
                max(failure.wait_seconds, patience.first_wait_seconds * 2 ** (failures - 1)),
            )
            logger.warning("%s: %s; trying again in %.1f s", url, failure, wait)
            time.sleep(wait)


def _continue(url: str, partial: Path, patience: Patience) -> None:
    state, have = _read_state(partial), _size(partial)
    if have and not state.get("validator") and state.get("total") is None:
        discard(partial)
        state, have = {}, 0
    request = urllib.request.Request(url, headers={"Accept-Encoding": "identity"})
    if have:
        request.add_header("Range", f"bytes={have}-")
        if state.get("validator"):
            request.add_header("If-Range", state["validator"])
    try:
        response = _open(request, patience)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:
            if have == state.get("total"):
                return
            discard(partial)
            raise _TryAgainError("the partial file does not fit; starting afresh") from error
        raise
    with response:
        start, total = _extent(response, have)
        if start and state.get("total") is not None and total is not None and total != state["total"]:
            discard(partial)
            raise _TryAgainError("the file has changed on the server; starting afresh")
        validator = response.headers.get("ETag") or response.headers.get("Last-Modified")
        if validator and validator.startswith("W/"):
            validator = response.headers.get("Last-Modified")
        _state_file(partial).write_text(json.dumps({"validator": validator, "total": total}))
        _receive(response, partial, start, total)


def _receive(response: Any, partial: Path, start: int, total: int | None) -> None:
    with (
        partial.open("r+b" if start else "wb") as file,
        tqdm(
            total=total,
            initial=start,
            unit="B",
            unit_scale=True,
            desc=partial.name.removesuffix(".partial"),
            disable=not sys.stderr.isatty(),
        ) as bar,
    ):
        file.seek(start)
        file.truncate()
        have = start
        while True:
            try:
                piece = response.read(_PIECE)
            except (OSError, http.client.HTTPException) as error:
                raise _TryAgainError(f"the connection broke off ({type(error).__name__})") from error
            if not piece:
                break
            file.write(piece)
            have += len(piece)
            bar.update(len(piece))
    if total is not None and have < total:
        raise _TryAgainError(f"the connection ended at byte {have:,} of {total:,}")
    if total is not None and have > total:
        discard(partial)
        raise _TryAgainError(f"the server sent {have:,} bytes where it announced {total:,}")


def _extent(response: Any, have: int) -> tuple[int, int | None]:
    """Where the answer starts in the file, and how long the whole file is."""
    if response.status == 206:
        found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", ""))
        if found and int(found[1]) == have:
            return have, None if found[3] == "*" else int(found[3])
        raise DownloadError(f"{response.geturl()}: answers with another part than was asked for")
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _open(request: urllib.request.Request, patience: Patience) -> Any:
    try:
        return urllib.request.urlopen(request, timeout=patience.timeout_seconds)
    except urllib.error.HTTPError as error:
        if error.code == 416:
            raise
        if error.code in (408, 425, 429) or error.code >= 500:
            asked = error.headers.get("Retry-After", "")
            raise _TryAgainError(f"HTTP {error.code} {error.reason}", float(asked) if asked.isdigit() else 0) from error
        raise DownloadError(f"{request.full_url}: HTTP {error.code} {error.reason}") from error
    except (urllib.error.URLError, OSError, http.client.HTTPException) as error:
        raise _TryAgainError(f"no connection ({getattr(error, 'reason', error) or type(error).__name__})") from error
    except ValueError as error:
        raise DownloadError(f"{request.full_url}: is no address ({error})") from error


def _state_file(partial: Path) -> Path:
    return partial.with_name(partial.name + ".state")


def _read_state(partial: Path) -> dict[str, Any]:
    try:
        state = json.loads(_state_file(partial).read_text())
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
