"""Everything that would end a run late is one list before the first node."""

from __future__ import annotations

import os
import socket
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from kedro_project import SMALL
from kpnn.app import preflight
from kpnn.app.preflight import RunPlan, problems
from kpnn.pipelines.parameters import all_settings


def plan(tmp_path: Path, parameters: dict | None = None, **more) -> RunPlan:
    raw = {"raw_expression": "Data.h5", "class_labels": "labels.csv", "edges": "edges.csv"}
    for name in raw.values():
        (tmp_path / name).write_text("a,b\n" * 100)
    given = {"trains": True, "searches": True, "selects": True} | more
    return RunPlan(
        writes=(tmp_path / "data" / "out.parquet",),
        raw={name: tmp_path / file for name, file in raw.items()},
        settings=all_settings(parameters or {}),
        **given,
    )


def test_a_plan_without_fault_has_no_problems(tmp_path):
    assert problems(plan(tmp_path)) == []


def test_a_disk_that_is_too_small_is_said_with_both_sizes(tmp_path, monkeypatch):
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda _: SimpleNamespace(free=20_000_000))
    [problem] = problems(plan(tmp_path))
    assert problem.startswith(f"{tmp_path}: the study needs about") and "20 MB are free" in problem


def test_memory_that_is_too_small_is_said_and_reading_from_disk_offered(tmp_path, monkeypatch):
    monkeypatch.setattr(preflight, "available_memory", lambda: 2_000_000_000)
    given = plan(tmp_path)
    assert problems(given) == []
    for name in ("class_labels", "edges"):
        given.raw[name].write_text("a,b\n" * 40_000)
    assert problems(given) == []  # the raw file is far too small to hold so much
    with given.raw["raw_expression"].open("wb") as file:
        file.truncate(500_000_000)  # sparse: takes no disk
    monkeypatch.setattr(preflight, "damage_of", lambda _: None)
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda _: SimpleNamespace(free=10**12))
    [problem] = problems(given)
    assert "2.0 GB are available" in problem and "data_engineering.in_memory_cells=10000" in problem


def test_a_file_in_the_place_of_a_folder_and_a_folder_that_is_read_only_are_named(tmp_path, monkeypatch):
    given = plan(tmp_path, searches=False)
    (tmp_path / "data").write_text("")
    assert problems(given) == [f"{tmp_path / 'data'}: is a file, where a folder is needed for out.parquet"]
    (tmp_path / "data").unlink()
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere
    assert problems(given) == [
        f"{tmp_path}: this user may not write there; change its permissions, or run from another folder"
    ]


@pytest.mark.parametrize(
    ("backend", "words"), [("theano", "no such backend; there are torch"), ("tensorflow", "`pip install tensorflow`")]
)
def test_a_backend_that_is_not_there_is_named(backend, words, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", backend)
    monkeypatch.setattr(preflight, "find_spec", lambda name: None if name == "tensorflow" else name)
    [problem] = problems(plan(tmp_path))
    assert f"KERAS_BACKEND={backend}" in problem and words in problem


def test_a_database_and_a_scheduler_that_do_not_answer_are_one_list_without_passwords(tmp_path):
    url = "postgresql://ada:lovelace@127.0.0.1:1/optuna"
    execution = {"executor": "dask", "scheduler": "tcp://127.0.0.1:1"}
    found = problems(plan(tmp_path, {"modelling": {"tuning": {"storage": url}, "execution": execution}}))
    assert len(found) == 2
    assert found[0].startswith("tuning.storage = postgresql://") and "lovelace" not in found[0]
    assert found[1].startswith("execution.scheduler = tcp://127.0.0.1:1: ")


def test_what_never_answers_costs_seconds(tmp_path, monkeypatch):
    monkeypatch.setattr(preflight, "_SECONDS", 0.2)
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        url = f"postgresql://ada:lovelace@127.0.0.1:{silent.getsockname()[1]}/optuna"
        [problem] = problems(plan(tmp_path, {"modelling": {"tuning": {"storage": url}}}))
    assert problem.endswith("no answer within 0.2 s") and "lovelace" not in problem


def test_all_that_is_wrong_is_one_message_before_the_first_node(kpnn_on_raw, raw_study, monkeypatch):
    wrong = "modelling.tuning.n_trials=1,modelling.tuning.storage=postgresql://ada:lovelace@127.0.0.1:1/optuna"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ada:lovelace@127.0.0.1:1")
    files = {path for path in raw_study.rglob("*") if path.is_file()}
    code, said = kpnn_on_raw("run", "--params", f"{SMALL},{wrong}")
    assert code == 2
    assert said.count("Error:") == 1 and "2 to mend" in said
    assert "tuning.storage = postgresql://***@127.0.0.1:1/optuna" in said
    assert "MLflow at http://***@127.0.0.1:1: the connection is refused" in said and "tracking.required=false" in said
    assert "lovelace" not in said
    assert files == {path for path in raw_study.rglob("*") if path.is_file()}


def test_without_mlflow_a_run_goes_on_where_it_is_not_required(kpnn_on_raw, raw_study, monkeypatch, caplog):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ada:lovelace@127.0.0.1:1")
    options = ("--pipeline", "data_engineering", "--params", f"{SMALL},tracking.required=false")
    code, said = kpnn_on_raw("run", *options)
    assert code == 0, said
    assert "The run goes on without it" in caplog.text and "`kedro run --pipeline reporting`" in caplog.text
    assert "lovelace" not in caplog.text + said
    assert (raw_study / "data" / "03_primary" / "demo" / "pkn.parquet").is_file()
