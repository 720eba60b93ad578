"""Files that are fetched once, and whose fingerprints are kept: what was fetched again must be the same."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kpnn.files import sha256_of, written_whole
from kpnn.pipelines.download.fetching import DownloadError, discard, fetch
from kpnn.pipelines.download.settings import FetchSettings

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wanted:
    """A file to fetch.

    Attributes:
        url: gives its address; asked only if the file does not exist yet.
        check: reads a file (and the name that it will get) and says what it holds; raises DownloadError if that is
            something else.
        sha256: its fingerprint, where it is known beforehand.
    """

    url: Callable[[], str]
    check: Callable[[Path, str], Mapping[str, Any]]
    sha256: str | None = None


def fetch_locked(files: Mapping[str, Wanted], settings: FetchSettings, lock_name: str) -> dict[str, Any]:
    """Fetches files, checks them, and locks their fingerprints.

    Files that are there and fit the lock are left alone. All files are fetched and checked before the first of
    them takes its name.

    Args:
        files: name -> what is wanted.
        settings: where they belong, and the lock beside them; how long to try.
        lock_name: the lock's name.

    Returns:
        Name -> `sha256`, `bytes`, whether it was `fetched` now, and what it `holds`.

    Raises:
        DownloadError: a file cannot be had, holds something else, or does not fit its fingerprint.
    """
    folder = Path(settings.folder)
    locked = _Lock(folder / lock_name)
    report: dict[str, Any] = {}
    fetched: dict[Path, Path] = {}
    for name, wanted in files.items():
        path = folder / name
        known = wanted.sha256 or locked.known.get(name)
        if path.is_file():
            report[name] = _check_present(path, wanted, known, lock_name)
            continue
        partial = fetch(wanted.url(), path, settings)
        report[name] = _check_fetched(partial, name, wanted, known, lock_name)
        fetched[partial] = path
    for partial, path in fetched.items():
        partial.replace(path)
    locked.add({name: entry["sha256"] for name, entry in report.items()})
    for name, entry in report.items():
        _log.info("%s: %s bytes, SHA-256 %s", name, f"{entry['bytes']:,}", entry["sha256"])
    return report


def _check_fetched(partial: Path, name: str, wanted: Wanted, known: str | None, lock_name: str) -> dict[str, Any]:
    fingerprint = sha256_of(partial)
    try:
        if known is not None and fingerprint != known:
            raise DownloadError(
                f"{name}: SHA-256 {fingerprint} where {known} is locked: the file has changed since it was locked, or "
                f"is not the study's; if the change is meant, remove its line from {lock_name}"
            )
        found = wanted.check(partial, name)
    except DownloadError:
        discard(partial)  # a wrong file must not be continued
        raise
    return _entry(partial, fingerprint, found, fetched=True)


def _check_present(path: Path, wanted: Wanted, known: str | None, lock_name: str) -> dict[str, Any]:
    fingerprint = sha256_of(path)
    if known is not None and fingerprint != known:
        raise DownloadError(
            f"{path}: SHA-256 {fingerprint} where {known} is locked; remove the file to fetch it again, or its line "
            f"from {lock_name} if the change is meant"
        )
    return _entry(path, fingerprint, wanted.check(path, path.name), fetched=False)


def _entry(path: Path, fingerprint: str | None, found: Mapping[str, Any], *, fetched: bool) -> dict[str, Any]:
    holds = {key: list(value) if isinstance(value, tuple) else value for key, value in found.items()}
    return {"sha256": fingerprint, "bytes": path.stat().st_size, "fetched": fetched, "holds": holds}


class _Lock:
    """File names and their SHA-256."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.known: dict[str, str] = {}
        if not path.exists():
            return
        try:
            self.known = json.loads(path.read_text())
        except ValueError as error:
            raise DownloadError(f"{path}: is not JSON ({error}); remove it to lock the files anew") from None
        if not isinstance(self.known, dict) or not all(isinstance(value, str) for value in self.known.values()):
            raise DownloadError(f"{path}: is not a table of file names and SHA-256; remove it to lock the files anew")

    def add(self, fingerprints: Mapping[str, str]) -> None:
        with written_whole(self._path) as place:
            place.write_text(json.dumps({**self.known, **fingerprints}, indent=2, sort_keys=True) + "\n")
