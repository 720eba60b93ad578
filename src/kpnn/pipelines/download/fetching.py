"""One file over HTTP: with progress, resumed where it broke off, asked for again with growing pauses."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from tqdm import tqdm
from urllib3.exceptions import HTTPError
from urllib3.util import Retry

from kpnn.errors import KpnnError

if TYPE_CHECKING:
    from kpnn.pipelines.download.settings import FetchSettings

_log = logging.getLogger(__name__)

_PIECE = 1 << 16
_MAY_PASS = (408, 425, 429, 500, 502, 503, 504)
_RANGE_NOT_THERE = 416
_LONGEST_WAIT_SECONDS = 60.0
"""No pause between attempts is longer, but for one that the server asks for."""


class DownloadError(KpnnError):
    """A file cannot be fetched, or is not what it should be."""


class _BrokenOffError(Exception):
    """A file did not come whole; what came is kept, or was discarded because it does not fit."""


def _session(settings: FetchSettings) -> requests.Session:
    """A session that asks again by itself where there is no connection or the server is busy."""
    retry = Retry(
        total=settings.attempts - 1,
        backoff_factor=settings.first_wait_seconds,
        backoff_max=_LONGEST_WAIT_SECONDS,
        status_forcelist=_MAY_PASS,
        raise_on_status=False,
    )
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    return session


def effective_address(address: str, settings: FetchSettings) -> str:
    """The address after all redirects, ending in a slash, so that file names can be appended."""
    if not address.startswith(("http://", "https://")):
        raise DownloadError(f"download.address must begin with http:// or https://, found {address!r}")
    with _session(settings) as session, _ask(session, address, {}, settings) as response:
        path = response.url.split("?", 1)[0].split("#", 1)[0]
    return path if path.endswith("/") else path.rsplit("/", 1)[0] + "/"


def fetch(url: str, path: Path, settings: FetchSettings) -> Path:
    """Fetches a file to `path`'s name with `.partial` appended; the caller checks it and renames it.

    A `.partial` file of an earlier call is continued if the server still has the same version of the file.

    Args:
        url: what to fetch.
        path: where it belongs in the end.
        settings: how long to try.

    Returns:
        The complete partial file.

    Raises:
        DownloadError: the server does not have it, or every attempt failed; says how much was fetched.
    """
    partial = path.with_name(path.name + ".partial")
    partial.parent.mkdir(parents=True, exist_ok=True)
    failures = 0
    with _session(settings) as session:
        while True:
            before = _size(partial)
            try:
                _continue(session, url, partial, settings)
            except _BrokenOffError as failure:
                # A server that breaks off now and then but gets on is not given up.
                failures = 1 if _size(partial) > before else failures + 1
                if failures >= settings.attempts:
                    fetched = f" after {_size(partial):,} bytes" if _size(partial) else ""
                    raise DownloadError(f"{url}: {failure}{fetched}; gave up after {failures} attempts") from failure
                wait = min(_LONGEST_WAIT_SECONDS, settings.first_wait_seconds * 2.0 ** (failures - 1))
                _log.warning("%s: %s; trying again in %.1f s", url, failure, wait)
                time.sleep(wait)
            else:
                _state_file(partial).unlink(missing_ok=True)
                return partial


def discard(partial: Path) -> None:
    """Removes a partial file and what is known about it."""
    partial.unlink(missing_ok=True)
    _state_file(partial).unlink(missing_ok=True)


def _ask(session: requests.Session, url: str, headers: dict[str, str], settings: FetchSettings) -> requests.Response:
    """Opens an answer whose body is yet to be read; raises DownloadError where there is none."""
    try:
        response = session.get(url, headers=headers, timeout=settings.timeout_seconds, stream=True)
    except (requests.ConnectionError, requests.Timeout) as error:
        cause = getattr(error.args[0] if error.args else error, "reason", error)
        raise DownloadError(f"{url}: no connection ({cause}); gave up after {settings.attempts} attempts") from error
    except requests.RequestException as error:
        raise DownloadError(f"{url}: is not an address ({error})") from error
    if response.ok or response.status_code == _RANGE_NOT_THERE:
        return response
    response.close()
    given_up = f"; gave up after {settings.attempts} attempts" if response.status_code in _MAY_PASS else ""
    raise DownloadError(f"{url}: HTTP {response.status_code} {response.reason}{given_up}")


def _continue(session: requests.Session, url: str, partial: Path, settings: FetchSettings) -> None:
    """Fetches what is still missing of a file."""
    state, have = _read_state(partial), _size(partial)
    if have and not state.get("validator") and state.get("total") is None:
        discard(partial)
        state, have = {}, 0
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if state.get("validator"):
            headers["If-Range"] = state["validator"]
    with _ask(session, url, headers, settings) as response:
        if response.status_code == _RANGE_NOT_THERE:
            if have and have == state.get("total"):
                return
            discard(partial)
            raise _BrokenOffError("the partial file does not fit; starting afresh")
        start, total = _extent(response, have)
        if start and state.get("total") is not None and total is not None and total != state["total"]:
            discard(partial)
            raise _BrokenOffError("the file has changed on the server; starting afresh")
        validator = response.headers.get("ETag") or response.headers.get("Last-Modified")
        if validator and validator.startswith("W/"):
            validator = response.headers.get("Last-Modified")
        _state_file(partial).write_text(json.dumps({"validator": validator, "total": total}))
        _receive(response, partial, start, total)


def _receive(response: requests.Response, partial: Path, start: int, total: int | None) -> None:
    # Otherwise the last piece before the connection breaks off is thrown away; the length is checked below.
    response.raw.enforce_content_length = False
    have = start
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
        try:
            while piece := response.raw.read(_PIECE):
                file.write(piece)
                have += len(piece)
                bar.update(len(piece))
        except HTTPError as error:
            raise _BrokenOffError(f"the connection broke off ({type(error).__name__})") from error
    if total is not None and have < total:
        raise _BrokenOffError(f"the connection ended at byte {have:,} of {total:,}")
    if total is not None and have > total:
        discard(partial)
        raise _BrokenOffError(f"the server sent {have:,} bytes where it announced {total:,}")


def _extent(response: requests.Response, have: int) -> tuple[int, int | None]:
    """Where the answer starts in the file, and how long the whole file is."""
    if response.status_code == requests.codes.partial_content:
        found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", ""))
        if found and int(found[1]) == have:
            return have, None if found[3] == "*" else int(found[3])
        raise DownloadError(f"{response.url}: the server sent another part than was asked for")
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


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
