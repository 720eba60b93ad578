"""The commands: Kedro's `run`, with errors that a user can mend shown as one message; `init` and `check`."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
import kedro.runner
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.cli.utils import CONTEXT_SETTINGS
from kedro.framework.project import configure_project, pipelines, settings
from kedro.pipeline import Pipeline
from kedro.utils import find_kedro_project

from kpnn import __version__
from kpnn.app.check.command import check
from kpnn.app.endings import terminable
from kpnn.app.init.command import init
from kpnn.app.messages import as_messages
from kpnn.app.status import status
from kpnn.compiling import compile_beside
from kpnn.errors import SettingsError, near_names
from kpnn.settings import CONFIG_LOADER_ARGS
from kpnn.studies import StudyConfigLoader

_log = logging.getLogger(__name__)
_RUNNERS = [name for name in kedro.runner.__all__ if name.endswith("Runner") and name != "AbstractRunner"]
_NODE_OPTIONS = ("from_nodes", "to_nodes", "node_names")


def _run(**options: Any) -> Any:
    if options["pipeline"] and not options["pipelines"]:
        # Kedro 1.7 warns of its own older spelling; both are fine here.
        options |= {"pipelines": [options["pipeline"]], "pipeline": None}
    # Paths in parameters and in MLflow's address are relative to the project, from whichever folder in it one runs.
    os.chdir(find_kedro_project(Path.cwd()) or Path.cwd())
    with as_messages():
        _check_environment(options)
        _check_names(options)
        # Loading the libraries took seconds; what follows reads files, which may take some more.
        _log.info("kpnn %s: looks at settings, files and the machine", __version__)
        if any(_trains(pipelines[name]) for name in _pipelines_of(options)):
            compile_beside()
        begun = time.time()
        with terminable():
            result = kedro_run.callback(**options)  # type: ignore[misc] # click types it as optional
        say_report(options, begun)
        return result


def say_report(options: dict[str, Any], begun: float) -> None:
    """Says where the report is, if a run wrote one.

    Args:
        options: of `kedro run`.
        begun: when the run began, as `time.time` gives it.
    """
    source = Path(options["conf_source"] or settings.CONF_SOURCE)
    if not source.is_dir() or not any("report" in pipelines[name].all_outputs() for name in _pipelines_of(options)):
        return
    config = StudyConfigLoader(str(source), options["env"] or os.environ.get("KEDRO_ENV"), **CONFIG_LOADER_ARGS)
    report = Path(config["catalog"].get("report", {}).get("filepath", ""))
    if report.is_file() and report.stat().st_mtime >= begun:
        click.echo(f"Report: {report.absolute()}")


def _pipelines_of(options: dict[str, Any]) -> list[str]:
    return list(options["pipelines"] or ["__default__"])


def _trains(pipeline: Pipeline) -> bool:
    return any(node.name.endswith("cross_validate") for node in pipeline.nodes)


def _check_environment(options: dict[str, Any]) -> None:
    """Raises SettingsError where the environment, or all configuration, does not exist."""
    source = Path(options["conf_source"] or settings.CONF_SOURCE)
    if options["conf_source"] and not source.is_dir():
        return  # an archive, or on a server: Kedro looks into it
    if not source.is_dir():
        raise SettingsError(f"no configuration: {source.absolute()} does not exist; run this in a project of kpnn")
    asked = options["env"] or os.environ.get("KEDRO_ENV") or ""
    known = sorted(path.name for path in source.iterdir() if path.is_dir())
    for name in (part.strip() for part in asked.split(",") if part.strip()):
        if name not in known:
            raise SettingsError(f"--env {name}: no such folder in {source}; {near_names(name, known)}")


def _check_names(options: dict[str, Any]) -> None:
    """Raises SettingsError where pipelines, nodes or data sets are asked for that are missing; all are named.

    A node may be asked for without its namespace: the options then have its full name.
    """
    asked_pipelines = _pipelines_of(options)
    problems = _unknown("--pipeline", asked_pipelines, pipelines)
    if not problems:
        chosen = sum((pipelines[name] for name in asked_pipelines), start=Pipeline([]))
        full_names = _full_names(chosen)
        for option in _NODE_OPTIONS:
            options[option] = [full_names.get(name, name) for name in options[option] or ()]
        nodes = [*full_names, *full_names.values()]
        for option, known in (
            ("from_nodes", nodes),
            ("to_nodes", nodes),
            ("node_names", nodes),
            ("from_inputs", chosen.datasets()),
            ("to_outputs", chosen.datasets()),
            ("namespaces", {node.namespace for node in chosen.nodes if node.namespace}),
        ):
            spelling = "--nodes" if option == "node_names" else f"--{option.replace('_', '-')}"
            problems += _unknown(spelling, options[option] or (), known)
        problems += _unknown("--tags", options["tags"] or (), {tag for node in chosen.nodes for tag in node.tags})
        problems = problems or _nothing_left(chosen, options)
    runner = options["runner"]
    if runner and "." not in runner:
        problems += _unknown("--runner", [runner], _RUNNERS)
    if problems:
        raise SettingsError("\n  ".join(problems))


def _nothing_left(chosen: Pipeline, options: dict[str, Any]) -> list[str]:
    """Says so where the options, each of which names something that there is, leave no node between them."""
    asked = {name: options[name] or None for name in (*_NODE_OPTIONS, "from_inputs", "to_outputs", "tags")}
    try:
        chosen.filter(**asked, node_namespaces=list(options["namespaces"] or ()) or None)
    except ValueError:
        given = [f"--{name.replace('_', '-')}" for name, value in asked.items() if value]
        return [f"{' and '.join(given)}: no node is left between them; name others, or leave one of them out"]
    return []


def _full_names(chosen: Pipeline) -> dict[str, str]:
    """Full name of each node that is the only one of its own name: `select_dag` -> `dag_pruning.select_dag`."""
    short = Counter(node.name.rpartition(".")[2] for node in chosen.nodes)
    names = {node.name: node.name.rpartition(".")[2] for node in chosen.nodes}
    return {own if short[own] == 1 else name: name for name, own in names.items()}


def _unknown(option: str, asked: Iterable[str], known: Iterable[str]) -> list[str]:
    names = sorted(known)
    return [f"{option} {name}: no such name; {near_names(name, names)}" for name in asked if name not in names]


@click.group(context_settings=CONTEXT_SETTINGS, name="kpnn")
@click.version_option(__version__, prog_name="kpnn")
def cli() -> None:
    """Knowledge-primed neural networks: a study of your own data, in a Kedro project."""


run = click.Command("run", params=kedro_run.params, callback=_run, help=kedro_run.help)
"""Kedro itself looks for the command under this name, where the project is run without `kedro`."""

for command in (run, init, check, status):
    cli.add_command(command)


def main() -> None:
    """The command `kpnn`."""
    configure_project("kpnn")
    cli(prog_name="kpnn")
