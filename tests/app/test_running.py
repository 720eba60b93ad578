"""`kedro run`, `python -m kpnn` and `kpnn run`: what they refuse, and that they refuse it before anything is made."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from kedro.framework.project import configure_project
from kedro.io import DataCatalog
from kedro.pipeline import Node, Pipeline

from kedro_project import make_project
from kpnn.app.cli import cli, say_report
from kpnn.app.hooks import check_inputs
from kpnn.app.status import _seconds
from kpnn.errors import KpnnError


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return make_project(tmp_path_factory.mktemp("running") / "project").root


@pytest.fixture
def run(root, monkeypatch):
    """Runs `kpnn run` in this process; returns its exit code and what it printed."""
    monkeypatch.chdir(root)
    monkeypatch.delenv("KEDRO_ENV", raising=False)
    configure_project("kpnn")

    def with_options(*options: str) -> tuple[int, str]:
        done = CliRunner().invoke(cli, ["run", *options])
        return done.exit_code, done.output

    return with_options


@pytest.mark.parametrize("pipeline", ["simulate", "data_engineering", "__default__"])
def test_wrong_parameters_of_any_pipeline_stop_any_other_before_mlflow_opens(root, run, pipeline) -> None:
    wrong = "reporting.margin=-1,dag_selection.solver=CPLEX,controls.rewired=-1,interpretation.sedes=3"
    code, output = run("--pipeline", pipeline, "--params", wrong)
    assert code == 2
    assert output.count("Error:") == 1
    for name in ("reporting.margin", "dag_selection.solver", "controls.rewired", "interpretation.sedes"):
        assert output.count(name) == 1
    assert list((root / "mlruns").iterdir()) == []
    assert [path for path in (root / "data").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--env", "tcrr"], "--env tcrr: no such folder in conf; did you mean tcr?"),
        (["--pipeline", "modeling"], "--pipeline modeling: no such name; did you mean modelling?"),
        (["--from-nodes", "select_dg"], "--from-nodes select_dg: no such name; did you mean select_dag?"),
        (["--nodes", "write_reprot"], "--nodes write_reprot: no such name; did you mean write_report?"),
        (["--to-outputs", "reprot"], "--to-outputs reprot: no such name; did you mean report?"),
        (["--namespaces", "prunned"], "--namespaces prunned: no such name; did you mean pruned?"),
        (["--pipelines", "simulate", "--from-nodes", "select_dag"], "--from-nodes select_dag: no such name"),
        (["--tags", "modeling"], "--tags modeling: no such name; did you mean modelling?"),
        (["--runner", "ParalelRunner"], "--runner ParalelRunner: no such name; did you mean ParallelRunner?"),
        (["--from-nodes", "write_report", "--to-nodes", "select_dag"], "--from-nodes and --to-nodes: no node is left"),
        (["--tags", "reporting", "--to-nodes", "select_dag"], "--to-nodes and --tags: no node is left between them"),
    ],
)
def test_a_name_that_is_not_there_is_one_message_with_the_nearest(run, options, message) -> None:
    code, output = run(*options)
    assert code == 2
    assert output.startswith(f"Error: {message}")
    assert output.count("\n") == 1


def test_the_environment_may_be_named_by_kedros_variable(run, monkeypatch) -> None:
    monkeypatch.setenv("KEDRO_ENV", "tcrr")
    assert "did you mean tcr?" in run("--pipeline", "simulate")[1]


def test_outside_a_project_one_message_says_so(run, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, output = run()
    assert code == 2
    assert output.startswith(f"Error: no configuration: {tmp_path / 'conf'} does not exist")


@pytest.mark.parametrize("command", [["status", "mine"], ["check", "mine"]])
def test_studies_are_looked_at_in_a_project_alone(run, tmp_path, monkeypatch, command) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, command)
    assert done.exit_code == 2
    assert done.output.startswith(f"Error: no project of kpnn in {tmp_path} or above it; `kpnn init STUDY --cells")


def test_a_users_file_that_is_missing_is_not_taken_for_a_result(tmp_path) -> None:
    entry = {"type": "kpnn.datasets.raw.EdgeListDataset", "filepath": str(tmp_path / "mine" / "edges.csv")}
    catalog = DataCatalog.from_config({"edges": entry})
    with pytest.raises(
        KpnnError, match=r"nothing to read for edges .*mine/edges\.csv\): put your files there, or name"
    ):
        check_inputs(Pipeline([Node(lambda edges: edges, "edges", "pkn")]), catalog)


def test_a_node_with_many_results_took_its_time_once() -> None:
    many, one = (Node(lambda: None, None, outputs) for outputs in (["a", "b", "c"], ["d"]))
    records = {name: SimpleNamespace(seconds=took) for name, took in (("A", 9.8), ("B", 10.0), ("C", 10.1), ("D", 2.0))}
    there = {name: name.upper() for name in "abcd"}
    assert _seconds(Pipeline([many, one]), SimpleNamespace(records=records), there) == pytest.approx(12.1)


@pytest.mark.slow
def test_the_package_runs_as_a_module(root) -> None:
    command = [sys.executable, "-m", "kpnn", "--pipeline", "simulate", "--params", "simulate.n_cells=100"]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    assert (root / "data" / "01_raw" / "demo" / "truth.json").is_file()


def test_a_run_that_wrote_a_report_ends_by_saying_where(root, run, capsys) -> None:
    report = root / "data" / "08_reporting" / "demo" / "report.html"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text("<html></html>")
    options = {"conf_source": None, "env": None, "pipelines": ["reporting"]}
    say_report(options, report.stat().st_mtime - 1)
    assert capsys.readouterr().out == f"Report: {report}\n"
    # One of an earlier run, and runs that write none, are no matter.
    say_report(options, report.stat().st_mtime + 1)
    say_report({**options, "pipelines": ["simulate"]}, 0)
    assert capsys.readouterr().out == ""
    report.unlink()
