"""A tracking server that dies in mid-run costs no result, and logging can be repeated."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing

import mlflow
import pytest
import requests

SMALL = (
    "simulate.n_cells=120,modelling.tuning.n_trials=0,modelling.fit.max_epochs=5,cross_validation.n_splits=2,"
    "interpretation.control_inputs=0,interpretation.permuted_labels=0,interpretation.seeds=0,"
    "interpretation.alternative_dags=0,controls.rewired=0,controls.permuted_genes=0,controls.logistic=false"
)


@pytest.fixture
def server(tmp_path):
    """A real MLflow server on a free port of 127.0.0.1."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
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
    address = f"http://127.0.0.1:{port}"
    for _ in range(240):
        try:
            if requests.get(f"{address}/health", timeout=1).ok:
                break
        except requests.RequestException:
            time.sleep(0.25)
    yield address, process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_a_server_that_dies_in_mid_run_costs_no_result(server, project, monkeypatch):
    address, process = server
    project.kedro("run", "--pipeline", "simulate", "--params", SMALL)
    # The server dies as soon as the first fold is on disk.
    environment = {
        "MLFLOW_TRACKING_URI": address,
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "2",
    }
    first_fold = project.root / "data" / "06_models" / "demo" / "full" / "repeat_0_fold_0" / "result.json"
    run = project.start_kedro("run", "--params", SMALL, environment=environment)
    for _ in range(1200):
        if first_fold.exists() or run.poll() is not None:
            break
        time.sleep(0.05)
    assert first_fold.exists(), run.communicate()[1][-3000:]
    os.killpg(process.pid, signal.SIGKILL)
    _, errors = run.communicate(timeout=300)
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
