"""A tracking server that dies in mid-run costs no result, and logging can be repeated."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import mlflow
import pytest
import requests

from kedro_project import SMALL
from ports import free_port


@pytest.fixture
def server(tmp_path):
    """A real MLflow server on a free port of 127.0.0.1, which is only just being started."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += [
        "--backend-store-uri",
        f"sqlite:///{tmp_path}/server.db",
        "--artifacts-destination",
        str(tmp_path / "a"),
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, cwd=tmp_path
    )
    yield f"http://127.0.0.1:{port}", process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_a_server_that_dies_in_mid_run_costs_no_result(server, project, monkeypatch):
    address, process = server
    project.kedro("run", "--pipeline", "simulate", "--params", SMALL)  # while the server starts
    _wait_until(lambda: _answers(address), "the server does not start")
    # The server dies as soon as the first fold is on disk. How long it may take before does not matter here: whoever
    # asks a dead one is refused at once.
    environment = {
        "MLFLOW_TRACKING_URI": address,
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "120",
    }
    first_fold = project.root / "data" / "06_models" / "demo" / "full" / "repeat_0_fold_0" / "result.json"
    patient = f"{SMALL},tracking.connect_seconds=300"
    run = project.start_kedro("run", "--params", patient, environment=environment)
    _wait_until(lambda: first_fold.exists() or run.poll() is not None, "no fold is trained")
    assert first_fold.exists(), run.communicate()[1][-3000:]
    os.killpg(process.pid, signal.SIGKILL)
    _, errors = run.communicate(timeout=900)
    assert run.returncode == 0, errors[-3000:]
    assert "on disk" in errors or "the run goes on" in errors
    assert (project.root / "data" / "08_reporting" / "demo" / "report.html").is_file()
    # Logging repeated, into the project's own database this time: nothing is missing.
    project.kedro("run", "--pipeline", "reporting", "--params", SMALL)
    mlflow.set_tracking_uri(project.tracking_uri)
    runs = mlflow.search_runs(experiment_names=["kpnn-demo"])
    assert (runs["tags.kpnn.level"] == "fold").sum() == 4
    assert (runs["tags.kpnn.level"] == "arm").sum() == 2
    mlflow.set_tracking_uri(None)


def _answers(address):
    try:
        return requests.get(f"{address}/health", timeout=60).ok
    except requests.RequestException:
        return False


def _wait_until(holds, otherwise):
    for _ in range(9000):  # a quarter of an hour: no machine is so busy
        if holds():
            return
        time.sleep(0.1)
    raise AssertionError(otherwise)
