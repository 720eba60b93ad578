"""Files and folders: their fingerprints, and writing that leaves either the new one whole or the old one."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kpnn.errors import DiskFullError


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


_MANIFEST = "manifest.json"


def seal(folder: Path) -> None:
    """Writes down, as `manifest.json`, the size and SHA-256 of every file of a folder: the last file written to it.

    Args:
        folder: a folder of files, without folders in it.
    """
    parts = sorted(part for part in folder.iterdir() if part.is_file() and part.name != _MANIFEST)
    listed = {part.name: {"bytes": part.stat().st_size, "sha256": sha256_of(part)} for part in parts}
    (folder / _MANIFEST).write_text(json.dumps(listed, indent=2), encoding="utf-8")


def broken_seal(folder: Path) -> str | None:
    """Says, in words, what of a folder is not as its manifest lists it; None where all of it is.

    Args:
        folder: a folder that `seal` closed.
    """
    try:
        listed = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        expected = {str(name): (int(entry["bytes"]), str(entry["sha256"])) for name, entry in listed.items()}
    except FileNotFoundError:
        return f"it has no {_MANIFEST}"
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return f"its {_MANIFEST} cannot be read"
    for name, (size, digest) in expected.items():
        part = folder / name
        if not part.is_file():
            return f"{name} does not exist"
        if part.stat().st_size != size:
            return f"{name} has {part.stat().st_size} bytes, not {size}"
        if sha256_of(part) != digest:
            return f"{name} is not what was written"
    return None


@contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """Gives a path to write a file or a folder to, which takes its name only when the block ends without an error.

    Whatever ends the program meanwhile leaves the old file or the new one: the new one is on the disk before it is
    renamed over the old one. A folder cannot be renamed over another: see `settled`.

    Args:
        path: where the file or folder belongs; its parent folder is made.

    Raises:
        DiskFullError: the disk is full; what was there before is there still.

    Examples:
        >>> with written_whole("data/table.csv") as partial:  # doctest: +SKIP
        ...     table.to_csv(partial)
    """
    place = Path(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    staging = place.with_name(f".{place.name}.partial")  # a folder, so that the file in it keeps its suffix
    shutil.rmtree(staging, ignore_errors=True)  # of a writer that was killed
    staging.mkdir()
    try:
        written = staging / place.name
        yield written
        _reach_disk(written)
        if written.is_dir() and place.is_dir():
            _swap(written, place)
        else:
            written.replace(place)
        _flush(place.parent)
    except OSError as error:
        if is_disk_full(error):
            raise DiskFullError(f"{place}: the disk is full; make room and run the same again") from error
        raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def held_alone(folder: Path) -> Iterator[None]:
    """Locks a folder within the block: other processes wait for it, and the lock of one that dies is free.

    Args:
        folder: made where it does not exist.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def settled(path: str | Path) -> Path:
    """Gives a folder its name back that a killed `written_whole` left under its second one; returns the path.

    Args:
        path: a file or folder that `written_whole` writes.
    """
    place = Path(path)
    previous = _second_name(place)
    if previous.is_dir() and not place.exists():
        previous.rename(place)
    return place


def is_disk_full(error: BaseException) -> bool:
    """Whether an error, of any library, says that nothing is left of the disk.

    Args:
        error: as it was caught.
    """
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return any(sign in str(error) for sign in ("No space left on device", "disk is full", "Disk quota exceeded"))


def _swap(written: Path, place: Path) -> None:
    previous = _second_name(place)
    shutil.rmtree(previous, ignore_errors=True)
    place.rename(previous)
    written.rename(place)
    shutil.rmtree(previous, ignore_errors=True)


def _second_name(place: Path) -> Path:
    return place.with_name(f".{place.name}.previous")


def _reach_disk(written: Path) -> None:
    for part in written.rglob("*") if written.is_dir() else ():
        _flush(part)
    _flush(written)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
