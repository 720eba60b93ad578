"""What Kedro finds of kpnn by entry points: a starter, and a word on what notebooks need."""

from __future__ import annotations

import importlib
import tomllib
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from kedro.framework.cli.starters import create_cli

from kedro_project import REPOSITORY
from kpnn.app import notebook_hook
from kpnn.app.project import lay_down_project, project_around
from kpnn.app.project.starters import starters

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def files_in(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_kedro_new_makes_the_project_that_init_lays_down(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COOKIECUTTER_CONFIG", str(tmp_path / "none.yml"))
    (tmp_path / "none.yml").write_text(f"cookiecutters_dir: {tmp_path}/c\nreplay_dir: {tmp_path}/r\n")
    done = CliRunner().invoke(create_cli, ["new", "--starter", starters[0].template_path, "--name", "My studies"])
    assert done.exit_code == 0, done.output
    made = tmp_path / "my-studies"
    assert project_around(made) == made
    found = files_in(made)
    assert found.pop("README.md").startswith(b"# My studies\n")
    beside = tmp_path / "beside" / "my-studies"
    lay_down_project(beside)
    assert found == files_in(beside)


def test_every_entry_point_leads_to_something():
    for group in PROJECT["entry-points"].values():
        for address in group.values():
            module, _, name = address.partition(":")
            assert getattr(importlib.import_module(module), name)


def test_jupyter_that_is_not_installed_is_said_in_one_message(monkeypatch):
    ours = SimpleNamespace(package_name="kpnn")
    before = notebook_hook.notebook_hook.before_command_run
    monkeypatch.setattr(notebook_hook, "find_spec", lambda _: None)
    with pytest.raises(SystemExit, match=r"needs jupyterlab, .* pip install 'kpnn\[jupyter\]'"):
        before(ours, ["jupyter", "lab", "--no-browser"])
    before(ours, ["run"])
    before(SimpleNamespace(package_name="other"), ["jupyter", "lab"])
    before(None, ["jupyter", "lab"])
    monkeypatch.setattr(notebook_hook, "find_spec", lambda _: object())
    before(ours, ["jupyter", "lab"])
    assert "jupyter" in PROJECT["optional-dependencies"]
