"""Files: their fingerprints, and writing that leaves either the whole file or none."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def sha256_of(path: str | Path) -> str | None:
    """SHA-256 of a file, or of a folder's files in the order of their names; None where there is neither.

    Args:
        path: a file or folder; anything else (data that ship with a package) has no fingerprint.
    """
    place = Path(path)
    if place.is_file():
        with place.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    if place.is_dir():
        digest = hashlib.sha256()
        for part in sorted(part for part in place.rglob("*") if part.is_file()):
            digest.update(f"{part.relative_to(place).as_posix()}\t{sha256_of(part)}\n".encode())
        return digest.hexdigest()
    return None


@contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """Gives a path to write to; the file takes its name only when the block ends without an error.

    Args:
        path: where the file shall lie; its folder is made.
    """
    place = Path(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = place.with_name(place.name + ".partial")
    try:
        yield partial
        partial.replace(place)
    finally:
        partial.unlink(missing_ok=True)
