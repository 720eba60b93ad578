"""Kills a small study over the whole of its life, runs the same command again, and counts what comes of it.

`python benchmarks/faults.py --kills 50` kills so many runs: two in five once they have computed for a random time, the
others at writes spread over a run (files that are made, renamed, flushed or removed, statements of SQL), those that
make MLflow's and Optuna's databases among them. The latter are looked at in copies of the project that one run leaves
at each of those writes: see `_killed_runs`. Of each it says whether the next run ends well, with the results of a
run that nobody killed, without a traceback, a run left open in MLflow, a lock or half a file.

`python benchmarks/faults.py --traced` asks the system instead (strace) what `kedro run --pipeline simulate`, a whole
`kedro run` and `kpnn check` write outside of their project, and which addresses beyond this machine they turn to.
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
from _traced_runs import trace

SMALL = (
    "simulate.network.n_genes=60,simulate.network.n_regulators=8,simulate.network.n_signalling=8,"
    "simulate.network.predictive_genes=10,simulate.n_unlabelled=20,simulate.n_cells=100,"
    "modelling.tuning.n_trials=2,modelling.tuning.batch_size=2,modelling.fit.max_epochs=2,"
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
        cpu_seconds: of the next run.
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


def look_at(root: Path, where: str, killed: Ended | None, reference: str) -> Outcome:
    """Runs again what a killed run left, and looks.

    Args:
        root: of the project.
        where: it was killed, in words.
        killed: how that run ended; None: `root` is a copy of what it left.
        reference: results of a run that nobody killed.
    """
    again = run(root, "--params", SMALL)
    well = again.code == 0
    if not well:
        print(again.said[-3000:], flush=True)
    halves = [path.name for path in root.rglob(".*") if path.suffix in (".partial", ".previous")]
    return Outcome(
        where,
        killed is None or killed.code == -signal.SIGKILL,
        again.code,
        well and results_of(root) == reference,
        open_runs(root),
        "Traceback" in again.said,
        [path.name for path in (root / "data" / ".studies").glob("*/*.run")] + halves,
        round(again.cpu_seconds, 1),
    )


def chosen_writes(writes: list[str], n: int, drawn: random.Random) -> dict[int, str]:
    """Numbers and words of `n` writes: a quarter while databases are made, half of files, a quarter of other SQL."""
    numbered = list(enumerate(writes, 1))
    makes = ("sql CREATE", "sql ALTER", "sql INSERT INTO alembic", "sql UPDATE alembic", "sqlite3.connect")
    databases = [one for one in numbered if one[1].startswith(makes)]
    files = [one for one in numbered if not one[1].startswith("sql")]
    others = [one for one in numbered if one[1].startswith("sql ") and not one[1].startswith(makes)]
    found: dict[int, str] = {}
    for among, share in ((databases, n // 4), (others, n // 4), (files, n - 2 * (n // 4))):
        for k in range(share):
            number, what = among[min(len(among) - 1, int((k + drawn.random()) * len(among) / share))]
            found[number] = f"write {number}: {what[:90]}"
    return found


def look_outside() -> int:
    """Says what whole commands do outside of their project; 1 where one turned elsewhere, or wrote there."""
    astray = 0
    with tempfile.TemporaryDirectory() as name:
        root = Path(name).resolve() / "study"
        lay_out(root)
        small = ("--params", SMALL)
        for words in (
            ("-m", "kedro", "run", "--pipeline", "simulate", *small),
            ("-m", "kpnn.app", "check"),
            ("-m", "kedro", "run", *small),
        ):
            found = trace(root, *words)
            counts = {kind: len(paths) for kind, paths in sorted(found.written.items())}
            print(
                f"{' '.join(words[1:4])}: exit code {found.code}, {found.calls:,} calls, written {counts}", flush=True
            )
            beyond = sorted(found.addresses) + sorted(found.written.get("elsewhere", ()))
            print(f"    beyond this machine, or elsewhere on it: {beyond or 'nothing'}", flush=True)
            print(f"    temporary: {_first_parts(found.written.get('temporary', set()))}", flush=True)
            if found.code:
                print(found.said[-3000:])
            astray += bool(beyond) or found.code != 0
    return int(astray > 0)


def _first_parts(paths: set[str]) -> list[str]:
    """Names of what lies directly in the folder of temporary files; those that Python draws are one."""
    place = Path(tempfile.gettempdir()).resolve()
    names = {Path(path).relative_to(place).parts[0] for path in paths if Path(path) != place}
    return sorted({"tmp..." if name.startswith("tmp") else name for name in names})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--moments", type=int, help="how many of them at random moments instead of at writes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=60, help="begin no further kill after so long")
    parser.add_argument("--traced", action="store_true", help="look what commands do outside of their project instead")
    options = parser.parse_args()
    if options.traced:
        sys.exit(look_outside())
    drawn = random.Random(options.seed)
    begun = time.monotonic()
    n_moments = options.moments if options.moments is not None else 2 * options.kills // 5
    with tempfile.TemporaryDirectory() as name:
        base = Path(name).resolve()
        lay_out(base / "raw")
        import_what_runs_import(base / "raw", "--pipeline", "simulate", "--params", SMALL)
        raw, root = base / "raw" / "data" / "01_raw", base / "study"
        lay_out(root, raw)
        import_what_runs_import(root, "--params", SMALL, writes=base / "writes")
        shutil.rmtree(root)
        writes = (base / "writes").read_text().splitlines()
        chosen = chosen_writes(writes, options.kills - n_moments, drawn)
        lay_out(root, raw)
        whole = run(root, "--params", SMALL, copies={number: base / f"{number}" for number in chosen})
        if whole.code:
            raise SystemExit(whole.said)
        reference = results_of(root)
        print(f"a run that nobody kills computes for {whole.cpu_seconds:.1f} s; {len(writes)} writes", flush=True)
        kills: list[tuple[str, int | float]] = [(words, number) for number, words in chosen.items()]
        moments = [round(drawn.uniform(0.2, whole.cpu_seconds), 2) for _ in range(n_moments)]
        kills += [(f"after {seconds} s of computing", seconds) for seconds in moments]
        drawn.shuffle(kills)
        outcomes = []
        for where, at in kills:
            if time.monotonic() - begun > 60 * options.minutes:
                break
            shutil.rmtree(root)
            killed = None
            if isinstance(at, int):
                if not (base / f"{at}").exists():
                    continue  # this run made fewer writes than the first one
                (base / f"{at}").rename(root)
            else:
                lay_out(root, raw)
                killed = run(root, "--params", SMALL, ending=Ending(after_cpu_seconds=at))
            outcomes.append(look_at(root, where, killed, reference))
            print(json.dumps(asdict(outcomes[-1])), flush=True)
    reached = [one for one in outcomes if one.reached]
    well = sum(one.is_well for one in reached)
    print(f"{well} of {len(reached)} killed runs: the next run ends well, with the same bits")
    sys.exit(0 if all(one.is_well for one in outcomes) else 1)


if __name__ == "__main__":
    main()
