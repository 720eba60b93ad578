"""Cross-validation of one arm: its outer folds as independent tasks, each kept as soon as it is finished."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from kpnn.addresses import first_line
from kpnn.errors import CellsError, KpnnError
from kpnn.training.controls import Arm
from kpnn.training.data import LabelledCells
from kpnn.training.executors import run_tasks, threads_by_task
from kpnn.training.fold import FoldTask, train_fold
from kpnn.training.results import ArmResult, FoldResult, FoldStore, fold_name
from kpnn.training.settings import EvaluationSettings
from kpnn.training.trial_storage import open_storage

_log = logging.getLogger(__name__)


def cross_validate(
    arm: Arm,
    cells: LabelledCells,
    folds: pd.DataFrame,
    settings: EvaluationSettings,
    store: FoldStore,
    on_fold: Callable[[FoldResult], None] | None = None,
) -> ArmResult:
    """Trains and scores an arm on every outer fold.

    Args:
        arm: what to train.
        cells: all labelled cells.
        folds: `repeat`, `fold`, `barcode`: which cells each fold holds out.
        settings: protocol, tuning, execution.
        store: keeps finished folds; those of an earlier run that depended on the same data, network, settings and
            code are taken from it (unless `settings.resume` is false).
        on_fold: called in this process with each finished fold, in the order of finishing.

    Raises:
        KpnnError: a fold failed; its name and the cause are in the message, and the others' results are kept.
        SettingsError: weights are given for classes that are none.
    """
    cells = arm.cells_seen(cells)
    _check_class_weights(settings.fit.class_weight, cells)
    tasks = _fold_tasks(cells, folds, settings)
    fingerprints = {task.name: _fingerprint(arm, cells, task, settings) for task in tasks}
    store.forget_others([task.name for task in tasks])
    finished = _kept(tasks, fingerprints, store) if settings.resume else {}
    if finished:
        _log.info("%s: %d of %d folds are kept from an earlier run", arm.name, len(finished), len(tasks))
    if on_fold is not None:
        for kept in finished.values():
            on_fold(kept)
    left = [task for task in tasks if task.name not in finished]
    begun = time.monotonic()
    failed: list[tuple[FoldTask, Exception]] = []
    for task, outcome in _trained(arm, cells, left, settings):
        if isinstance(outcome, Exception):
            failed.append((task, outcome))
            continue
        store.save(outcome, fingerprints[outcome.name])
        finished[outcome.name] = outcome
        if on_fold is not None:
            on_fold(outcome)
        _report_progress(outcome, len(finished), len(tasks), len(left), time.monotonic() - begun)
    if failed:
        task, cause = failed[0]
        others = f"{len(finished)} of {len(tasks)} folds are kept" + (
            f", {len(failed) - 1} more failed" if len(failed) > 1 else ""
        )
        raise KpnnError(
            f"arm {arm.name}, {task.name}: {type(cause).__name__}: {first_line(cause)} ({others})"
        ) from cause
    return ArmResult(arm.name, tuple(finished[task.name] for task in tasks))


def _check_class_weights(weights: str | dict[str, float] | None, cells: LabelledCells) -> None:
    if isinstance(weights, dict):
        from kpnn.nn.labels import class_weights  # brings Keras along, which takes seconds

        class_weights(weights, cells.labels, cells.outputs if cells.one_of_k else None)


def _kept(tasks: Sequence[FoldTask], fingerprints: dict[str, str], store: FoldStore) -> dict[str, FoldResult]:
    """Folds that an earlier run finished, by name."""
    loaded = (store.load(task.repeat, task.fold, fingerprints[task.name]) for task in tasks)
    return {result.name: result for result in loaded if result is not None}


def _trained(
    arm: Arm, cells: LabelledCells, tasks: Sequence[FoldTask], settings: EvaluationSettings
) -> Iterator[tuple[FoldTask, FoldResult | Exception]]:
    """Trains folds and yields each as it ends; where they run one after the other, an error ends them all."""
    if tasks and settings.protocol == "nested" and settings.tuning.n_trials > 0:
        # Before any training: an unreachable database is an error now, and workers find its tables made.
        open_storage(settings.tuning.storage)
    threads = threads_by_task(len(tasks), settings.execution)
    with_threads = [replace(task, threads=n) for task, n in zip(tasks, threads, strict=True)]
    for position, outcome in run_tasks(train_fold, (arm, cells, settings), with_threads, settings.execution):
        yield tasks[position], outcome
        if isinstance(outcome, Exception) and settings.execution.executor == "sequential":
            return


def _fold_tasks(cells: LabelledCells, folds: pd.DataFrame, settings: EvaluationSettings) -> list[FoldTask]:
    tasks = []
    for (repeat, fold), table in folds.groupby(["repeat", "fold"], sort=True):
        held_out = cells.rows_of(table["barcode"])
        others = folds[(folds["repeat"] == repeat) & (folds["fold"] != fold)]
        training = cells.rows_of(others["barcode"])
        if len(pd.Index(held_out).intersection(training)):
            raise CellsError(f"{fold_name(repeat, fold)}: a cell is both held out and trained on; run data_engineering")
        tasks.append(FoldTask(int(repeat), int(fold), training, held_out, settings.seed))
    return tasks


def _fingerprint(arm: Arm, cells: LabelledCells, task: FoldTask, settings: EvaluationSettings) -> str:
    digest = hashlib.sha256()
    networks = (arm.name, arm.estimator, arm.dag.fingerprint)
    for part in (*networks, cells.fingerprint, arm.settings_of(task.name, settings).decisive(), code_fingerprint()):
        digest.update(part.encode())
    digest.update(task.training.tobytes())
    digest.update(task.held_out.tobytes())
    return digest.hexdigest()


@cache
def code_fingerprint() -> str:
    """SHA-256 of the sources that decide a fold's result: an upgrade never takes an older result for its own."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for room in ("cells", "evaluation", "nn", "pkn", "training"):
        for source in sorted((package / room).rglob("*.py")):
            digest.update(source.read_bytes())
    return digest.hexdigest()


def _worst_output(result: FoldResult) -> str:
    """Names the output with the lowest ROC-AUC, which a mean over several hides; empty where there is one."""
    outputs = dict.fromkeys(result.predictions["output"])
    of_outputs = {name: result.metrics.get(f"roc_auc_{name}", float("nan")) for name in outputs}
    scored = {name: value for name, value in of_outputs.items() if np.isfinite(value)}
    if not scored:
        return ""
    worst = min(scored, key=lambda name: scored[name])
    return f" (lowest: {worst} {scored[worst]:.3f})"


def _report_progress(result: FoldResult, done: int, of: int, in_this_run: int, seconds: float) -> None:
    done_here = in_this_run - (of - done)
    minutes_left = seconds / max(done_here, 1) * (of - done) / 60
    _log.info(
        "%s, %s: ROC-AUC %.3f%s, %d trials, %.0f s (%d of %d folds%s)",
        result.arm,
        result.name,
        result.metrics["roc_auc"],
        _worst_output(result),
        len(result.trials),
        result.seconds,
        done,
        of,
        f", about {minutes_left:.0f} min left" if minutes_left >= 1 else "",
    )
