"""The Makefiles: the repository's own and that of every project, which are one where they say the same."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from kedro_project import REPOSITORY
from kpnn.app.project import lay_down_project

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


def make(folder: Path, *arguments: str) -> str:
    # Below `make test`, make would tell its make of the folder, and take its options over.
    alone = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(["make", *arguments], cwd=folder, capture_output=True, text=True, check=False, env=alone)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def targets(listed: str) -> set[str]:
    return {line.split()[1] for line in listed.splitlines()}


def test_a_project_can_do_what_the_repository_can_but_for_its_tests(tmp_path):
    lay_down_project(tmp_path)
    of_project, of_repository = targets(make(tmp_path)), targets(make(REPOSITORY))
    assert {"demo", "init", "check", "run", "mlflow", "viz", "clean", "help"} == of_project
    assert of_repository > of_project
    assert {"test", "lint"} <= of_repository - of_project
    # What is needed is installed first in the repository, and is there already in a project.
    assert "pip install" in make(REPOSITORY, "--dry-run", "--always-make", "demo")
    assert "pip install" not in make(tmp_path, "--dry-run", "demo")


def test_a_study_is_run_by_its_name_and_the_demo_without_one(tmp_path):
    lay_down_project(tmp_path)
    assert "kedro run --env mystudy" in make(tmp_path, "--dry-run", "run", "STUDY=mystudy")
    assert "kedro run --env base" in make(tmp_path, "--dry-run", "run")
    assert make(tmp_path, "--dry-run", "init", "OPTIONS=mine --cells x").strip() == "kpnn init mine --cells x"


def test_clean_leaves_the_folders_and_nothing_else(tmp_path):
    lay_down_project(tmp_path)
    (tmp_path / "data" / "01_raw" / "mine").mkdir()
    (tmp_path / "data" / "01_raw" / "mine" / "cells.csv").write_text("x")
    (tmp_path / "mlruns" / "mlflow.db").write_text("x")
    make(tmp_path, "clean")
    left = {path.relative_to(tmp_path).as_posix() for top in ("data", "mlruns") for path in (tmp_path / top).rglob("*")}
    assert left == {"data/01_raw", "data/01_raw/.gitkeep", "mlruns/.gitkeep"}
