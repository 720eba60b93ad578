"""What pages tell the reader to type exists: commands, options, pipelines, parameters, studies, imports."""

from __future__ import annotations

import ast
import importlib
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from command_pages import commands
from page_commands import Command, blocks_of, commands_of
from parameter_pages import all_parameters

from kpnn.pipelines.parameters import GROUPS

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md")), *sorted((ROOT / "docs").glob("*.md"))]
PIPELINES = {path.parent.name for path in (ROOT / "src" / "kpnn" / "pipelines").glob("*/pipeline.py")}
FREE = re.compile(r"<\w+>|NAME|\.\.\.")
"""What stands for something that the reader fills in."""


def studies_of(page: Path) -> set[str]:
    """The studies that ship, and those that the page has the reader make."""
    shipped = {path.name for path in (ROOT / "conf").iterdir() if path.is_dir()}
    text = page.read_text(encoding="utf-8")
    made = re.findall(r"kpnn init (\w+)", text) + re.findall(r"conf/(\w+)/", text)
    return shipped | set(made) | {"mystudy"}


def known_parameters() -> list[str]:
    return [re.escape(one.name).replace("NAME", r"\w+") for one in all_parameters(ROOT / "conf" / "base")]


def is_parameter(dotted: str, known: list[str]) -> bool:
    """Whether a dotted name is a parameter, a group of them, or a name within a free mapping."""
    return any(re.fullmatch(rf"{one}(\..*)?", dotted) or one.startswith(re.escape(dotted) + r"\.") for one in known)


def problems_of(command: Command, known: list[str]) -> list[str]:
    """What a command names that is not there."""
    words, options = command.words, command.options()
    problems: list[str] = []
    if words[0] == "make":
        makefiles = [ROOT / "Makefile", ROOT / "src" / "kpnn" / "app" / "project" / "Makefile"]
        targets = {name for path in makefiles for name in re.findall(r"^([a-z]+):", path.read_text(), re.MULTILINE)}
        problems += [] if words[1] in targets else [f"no target {words[1]}"]
    elif words[0] == "python" and words[1].endswith(".py"):
        problems += [] if (ROOT / words[1]).is_file() else [f"no file {words[1]}"]
    elif words[:2] == ("pip", "install") and "kpnn[" in words[2]:
        known_extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        extras = words[2].partition("[")[2].rstrip("]").split(",")
        problems += [f"no extra {one}" for one in extras if one not in known_extras]
    elif words[:2] == ("kedro", "run") or words[0] == "kpnn":
        [shown] = [one for one in commands() if one.name == words[1]] or [None]
        if shown is None:
            return [f"no command {words[1]}"]
        taken = {option for param in shown.params for option in (*param.opts, *param.secondary_opts)}
        problems += [f"{words[1]} has no option {name}" for name in options if name not in taken]
        pipelines = options.get("--pipeline", options.get("--pipelines", "")).split(",")
        problems += [f"no pipeline {one}" for one in pipelines if one and not FREE.search(one) and one not in PIPELINES]
        for environment in options.get("--env", "").split(","):
            if environment and not FREE.search(environment) and environment not in studies_of(command.page):
                problems.append(f"no study {environment}")
        given = [pair.partition("=")[0] for pair in options.get("--params", "").split(",") if pair]
        problems += [f"no parameter {name}" for name in given if not is_parameter(name, known)]
    return problems


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_on_pages_name_what_is_there(page: Path) -> None:
    known = known_parameters()
    found = [(" ".join(command.words), problems_of(command, known)) for command in commands_of(page)]
    assert [(command, problems) for command, problems in found if problems] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_parameters_in_yaml_on_pages_are_parameters(page: Path) -> None:
    def leaves(value: object, prefix: str) -> list[str]:
        if isinstance(value, dict) and value:
            return [leaf for name, inner in value.items() for leaf in leaves(inner, f"{prefix}.{name}".lstrip("."))]
        return [prefix]

    known, strange = known_parameters(), []
    for block in blocks_of(page, "yaml"):
        stated = yaml.safe_load(block)
        if isinstance(stated, dict) and set(stated) <= set(GROUPS):
            strange += [name for name in leaves(stated, "") if not is_parameter(name, known)]
    assert strange == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_python_on_pages_imports_what_is_there(page: Path) -> None:
    missing = []
    for block in blocks_of(page, "python"):
        if ">>>" in block:
            continue  # these run, as doctests
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "kpnn":
                module = importlib.import_module(node.module or "")
                missing += [f"{node.module}.{one.name}" for one in node.names if not hasattr(module, one.name)]
            if isinstance(node, ast.Attribute) and ast.unparse(node).startswith(("kpnn.tl.", "kpnn.pl.")):
                module = importlib.import_module(ast.unparse(node.value))
                missing += [] if hasattr(module, node.attr) else [ast.unparse(node)]
    assert missing == []


def test_a_command_that_names_what_is_not_there_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```console\n$ make cake\n"
        "$ kedro run --pipeline baking --env nowhere \\\n   --params reporting.margins=1 --fast\n"
        "$ pip install 'kpnn[oven]'  # x\n$ kpnn bake\n```\nand `python docs/nothing.py`, `kedro run --env <study>`.\n",
        encoding="utf-8",
    )
    found = [problem for command in commands_of(page) for problem in problems_of(command, known_parameters())]
    assert found == [
        "no target cake",
        "run has no option --fast",
        "no pipeline baking",
        "no study nowhere",
        "no parameter reporting.margins",
        "no extra oven",
        "no command bake",
        "no file docs/nothing.py",
    ]
