"""Attacks a study that is trained on dask workers with its trials in PostgreSQL, and counts what comes of it.

`python benchmarks/cluster_faults.py` trains a small study with `--env cluster` again and again. Meanwhile a worker is
killed, both are, the scheduler is, every worker that begins a fold is (as where memory does not suffice), memory is
refused to workers, or the database starts anew. Either the run ends with the results of one that nobody attacked, or it
says in one message what is kept, and the next run ends so. Needs PostgreSQL's programs.
"""

from __future__ import annotations

import argparse
import asyncio
import getpass
import json
import os
import random
import resource
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from _killed_runs import Ended, cpu_seconds, fork, import_what_runs_import, lay_out, run
from faults import SMALL, results_of

ATTACKS = {"worker": 6, "workers": 3, "scheduler": 4, "database": 4, "out of memory": 2, "memory refused": 1}
"""How often each is done."""
_BEFORE, _TRAINED = "data_engineering,dag_pruning", "modelling"


def free_port() -> int:
    """A port below those that the system hands out: another process could get one of these before its server starts."""
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with closing(socket.socket()) as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Database:
    """A PostgreSQL server of this benchmark's own on 127.0.0.1."""

    def __init__(self, folder: Path) -> None:
        programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        # Resolved: often linked into the path alone, without the programs that lie beside it.
        initdb = str(Path(shutil.which("initdb") or programs[-1] / "initdb").resolve())
        self._as_postgres = ["runuser", "-u", "postgres", "--"] if getpass.getuser() == "root" else []
        folder.chmod(0o777)
        self._folder, self._port = folder, free_port()
        self._do(initdb, "-D", str(folder / "data"), "-U", "kpnn", "--auth=trust")
        self._programs = Path(initdb).parent
        self._control = (str(self._programs / "pg_ctl"), "-D", str(folder / "data"))

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        options = f"-h 127.0.0.1 -p {self._port} -k {self._folder}"
        self._do(*self._control, "-l", str(self._folder / "log"), "-w", "-o", options, "start")

    def stop(self) -> None:
        """Ends it at once, as a crash would."""
        self._do(*self._control, "-m", "immediate", "stop")

    def fresh(self, name: str) -> str:
        """Address of a database without trials."""
        self._do(str(self._programs / "createdb"), "-h", "127.0.0.1", "-p", str(self._port), "-U", "kpnn", name)
        return f"postgresql+psycopg://kpnn@127.0.0.1:{self._port}/{name}"

    def _do(self, *words: str) -> None:
        subprocess.run([*self._as_postgres, *words], check=True, capture_output=True, cwd=self._folder)


class Cluster:
    """A scheduler and two workers, each a process that can be killed; forks of one that has imported everything."""

    def __init__(self, folder: Path, memory: int | None = None) -> None:
        folder.mkdir()
        self._folder, self._memory, self._port = folder, memory, free_port()
        self.address = f"tcp://127.0.0.1:{self._port}"
        self.scheduler = fork(self._schedule, folder / "scheduler")
        self.workers: list[int] = []
        self._gone: list[float] = []
        self._wait_until_it_listens()
        for _ in range(2):
            self.add_worker()

    def _wait_until_it_listens(self, seconds: float = 60) -> None:
        """On a busy machine a run would look for the scheduler before it is there, and be right to end."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with suppress(OSError), closing(socket.create_connection(("127.0.0.1", self._port), timeout=1)):
                return
            time.sleep(0.05)
        raise TimeoutError(f"no scheduler after {seconds:g} s")

    def add_worker(self) -> None:
        """One more worker."""
        self.workers.append(fork(self._work, self._folder / f"worker{len(self._gone) + len(self.workers)}"))

    def kill_worker(self) -> None:
        """One worker less."""
        pid = self.workers.pop()
        self._gone.append(cpu_seconds(pid))
        _kill(pid)

    @property
    def computed(self) -> float:
        """Seconds that all workers have computed."""
        return sum(self._gone) + sum(cpu_seconds(pid) for pid in self.workers)

    def close(self) -> None:
        """Ends all of its processes."""
        for pid in (*self.workers, self.scheduler):
            _kill(pid)

    def _schedule(self) -> int:
        from distributed import Scheduler

        async def serve() -> None:
            async with Scheduler(host="127.0.0.1", port=self._port, dashboard=False) as scheduler:
                await scheduler.finished()

        asyncio.run(serve())
        return 0

    def _work(self) -> int:
        from distributed import Worker

        if self._memory is not None:  # beyond what the libraries have taken: without any, no thread could begin
            limit = psutil.Process().memory_info().vms + self._memory
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

        async def serve() -> None:
            async with Worker(self.address, nthreads=1, dashboard=False, local_directory=str(self._folder)) as worker:
                await worker.finished()

        asyncio.run(serve())
        return 0


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError, ChildProcessError):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@contextmanager
def cluster_in(folder: Path, memory: int | None = None) -> Iterator[Cluster]:
    cluster = Cluster(folder, memory)
    os.environ["DASK_SCHEDULER_ADDRESS"] = cluster.address
    try:
        yield cluster
    finally:
        cluster.close()


class Attack:
    """What is done to a cluster or a database once workers have computed for so long."""

    def __init__(self, kind: str, after: float, cluster: Cluster, database: Database) -> None:
        self._kind, self._after, self._cluster, self._database = kind, after, cluster, database
        self.begun: float | None = None
        self._later: Callable[[], None] | None = None
        self._times = 0

    def __call__(self) -> None:
        """Attacks, if it is time; called again and again."""
        cluster = self._cluster
        if self.begun is not None and self._later is not None and time.monotonic() - self.begun > 3:
            later, self._later = self._later, None
            later()
        if self._kind == "memory refused" or cluster.computed < self._after or (self.begun and not self._again):
            return
        self.begun = self.begun or time.monotonic()
        self._times += 1
        if self._kind == "scheduler":
            _kill(cluster.scheduler)
        elif self._kind == "database":
            self._database.stop()
            self._later = self._database.start
        elif self._kind == "worker":
            cluster.kill_worker()
        elif self._kind == "workers":
            for _ in range(2):
                cluster.kill_worker()
            self._later = self._add_two_workers
        else:  # each worker that has computed for a while is killed, and another takes its place
            cluster.kill_worker()
            cluster.add_worker()
            self._after = cluster.computed + 0.3

    def end(self) -> None:
        """Brings back what the run ended too early to see again."""
        if self._later is not None:
            self._later()

    def _add_two_workers(self) -> None:
        for _ in range(2):
            self._cluster.add_worker()

    @property
    def _again(self) -> bool:
        return self._kind == "out of memory" and self._times < 20


def attack_once(folder: Path, ready: Path, kind: str, after: float, database: Database, reference: str) -> dict:
    """Trains, attacks, and, where the run ended with a message, trains again."""
    root = folder / "project"
    shutil.copytree(ready, root, symlinks=True)
    memory = 40_000_000 if kind == "memory refused" else None
    with cluster_in(folder / "cluster", memory) as cluster:
        attack = Attack(kind, after, cluster, database)
        first = _train(root, attack)
        seconds = None if attack.begun is None else round(time.monotonic() - attack.begun, 1)
        attack.end()
    errors = [line for line in first.said.splitlines() if line.startswith("Error:")]
    well = (first.code == 0 or (len(errors) == 1 and "kept" in errors[0])) and "Traceback" not in first.said
    again = first
    if first.code:
        with cluster_in(folder / "again"):
            again = _train(root, None)
    return {
        "attack": kind,
        "after_cpu_seconds": after,
        "reached": attack.begun is not None or kind == "memory refused",
        "code": first.code,
        "seconds_to_the_end": seconds,
        "message": errors,
        "traceback": "Traceback" in first.said,
        "same": again.code == 0 and results_of(root, with_report=False) == reference,
        "well": well,
        "said": [] if well else first.said.splitlines()[-40:],
    }


def _train(root: Path, meanwhile: Callable[[], None] | None) -> Ended:
    return run(root, "--env", "cluster", "--pipelines", _TRAINED, "--params", SMALL, meanwhile=meanwhile)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--attacks", nargs="*", choices=list(ATTACKS), default=list(ATTACKS))
    parser.add_argument("--minutes", type=float, default=60, help="begin no further attack after so long")
    options = parser.parse_args()
    drawn, begun = random.Random(options.seed), time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        base = Path(name).resolve()
        base.chmod(0o755)
        (base / "postgresql").mkdir()
        database = Database(base / "postgresql")
        database.start()
        try:
            outcomes = _attack_all(base, database, options, drawn, begun)
        finally:
            with suppress(subprocess.CalledProcessError):
                database.stop()
    well = sum(one["well"] and one["same"] for one in outcomes if one["reached"])
    print(
        f"{well} of {sum(one['reached'] for one in outcomes)}: the same results, or a message and then the same results"
    )
    sys.exit(0 if all(one["well"] and one["same"] for one in outcomes) else 1)


def _attack_all(
    base: Path, database: Database, options: argparse.Namespace, drawn: random.Random, begun: float
) -> list[dict]:
    ready = base / "ready"
    lay_out(ready)
    import_what_runs_import(ready, "--pipeline", "simulate", "--params", SMALL)
    run(ready, "--pipelines", _BEFORE, "--params", SMALL)
    import distributed.scheduler
    import distributed.worker  # noqa: F401 - for the forks

    for name in ("imported", "whole"):
        shutil.copytree(ready, base / name)
    os.environ["OPTUNA_STORAGE"] = database.fresh("imported")
    with cluster_in(base / "importing"):
        import_what_runs_import(base / "imported", "--env", "cluster", "--pipelines", _TRAINED, "--params", SMALL)
    # Again, by workers that are forks of a process which has imported everything, as those that are attacked.
    os.environ["OPTUNA_STORAGE"] = database.fresh("whole")
    with cluster_in(base / "cluster") as cluster:
        _train(base / "whole", None)
        computed = cluster.computed
    reference = results_of(base / "whole", with_report=False)
    print(f"two workers compute for {computed:.1f} s", flush=True)
    attacks = [kind for kind in options.attacks for _ in range(ATTACKS[kind])]
    drawn.shuffle(attacks)
    outcomes: list[dict] = []
    for number, kind in enumerate(attacks):
        if time.monotonic() - begun > 60 * options.minutes:
            break
        folder = base / f"{number}"
        folder.mkdir()
        os.environ["OPTUNA_STORAGE"] = database.fresh(f"attack{number}")
        after = round(drawn.uniform(0.1, 0.9) * computed, 2)
        outcomes.append(attack_once(folder, ready, kind, after, database, reference))
        print(json.dumps(outcomes[-1]), flush=True)
        shutil.rmtree(folder)
    return outcomes


if __name__ == "__main__":
    main()
