"""Where independent tasks run: here, in processes, or on dask workers. Results do not depend on it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING, Any, TypeVar

from kpnn.addresses import first_line
from kpnn.errors import KpnnError, SettingsError
from kpnn.processes import usable_cores
from kpnn.stopping import stopped_by
from kpnn.training.dask_client import cluster_and_client

if TYPE_CHECKING:
    from kpnn.training.settings import ExecutionSettings

_log = logging.getLogger(__name__)

_CONNECT_SECONDS = 10.0
"""How long dask's scheduler may take to answer."""

_IN_WORK = "the scheduler was lost, and with it what was in progress"

_LOOK_SECONDS = 1.0
"""How often it is looked whether dask is still there while folds are trained."""

Shared = TypeVar("Shared")
Task = TypeVar("Task")
Result = TypeVar("Result")


def run_tasks(
    function: Callable[[Shared, Task], Result],
    shared: Shared,
    tasks: Sequence[Task],
    settings: ExecutionSettings,
) -> Generator[tuple[int, Result | Exception]]:
    """Runs tasks and yields their results as they finish.

    Args:
        function: a module-level function of the shared data and one task.
        shared: what all tasks read; it reaches every worker once, not once per task.
        tasks: the tasks, independent of each other.
        settings: which executor, how many workers and threads.

    Yields:
        Position of a task and its result, or the exception that it raised. In this process no task is begun after one
        that failed.
    """
    run = {
        "threads": _run_in_threads,
        "sequential": _run_here,
        "processes": _run_in_processes,
        "dask": _run_on_dask,
    }[settings.executor]
    yield from run(function, shared, list(tasks), settings)


def threads_by_task(n_tasks: int, settings: ExecutionSettings) -> list[int]:
    """Threads of each task, so that workers x threads is the number of cores.

    The last tasks, when fewer are left than there are workers, share the cores that would be idle.

    Args:
        n_tasks: number of tasks, in the order in which they start.
        settings: which executor and how many workers; an explicit number of threads is taken as it is.
    """
    if settings.threads_per_fit is not None:
        return [settings.threads_per_fit] * n_tasks
    if settings.executor in ("threads", "sequential"):
        # Those at once take turns: what one leaves idle while it reads or writes, the other uses.
        return [usable_cores()] * n_tasks
    if settings.scheduler is not None:
        return [1] * n_tasks
    workers = _n_workers(settings)
    last = n_tasks % workers
    return [max(1, usable_cores() // workers)] * (n_tasks - last) + [max(1, usable_cores() // max(last, 1))] * last


def _n_workers(settings: ExecutionSettings) -> int:
    return max(1, usable_cores() // (settings.threads_per_fit or 1)) if settings.n_workers == -1 else settings.n_workers


def _attempt(function: Callable[[Any, Any], Any], shared: Any, task: Any, position: int) -> tuple[int, Any]:
    with _one_blas_thread():
        return position, _result_or_error(function, shared, task)


def _result_or_error(function: Callable[[Any, Any], Any], shared: Any, task: Any) -> Any:
    try:
        return function(shared, task)
    except Exception as error:  # every error travels back, so that finished tasks are kept
        return error


@contextmanager
def _one_blas_thread() -> Iterator[None]:
    """Sums in BLAS and torch depend on the number of threads; with one, results do not depend on the machine's load.

    Networks are trained by threads of their own, each of which works on one network.
    """
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


def _run_here(
    function: Callable,
    shared: Any,
    tasks: list[Any],
    settings: ExecutionSettings,  # noqa: ARG001
) -> Iterator[tuple[int, Any]]:
    for position, task in enumerate(tasks):
        attempted = _attempt(function, shared, task, position)
        yield attempted
        if isinstance(attempted[1], Exception):
            return


def _run_in_threads(
    function: Callable, shared: Any, tasks: list[Any], settings: ExecutionSettings
) -> Iterator[tuple[int, Any]]:
    """Runs a few at once: kernels let go of Python's lock, so one trains while another builds, scores and packs."""
    stop = Event()

    def attempt(position: int) -> tuple[int, Any]:
        with stopped_by(stop):
            return position, _result_or_error(function, shared, tasks[position])

    # Around all of them, because torch's number of threads is the whole process's, and one that ends must not raise
    # another's; and in each, because OpenMP's is a thread's own.
    with _one_blas_thread(), ThreadPoolExecutor(_n_at_once(settings), initializer=_limit_this_thread) as threads:
        futures = [threads.submit(attempt, position) for position in range(len(tasks))]
        try:
            for future in as_completed(futures):
                if future.cancelled():
                    continue
                position, result = future.result()
                if isinstance(result, Exception):  # what has begun is finished, nothing else begins
                    for other in futures:
                        other.cancel()
                yield position, result
        finally:  # after Ctrl-C, or when nobody wants the rest
            stop.set()
            threads.shutdown(wait=True, cancel_futures=True)


def _limit_this_thread() -> None:
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)


def _n_at_once(settings: ExecutionSettings) -> int:
    """Two, and one more for every four cores: a fold without a search trains no more than a handful of networks."""
    return 2 + (usable_cores() - 1) // 4 if settings.n_workers == -1 else settings.n_workers


def _run_in_processes(
    function: Callable, shared: Any, tasks: list[Any], settings: ExecutionSettings
) -> Iterator[tuple[int, Any]]:
    """Runs in joblib's processes; large arrays in `shared` are mapped from memory, written once."""
    from joblib import Parallel, delayed
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    left = dict(enumerate(tasks))
    for attempts_left in (2, 1, 0):
        parallel = Parallel(n_jobs=_n_workers(settings), return_as="generator_unordered", max_nbytes="100K")
        calls = [delayed(_attempt)(function, shared, t, p) for p, t in left.items()]
        try:
            for position, result in parallel(calls):
                del left[position]
                yield position, result
            return
        except TerminatedWorkerError:
            if attempts_left == 0:
                raise KpnnError(
                    "execution.executor = processes: worker processes died three times, as they do where memory does "
                    "not suffice. Finished folds are kept: with a lower execution.n_workers the same command goes on"
                ) from None
            _log.warning("A worker process died; doing its tasks again (%d left)", len(left))


def _run_on_dask(
    function: Callable, shared: Any, tasks: list[Any], settings: ExecutionSettings
) -> Iterator[tuple[int, Any]]:
    """Runs on dask workers; a task whose worker dies is done again elsewhere by the scheduler.

    A scheduler that starts again at its address within `execution.recovery_seconds` is given the tasks anew.
    """
    # Not joblib's dask backend: it raises the error of a task that dask gave up (KilledWorker) for the whole call,
    # and the folds still in progress are lost. Here it comes back as that task's own, and the others go on.
    try:
        from distributed.client import CancelledError
        from distributed.comm import CommClosedError
    except ImportError:
        raise SettingsError("execution.executor = dask needs the extra: pip install 'kpnn[dask]'") from None
    place = "the dask cluster of this machine" if settings.scheduler is None else f"dask at {settings.scheduler}"
    try:
        cluster, client = cluster_and_client(settings, _n_workers(settings), _CONNECT_SECONDS)
    except SettingsError as error:  # a run looks for it before the first node: it was there
        raise KpnnError(_lost(place, str(error))) from None
    left = dict(enumerate(tasks))
    try:
        for attempts_left in (2, 1, 0):
            try:
                for position, result in _on_workers(client, function, shared, left, place, settings):
                    del left[position]
                    yield position, result
                return
            except (_InWorkLostError, CommClosedError):
                # The scheduler keeps what tasks share on few workers (its active memory manager sees to that), and
                # cancels the tasks when the last of them dies.
                time.sleep(1)  # a scheduler that is gone is noticed meanwhile
                if attempts_left == 0:
                    raise
                what = "workers died with the data that tasks share, or the scheduler began anew"
                if client.status != "running":
                    client, what = _client_of_next_scheduler(client, settings, place), "the scheduler is back"
                _log.warning("%s: %s; giving %d tasks out again", place, what, len(left))
    except (CancelledError, OSError, TimeoutError) as error:
        raise KpnnError(_lost(place, first_line(error))) from None
    finally:
        _close(client)
        if cluster is not None:
            cluster.close()


def _client_of_next_scheduler(lost: Any, settings: ExecutionSettings, place: str) -> Any:
    """Waits for a scheduler where one was lost, and for a worker of it.

    Raises:
        _InWorkLostError: there is none in time.
    """
    _close(lost)
    if settings.scheduler is None:
        raise _InWorkLostError(_lost(place, _IN_WORK)) from None
    seconds, until = settings.recovery_seconds, time.monotonic() + settings.recovery_seconds
    _log.warning("%s: the scheduler is lost; waiting %g s for it. Finished folds are kept", place, seconds)
    try:
        client = cluster_and_client(settings, _n_workers(settings), seconds)[1]
    except SettingsError:
        raise _InWorkLostError(_lost(place, f"{_IN_WORK}, and did not come back for {seconds:g} s")) from None
    try:
        client.wait_for_workers(1, timeout=max(1.0, until - time.monotonic()))
    except TimeoutError:
        client.close()
        raise _InWorkLostError(_lost(place, f"the scheduler came back, and no worker for {seconds:g} s")) from None
    return client


def _close(client: Any) -> None:
    """Closes a client; one that has lost its scheduler would print the traceback of its attempt to connect again."""
    with _without_log("distributed.client"):
        client.close()


@contextmanager
def _without_log(name: str) -> Iterator[None]:
    """Keeps a logger silent for a while."""
    logger = logging.getLogger(name)
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def _on_workers(
    client: Any, function: Callable, shared: Any, tasks: dict[int, Any], place: str, settings: ExecutionSettings
) -> Iterator[tuple[int, Any]]:
    from distributed.client import CancelledError

    spread = client.scatter(shared, broadcast=True, hash=False)
    futures = {
        client.submit(_attempt, function, spread, task, position, pure=False): position
        for position, task in tasks.items()
    }
    for future in _as_they_end(client, list(futures), place, settings.recovery_seconds):
        try:
            lost = future.exception()
            ended = (futures[future], _in_words(lost, place)) if lost is not None else future.result()
        except (CancelledError, OSError):  # its worker or the scheduler died before the result was fetched
            raise _InWorkLostError(_lost(place, _IN_WORK)) from None
        yield ended


def _in_words(error: Exception, place: str) -> Exception:
    """What a user can make of an error that dask itself gives for a task."""
    from distributed.scheduler import KilledWorker

    if not isinstance(error, KilledWorker):
        return error
    return KpnnError(
        f"{place}: every worker that trained it died, as they do where memory does not suffice. Give workers more "
        "(`dask worker --memory-limit`) or let fewer work on one machine; the same command goes on"
    )


class _InWorkLostError(KpnnError):
    """Tasks were cancelled: the scheduler is gone, or the data that they share."""


def _as_they_end(client: Any, futures: list[Any], place: str, recovery_seconds: float) -> Iterator[Any]:
    """Yields futures as they end.

    Args:
        client: of the scheduler.
        futures: to wait for.
        place: where they run, in words.
        recovery_seconds: how long there may be no worker.

    Raises:
        _InWorkLostError: the scheduler is gone, or what they share.
        KpnnError: there has been no worker for so long: nothing would ever end.
    """
    from distributed import wait
    from distributed.client import CancelledError

    left, alone_since = futures, None  # when there ceased to be workers
    while left:
        try:
            with client.as_current():  # a client that has lost its scheduler is nobody's default any more
                ended, left = wait(left, timeout=_LOOK_SECONDS, return_when="FIRST_COMPLETED")
        except TimeoutError:
            ended = set()
        except CancelledError:
            raise _InWorkLostError(_lost(place, _IN_WORK)) from None
        except RuntimeError:  # the client has closed itself
            if client.status == "running":
                raise
        if client.status != "running":
            raise _InWorkLostError(_lost(place, _IN_WORK))
        for future in ended:
            if future.cancelled():
                raise _InWorkLostError(_lost(place, _IN_WORK))
            yield future
        left = list(left)
        try:
            known = client.scheduler_info(n_workers=1)
        except OSError:
            known = {}
        if "workers" not in known:  # the scheduler does not answer; soon the client's status says so, or it is back
            continue
        workers = known["workers"]
        if not workers and alone_since is None:
            _log.warning(
                "%s: no worker is left; waiting %g s for another. Finished folds are kept", place, recovery_seconds
            )
        alone_since = None if workers else alone_since or time.monotonic()
        if alone_since is not None and time.monotonic() - alone_since > recovery_seconds:
            raise KpnnError(_lost(place, f"there has been no worker for {recovery_seconds:g} s"))


def _lost(place: str, why: str) -> str:
    return (
        f"{place}: {why}. Finished folds, and finished trials of the others, are kept: start the scheduler and its "
        "workers again, and the same command goes on from there"
    )
