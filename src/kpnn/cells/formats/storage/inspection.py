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

def look(name, node):
    try:
        list(node.attrs.items())
        if isinstance(node, h5py.Dataset):
            node[:] if node.dtype.kind in "OV" else node[:1]
    except Exception:
        pass  # whoever reads the file says what is wrong with it

with h5py.File(path, "r") as file:
    file.visititems(look)
"""
"""Everything of variable length is read (names, their categories, attributes): libhdf5 follows addresses there."""


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
