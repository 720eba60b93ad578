"""A first look into an HDF5 file by a process of its own, which a damaged file may crash, fill or keep for ever."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

_CPU_SECONDS = 60
"""Of the process that looks, for any file; a damaged one may keep HDF5 busy for ever."""
_BYTES_PER_SECOND = 20e6
"""Of a large file, what a slow machine reads beyond that."""
_MEMORY = 8 * 2**30

_LOOK = """
import resource, sys
path, seconds, memory = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
import h5py

def tried(read, *arguments):
    try:
        return read(*arguments)
    except Exception:
        return None  # whoever reads the file says what is wrong with it

def child(group, name):
    if isinstance(group.get(name, getlink=True), h5py.HardLink):
        node = group[name]
        return node, h5py.h5o.get_info(node.id).addr

def values(dataset):
    dataset[:] if dataset.dtype.kind in "OV" else dataset[:1]

seen = set()
with h5py.File(path, "r") as file:
    nodes = [file]
    while nodes:
        node = nodes.pop()
        for name in tried(list, node.attrs) or ():
            tried(node.attrs.get, name)
        if isinstance(node, h5py.Dataset):
            tried(values, node)
        elif isinstance(node, h5py.Group):
            for name in tried(list, node) or ():
                below, place = tried(child, node, name) or (None, None)
                if place not in seen and below is not None:
                    seen.add(place)
                    nodes.append(below)
"""
"""Everything of variable length is read (names, their categories, attributes): libhdf5 follows addresses there. What
cannot be read does not end the look: a crash may wait behind it. Links to other files are not followed."""


_whole: set[tuple[str, int, int]] = set()
"""Files that this process wrote or looked into, by path, size and time of the last change."""


def take_for_whole(path: str | Path) -> None:
    """Of a file that this process wrote: it need not be looked into.

    Args:
        path: an HDF5 file.
    """
    _whole.add(_as_it_is(path))


def is_hdf5(path: Path) -> bool:
    """Whether there is a file that is named as HDF5 is."""
    return path.suffix in (".h5", ".h5ad", ".hdf5") and path.is_file()


def damage_of(path: str | Path, *, cpu_seconds: int | None = None) -> str | None:
    """Says, in words, why a file cannot even be looked into; None where it can, or where its reader will say it.

    The price is the start of Python with h5py (a third of a second) and reading the names once more, of a file that
    has not changed since only once.

    Args:
        path: an HDF5 file.
        cpu_seconds: of computing that the look may take; by default a minute, and more for large files.
    """
    this = _as_it_is(path)
    if this in _whole:
        return None
    seconds = cpu_seconds or int(_CPU_SECONDS + Path(path).stat().st_size / _BYTES_PER_SECOND)
    command = [sys.executable, "-I", "-c", _LOOK, str(path), str(seconds), str(_MEMORY)]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode
    if ended in (-signal.SIGXCPU, -signal.SIGKILL):
        return f"{path}: damaged HDF5: reading its names does not end, or takes more memory than there is"
    if ended < 0:
        return f"{path}: damaged HDF5: libhdf5 crashes on it ({signal.strsignal(-ended)})"
    _whole.add(this)
    return None


def _as_it_is(path: str | Path) -> tuple[str, int, int]:
    stat = Path(path).stat()
    return str(Path(path).resolve()), stat.st_size, stat.st_mtime_ns
