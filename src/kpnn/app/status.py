"""`kpnn status`: which results of a study exist, whether they are current, and what a run would do again."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import click
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from kpnn.app.currency import STAGES, by_cause, findings
from kpnn.app.ledger import Ledger, path_of
from kpnn.app.messages import as_messages
from kpnn.app.project import required_project
from kpnn.app.terminal import broken, terminal_width
from kpnn.pipelines.parameters import all_settings


@click.command()
@click.argument("study", required=False)
def status(study: str | None) -> None:
    """What there is of STUDY (an environment of conf/; without it, the demo), what of it is current, what a run redoes.

    Ends with 0 where all is there and current, else with 1.
    """
    with as_messages():
        lines, is_current = describe(required_project(), study)
    width = terminal_width(sys.stdout)
    for line in lines:
        click.echo(broken(line, width, " " * (len(line) - len(line.lstrip()) + 2)))
    if not is_current:
        raise click.exceptions.Exit(1)


def describe(root: Path, study: str | None) -> tuple[list[str], bool]:
    """Says, pipeline by pipeline, what a study's results are worth.

    Args:
        root: of the project.
        study: its environment; None: the demo.

    Returns:
        Lines of at most 100 characters, but for causes; whether all results are there and current.

    Raises:
        SettingsError: there is no such study, or its parameters make no sense.
    """
    os.chdir(root)  # paths of the catalog are relative to the project
    bootstrap_project(root)
    with KedroSession.create(root, env=study) as session:
        context = cast(KedroSession, session).load_context()
        catalog, name = context.catalog, str(context.config_loader["globals"].get("study") or study)
        settings = all_settings(context.config_loader["parameters"])
    ledger = Ledger(root, root / "data" / ".studies" / name / "results.json")
    lines, unknown, seconds = [f"Study {name}"], False, 0.0
    redo: list[str] = []
    for stage in STAGES:
        results = _results(pipelines[stage], catalog)
        there = {dataset: key for dataset, path in results.items() if (root / (key := ledger.key(path))).exists()}
        records = [ledger.records[key] for key in there.values() if key in ledger.records]
        found = findings(list(there.values()), ledger, settings)
        if not there:
            state = "nothing yet"
        elif found:
            state = "not current"
        elif len(records) < len(there):
            state, unknown = "there, but it is not known what made it", True
        else:
            state = f"current, of {time.strftime('%Y-%m-%d %H:%M', time.localtime(max(r.written for r in records)))}"
        lines.append(f"  {stage:<17}{len(there):>3} of {len(results)} results   {state}")
        lines += [f"    {cause}" for cause in by_cause(found)]
        if not there or found or redo:
            redo.append(stage)
            seconds += _seconds(pipelines[stage], ledger, there)
        if stage == "modelling":
            lines += [f"    {line}" for line in _folds(catalog, pipelines[stage])]
    if unknown and not redo:
        lines.append("Whether all of it is current is not known: an older kpnn, or another hand, put it there.")
    else:
        lines.append(_advice(redo, seconds, study))
    return lines, not (redo or unknown)


def _seconds(pipeline: Pipeline, ledger: Ledger, there: Mapping[str, str]) -> float:
    """What the nodes took that made the results; each counts once, until its last result was there."""
    total = 0.0
    for node in pipeline.nodes:
        records = (ledger.records.get(there[name]) for name in node.outputs if name in there)
        total += max((record.seconds for record in records if record is not None), default=0.0)
    return total


def _results(pipeline: Pipeline, catalog: CatalogProtocol) -> dict[str, Path]:
    named = ((name, path_of(catalog, name)) for name in sorted(pipeline.all_outputs()))
    return {name: path for name, path in named if path is not None}


def _folds(catalog: CatalogProtocol, pipeline: Pipeline) -> list[str]:
    """How many folds of each arm are finished, whether or not the arm is."""
    lines = []
    for name in sorted(name for name in pipeline.inputs() if name.endswith("fold_store")):
        dataset = catalog.get(name)
        store = Path(str(dataset._describe()["filepath"])) if dataset is not None else Path()
        finished = len(list(store.glob("**/repeat_*/manifest.json")))
        lines.append(f"{name.split('.')[0]}: {finished} finished folds on disk")
    return lines


def _advice(redo: list[str], seconds: float, study: str | None) -> str:
    if not redo:
        return "Everything is there and current: a run would only check, and log again."
    environment = f" --env {study}" if study else ""
    took = f"; they took {_duration(seconds)} before" if seconds else ""
    return (
        f"A run does {', '.join(redo)} again (`kedro run{environment} --pipelines {','.join(redo)}`{took}). Folds that "
        "still hold are kept."
    )


def _duration(seconds: float) -> str:
    return f"about {seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
