"""MLflow's UI and kedro-viz, served on the loopback interface for tests that look at their pages."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from browser import server
from ports import free_port

SECONDS = 300
"""How long a server may take to answer on a busy machine."""


@contextmanager
def mlflow_server(database: Path, log: Path) -> Iterator[str]:
    """MLflow's UI of the runs in an SQLite database; yields its address."""
    address = f"http://127.0.0.1:{(port := free_port())}"
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{database.resolve()}"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    with server(command, f"{address}/health", log, SECONDS):
        yield address


@contextmanager
def viz_server(project: Path, log: Path) -> Iterator[str]:
    """kedro-viz of a project's pipelines; yields its address."""
    address = f"http://127.0.0.1:{(port := free_port())}"
    command = [sys.executable, "-m", "kedro", "viz", "run", "--host", "127.0.0.1", "--port", str(port), "--no-browser"]
    with server(command, address, log, SECONDS, cwd=project):
        yield address


def comparison_page(address: str, experiment: str, runs: Sequence[str]) -> str:
    """Where MLflow compares runs, by their ids."""
    chosen = json.dumps(list(runs)).replace(" ", "").replace('"', "%22")
    return f"{address}/#/compare-runs?runs={chosen}&experiments=[%22{experiment}%22]"
