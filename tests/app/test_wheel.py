"""From an empty folder and a wheel: no clone of the repository is needed."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from kedro_project import REPOSITORY

LIBRARIES = sysconfig.get_paths()["purelib"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """Where a wheel of these sources is unpacked, as pip does it."""
    pytest.importorskip("hatchling", reason="builds the wheel")
    built, site = tmp_path_factory.mktemp("built"), tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(built)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return site


def as_installed(site: Path, folder: Path, *arguments: str) -> str:
    """Runs a module where kpnn is the wheel's, beside the libraries of this environment; returns what it printed."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("KEDRO", "MLFLOW"))}
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env={**inherited, "PYTHONPATH": f"{site}{os.pathsep}{LIBRARIES}", "DO_NOT_TRACK": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_two_commands_from_an_empty_folder_to_data_that_are_ready_for_training(installed, tmp_path):
    rng = np.random.default_rng(0)
    genes = [f"G{number}" for number in range(8)]
    obs = pd.DataFrame({"condition": ["ctrl", "stim"] * 20}, index=[f"cell{number}" for number in range(40)])
    AnnData(rng.poisson(4, (40, 8)).astype(np.float32) + 1, obs=obs, var=pd.DataFrame(index=genes)).write_h5ad(
        tmp_path / "cells.h5ad"
    )
    sets = ("\t".join([name, "", *genes[start::2]]) for start, name in enumerate(("A", "B")))
    (tmp_path / "sets.gmt").write_text("\n".join(sets))
    told = as_installed(
        installed, tmp_path, "kpnn.app", "init", "mine", "--cells", "cells.h5ad", "--label", "condition",
        "--gene-sets", "sets.gmt",
    )  # fmt: skip
    assert "a new project in" in told and "All checks passed" in told
    # Paths are the project's own, so that the folder can be moved.
    assert "filepath: cells.h5ad" in (tmp_path / "conf" / "mine" / "catalog.yml").read_text()
    as_installed(installed, tmp_path, "kedro", "run", "--env", "mine", "--pipeline", "data_engineering")
    assert (tmp_path / "data" / "05_model_input" / "mine" / "matched_cells.h5ad").is_file()
