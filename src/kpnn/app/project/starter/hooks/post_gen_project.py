"""Lays the project down in the folder that cookiecutter has just made, which holds a README alone."""

from pathlib import Path

from kpnn.app.project import lay_down_project

lay_down_project(Path.cwd())
