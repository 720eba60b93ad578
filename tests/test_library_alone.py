"""`pip install kpnn` is the library: it works where nothing of the project (Kedro, MLflow, ...) is installed."""

from __future__ import annotations

import subprocess
import sys
import tomllib

from packaging.requirements import Requirement

from kedro_project import REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
MODULE_OF = {
    "kedro-datasets": "kedro_datasets",
    "kedro-mlflow": "kedro_mlflow",
    "kedro-viz": "kedro_viz",
}
USED = """
import sys
from importlib.machinery import PathFinder

find = PathFinder.find_spec
PathFinder.find_spec = lambda name, *where: None if name.split(".")[0] in sys.argv[1:] else find(name, *where)
import numpy as np, pandas as pd
from kpnn.pkn import Pkn, select_dag
from kpnn.nn import build_kpnn, fit_kpnn, predict
from kpnn.interpretation import node_weights
import kpnn.cells, kpnn.evaluation, kpnn.reporting, kpnn.simulation, kpnn.training.cross_validation
import kpnn.pl, kpnn.sklearn, kpnn.tl

edges = pd.DataFrame({"parent": ["out", "out", "A", "A", "B"], "child": ["A", "B", "x", "y", "y"]})
dag = select_dag(Pkn.from_edges(edges)).dag
model = build_kpnn(dag)
X = np.random.default_rng(0).normal(size=(20, len(dag.inputs))).astype("float32")
assert predict(model, pd.DataFrame(X, columns=dag.inputs)).shape == (20, 1)
from kpnn.app.__main__ import main
sys.exit(main())
"""


def names_of(requirements: list[str]) -> set[str]:
    return {Requirement(text).name.lower() for text in requirements} - {"kpnn"}


def test_what_the_library_needs_is_not_what_the_project_needs():
    extras = PROJECT["optional-dependencies"]
    library = names_of(PROJECT["dependencies"])
    assert not library & names_of(extras["project"])
    assert not library & {"mlflow", "kedro", "kedro-viz", "gurobipy", "scanpy"}
    assert {"gurobi", "scanpy"} <= Requirement(extras["project"][0]).extras
    assert "project" in Requirement(extras["dev"][0]).extras


def test_it_is_imported_selects_and_predicts_without_the_projects_packages():
    extras = PROJECT["optional-dependencies"]
    absent = names_of([text for extra in ("project", "gurobi", "scanpy") for text in extras[extra]])
    absent -= {"pyyaml", "fsspec"}  # which Optuna and torch need too
    modules = sorted(MODULE_OF.get(name, name) for name in absent)
    done = subprocess.run([sys.executable, "-c", USED, *modules], capture_output=True, text=True, check=False)
    # The command says what it lacks, and nothing before it failed.
    assert done.returncode == 1, done.stderr[-2000:]
    assert done.stderr.splitlines()[-1].startswith("Error: this is the library alone, without kedro")
    assert "pip install 'kpnn[project]'" in done.stderr
