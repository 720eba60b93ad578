"""Where independent tasks run: here, in processes, or on dask workers. Results do not depend on it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from kpnn.errors import SettingsError

if TYPE_CHECKING:
    from kpnn.training.settings import ExecutionSettings

_log = logging.getLogger(__name__)

Shared = TypeVar("Shared")
Task = TypeVar("Task")
Result = TypeVar("Result")


class TaskFunction(Protocol):
    """What a worker calls: a module-level function of the shared data and one task."""

    def __call__(self, shared: Any, task: Any) -> Any:
        """Does the task."""


def run_tasks(
    function: Callable[[Shared, Task], Result],
    shared: Shared,
    tasks: Sequence[Task],
    settings: ExecutionSettings,
) -> Iterator[tuple[int, Result | Exception]]:
    """Runs tasks and yields their results as they finish.

    Args:
        function: a module-level function of the shared data and one task.
        shared: what all tasks read; it reaches every worker once, not once per task.
        tasks: the tasks, independent of each other.
        settings: which executor, how many workers and threads.

    Yields:
        Position of a task and its result, or the exception that it raised.
    """
    run = {"sequential": _run_here, "processes": _run_in_processes, "dask": _run_on_dask}[settings.executor]
    yield from run(function, shared, list(tasks), settings)


def _attempt(
    function: Callable[[Any, Any], Any], shared: Any, task: Any, position: int, threads: int
) -> tuple[int, Any]:
    with limited_threads(threads):
        try:
            return position, function(shared, task)
        except Exception as error:  # every error travels back, so that finished tasks are kept
            return position, error


@contextmanager
def limited_threads(threads: int) -> Iterator[None]:
    """Lets numerical libraries use so many threads, and gives back what they had."""
    from threadpoolctl import threadpool_limits

    try:
        import torch
    except ImportError:
        torch = None
    before = None if torch is None else torch.get_num_threads()
    if torch is not None:
        torch.set_num_threads(threads)
    try:
        with threadpool_limits(threads):
            yield
    finally:
        if torch is not None:
            torch.set_num_threads(before)


def _n_workers(settings: ExecutionSettings) -> int:
    if settings.n_workers == 0:
        raise SettingsError("execution.n_workers must be -1 (one per core) or at least 1")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    return max(1, cores // settings.threads_per_fit) if settings.n_workers == -1 else settings.n_workers


def _run_here(
    function: Callable, shared: Any, tasks: list[Any], settings: ExecutionSettings
) -> Iterator[tuple[int, Any]]:
    for position, task in enumerate(tasks):
        yield _attempt(function, shared, task, position, settings.threads_per_fit)


def _run_in_processes(
    function: Callable, shared: Any, tasks: list[Any], settings: ExecutionSettings
) -> Iterator[tuple[int, Any]]:
    """Runs in joblib's processes; large arrays in `shared` are mapped from memory, written once."""
    from joblib import Parallel, delayed
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    left = dict(enumerate(tasks))
    for attempts_left in (2, 1, 0):
        parallel = Parallel(n_jobs=_n_workers(settings), return_as="generator_unordered", max_nbytes="100K")
        calls = [delayed(_attempt)(function, shared, t, p, settings.threads_per_fit) for p, t in left.items()]
        try:
            for position, result in parallel(calls):
                del left[position]
                yield position, result
            return
        except TerminatedWorkerError:
            if attempts_left == 0:
                raise
            _log.warning("A worker process died; doing its tasks again (%d left)", len(left))


def _run_on_dask(
    function: Callable, shared: Any, tasks: list[Any], settings: ExecutionSettings
) -> Iterator[tuple[int, Any]]:
    """Runs on dask workers; a task whose worker dies is done again elsewhere by the scheduler."""
    try:
        from distributed import Client, LocalCluster, as_completed
    except ImportError:
        raise SettingsError("execution.executor = dask needs the extra: pip install 'kpnn[dask]'") from None
    if settings.scheduler is None:
        cluster = LocalCluster(
            n_workers=_n_workers(settings), threads_per_worker=1, processes=True, dashboard_address=None
        )
        client = Client(cluster)
    else:
        cluster = None
        try:
            client = Client(settings.scheduler, timeout=10)
        except (OSError, TimeoutError) as error:
            raise SettingsError(
                f"execution.scheduler = {settings.scheduler}: no dask scheduler answers ({error})"
            ) from None
    try:
        spread = client.scatter(shared, broadcast=True, hash=False)
        futures = {
            client.submit(_attempt, function, spread, task, position, settings.threads_per_fit, pure=False): position
            for position, task in enumerate(tasks)
        }
        for future in as_completed(futures):
            error = future.exception()
            yield (futures[future], error) if error is not None else future.result()
    finally:
        client.close()
        if cluster is not None:
            cluster.close()
