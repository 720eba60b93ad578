"""Kills a small study over the whole of its life, runs the same command again, and counts what comes of it.

`python benchmarks/faults.py --kills 50` kills so many runs: one in five once it has computed for a random time, the
others at writes spread over a run (files that are made, renamed, flushed or removed, statements of SQL), those that
make MLflow's and Optuna's databases among them. Of each it says whether the next run ends well, with the results of a
run that nobody killed, without a traceback, a run left open in MLflow, a lock or half a file.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from _killed_runs import Ended, Ending, import_what_runs_import, lay_out, open_runs, run

SMALL = (
    "simulate.n_cells=120,modelling.tuning.n_trials=2,modelling.tuning.batch_size=2,modelling.fit.max_epochs=3,"
    "modelling.fit.ensemble=2,cross_validation.n_splits=2,interpretation.control_inputs=0,"
    "interpretation.permuted_labels=0,interpretation.seeds=0,interpretation.alternative_dags=0,controls.rewired=1,"
    "controls.permuted_genes=0,controls.logistic=false"
)
_RESULTS = ("predictions", "member_predictions", "learning_curves", "trials")


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
        left: locks and half files.
        cpu_seconds: of both runs.
    """

    kill: str
    reached: bool
    code: int
    same: bool
    open_runs: int
    traceback: bool
    left: list[str]
    cpu_seconds: float

    @property
    def is_well(self) -> bool:
        """Nothing lost, nothing mixed, nothing left."""
        return self.code == 0 and self.same and not (self.open_runs or self.traceback or self.left)


def results_of(root: Path, *, with_report: bool = True) -> str:
    """SHA-256 of every number that a run must repeat."""
    digest = hashlib.sha256()
    for arm in ("full", "pruned", "controls"):
        for name in _RESULTS:
            path = root / "data" / "07_model_output" / "demo" / arm / f"{name}.parquet"
            if path.exists() or arm != "controls":
                table = pd.read_parquet(path).drop(columns="seconds", errors="ignore")
                digest.update(table.to_json(double_precision=15).encode())
    if with_report:
        digest.update((root / "data" / "08_reporting" / "demo" / "comparison.csv").read_bytes())
    return digest.hexdigest()


def kill_once(root: Path, raw: Path, reference: str, ending: Ending, where: str) -> Outcome:
    """Runs, kills, runs again, and looks."""
    lay_out(root, raw)
    killed = run(root, "--params", SMALL, ending=ending)
    again = run(root, "--params", SMALL)
    well = again.code == 0
    if not well:
        print(again.said[-3000:], flush=True)
    halves = [path.name for path in root.rglob(".*") if path.suffix in (".partial", ".previous")]
    return Outcome(
        where,
        killed.code == -signal.SIGKILL,
        again.code,
        well and results_of(root) == reference,
        open_runs(root),
        "Traceback" in again.said,
        [path.name for path in (root / "data" / ".studies").glob("*/*.run")] + halves,
        round(killed.cpu_seconds + again.cpu_seconds, 1),
    )


def kills_of(writes: list[str], whole: Ended, n_kills: int, drawn: random.Random) -> list[tuple[str, Ending]]:
    """Where to kill: a fifth at random moments, a fifth while databases are made, the others at writes of any kind."""
    fifth = n_kills // 5
    found = []
    for _ in range(fifth):
        seconds = round(drawn.uniform(0.2, whole.cpu_seconds), 2)
        found.append((f"after {seconds} s of computing", Ending(after_cpu_seconds=seconds)))
    numbered = list(enumerate(writes, 1))
    makes = ("sql CREATE", "sql ALTER", "sql INSERT INTO alembic", "sql UPDATE alembic", "sqlite3.connect")
    databases = [one for one in numbered if one[1].replace("sql \n", "sql ").startswith(makes)]
    files = [one for one in numbered if not one[1].startswith("sql")]
    others = [one for one in numbered if one[1].startswith("sql") and one not in databases]
    for among, n in ((databases, fifth), (others, fifth // 2), (files, n_kills - 2 * fifth - fifth // 2)):
        for k in range(n):
            number, what = among[min(len(among) - 1, int((k + drawn.random()) * len(among) / n))]
            found.append((f"write {number}: {what[:90]}", Ending(at_write=number)))
    drawn.shuffle(found)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=60, help="begin no further kill after so long")
    options = parser.parse_args()
    drawn = random.Random(options.seed)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        base = Path(name).resolve()
        lay_out(base / "raw")
        import_what_runs_import(base / "raw", "--pipeline", "simulate", "--params", SMALL)
        raw = base / "raw" / "data" / "01_raw"
        lay_out(base / "whole", raw)
        import_what_runs_import(base / "whole", "--params", SMALL)
        shutil.rmtree(base / "whole")
        lay_out(base / "whole", raw)
        whole = run(base / "whole", "--params", SMALL, writes=base / "writes")
        if whole.code:
            raise SystemExit(whole.said)
        writes, reference = (base / "writes").read_text().splitlines(), results_of(base / "whole")
        print(f"a run that nobody kills computes for {whole.cpu_seconds:.1f} s; {len(writes)} writes", flush=True)
        outcomes = []
        for number, (where, ending) in enumerate(kills_of(writes, whole, options.kills, drawn)):
            if time.monotonic() - begun > 60 * options.minutes:
                break
            outcomes.append(kill_once(base / f"{number}", raw, reference, ending, where))
            print(json.dumps(asdict(outcomes[-1])), flush=True)
            shutil.rmtree(base / f"{number}")
    reached = [one for one in outcomes if one.reached]
    well = sum(one.is_well for one in reached)
    print(f"{well} of {len(reached)} killed runs: the next run ends well, with the same bits")
    sys.exit(0 if all(one.is_well for one in outcomes) else 1)


if __name__ == "__main__":
    main()
