"""Nodes of the `download` pipeline."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from kpnn.errors import SettingsError
from kpnn.files import sha256_of, written_whole
from kpnn.pipelines.download.checking import check_content
from kpnn.pipelines.download.fetching import DownloadError, discard, effective_address, fetch
from kpnn.pipelines.download.settings import DownloadSettings, RemoteFile

logger = logging.getLogger(__name__)

LOCK = "download.lock.json"


def download_study(settings: DownloadSettings) -> dict[str, Any]:
    """Fetches the study's files, checks them, and locks their fingerprints.

    Files that are there and fit the lock are left alone. All files are fetched and checked before the first of
    them takes its name.
    """
    if not settings.files:
        raise SettingsError(
            "download.files is empty: choose a study, such as `kedro run --env tcr --pipeline download`"
        )
    folder = Path(settings.folder)
    lock = _read_lock(folder / LOCK)
    address: str | None = None
    report: dict[str, Any] = {}
    fetched: dict[Path, Path] = {}
    for name, file in settings.files.items():
        path = folder / name
        known = file.sha256 or lock.get(name)
        if path.is_file():
            report[name] = _check_present(path, file, known)
            continue
        address = address or effective_address(settings.address, settings.patience)
        partial = fetch(urljoin(address, name), path, settings.patience)
        report[name] = _check_fetched(partial, name, file, known)
        fetched[partial] = path
    for partial, path in fetched.items():
        partial.replace(path)
    merged = {**lock, **{name: entry["sha256"] for name, entry in report.items()}}
    with written_whole(folder / LOCK) as place:
        place.write_text(json.dumps(merged, indent=2, sort_keys=True) + "\n")
    for name, entry in report.items():
        logger.info("%s: %s bytes, SHA-256 %s", name, f"{entry['bytes']:,}", entry["sha256"])
    return {"address": address, "folder": settings.folder, "files": report}


def _check_fetched(partial: Path, name: str, file: RemoteFile, known: str | None) -> dict[str, Any]:
    fingerprint = sha256_of(partial)
    try:
        if known is not None and fingerprint != known:
            raise DownloadError(
                f"{name}: SHA-256 {fingerprint} where {known} is locked: the file has changed since it was locked, or "
                f"is not the study's; if the change is meant, remove its line from {LOCK}"
            )
        found = check_content(partial, name, file)
    except DownloadError:
        discard(partial)  # a wrong file must not be continued
        raise
    return _entry(partial, fingerprint, found, fetched=True)


def _check_present(path: Path, file: RemoteFile, known: str | None) -> dict[str, Any]:
    fingerprint = sha256_of(path)
    if known is not None and fingerprint != known:
        raise DownloadError(
            f"{path}: SHA-256 {fingerprint} where {known} is locked; remove the file to fetch it again, or its line "
            f"from {LOCK} if the change is meant"
        )
    return _entry(path, fingerprint, check_content(path, path.name, file), fetched=False)


def _entry(path: Path, fingerprint: str | None, found: dict[str, Any], *, fetched: bool) -> dict[str, Any]:
    holds = {key: list(value) if isinstance(value, tuple) else value for key, value in found.items()}
    return {"sha256": fingerprint, "bytes": path.stat().st_size, "fetched": fetched, "holds": holds}


def _read_lock(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    try:
        lock = json.loads(path.read_text())
    except ValueError as error:
        raise DownloadError(f"{path}: is no JSON ({error}); remove it to lock the files anew") from None
    if not isinstance(lock, dict) or not all(isinstance(value, str) for value in lock.values()):
        raise DownloadError(f"{path}: is no table of file names and SHA-256; remove it to lock the files anew")
    return lock
