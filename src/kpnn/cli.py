"""Where Kedro looks for the project's commands."""

from kpnn.app.cli import cli, run

__all__ = ["cli", "run"]
