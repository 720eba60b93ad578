"""What can fail late is looked at first: folders, disk, memory, Keras, the solver, Optuna's database, dask."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from kpnn.addresses import first_line, without_credentials
from kpnn.cells.formats.storage.inspection import damage_of, is_hdf5
from kpnn.errors import KpnnError
from kpnn.pipelines.dag_pruning.settings import DagSelectionSettings
from kpnn.pkn.selection.solvers.by_name import find_solver
from kpnn.training.settings import EvaluationSettings

_SECONDS = 10.0  # for anything that must answer
_MEGABYTE = 1024**2
_LEAST_DISK = 100 * _MEGABYTE
_LEAST_MEMORY = 900 * _MEGABYTE  # Python with Keras, torch and the compiled engine
_BYTES_PER_COUNT = 5 * 8  # of raw counts, transformed values, and the copies between them
_SHARE_OF_COUNTS = 0.15  # of a matrix of cells by genes that is not zero
_BYTES_IN_FILE, _BYTES_IN_H5AD = 2, 8  # of a count in a raw file; scverse's are seldom packed
_BACKENDS = {"torch": "torch", "jax": "jax", "tensorflow": "tensorflow"}


@dataclass(frozen=True)
class RunPlan:
    """What a run is about to do.

    Attributes:
        writes: paths of what it writes.
        raw: paths of the raw files that it reads, by the dataset.
        trains: it fits networks, or loads them.
        searches: it fits networks with a search for hyperparameters.
        selects: it selects a DAG.
        settings: of every group of parameters.
    """

    writes: tuple[Path, ...]
    raw: Mapping[str, Path]
    trains: bool
    searches: bool
    selects: bool
    settings: Mapping[str, Any]


def problems(plan: RunPlan) -> list[str]:
    """Everything that would end the run later, each in one sentence that says what to do.

    Args:
        plan: what the run is about to do.
    """
    found = [*_folders(plan.writes), *_disk(plan), *_memory(plan), *_raw_files(plan.raw.values())]
    if plan.trains:
        found += _keras()
    if plan.selects:
        found += _solver(plan.settings["dag_selection"])
    modelling: EvaluationSettings = plan.settings["modelling"]
    if plan.searches:
        if modelling.protocol == "nested" and modelling.tuning.n_trials:
            found += _storage(modelling.tuning.storage)
        if modelling.execution.executor == "dask":
            found += _dask(modelling.execution.scheduler)
    return found


def _folders(paths: Iterable[Path]) -> list[str]:
    wrong = set()
    for path in paths:
        there = next(parent for parent in path.absolute().parents if parent.exists())
        if not there.is_dir():
            wrong.add(f"{there}: is a file, where a folder is needed for {path.name}")
        elif not os.access(there, os.W_OK | os.X_OK):
            wrong.add(f"{there}: this user may not write there; change its permissions, or run from another folder")
    return sorted(wrong)


def _disk(plan: RunPlan) -> list[str]:
    """Compares the free disk with about twice the raw files and, for each fold, the networks of arms and controls."""
    if not plan.writes:
        return []
    place = next(parent for parent in plan.writes[0].absolute().parents if parent.is_dir())
    free, needed = shutil.disk_usage(place).free, _LEAST_DISK + _disk_estimate(plan)
    if free >= needed:
        return []
    return [f"{place}: the study needs about {_size(needed)} of disk, and {_size(free)} are free; make room"]


def _disk_estimate(plan: RunPlan) -> int:
    needed = 2 * sum(_size_of(path) for path in plan.raw.values())
    if plan.searches:
        folds, fit, controls = (plan.settings[name] for name in ("cross_validation", "modelling", "controls"))
        networks = (
            folds.n_splits * folds.n_repeats * fit.fit.ensemble * (2 + controls.rewired + controls.permuted_genes)
        )
        needed += networks * _size_of(plan.raw.get("edges", Path("/nowhere")))
    return needed


def _memory(plan: RunPlan) -> list[str]:
    """Compares the memory with what the labelled cells take, if they are held in it."""
    available = available_memory()
    if available is None or not plan.trains:
        return []
    cells = min(_lines(plan.raw.get("class_labels")), plan.settings["data_engineering"].in_memory_cells)
    edges = _lines(plan.raw.get("edges"))  # at least as many as genes, and often several times as many
    counts = min(cells * edges * _SHARE_OF_COUNTS, _counts_in(plan.raw.get("raw_expression")))
    needed = _LEAST_MEMORY + int(counts * _BYTES_PER_COUNT)
    if available >= needed:
        return []
    advice = "free some, or raise the limit"
    if needed > 2 * _LEAST_MEMORY:
        advice = f"read cells from disk instead: data_engineering.in_memory_cells={cells // 4}"
    return [f"memory: the study needs about {_size(needed)}, and {_size(available)} are available; {advice}"]


def _counts_in(path: Path | None) -> float:
    """About how many counts a raw file holds by its size; infinite where there is none."""
    if path is None or not path.exists():
        return float("inf")
    return _size_of(path) / (_BYTES_IN_H5AD if path.suffix == ".h5ad" else _BYTES_IN_FILE)


def available_memory() -> int | None:
    """Bytes of memory that this process may still take, by the machine, its control group and its own limit."""
    found = []
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        lines = (line.split() for line in meminfo.read_text().splitlines())
        found += [int(words[1]) * 1024 for words in lines if words[0] == "MemAvailable:"]
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    if limit.is_file() and used.is_file() and limit.read_text().strip() != "max":
        found.append(int(limit.read_text()) - int(used.read_text()) + _cached(Path("/sys/fs/cgroup/memory.stat")))
    return min(found, default=None)


def _cached(stat: Path) -> int:
    """Bytes of a control group that are copies of files, which the system gives up when they are needed."""
    if not stat.is_file():
        return 0
    return sum(int(line.split()[1]) for line in stat.read_text().splitlines() if line.startswith("inactive_file "))


def _raw_files(paths: Iterable[Path]) -> list[str]:
    """Files from elsewhere that end or block whatever process reads them."""
    return [damage for path in paths if is_hdf5(path) and (damage := damage_of(path)) is not None]


def _keras() -> list[str]:
    backend = os.environ.get("KERAS_BACKEND", "torch")
    module = _BACKENDS.get(backend)
    if module is None:
        return [f"KERAS_BACKEND={backend}: no such backend; there are {', '.join(_BACKENDS)}"]
    if find_spec(module) is None:
        return [f"KERAS_BACKEND={backend} is not installed: `pip install {module}`, or unset KERAS_BACKEND"]
    return []


def _solver(settings: DagSelectionSettings) -> list[str]:
    try:
        find_solver(settings.solver)
    except KpnnError as error:
        return [f"dag_selection.solver: {error}"]
    return _gurobi_licence() if settings.solver == "GUROBI" else []


def _gurobi_licence() -> list[str]:
    import gurobipy

    try:
        gurobipy.Env(params={"OutputFlag": 0}).dispose()
    except gurobipy.GurobiError as error:
        return [f"dag_selection.solver: Gurobi's licence does not hold ({first_line(error)}); mend it, or choose HIGHS"]
    return []


def _storage(url: str) -> list[str]:
    try:
        backend, database = make_url(url).get_backend_name(), make_url(url).database
    except ArgumentError:
        return ["tuning.storage is not a database URL; give one such as sqlite:///data/06_models/demo/optuna.db"]
    if backend == "sqlite":  # made when the first search begins
        return _folders([Path(database)]) if database and database != ":memory:" else []
    from kpnn.training.trial_storage import open_storage

    return _answer(lambda: open_storage(url), f"tuning.storage = {without_credentials(url)}")


def _dask(scheduler: str | None) -> list[str]:
    if find_spec("distributed") is None:
        return ["execution.executor = dask needs the extra: pip install 'kpnn[dask]'"]
    if scheduler is None:
        return []
    return _answer(lambda: _compare_workers(scheduler), f"execution.scheduler = {scheduler}")


def _compare_workers(scheduler: str) -> None:
    from distributed import Client

    with Client(scheduler, timeout=_SECONDS / 2) as client:
        client.get_versions(check=True)
        others = {name: found for name, found in client.run(_kpnn_version).items() if found != _kpnn_version()}
    if others:
        name, found = next(iter(others.items()))
        raise KpnnError(
            f"worker {name} has kpnn {found or 'not installed'}, this machine has {_kpnn_version()}; "
            f"{len(others)} workers differ: install the same on all"
        )


def _kpnn_version() -> str | None:
    try:
        return version("kpnn")
    except PackageNotFoundError:
        return None


def _answer(ask: Callable[[], Any], place: str) -> list[str]:
    """What is wrong with something that is asked, or that it did not answer in time."""
    found = [f"{place}: no answer within {_SECONDS:g} s"]

    def run() -> None:
        try:
            ask()
        except KpnnError as error:
            found[:] = [str(error) if str(error).startswith(place.split(" ")[0]) else f"{place}: {error}"]
        except Exception as error:  # of whatever driver
            found[:] = [f"{place}: {first_line(error)}"]
        else:
            found.clear()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(_SECONDS)
    return list(found)


def _size_of(path: Path) -> int:
    if path.is_dir():
        return sum(part.stat().st_size for part in path.rglob("*") if part.is_file())
    return path.stat().st_size if path.is_file() else 0


def _lines(path: Path | None) -> int:
    if path is None or not path.is_file():
        return 0
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(_MEGABYTE), b""))


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.0f} MB"
