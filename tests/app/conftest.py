"""A small study that was run once, for all tests that look at what runs leave and refuse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from traceback import format_exception

import mlflow
import pytest
from click.testing import CliRunner
from kedro.framework.project import configure_project
from outside import listening

from kedro_project import SMALL, make_project
from kpnn.app.cli import cli

Run = Callable[..., tuple[int, str]]


def run_in(root: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A function that runs `kpnn` in this process; it returns the exit code and what was printed."""
    monkeypatch.chdir(root)
    for name in ("KEDRO_ENV", "MLFLOW_TRACKING_URI", "MLFLOW_HTTP_REQUEST_TIMEOUT", "MLFLOW_HTTP_REQUEST_MAX_RETRIES"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    configure_project("kpnn")

    def run(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(cli, words)
        assert mlflow.active_run() is None
        unforeseen = "" if isinstance(done.exception, SystemExit | None) else "".join(format_exception(done.exception))
        return done.exit_code, done.output + unforeseen

    return run


HEARD: dict[Path, list[tuple[str, str]]] = {}
"""What was done beyond Python's own memory while each study was made."""


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    """The root of a project with a small study, trained but not reported."""
    root = make_project(tmp_path_factory.mktemp("finished") / "project").root
    with pytest.MonkeyPatch.context() as patch, listening() as HEARD[root]:
        run = run_in(root, patch)
        for pipelines in ("simulate", "data_engineering,dag_pruning,modelling"):
            code, output = run("run", "--pipelines", pipelines, "--params", SMALL)
            assert code == 0, output
    return root


@pytest.fixture
def heard(study) -> list[tuple[str, str]]:
    """What was written, and looked for in the network, while the study was made."""
    return HEARD[study]


@pytest.fixture
def kpnn(study, monkeypatch) -> Iterator[Run]:
    yield run_in(study, monkeypatch)
    mlflow.set_tracking_uri(None)


@pytest.fixture(scope="module")
def raw_study(tmp_path_factory) -> Path:
    """The root of a project with raw data alone."""
    root = make_project(tmp_path_factory.mktemp("raw") / "project").root
    with pytest.MonkeyPatch.context() as patch:
        code, output = run_in(root, patch)("run", "--pipeline", "simulate", "--params", SMALL)
        assert code == 0, output
    return root


@pytest.fixture
def kpnn_on_raw(raw_study, monkeypatch) -> Iterator[Run]:
    yield run_in(raw_study, monkeypatch)
    mlflow.set_tracking_uri(None)
