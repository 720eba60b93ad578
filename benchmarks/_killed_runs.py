"""Runs of a study that end, as by `kill -9`, at a chosen write or moment; each in a process of its own.

Imports are most of what a small run computes, so one process imports all that a run needs, and each run is a fork of
it that has done nothing yet. What the run writes, holds and leaves is its own, as of any process.

What `kill -9` leaves of a run is what the system holds of its files at that moment. So a run that is stopped at a write
with all of its threads, while its project is copied, leaves in the copy what it would have left had it been killed
there; its locks and its number are those of a process that is over, once it is. One run gives many such copies.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
_WRITES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "sqlite3.connect"}
_LOOK_SECONDS = 0.005


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    Attributes:
        code: exit code; -9 where it was killed.
        said: all of its output.
        cpu_seconds: that it computed.
    """

    code: int
    said: str
    cpu_seconds: float


@dataclass(frozen=True)
class Ending:
    """Where a run is killed: at a write, by its number from 1, or once it has computed for so long; or not at all."""

    at_write: int = 0
    after_cpu_seconds: float | None = None


def lay_out(root: Path, raw: Path | None = None) -> None:
    """A project with the repository's configuration, and raw data if they are given."""
    shutil.copytree(REPOSITORY / "conf", root / "conf", ignore=shutil.ignore_patterns("local"))
    (root / "conf" / "local").mkdir()
    (root / "src").mkdir()
    (root / "mlruns").mkdir()
    for name in ("pyproject.toml", ".telemetry"):
        shutil.copy(REPOSITORY / name, root)
    if raw is not None:
        shutil.copytree(raw, root / "data" / "01_raw")


def import_what_runs_import(root: Path, *options: str, writes: Path | None = None) -> None:
    """Imports, in this process, every module that a run in `root` has imported at its end; `writes` is as of `run`."""
    names = root.with_name(f"{root.name}.modules")

    def told() -> None:
        names.write_text("\n".join(sys.modules))

    run(root, *options, at_end=told, writes=writes)
    from kpnn.app import cli  # noqa: F401 - with Kedro, whose order of imports matters

    for name in names.read_text().split():
        if name.split(".")[0] not in ("__main__", "__mp_main__"):
            try:
                import_module(name)
            except Exception:  # of modules that only look like modules
                continue
    # What MLflow finds out once in every process: which package each module is of.
    with suppress(ImportError):
        from mlflow.utils.requirements_utils import _init_modules_to_packages_map

        _init_modules_to_packages_map()


def run(
    root: Path,
    *options: str,
    ending: Ending = Ending(),
    writes: Path | None = None,
    at_end: Callable[[], None] | None = None,
    meanwhile: Callable[[], None] | None = None,
    copies: Mapping[int, Path] | None = None,
) -> Ended:
    """Runs `kpnn run` in a fork of this process.

    Args:
        root: of the project.
        *options: of `kpnn run`.
        ending: where it is killed.
        writes: file that a run which nobody kills leaves, with a line for each of its writes.
        at_end: what the process does last.
        meanwhile: what this process does again and again until the run has ended.
        copies: number of a write -> where the project is copied to before it.
    """
    said = root.with_name(f"{root.name}.said")
    places = [copies[number] for number in sorted(copies)] if copies else []
    pid = fork(lambda: _become_run(root, options, ending, writes, at_end, frozenset(copies or ())), said)
    while True:
        ended, status, used = os.wait4(pid, os.WNOHANG | os.WUNTRACED)
        if ended and os.WIFSTOPPED(status):
            shutil.copytree(root, places.pop(0), symlinks=True)
            os.kill(pid, signal.SIGCONT)
        elif ended:
            break
        if ending.after_cpu_seconds is not None and cpu_seconds(pid) > ending.after_cpu_seconds:
            os.kill(pid, signal.SIGKILL)
        if meanwhile is not None:
            meanwhile()
        time.sleep(_LOOK_SECONDS if ending.after_cpu_seconds is not None else 20 * _LOOK_SECONDS)
    text = said.read_text(errors="replace")
    return Ended(os.waitstatus_to_exitcode(status), text, used.ru_utime + used.ru_stime)


def fork(action: Callable[[], int], said: Path) -> int:
    """Starts a copy of this process that does something and ends with the code that it returns.

    Args:
        action: what it does.
        said: file that takes its output.

    Returns:
        The process's number.
    """
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        code = action()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def cpu_seconds(pid: int) -> float:
    """Seconds that a process has computed."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _become_run(
    root: Path,
    options: tuple[str, ...],
    ending: Ending,
    writes: Path | None,
    at_end: Callable[[], None] | None,
    stop_at: frozenset[int],
) -> int:
    os.chdir(root)
    os.environ.update({"KEDRO_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1"})
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    noted = _count_writes(root, ending.at_write, stop_at)
    sys.argv = ["kpnn", "run", *options]
    from kpnn.app.cli import main

    code = 0
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    if writes is not None:
        writes.write_text("\n".join(noted))
    if at_end is not None:
        at_end()
    return code


def _count_writes(root: Path, kill_at: int, stop_at: frozenset[int]) -> list[str]:
    """Has this process note each of its writes below `root`, stop before some, and end before another."""
    noted: list[str] = []
    inside, place, one_by_one = f"{root}{os.sep}", os.getpid(), threading.Lock()

    def note(what: str) -> None:
        if os.getpid() != place:
            return
        with one_by_one:
            noted.append(" ".join(what.split())[:200])
            if len(noted) == kill_at:
                os.kill(place, signal.SIGKILL)
            if len(noted) in stop_at:
                os.kill(place, signal.SIGSTOP)

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            _, _, flags = arguments
            if not flags & (os.O_WRONLY | os.O_RDWR):
                return
        elif event not in _WRITES:
            return
        path = str(arguments[0])
        if path.startswith(inside) or not path.startswith(os.sep):
            note(f"{event} {path.removeprefix(inside)}")

    sys.addaudithook(audit)
    flush = os.fsync

    def flushed(fd: Any) -> None:
        note(f"flush {str(Path(f'/proc/self/fd/{fd}').readlink()).removeprefix(inside)}")
        flush(fd)

    os.fsync = flushed
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def statement(_c: Any, _k: Any, text: str, *_rest: Any) -> None:
        if not text.lstrip().upper().startswith(("SELECT", "PRAGMA")):
            note(f"sql {text}")

    event.listen(Engine, "before_cursor_execute", statement)
    event.listen(Engine, "commit", lambda _c: note("sql commit"))
    return noted


def open_runs(root: Path) -> int:
    """Runs that MLflow's database takes for running; -1 where there is none."""
    path = root / "mlruns" / "mlflow.db"
    if not path.is_file():
        return -1
    with closing(sqlite3.connect(path)) as database:
        return int(database.execute("SELECT count(*) FROM runs WHERE status = 'RUNNING'").fetchone()[0])
