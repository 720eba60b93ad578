"""Kills a small study over the whole of its life, runs the same command again, and counts what comes of it.

`python benchmarks/faults.py --random 10 --renames 10` kills so many runs at random moments and at renames spread over
a run, MLflow's and Optuna's databases and the first write of every file among them. Of each it says whether the next
run ends well, with the results of a run that nobody killed, without a traceback, a run left open in MLflow or a lock.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

REPOSITORY = Path(__file__).resolve().parents[1]
SMALL = (
    "simulate.n_cells=120,modelling.tuning.n_trials=2,modelling.tuning.batch_size=2,modelling.fit.max_epochs=4,"
    "modelling.fit.ensemble=2,cross_validation.n_splits=2,interpretation.control_inputs=0,"
    "interpretation.permuted_labels=0,interpretation.seeds=0,interpretation.alternative_dags=0,controls.rewired=0,"
    "controls.permuted_genes=0,controls.logistic=false"
)
RUN = """
import os, sys
from pathlib import Path
kill_at, count_file = int(sys.argv[1]), Path(sys.argv[2])
calls = [0]
def counting(original):
    def renamed(*arguments, **options):
        calls[0] += 1
        if calls[0] == kill_at:
            os.kill(os.getpid(), 9)
        return original(*arguments, **options)
    return renamed
Path.rename, Path.replace, os.fsync = map(counting, (Path.rename, Path.replace, os.fsync))
sys.argv = ["kpnn", "run", *sys.argv[3:]]
from kpnn.app.cli import main
try:
    main()
finally:
    count_file.write_text(str(calls[0]))
"""
"""A run that ends, as by `kill -9`, at the so-manieth rename or flush of a file."""


@dataclass
class Outcome:
    """What became of one kill.

    Attributes:
        kill: where it was, in words.
        reached: whether the run was still alive then.
        code: exit code of the next run.
        same: its results are those of a run that nobody killed.
        open_runs: runs that MLflow still takes for running.
        traceback: the next run showed one.
        locks: files that a lock left.
    """

    kill: str
    reached: bool
    code: int
    same: bool
    open_runs: int
    traceback: bool
    locks: int

    @property
    def is_well(self) -> bool:
        """Nothing lost, nothing mixed, nothing left."""
        return self.code == 0 and self.same and not (self.open_runs or self.traceback or self.locks)


def make_project(root: Path, raw: Path | None) -> None:
    shutil.copytree(REPOSITORY / "conf", root / "conf", ignore=shutil.ignore_patterns("local"))
    (root / "conf" / "local").mkdir()
    (root / "src").mkdir()
    (root / "mlruns").mkdir()
    shutil.copy(REPOSITORY / "pyproject.toml", root)
    if raw is not None:
        shutil.copytree(raw, root / "data" / "01_raw")


def start(root: Path, kill_at: int, *options: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "KEDRO_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1"}
    environment.pop("MLFLOW_TRACKING_URI", None)
    command = [sys.executable, "-c", RUN, str(kill_at), str(root / "calls"), *options, "--params", SMALL]
    return subprocess.Popen(
        command, cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def results_of(root: Path) -> str:
    """SHA-256 of every number that a run must repeat."""
    digest = hashlib.sha256()
    for arm in ("full", "pruned"):
        folder = root / "data" / "07_model_output" / "demo" / arm
        for name in ("predictions", "member_predictions", "learning_curves", "trials"):
            table = pd.read_parquet(folder / f"{name}.parquet").drop(columns="seconds", errors="ignore")
            digest.update(table.to_json(double_precision=15).encode())
    digest.update((root / "data" / "08_reporting" / "demo" / "comparison.csv").read_bytes())
    return digest.hexdigest()


def open_runs(root: Path) -> int:
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{root}/mlruns/mlflow.db")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return len(client.search_runs(experiments, "attributes.status = 'RUNNING'", max_results=5000))


def kill_once(root: Path, raw: Path, reference: str, *, kill_at: int, after_seconds: float | None) -> Outcome:
    """Runs, kills, runs again, and looks."""
    make_project(root, raw)
    run = start(root, kill_at)
    if after_seconds is not None:
        try:
            run.communicate(timeout=after_seconds)
        except subprocess.TimeoutExpired:
            run.send_signal(signal.SIGKILL)
    run.communicate()
    again = start(root, 0)
    output, _ = again.communicate()
    well = again.returncode == 0
    where = f"rename or flush {kill_at}" if after_seconds is None else f"after {after_seconds:.1f} s"
    locks = list((root / "data" / ".studies").glob("*/*.run"))
    return Outcome(
        where,
        run.returncode == -signal.SIGKILL,
        again.returncode,
        well and results_of(root) == reference,
        open_runs(root) if well else -1,
        "Traceback" in output,
        len(locks),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--random", type=int, default=10, help="kills at random moments")
    parser.add_argument("--renames", type=int, default=10, help="kills at renames and flushes, spread over a run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=60, help="begin no further kill after so long")
    options = parser.parse_args()
    drawn = random.Random(options.seed)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        make_project(base / "whole", None)
        start(base / "whole", 0, "--pipeline", "simulate").communicate()
        raw = base / "whole" / "data" / "01_raw"
        started = time.monotonic()
        start(base / "whole", 0).communicate()
        seconds, calls = time.monotonic() - started, int((base / "whole" / "calls").read_text())
        reference = results_of(base / "whole")
        print(f"a run that nobody kills: {seconds:.0f} s, {calls} renames and flushes", flush=True)
        kills: list[tuple[int, float | None]] = [(0, drawn.uniform(0, seconds)) for _ in range(options.random)]
        kills += [(1 + (calls - 1) * k // max(options.renames - 1, 1), None) for k in range(options.renames)]
        drawn.shuffle(kills)
        outcomes = []
        for number, (kill_at, after) in enumerate(kills):
            if time.monotonic() - begun > 60 * options.minutes:
                break
            outcomes.append(kill_once(base / f"{number}", raw, reference, kill_at=kill_at, after_seconds=after))
            print(json.dumps(asdict(outcomes[-1])), flush=True)
            shutil.rmtree(base / f"{number}")
    reached = [one for one in outcomes if one.reached]
    well = sum(one.is_well for one in reached)
    print(f"{well} of {len(reached)} killed runs: the next run ends well, with the same bits")
    sys.exit(0 if all(one.is_well for one in outcomes) else 1)


if __name__ == "__main__":
    main()
