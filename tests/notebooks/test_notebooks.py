"""The notebooks run from top to bottom, and are kept without outputs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def execute(path: Path, folder: Path) -> str:
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    return json.dumps(notebook)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs(path):
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None


def test_the_library_is_shown_from_pkn_to_node_weights(tmp_path):
    told = execute(ROOT / "notebooks" / "02_your_own_network.ipynb", tmp_path)
    assert "optimal" in told and "planted: TF01" in told


@pytest.mark.slow
def test_the_arms_of_a_finished_study_are_compared(tmp_path):
    project = tmp_path / "project"
    project.mkdir()
    for name in ("conf", "src", "notebooks"):
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copy(ROOT / "pyproject.toml", project)
    (project / "conf" / "local").mkdir(exist_ok=True)
    (project / "mlruns").mkdir()
    environment = os.environ | {
        "KEDRO_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "1",
        "PYTHONPATH": str(project / "src"),
    }
    small = "modelling.tuning.n_trials=0,modelling.fit.max_epochs=15,cross_validation.n_splits=2"
    small += ",interpretation.seeds=0,interpretation.control_inputs=0,reporting.top=5"
    small += ",controls.rewired=0,controls.permuted_genes=0,controls.logistic=false"
    for options in (["--pipeline", "simulate", "--params", "simulate.n_cells=300"], ["--params", small]):
        command = [sys.executable, "-m", "kedro", "run", *options]
        done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
    told = execute(project / "notebooks" / "01_compare_arms.ipynb", project / "notebooks")
    assert "held-out cells are given the same class" in told
    assert "metrics.roc_auc" in told
