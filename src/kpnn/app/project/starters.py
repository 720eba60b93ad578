"""The starter that `kedro new --starter kpnn` finds: a folder with the project that `kpnn init` lays down."""

from __future__ import annotations

from pathlib import Path

from kedro.framework.cli.starters import KedroStarterSpec

starters = [KedroStarterSpec("kpnn", template_path=str(Path(__file__).parent / "starter"))]
"""Kedro looks for them under the entry point `kedro.starters`."""
