"""Kedro's `run`, with errors that a user can mend shown as one message instead of a traceback."""

from __future__ import annotations

import logging
import os
import traceback
from pathlib import Path
from typing import Any

import click
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.cli.utils import CONTEXT_SETTINGS
from kedro.io import DatasetError
from kedro.utils import find_kedro_project

from kpnn.errors import KpnnError


def _explanation(error: BaseException) -> str | None:
    """The innermost message meant for the user in a chain of exceptions, or None if there is none."""
    found = None
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, KpnnError) or (found is None and isinstance(link, DatasetError)):
            found = str(link)
        link = link.__cause__ or link.__context__
    return found


def _run(**options: Any) -> Any:
    if options["pipeline"] and not options["pipelines"]:
        # Kedro 1.7 warns of its own older spelling; both are fine here.
        options |= {"pipelines": [options["pipeline"]], "pipeline": None}
    # Paths in parameters and in MLflow's address are relative to the project, from whichever folder in it one runs.
    os.chdir(find_kedro_project(Path.cwd()) or Path.cwd())
    try:
        return kedro_run.callback(**options)  # type: ignore[misc] # click types it as optional
    except Exception as error:
        explanation = _explanation(error)
        if explanation is None:
            raise
        if _debugging():
            click.secho(traceback.format_exc(), nl=False, err=True)
        raise click.ClickException(explanation) from error


def _debugging() -> bool:
    return logging.getLogger("kpnn").isEnabledFor(logging.DEBUG)


@click.group(context_settings=CONTEXT_SETTINGS, name="kpnn")
def cli() -> None:
    """Command line of the kpnn project."""


cli.add_command(click.Command("run", params=kedro_run.params, callback=_run, help=kedro_run.help))
