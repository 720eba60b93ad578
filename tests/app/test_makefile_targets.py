"""Every target of a project's Makefile does what it says, in small: one that is new has to be tried here too."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from browser import server
from kedro_project import REPOSITORY, SMALL, environment, make
from kpnn.app.project import lay_down_project
from ports import free_port

pytestmark = [pytest.mark.skipif(shutil.which("make") is None, reason="needs make"), pytest.mark.targets]

TARGET = re.compile(r"^([a-z-]+):.*## ", re.MULTILINE)
TARGETS = TARGET.findall((REPOSITORY / "src" / "kpnn" / "app" / "project" / "Makefile").read_text())
OF_THE_REPOSITORY = TARGET.findall((REPOSITORY / "Makefile").read_text())


def small_settings() -> dict:
    """`SMALL` as YAML has it."""
    found: dict = {}
    for setting in SMALL.split(","):
        name, value = setting.split("=")
        group = found
        *outer, last = name.split(".")
        for part in outer:
            group = group.setdefault(part, {})
        group[last] = yaml.safe_load(value)
    return found


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> tuple[Path, str]:
    """A new project in which the demo was run, and what that printed."""
    root = tmp_path_factory.mktemp("made")
    lay_down_project(root)
    (root / "conf" / "local" / "parameters_small.yml").write_text(yaml.safe_dump(small_settings()))
    return root, make(root, "demo")


def its_study(root: Path) -> str:
    """What `make init` printed of a study on the demo's files, smaller than usual."""
    raw = "data/01_raw/demo"
    said = f"mine --cells {raw}/Data.h5 --classes-file {raw}/ClassLabels.csv --network {raw}/Edgelist.csv --force"
    printed = make(root, "init", f"OPTIONS={said}")
    (root / "conf" / "mine" / "parameters_small.yml").write_text(yaml.safe_dump(small_settings()))
    return printed


def demo_shows_the_comparison(root: Path, printed: str) -> None:
    assert "full         pruned" in printed and "ROC-AUC" in printed
    assert (root / "data" / "08_reporting" / "demo" / "report.html").is_file()


def init_writes_a_study(root: Path, _: str) -> None:
    assert "kedro run --env mine" in its_study(root)


def check_says_what_a_run_does(root: Path, _: str) -> None:
    assert "All checks passed" in make(root, "check")
    its_study(root)
    assert "kedro run --env mine" in make(root, "check", "STUDY=mine")


def run_runs_a_study(root: Path, _: str) -> None:
    its_study(root)
    assert "full         pruned" in make(root, "run", "STUDY=mine")
    assert (root / "data" / "08_reporting" / "mine" / "report.html").is_file()


def answers(target: str) -> Callable[[Path, str], None]:
    def step(root: Path, _: str) -> None:
        port = free_port()
        more = " --no-browser" if target == "viz" else ""
        command = ["make", target, f"OPTIONS=--port {port}{more}"]
        with server(command, f"http://127.0.0.1:{port}", root / f"{target}.log", cwd=root, variables=environment()):
            pass

    return step


def help_lists_all(root: Path, _: str) -> None:
    assert [line.split()[1] for line in make(root, "help").splitlines()] == TARGETS


def clean_leaves_no_results(root: Path, _: str) -> None:
    copy = root.with_name(root.name + "-cleaned")
    shutil.copytree(root, copy)
    make(copy, "clean")
    assert {path.name for path in (copy / "data").rglob("*") if path.is_file()} == {".gitkeep"}


STEPS = {
    "help": help_lists_all,
    "demo": demo_shows_the_comparison,
    "init": init_writes_a_study,
    "check": check_says_what_a_run_does,
    "run": run_runs_a_study,
    "mlflow": answers("mlflow"),
    "viz": answers("viz"),
    "clean": clean_leaves_no_results,
}


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_does_what_it_says(target, demo):
    STEPS[target](*demo)


def test_the_repositorys_own_targets_are_what_continuous_integration_runs():
    lines = re.findall(r"^make ([a-z ]+)", (REPOSITORY / ".ci" / "run").read_text(), re.MULTILINE)
    run = {target for line in lines for target in line.split()}
    # `test` begins with `lint`, by its prerequisites; `gallery` is one of the tests that run with these, told to write.
    assert run | {"lint", "gallery"} == set(OF_THE_REPOSITORY)
    assert "pytest -m targets tests/docs/test_gallery.py --write-gallery" in (REPOSITORY / "Makefile").read_text()


def test_the_commands_of_the_first_page_are_tried_here():
    told = re.findall(
        r"^\$ (?:make ([a-z]+)|(kpnn|kedro) ([a-z]+))", (REPOSITORY / "README.md").read_text(), re.MULTILINE
    )
    assert told
    known = {*TARGETS, *OF_THE_REPOSITORY}
    assert {target or command for target, _, command in told} <= known
