"""MLflow's server and database: asked in seconds, mended where a kill left half, credentials never shown."""

from __future__ import annotations

import json
import os
import re
import socket
import sqlite3
import threading
import time
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import mlflow
import pytest

from kpnn.errors import SettingsError
from kpnn.processes import Process
from kpnn.tracking.database import prepare_database
from kpnn.tracking.open_runs import PROCESS_TAG, VIEW_TAG, close_own_runs, close_runs_of_dead_processes, mark_experiment
from kpnn.tracking.server import runs_page, server_problem


@pytest.fixture(scope="module")
def database(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("mlflow") / "mlruns" / "mlflow.db"
    prepare_database(path)
    return path


def serving(status: int, body: bytes):
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (200, b'{"experiments": []}', None),
        (401, b"", r"refuses these credentials \(401\)"),
        (403, b"", r"refuses these credentials \(403\)"),
        (503, b"", r"the server fails \(503\)"),
        (200, b"<html>", "it is not an MLflow server"),
        (404, b"{}", "it is not an MLflow server"),
    ],
)
def test_what_a_server_answers_is_said_in_words_without_credentials(status, body, words):
    server = serving(status, body)
    problem = server_problem(f"http://ada:love%2Flace@127.0.0.1:{server.server_port}", 5)
    server.shutdown()
    if words is None:
        assert problem is None
        return
    assert problem is not None and re.search(words, problem)
    assert "ada" not in problem and "lace" not in problem


def test_a_server_that_accepts_and_never_answers_costs_the_seconds_it_may_take():
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        begun = time.monotonic()
        problem = server_problem(f"http://ada:lovelace@127.0.0.1:{silent.getsockname()[1]}", 0.3)
        assert time.monotonic() - begun < 60
    assert problem is not None and problem.endswith(f"127.0.0.1:{silent_port(problem)}: no answer within 0.3 s")
    assert "lovelace" not in problem


def silent_port(problem: str) -> str:
    return problem.rpartition("127.0.0.1:")[2].partition(":")[0]


@pytest.mark.parametrize("address", ["http://ada:lovelace@127.0.0.1:1", "postgresql://ada:lovelace@127.0.0.1:1/mlflow"])
def test_where_nothing_listens_is_said_at_once(address):
    problem = server_problem(address, 10)
    assert problem is not None and "the connection is refused" in problem and "lovelace" not in problem


def tables_of(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as opened:
        return {name for (name,) in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_a_database_that_is_killed_while_it_is_made_is_made_by_the_next_start(database, tmp_path):
    path = tmp_path / "mlflow.db"
    process = os.fork()
    if process == 0:
        Path.replace = lambda *_: os._exit(9)  # the last moment before it has its name
        try:
            prepare_database(path)
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 9
    assert not path.exists()
    prepare_database(path)
    assert tables_of(path) == tables_of(database)
    assert [entry.name for entry in tmp_path.iterdir()] == ["mlflow.db"]


def test_half_a_database_without_runs_is_mended_and_said(database, tmp_path, caplog):
    path = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(path)) as half:
        half.execute("CREATE TABLE experiments (experiment_id INTEGER)")
        half.commit()
    prepare_database(path)
    assert tables_of(path) == tables_of(database)
    assert "making it anew" in caplog.text


def test_a_database_of_another_version_with_runs_is_left_alone_and_explained(database, tmp_path):
    path = tmp_path / "mlflow.db"
    path.write_bytes(database.read_bytes())
    with closing(sqlite3.connect(path)) as other:
        other.execute("UPDATE alembic_version SET version_num = 'abc'")
        other.execute("INSERT INTO runs (run_uuid, experiment_id, status) VALUES ('a', 0, 'RUNNING')")
        other.commit()
    before = path.read_bytes()
    with pytest.raises(SettingsError, match=r"another version of MLflow, and it holds runs.*mlflow db upgrade"):
        prepare_database(path)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_left_alone_and_named(tmp_path):
    (tmp_path / "mlflow.db").write_text("something else, and much of it" * 99)
    with pytest.raises(SettingsError, match="is not an SQLite database"):
        prepare_database(tmp_path / "mlflow.db")


def test_runs_of_dead_processes_are_closed_and_those_of_others_are_not(database):
    client = mlflow.MlflowClient(f"sqlite:///{database}")
    experiment = client.create_experiment("closing")
    here = Process.this()
    dead = Process(here.host, here.pid, here.started - 999)
    elsewhere = Process("another-host", 1, 1.0)
    ids = {
        name: client.create_run(experiment, tags={PROCESS_TAG: tag} if tag else {}).info.run_id
        for name, tag in {"dead": str(dead), "here": str(here), "elsewhere": str(elsewhere), "untold": ""}.items()
    }

    def states() -> dict[str, str]:
        return {name: client.get_run(run_id).info.status for name, run_id in ids.items()}

    assert close_runs_of_dead_processes(client, experiment) == 1
    assert states() == {"dead": "KILLED", "here": "RUNNING", "elsewhere": "RUNNING", "untold": "RUNNING"}
    close_own_runs(client, experiment, "FAILED")
    assert states()["here"] == "FAILED" and states()["elsewhere"] == "RUNNING"


def test_an_experiment_opens_as_model_training_unless_someone_said_otherwise(database):
    client = mlflow.MlflowClient(f"sqlite:///{database}")
    for name, kind, expected in (
        ("new", None, "custom_model_development"),
        ("guessed", "genai_development_inferred", "custom_model_development"),
        ("said", "genai_development", "genai_development"),
    ):
        experiment = client.create_experiment(name, tags={"mlflow.experimentKind": kind} if kind else None)
        mark_experiment(client, experiment)
        assert client.get_experiment(experiment).tags["mlflow.experimentKind"] == expected


def test_an_experiment_has_a_view_with_the_columns_of_scores_that_a_user_may_change(database):
    client = mlflow.MlflowClient(f"sqlite:///{database}")
    experiment = client.create_experiment("viewed")
    mark_experiment(client, experiment)
    view = json.loads(client.get_experiment(experiment).tags[VIEW_TAG])
    assert view["name"] == "Scores"
    shown = json.loads(view["state"])["selectedColumns"]
    assert {"metrics.`roc_auc`", "metrics.`roc_auc_full`", "metrics.`roc_auc_pruned`"} <= set(shown)
    client.set_experiment_tag(experiment, VIEW_TAG, "mine")
    mark_experiment(client, experiment)
    assert client.get_experiment(experiment).tags[VIEW_TAG] == "mine"


def test_the_address_of_a_studys_runs_asks_for_their_scores_in_model_training_and_hides_passwords():
    asked = "/#/experiments/7/runs?viewStateShareKey=kpnn-scores&workflowType=machine_learning"
    assert VIEW_TAG.endswith(".kpnn-scores")
    assert runs_page("sqlite:////somewhere/mlruns/mlflow.db", "7") == f"http://127.0.0.1:5000{asked}"
    assert runs_page("https://ml.example.org/", "7") == f"https://ml.example.org{asked}"
    assert "secret" not in runs_page("https://ann:secret@ml.example.org", "7")
