"""Nodes of the `priors` pipeline."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from kpnn.errors import KpnnError, PknError, SettingsError
from kpnn.files import written_whole
from kpnn.pipelines.download.fetching import DownloadError
from kpnn.pipelines.download.locking import Wanted, fetch_locked
from kpnn.pipelines.priors.settings import PriorFile, PriorsSettings
from kpnn.pkn.formats import format_of_name
from kpnn.pkn.readers import read_edges
from kpnn.text_tables import read_text

_log = logging.getLogger(__name__)

LOCK = "priors.lock.json"
LICENCES = "priors.licences.txt"


def fetch_priors(settings: PriorsSettings) -> dict[str, Any]:
    """Fetches public knowledge, reads it, locks its fingerprints and writes down its licences.

    Such files grow at their addresses: the lock keeps a study at the version that it began with, and what is fetched
    anew must be the same, unless its line is removed from the lock.
    """
    chosen = settings.chosen
    if not chosen:
        raise SettingsError("priors.files is empty, or priors.wanted names none of them: nothing to fetch")
    files = {
        name: Wanted(partial(str, file.address), partial(_holds, file=file), file.sha256)
        for name, file in chosen.items()
    }
    report = fetch_locked(files, settings, LOCK)
    for name, entry in report.items():
        entry |= {key: getattr(chosen[name], key) for key in ("address", "licence", "reference")}
        _log.info("%s: %s", entry["holds"]["said"], entry["licence"])
    _note_licences(Path(settings.folder) / LICENCES, report)
    return {"folder": settings.folder, "files": report}


def _holds(path: Path, name: str, *, file: PriorFile) -> dict[str, Any]:
    """What a fetched file holds, read as what it should be.

    Raises:
        DownloadError: it is something else, or holds too little.
    """
    try:
        if file.kind == "names":
            found, said = sum(bool(line.strip()) for line in read_text(path, PknError).splitlines()), name
        else:
            options = {"format": format_of_name(Path(name)), **file.options}
            account = read_edges(path, **options).attrs["account"]
            found, said = account.kept, str(account).replace(str(path), name)
    except KpnnError as error:
        raise DownloadError(f"{name}: is not what it should be: {str(error).replace(str(path), name)}") from error
    if found < file.at_least:
        raise DownloadError(f"{name}: holds {found:,} {file.kind} where there should be at least {file.at_least:,}")
    return {file.kind: found, "said": said}


def _note_licences(path: Path, report: Mapping[str, Any]) -> None:
    """Writes where each file is from and what its makers allow, beside the files; notes on others are kept."""
    notes = dict(_noted(path))
    for name, entry in report.items():
        lines = [name, entry["address"], f"SHA-256 {entry['sha256']}", f"Licence: {entry['licence']}"]
        if entry["reference"]:
            lines.append(f"Reference: {entry['reference']}")
        notes[name] = "\n".join(lines)
    with written_whole(path) as place:
        place.write_text("\n\n".join(notes[name] for name in sorted(notes)) + "\n", encoding="utf-8")


def _noted(path: Path) -> list[tuple[str, str]]:
    if not path.is_file():
        return []
    return [(note.split("\n", 1)[0], note) for note in path.read_text(encoding="utf-8").strip().split("\n\n")]
