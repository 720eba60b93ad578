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


def damage_of(path: str | Path, *, cpu_seconds: int | None = None) -> str | None:
    """Says, in words, why a file cannot even be looked into; None where it can, or where its reader will say it.

    The price is the start of Python with h5py (a third of a second) and reading the names once more.

    Args:
        path: an HDF5 file.
        cpu_seconds: of computing that the look may take; by default a minute, and more for large files.
    """
    seconds = cpu_seconds or int(_CPU_SECONDS + Path(path).stat().st_size / _BYTES_PER_SECOND)
    command = [sys.executable, "-I", "-c", _LOOK, str(path), str(seconds), str(_MEMORY)]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode
    if ended in (-signal.SIGXCPU, -signal.SIGKILL):
        return f"{path}: damaged HDF5: reading its names does not end, or takes more memory than there is"
    return f"{path}: damaged HDF5: libhdf5 crashes on it ({signal.strsignal(-ended)})" if ended < 0 else None
