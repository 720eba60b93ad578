"""Which software and machine a report was made with."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

_PACKAGES = (
    "kpnn",
    "corneto",
    "cvxpy",
    "highspy",
    "keras",
    "torch",
    "scanpy",
    "scikit-learn",
    "optuna",
    "kedro",
    "mlflow",
)


def versions() -> dict[str, str]:
    """Name -> version of what decides results, and the machine."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    found["machine"] = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return found
