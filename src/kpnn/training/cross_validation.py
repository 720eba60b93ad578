"""Cross-validation of arms: their outer folds as independent tasks, each kept as soon as it is finished."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from kpnn.addresses import first_line
from kpnn.cells.folds import fold_parts
from kpnn.errors import CellsError, KpnnError
from kpnn.stopping import StoppedError
from kpnn.training.controls import Arm
from kpnn.training.data import LabelledCells
from kpnn.training.executors import run_tasks, threads_by_task
from kpnn.training.fold import FoldTask, train_fold, train_folds
from kpnn.training.results import ArmResult, FoldResult, FoldStore
from kpnn.training.settings import EvaluationSettings
from kpnn.training.trial_storage import open_storage, outliving_restarts

_log = logging.getLogger(__name__)

_TOGETHER = 5
"""Arms whose networks are trained together: as many as there are of a kind of control. More would end later."""


@dataclass(frozen=True, eq=False)
class Assignment:
    """An arm to cross-validate.

    Attributes:
        arm: what to train.
        store: keeps its finished folds; those of an earlier run that depended on the same data, network, settings and
            code are taken from it (unless `settings.resume` is false).
        on_fold: called in this process with each finished fold, in the order of finishing.
        on_arm: called in this process when all folds are finished.
    """

    arm: Arm
    store: FoldStore
    on_fold: Callable[[FoldResult], None] = lambda _: None
    on_arm: Callable[[ArmResult], None] = lambda _: None


def cross_validate(
    arm: Arm, cells: LabelledCells, folds: pd.DataFrame, settings: EvaluationSettings, store: FoldStore
) -> ArmResult:
    """Trains and scores one arm on every outer fold; see `cross_validate_arms`.

    Args:
        arm: what to train.
        cells: all labelled cells.
        folds: `repeat`, `fold`, `barcode`: which cells each fold holds out; `kpnn.cells.folds.make_folds` makes them.
        settings: protocol, tuning, execution.
        store: keeps finished folds; those of an earlier run are taken from it (unless `settings.resume` is false).

    Returns:
        The result of the arm.

    Raises:
        KpnnError: as `cross_validate_arms`.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> from kpnn.cells.folds import FoldSettings, make_folds
        >>> from kpnn.pkn import Dag
        >>> from kpnn.training.settings import FitSettings, TuningSettings
        >>> edges = [("TCR", "ZAP70"), ("TCR", "JUN"), ("ZAP70", "CD69_gene"), ("JUN", "IL2_gene")]
        >>> dag = Dag.from_edges(pd.DataFrame(edges, columns=["parent", "child"]), outputs=["TCR"])
        >>> labels = np.tile(np.array([[0], [1]], dtype=np.float32), (45, 1))
        >>> expression = np.random.default_rng(0).poisson(1 + 3 * labels, (90, 2))
        >>> cells = LabelledCells(expression, labels, np.arange(90).astype(str), dag.inputs, dag.outputs)
        >>> folds = make_folds(pd.DataFrame(labels, cells.barcodes, dag.outputs), FoldSettings(n_splits=3))
        >>> untuned = EvaluationSettings(fit=FitSettings(ensemble=2, max_epochs=20), tuning=TuningSettings(n_trials=0))
        >>> folder = TemporaryDirectory()
        >>> store = FoldStore(Path(folder.name))
        >>> result = cross_validate(Arm("full", dag), cells, folds, untuned, store)
        >>> len(result.folds), result.mean_metrics()["roc_auc"] > 0.8
        (3, True)
    """
    [result] = cross_validate_arms([Assignment(arm, store)], cells, folds, settings)
    return result


def cross_validate_arms(
    assignments: Sequence[Assignment], cells: LabelledCells, folds: pd.DataFrame, settings: EvaluationSettings
) -> list[ArmResult]:
    """Trains and scores arms on every outer fold; folds of all arms are one pool of tasks.

    Args:
        assignments: the arms, and where their results go.
        cells: all labelled cells.
        folds: `repeat`, `fold`, `barcode`: which cells each fold holds out.
        settings: protocol, tuning, execution.

    Returns:
        The result of each arm, in their order.

    Raises:
        KpnnError: a fold failed; its name and the cause are in the message, and the others' results are kept.
        SettingsError: weights are given for classes that are none.
    """
    _check_class_weights(settings.fit.class_weight, cells)
    works = [_Work.of(one, cells, folds, settings) for one in assignments]
    for work in works:
        work.report_kept()
    left = [(place, task) for place, work in enumerate(works) for task in work.left]
    begun, n_done = time.monotonic(), 0
    failed: list[tuple[_Work, FoldTask, Exception]] = []
    for outcomes in _trained([one.arm for one in assignments], cells, left, settings):
        n_done += len(outcomes)
        seconds_left = (time.monotonic() - begun) / n_done * (len(left) - n_done)
        for (place, task), outcome in outcomes:
            work = works[place]
            if isinstance(outcome, Exception):
                failed.append((work, task, outcome))
                continue
            work.keep(outcome)
            _report_progress(outcome, work, works, seconds_left)
            work.end_if_whole()
    if failed:
        cause = failed[0][2]
        # What a user can mend is said whole, with the fold and what is kept: nobody need look behind it.
        raise _failure(failed, works) from (None if isinstance(cause, KpnnError) else cause)
    return [work.result for work in works]


def _failure(failed: Sequence[tuple[_Work, FoldTask, Exception]], works: Sequence[_Work]) -> KpnnError:
    work, task, cause = failed[0]
    n_kept, n_all = _finished_of_all(works)
    others = f"{n_kept} of {n_all} folds are kept" + (f", {len(failed) - 1} more failed" if len(failed) > 1 else "")
    where = f"arm {work.assignment.arm.name}, {task.name}"
    said = str(cause) if isinstance(cause, KpnnError) else f"{type(cause).__name__}: {first_line(cause)}"
    return KpnnError(f"{where}: {said} ({others})")


@dataclass(frozen=True, eq=False)
class _Work:
    """What an arm's cross-validation consists of, and what of it is done."""

    assignment: Assignment
    tasks: Sequence[FoldTask]
    fingerprints: Mapping[str, str]
    finished: dict[str, FoldResult]

    @classmethod
    def of(
        cls, assignment: Assignment, cells: LabelledCells, folds: pd.DataFrame, settings: EvaluationSettings
    ) -> _Work:
        """The folds of an arm, those of an earlier run among the finished."""
        arm, store = assignment.arm, assignment.store
        seen = arm.cells_seen(cells)
        tasks = _fold_tasks(seen, folds, settings)
        fingerprints = {task.name: _fingerprint(arm, seen, task, settings) for task in tasks}
        store.forget_others([task.name for task in tasks])
        loaded = (store.load(t.repeat, t.fold, fingerprints[t.name]) for t in tasks) if settings.resume else ()
        return cls(assignment, tasks, fingerprints, {result.name: result for result in loaded if result is not None})

    @property
    def left(self) -> list[FoldTask]:
        return [task for task in self.tasks if task.name not in self.finished]

    @property
    def result(self) -> ArmResult:
        return ArmResult(self.assignment.arm.name, tuple(self.finished[task.name] for task in self.tasks))

    def report_kept(self) -> None:
        """Gives out what an earlier run finished."""
        if not self.finished:
            return
        name = self.assignment.arm.name
        _log.info("%s: %d of %d folds are kept from an earlier run", name, len(self.finished), len(self.tasks))
        for kept in self.finished.values():
            self.assignment.on_fold(kept)
        self.end_if_whole()

    def keep(self, result: FoldResult) -> None:
        self.assignment.store.save(result, self.fingerprints[result.name])
        self.finished[result.name] = result
        self.assignment.on_fold(result)

    def end_if_whole(self) -> None:
        if not self.left:
            self.assignment.on_arm(self.result)


def _check_class_weights(weights: str | dict[str, float] | None, cells: LabelledCells) -> None:
    if isinstance(weights, dict):
        from kpnn.nn.labels import class_weights  # brings Keras along, which takes seconds

        class_weights(weights, cells.labels, cells.outputs if cells.one_of_k else None)


def _trained(
    arms: Sequence[Arm],
    cells: LabelledCells,
    tasks: Sequence[tuple[int, FoldTask]],
    settings: EvaluationSettings,
) -> Iterator[list[tuple[tuple[int, FoldTask], FoldResult | Exception]]]:
    """Trains folds of arms and yields those that end together; in this process no other is begun after an error."""
    if tasks and settings.searches:
        # Before any training: an unreachable database is an error now, and workers find its tables made. A run has
        # looked for it before its first node: where it is gone between two arms, it may only be restarting.
        url = settings.tuning.storage
        outliving_restarts(lambda _: open_storage(url), url)
    execution = settings.execution
    if execution.executor == "threads" and cells.store.whole() is None:
        # Folds at once would each read the file, and each hold buffers of it.
        execution = execution.model_copy(update={"executor": "sequential"})
    # Elsewhere every fold is a task: a hundred workers want as many.
    here = execution.executor in ("threads", "sequential")
    bundles = _bundles(arms, tasks, settings, most=_TOGETHER if here else 1)
    threads = threads_by_task(len(bundles), execution)
    with_threads = [(places, replace(task, threads=n)) for (places, task), n in zip(bundles, threads, strict=True)]
    with closing(run_tasks(_train_folds_of_arms, (arms, cells, settings), with_threads, execution)) as outcomes:
        for position, outcome in outcomes:
            places, task = bundles[position]
            if isinstance(outcome, _PartFailedError):
                found: Sequence[FoldResult | Exception] = outcome.outcomes
            else:
                found = [outcome] if isinstance(outcome, Exception) else outcome
            yield [((place, task), one) for place, one in zip(places, found, strict=False)]


def _bundles(
    arms: Sequence[Arm], tasks: Sequence[tuple[int, FoldTask]], settings: EvaluationSettings, most: int
) -> list[tuple[list[int], FoldTask]]:
    """Folds of arms whose networks read the cells together, at most so many to a task; in the order of the first."""
    bundles: list[tuple[list[int], FoldTask]] = []
    open_ones: dict[object, list[int]] = {}
    for place, task in tasks:
        together = arms[place].trained_with(task.name, settings)
        places = open_ones.get((task.name, together)) if together is not None else None
        if places is None or len(places) == most:
            places = open_ones[task.name, together] = []
            bundles.append((places, task))
        places.append(place)
    return bundles


class _PartFailedError(KpnnError):
    """Of a bundle of folds some failed; `outcomes` are results and errors, in the order of the arms."""

    def __init__(self, outcomes: Sequence[FoldResult | Exception]) -> None:
        super().__init__("some folds failed")
        self.outcomes = outcomes


def _train_folds_of_arms(
    shared: tuple[Sequence[Arm], LabelledCells, EvaluationSettings], task: tuple[Sequence[int], FoldTask]
) -> list[FoldResult]:
    """Trains one fold of some arms.

    Raises:
        _PartFailedError: one of several failed. Each was trained alone then, to keep the others' results.
    """
    arms, cells, settings = shared
    own = [arms[place] for place in task[0]]
    seen = own[0].cells_seen(cells)
    if len(own) == 1:
        return [train_fold((own[0], seen, settings), task[1])]
    try:
        return train_folds((own, seen, settings), task[1])
    except StoppedError:
        raise
    except Exception as error:  # whose it is, is not known
        _log.debug("%s of several arms: %s; training each alone", task[1].name, error)
    outcomes: list[FoldResult | Exception] = []
    for arm in own:
        try:
            outcomes.append(train_fold((arm, seen, settings), task[1]))
        except StoppedError:
            raise
        except Exception as error:
            outcomes.append(error)
    if any(isinstance(one, Exception) for one in outcomes):
        raise _PartFailedError(outcomes)
    return [one for one in outcomes if isinstance(one, FoldResult)]


def _fold_tasks(cells: LabelledCells, folds: pd.DataFrame, settings: EvaluationSettings) -> list[FoldTask]:
    tasks = []
    for part in fold_parts(folds):
        training, held_out = cells.rows_of(part.training), cells.rows_of(part.held_out)
        task = FoldTask(part.repeat, part.fold, training, held_out, settings.seed)
        if len(pd.Index(held_out).intersection(training)):
            raise CellsError(f"{task.name}: a cell is both held out and trained on; run data_engineering")
        tasks.append(task)
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


def _finished_of_all(works: Sequence[_Work]) -> tuple[int, int]:
    """Folds of all arms: how many are finished, and how many there are."""
    return sum(len(work.finished) for work in works), sum(len(work.tasks) for work in works)


def _report_progress(result: FoldResult, own: _Work, works: Sequence[_Work], seconds_left: float) -> None:
    in_all = ""
    if len(works) > 1:
        in_all = ", {} of {} of all arms here".format(*_finished_of_all(works))
    _log.info(
        "%s, %s: ROC-AUC %.3f%s, %d trials, %.0f s (%d of %d folds%s%s)",
        result.arm,
        result.name,
        result.metrics["roc_auc"],
        _worst_output(result),
        len(result.trials),
        result.seconds,
        len(own.finished),
        len(own.tasks),
        in_all,
        f", about {seconds_left / 60:.0f} min left" if seconds_left >= 60 else "",
    )
