"""Compiles the kernels of training beside the first steps of a run, once for an installation.

Compilation takes some 40 seconds of one core, in which a run would otherwise read cells and select DAGs on another; so
two processes share it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from threading import Lock

_KERNELS = Path(__file__).parent / "nn" / "engine" / "kernels.py"

_SHARES = (("train_epoch",), ("loss_of", "values_of", "logits_of", "output_gradients_of"))
"""Kernels by the process that compiles them: the first takes as long as all others."""

_PROGRAM = """
import sys, types
from pathlib import Path
import kpnn
room = types.ModuleType("kpnn.nn")  # in the place of the package, which would import Keras
room.__path__ = [str(Path(kpnn.__file__).parent / "nn")]
sys.modules["kpnn.nn"] = room
from kpnn.nn.engine.examples import CALLS
for name in sys.argv[1:]:
    CALLS[name]()
"""

_WAIT_SECONDS = 300.0
"""After which processes that compile are not waited for any more."""

_at_work: list[subprocess.Popen] = []
_waiting = Lock()


def compile_beside() -> None:
    """Starts compiling in processes of their own, unless compiled kernels are kept from an earlier run."""
    if _at_work:
        return
    nowhere = subprocess.DEVNULL
    for names in _SHARES:
        if not all(_is_kept(name) for name in names):
            command = [sys.executable, "-c", _PROGRAM, *names]
            _at_work.append(subprocess.Popen(command, stdin=nowhere, stdout=nowhere, stderr=nowhere))


def wait_until_compiled() -> None:
    """Waits for what `compile_beside` started; whatever became of it, numba compiles what it does not find."""
    with _waiting:
        until = time.monotonic() + _WAIT_SECONDS
        while _at_work:
            process = _at_work.pop()
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _is_kept(name: str) -> bool:
    """Whether numba's cache holds a kernel for this Python: where the user says, beside it, or in her own."""
    version, written = f"py{sys.version_info.major}{sys.version_info.minor}", _KERNELS.stat().st_mtime
    said = os.environ.get("NUMBA_CACHE_DIR")
    folders = [Path(said)] if said else [_KERNELS.parent / "__pycache__", Path.home() / ".cache" / "numba"]
    pattern = f"{_KERNELS.stem}.{name}-*.{version}.nbi"
    found = (file for folder in folders if folder.is_dir() for file in folder.rglob(pattern))
    return any(file.stat().st_mtime >= written for file in found)
