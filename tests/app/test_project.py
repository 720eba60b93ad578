"""A project laid down where there is none: complete, and made of what this repository itself is run with."""

from __future__ import annotations

import subprocess
import tomllib

import pytest
from kedro.framework.startup import bootstrap_project

from kedro_project import REPOSITORY
from kpnn.app.project import OWN, lay_down_project, logging_of, project_around
from kpnn.errors import SettingsError

SHIPPED = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]


def test_the_wheel_carries_every_environment_that_the_repository_keeps():
    listed = subprocess.run(["git", "ls-files", "conf"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("this is no git repository")
    kept = {"/".join(name.split("/")[:2]) for name in listed.stdout.split()} - {"conf/local"}
    assert kept | {"notebooks", ".telemetry", ".gitignore"} == set(SHIPPED["force-include"])
    assert {name.removeprefix("conf/") for name in kept} == set(OWN)
    assert all(to == f"kpnn/app/project/{source}" for source, to in SHIPPED["force-include"].items())


def test_a_project_is_laid_down_as_this_repository_is(tmp_path):
    root = tmp_path / "new"
    lay_down_project(root)
    for source in SHIPPED["force-include"]:
        for path in [REPOSITORY / source, *(REPOSITORY / source).rglob("*")]:
            if path.is_file():
                assert (root / path.relative_to(REPOSITORY)).read_bytes() == path.read_bytes()
    metadata = bootstrap_project(root)
    assert metadata.package_name == "kpnn"
    assert metadata.source_dir == root.resolve()
    assert (root / "mlruns").is_dir() and (root / "data" / "01_raw").is_dir() and (root / "conf" / "local").is_dir()


def test_nothing_is_overwritten_or_half_laid_down(tmp_path):
    (tmp_path / "Makefile").write_text("mine:\n")
    (tmp_path / "cells.csv").write_text("barcode\n")
    with pytest.raises(SettingsError, match="Makefile in it would be in the way"):
        lay_down_project(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Makefile", "cells.csv"]


def test_the_terminal_shows_what_the_project_says_from_any_folder_in_it(tmp_path):
    assert logging_of(tmp_path).read_bytes() == (REPOSITORY / "conf" / "logging.yml").read_bytes()
    lay_down_project(tmp_path)
    (tmp_path / "notebooks" / "deep").mkdir()
    assert logging_of(tmp_path / "notebooks" / "deep") == tmp_path / "conf" / "logging.yml"


def test_a_project_of_another_package_is_none_of_ours(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.kedro]\npackage_name = 'other'\n")
    (tmp_path / "data").mkdir()
    with pytest.raises(SettingsError, match="a Kedro project of other, not of kpnn"):
        project_around(tmp_path / "data")
