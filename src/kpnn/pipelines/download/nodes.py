"""Nodes of the `download` pipeline."""

from __future__ import annotations

from functools import cache, partial
from typing import Any
from urllib.parse import urljoin

from kpnn.errors import SettingsError
from kpnn.pipelines.download.checking import check_content
from kpnn.pipelines.download.fetching import effective_address
from kpnn.pipelines.download.locking import Wanted, fetch_locked
from kpnn.pipelines.download.settings import DownloadSettings

LOCK = "download.lock.json"


def download_study(settings: DownloadSettings) -> dict[str, Any]:
    """Fetches the study's files, checks them, and locks their fingerprints; see `fetch_locked`."""
    if not settings.files:
        raise SettingsError(
            "download.files is empty: choose a study, such as `kedro run --env tcr --pipeline download`"
        )
    asked: list[str] = []

    @cache
    def address() -> str:
        asked.append(effective_address(settings.address, settings))
        return asked[0]

    def url(name: str) -> str:
        return urljoin(address(), name)

    files = {
        name: Wanted(partial(url, name), partial(check_content, file=file), file.sha256)
        for name, file in settings.files.items()
    }
    report = fetch_locked(files, settings, LOCK)
    return {"address": asked[0] if asked else None, "folder": settings.folder, "files": report}
