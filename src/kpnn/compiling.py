"""Compiles the kernels of training beside the first steps of a run, once for an installation.

Compilation takes some 25 seconds of one core, in which a run would otherwise read cells and select DAGs on another.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_KERNELS = Path(__file__).parent / "nn" / "engine" / "kernels.py"

_PROGRAM = """
import numpy as np
import pandas as pd
from kpnn.nn import build_kpnn, fit_kpnn, output_gradients, predict
from kpnn.pkn import Dag

edges = pd.DataFrame({"parent": ["output", "hidden"], "child": ["hidden", "gene"], "sign": 0})
model = build_kpnn(Dag(edges, ["gene"], ["output"]))
X, y = np.array([[0.0], [1.0]], dtype=np.float32), np.array([0.0, 1.0])
fit_kpnn(model, X, y, validation_data=(X, y), max_epochs=1)
predict(model, X)
output_gradients(model, X)
"""

_WAIT_SECONDS = 300.0

_at_work: subprocess.Popen | None = None


def compile_beside() -> None:
    """Starts compiling in a process of its own, unless compiled kernels are kept from an earlier run."""
    global _at_work
    if _at_work is None and not _are_kept():
        nowhere = subprocess.DEVNULL
        _at_work = subprocess.Popen([sys.executable, "-c", _PROGRAM], stdin=nowhere, stdout=nowhere, stderr=nowhere)


def wait_until_compiled() -> None:
    """Waits for what `compile_beside` started; whatever became of it, numba compiles what it does not find."""
    global _at_work
    if _at_work is None:
        return
    try:
        _at_work.wait(_WAIT_SECONDS)
    except subprocess.TimeoutExpired:
        _at_work.kill()
        _at_work.wait()
    _at_work = None


def _are_kept() -> bool:
    """Whether numba's cache holds these kernels for this Python: where the user says, beside them, or in her own."""
    version, written = f"py{sys.version_info.major}{sys.version_info.minor}", _KERNELS.stat().st_mtime
    said = os.environ.get("NUMBA_CACHE_DIR")
    folders = [Path(said)] if said else [_KERNELS.parent / "__pycache__", Path.home() / ".cache" / "numba"]
    pattern = f"{_KERNELS.stem}.train_epoch-*.{version}.nbi"
    found = (file for folder in folders if folder.is_dir() for file in folder.rglob(pattern))
    return any(file.stat().st_mtime >= written for file in found)
