"""The command `kpnn check`."""

from __future__ import annotations

import os
from pathlib import Path

import click
from kedro.framework.project import settings

from kpnn.app.messages import as_messages
from kpnn.app.project import required_project


@click.command("check", short_help="Say what a study's run will do, without training and without writing.")
@click.argument("study", default="base")
def check(study: str) -> None:
    """Check STUDY (an environment in conf/, or several joined by commas; by default the demo) from its raw files on.

    Ends with exit code 2 where a run would end before it trains.
    """
    with as_messages(checking=True):
        os.chdir(required_project())  # paths in the catalog are relative to it
        say_check(study)


def say_check(study: str) -> None:
    """Checks a study of the project in the working directory and prints what a run of it will do.

    Args:
        study: its environment.

    Raises:
        KpnnError: whatever a run would end with before it trains.
    """
    from kpnn.app.check.dry_run import dry_run
    from kpnn.app.check.summary import summary_lines

    run = dry_run(Path(settings.CONF_SOURCE), None if study == "base" else study)
    option = "" if study == "base" else f" --env {study}"
    click.echo("\n".join([*summary_lines(run), "", f"All checks passed. To run it: kedro run{option}"]))
