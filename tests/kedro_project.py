"""Projects of the tests' own: the same sources and configuration, data and MLflow database apart."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]

SMALL = (
    "simulate.n_cells=120,modelling.tuning.n_trials=0,modelling.fit.max_epochs=3,modelling.fit.ensemble=2,"
    "cross_validation.n_splits=2,interpretation.control_inputs=0,interpretation.permuted_labels=0,"
    "interpretation.seeds=0,interpretation.alternative_dags=0,controls.rewired=0,controls.permuted_genes=0,"
    "controls.logistic=false"
)
"""Parameters of the smallest study that goes the whole way."""


@dataclass(frozen=True)
class Project:
    """A folder in which `kedro` can be run as a user does."""

    root: Path

    def start_kedro(self, *arguments: str, environment: dict[str, str] | None = None) -> subprocess.Popen[str]:
        """Starts `kedro` with these arguments, its output captured."""
        inherited = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
        return subprocess.Popen(
            [sys.executable, "-m", "kedro", *arguments],
            cwd=self.root,
            env={**inherited, "KEDRO_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1", **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def kedro(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs `kedro` with these arguments to its end."""
        process = self.start_kedro(*arguments)
        output, errors = process.communicate(timeout=900)
        done = subprocess.CompletedProcess(process.args, process.returncode, output, errors)
        if check and done.returncode != 0:
            raise AssertionError(f"kedro {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr[-4000:]}")
        return done

    @property
    def tracking_uri(self) -> str:
        return f"sqlite:///{self.root}/mlruns/mlflow.db"


def make_project(root: Path) -> Project:
    """Lays out a project in `root` with the repository's sources and configuration."""
    root.mkdir(parents=True, exist_ok=True)
    shutil.copytree(REPOSITORY / "conf", root / "conf", ignore=shutil.ignore_patterns("local"))
    (root / "conf" / "local").mkdir()
    (root / "mlruns").mkdir()
    for name in ("pyproject.toml", ".telemetry"):
        shutil.copy(REPOSITORY / name, root / name)
    (root / "src").mkdir()  # kpnn itself is installed
    for layer in (REPOSITORY / "data").iterdir():
        (root / "data" / layer.name).mkdir(parents=True)
    return Project(root)


def environment() -> dict[str, str]:
    """Where `kedro`, `kpnn` and `python3` are those of this Python, and make is alone, even below `make test`."""
    alone = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "MLFLOW"))}
    return {**alone, "PATH": os.pathsep.join([str(Path(sys.executable).parent), alone["PATH"]]), "COLUMNS": "80"}


def make(folder: Path, *arguments: str) -> str:
    """Runs `make` to its end, and returns what it printed."""
    done = subprocess.run(
        ["make", *arguments], cwd=folder, env=environment(), capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
    return done.stdout
