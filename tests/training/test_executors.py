"""Executors: every task once, errors travel back, a worker that dies costs nothing but time."""

import asyncio
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing, nullcontext
from pathlib import Path
from threading import Event, Semaphore

import numpy as np
import pytest

from kpnn.errors import KpnnError, SettingsError
from kpnn.stopping import StoppedError, asked_to_stop
from kpnn.training import executors
from kpnn.training.dask_client import cluster_and_client
from kpnn.training.executors import run_tasks, threads_by_task
from kpnn.training.settings import ExecutionSettings
from ports import free_port

KEPT = r".*Finished folds.*are kept.*the same command goes on"


def add(shared, task):
    if task == 13:
        raise ValueError("unlucky")
    return float(shared[0] + task)


def die_once(shared, task):
    """The first attempt at task 1 kills its worker."""
    marker = Path(shared)
    if task == 1 and not marker.exists():
        marker.write_text("died")
        os._exit(1)
    return task


@pytest.mark.parametrize("executor", ["threads", "sequential", "processes", "dask"])
def test_every_task_is_done_once_and_errors_come_back(executor):
    settings = ExecutionSettings(executor=executor, n_workers=2)
    shared = np.ones(100_000)
    results = dict(run_tasks(add, shared, [1, 5, 13], settings))
    assert results[0] == 2.0
    assert results[1] == 6.0
    assert isinstance(results[2], ValueError)


def fail_or_finish(shared, task):
    """Task 0 fails once task 1 has begun, which ends after it."""
    begun, failed = shared
    if task == 0:
        assert begun.wait(10)
        raise ValueError("task 0")
    begun.set()
    assert failed.wait(10)
    return task


def test_after_an_error_threads_finish_what_has_begun_and_begin_nothing():
    settings = ExecutionSettings(executor="threads", n_workers=2)
    begun, failed = Event(), Event()
    results = {}
    for position, result in run_tasks(fail_or_finish, (begun, failed), [0, 1, 2, 3, 4], settings):
        results[position] = result
        failed.set()
    # One more may have begun before the error was seen.
    assert isinstance(results[0], ValueError)
    assert results[1] == 1
    assert len(results) <= 3


def threads_of_openmp(shared, task):
    from threadpoolctl import threadpool_info

    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] in shared}


@pytest.mark.parametrize("executor", ["threads", "sequential"])
def test_sums_are_made_by_one_thread_wherever_a_task_runs(executor, monkeypatch):
    import sklearn.ensemble  # noqa: F401 - loads OpenMP
    from threadpoolctl import threadpool_limits

    with threadpool_limits(3):
        results = dict(run_tasks(threads_of_openmp, ("openmp", "blas"), [0, 1], ExecutionSettings(executor=executor)))
    assert results == {0: {1}, 1: {1}}


def run_until_asked(shared, task):
    shared.release()
    if task == 0:
        return task
    assert asked_to_stop().wait(10)
    raise StoppedError


def test_threads_are_told_to_stop_when_nobody_wants_the_rest():
    settings = ExecutionSettings(executor="threads", n_workers=2)
    begun = Semaphore(0)
    outcomes = run_tasks(run_until_asked, begun, [0, 1, 2, 3], settings)
    assert next(outcomes) == (0, 0)
    begun.acquire()
    begun.acquire()  # task 1 waits for the word
    outcomes.close()
    assert not [thread for thread in threading.enumerate() if "ThreadPool" in thread.name]


def test_folds_at_once_keep_the_cores_busy(monkeypatch):
    for cores, n in ((1, 2), (2, 2), (4, 2), (5, 3), (16, 5)):
        monkeypatch.setattr(executors, "usable_cores", lambda cores=cores: cores)
        assert executors._n_at_once(ExecutionSettings()) == n
    assert executors._n_at_once(ExecutionSettings(n_workers=7)) == 7


def test_one_after_the_other_begins_nothing_after_an_error():
    results = dict(run_tasks(add, np.ones(1), [5, 13, 1], ExecutionSettings(executor="sequential")))
    assert list(results) == [0, 1] and isinstance(results[1], ValueError)


def test_a_process_that_dies_has_its_task_done_again(tmp_path):
    settings = ExecutionSettings(executor="processes", n_workers=2)
    results = dict(run_tasks(die_once, str(tmp_path / "marker"), [0, 1, 2], settings))
    assert results == {0: 0, 1: 1, 2: 2}


def test_processes_that_die_again_and_again_are_one_message_that_says_what_is_kept(monkeypatch):
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    def die(*_):
        raise TerminatedWorkerError("SIGKILL(-9)")

    monkeypatch.setattr("joblib.Parallel", lambda **_: die)
    with pytest.raises(KpnnError, match=r"died three times.*Finished folds are kept.*the same command goes on"):
        list(run_tasks(add, np.ones(1), [1], ExecutionSettings(executor="processes", n_workers=2)))


def test_a_fold_whose_workers_all_died_says_so_in_words():
    from distributed.scheduler import KilledWorker

    error = executors._in_words(KilledWorker("task", None, 3), "dask there")
    assert str(error).startswith("dask there: every worker that trained it died") and "memory" in str(error)
    other = ValueError("something else")
    assert executors._in_words(other, "dask there") is other


class DaskProcesses:
    """A scheduler on 127.0.0.1 and workers, each a process of its own that can be killed."""

    def __init__(self, folder):
        self.port = str(free_port())
        self.address = f"tcp://127.0.0.1:{self.port}"
        # Workers import this module to find the task's function.
        of_tests = os.pathsep.join(str(folder) for folder in Path(__file__).parents[:2])
        environment = {**os.environ, "PYTHONPATH": of_tests}
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._options = {**quiet, "env": environment, "cwd": folder}
        self.started = []

    def start(self, n_workers):
        here = ["--host", "127.0.0.1", "--no-dashboard"]
        self._start("dask_scheduler", "--port", self.port, *here)
        for _ in range(n_workers):
            self._start("dask_worker", self.address, "--nthreads", "1", "--no-nanny", *here)

    def _start(self, program, *words):
        command = [sys.executable, "-m", f"distributed.cli.{program}", *words]
        self.started.append(subprocess.Popen(command, **self._options))

    def wait(self, n_workers):
        from distributed import Client

        with Client(self.address, timeout=300) as client:
            client.wait_for_workers(n_workers, timeout=300)

    def kill(self):
        for process in self.started:
            process.kill()
            process.wait()


@pytest.fixture
def dask_processes(tmp_path, monkeypatch):
    monkeypatch.setattr(executors, "_CONNECT_SECONDS", 120)
    processes = DaskProcesses(tmp_path)
    yield processes
    processes.kill()


def test_a_killed_dask_worker_has_its_tasks_done_elsewhere(tmp_path, dask_processes):
    dask_processes.start(n_workers=2)
    dask_processes.wait(n_workers=2)
    settings = ExecutionSettings(executor="dask", scheduler=dask_processes.address)
    results = dict(run_tasks(die_once, str(tmp_path / "marker"), list(range(4)), settings))
    assert results == {task: task for task in range(4)}
    assert sorted(worker.poll() is None for worker in dask_processes.started) == [False, True, True]


BEGUN, LET_GO = Event(), Event()


def wait_at_first(shared, task):
    """The first attempt at task 1 waits for the end of the scheduler."""
    if task == 1 and not BEGUN.is_set():
        BEGUN.set()
        assert LET_GO.wait(600)
    return shared + task


def worker_in_this_process(address):
    """A dask worker that has imported what tasks need; it ends with its scheduler."""
    from distributed import Worker

    async def serve():
        async with Worker(address, nthreads=1, dashboard=False) as worker:
            await worker.finished()

    thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
    thread.start()
    return thread


def test_a_dask_scheduler_that_starts_again_is_given_what_was_in_work(dask_processes, caplog):
    dask_processes.start(n_workers=0)
    workers = [worker_in_this_process(dask_processes.address)]
    dask_processes.wait(n_workers=1)

    def start_again():
        assert BEGUN.wait(600)
        dask_processes.kill()
        LET_GO.set()
        dask_processes.start(n_workers=0)
        workers.append(worker_in_this_process(dask_processes.address))

    other = threading.Thread(target=start_again)
    other.start()
    settings = ExecutionSettings(executor="dask", scheduler=dask_processes.address, recovery_seconds=300)
    ended = list(run_tasks(wait_at_first, 10, [0, 1, 2], settings))
    other.join()
    assert sorted(ended) == [(0, 10), (1, 11), (2, 12)]  # none twice
    # Whether dask's client had found the new scheduler by itself by then is a question of milliseconds.
    assert "the scheduler is back; giving" in caplog.text or "the scheduler began anew; giving" in caplog.text
    dask_processes.kill()
    for worker in workers:
        worker.join(60)


def test_a_scheduler_that_does_not_answer_is_named_and_so_is_what_is_kept(monkeypatch):
    monkeypatch.setattr(executors, "_CONNECT_SECONDS", 1)
    settings = ExecutionSettings(executor="dask", scheduler="tcp://127.0.0.1:9")
    with pytest.raises(KpnnError, match=r"dask at tcp://127\.0\.0\.1:9: no scheduler answers.*" + KEPT):
        list(run_tasks(add, np.ones(1), [1], settings))


def test_a_worker_in_the_schedulers_place_is_told_from_a_scheduler(monkeypatch):
    from distributed import LocalCluster

    monkeypatch.setattr(executors, "_CONNECT_SECONDS", 60)
    with LocalCluster(1, processes=False, protocol="tcp://", host="127.0.0.1", dashboard_address=None) as cluster:
        worker = next(iter(cluster.workers.values()))
        settings = ExecutionSettings(executor="dask", scheduler=worker.address)
        with pytest.raises(KpnnError, match=r"no scheduler answers \(a worker of dask does\).*" + KEPT):
            list(run_tasks(add, np.ones(1), [1], settings))


def test_who_listens_and_says_nothing_is_not_waited_for_for_ever():
    with closing(socket.create_server(("127.0.0.1", free_port()))) as silent:
        settings = ExecutionSettings(executor="dask", scheduler=f"tcp://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(SettingsError, match="no scheduler answers"):
            cluster_and_client(settings, 1, 0.5)


def test_a_client_that_has_noticed_before_anyone_waits_is_told_from_one_that_never_was():
    from distributed import Client

    client = Client(processes=False, n_workers=1, dashboard_address=None)
    future = client.submit(time.sleep, 0)
    client.close()
    with pytest.raises(executors._InWorkLostError, match="the scheduler was lost" + KEPT):
        list(executors._as_they_end(client, [future], "dask there", 600))


def test_workers_times_threads_is_the_number_of_cores():
    cores = len(os.sched_getaffinity(0))
    assert threads_by_task(3, ExecutionSettings(executor="sequential")) == [cores] * 3
    assert threads_by_task(2 * cores, ExecutionSettings(executor="processes", n_workers=-1)) == [1] * 2 * cores
    assert threads_by_task(3, ExecutionSettings(executor="processes", n_workers=1)) == [cores] * 3
    fixed = ExecutionSettings(executor="processes", n_workers=2, threads_per_fit=3)
    assert threads_by_task(5, fixed) == [3] * 5


def test_the_last_tasks_share_the_cores_that_would_be_idle(monkeypatch):
    monkeypatch.setattr("kpnn.training.executors.usable_cores", lambda: 4)
    assert threads_by_task(5, ExecutionSettings(executor="processes", n_workers=4)) == [1, 1, 1, 1, 4]
    assert threads_by_task(6, ExecutionSettings(executor="processes", n_workers=4)) == [1, 1, 1, 1, 2, 2]
    assert threads_by_task(5, ExecutionSettings(executor="dask", scheduler="tcp://elsewhere:8786")) == [1] * 5


def test_dask_without_workers_or_scheduler_is_one_message_that_says_what_is_kept(dask_processes, monkeypatch, caplog):
    from distributed import Client

    dask_processes.start(n_workers=0)
    monkeypatch.setattr(executors, "_LOOK_SECONDS", 0.2)
    client = Client(dask_processes.address, timeout=60)
    never = client.submit(time.sleep, 1)
    with pytest.raises(KpnnError, match=r"dask there: there has been no worker for 0\.4 s" + KEPT):
        list(executors._as_they_end(client, [never], "dask there", 0.4))
    assert "dask there: no worker is left; waiting 0.4 s" in caplog.text  # at once
    threading.Timer(0.5, dask_processes.kill).start()
    with pytest.raises(executors._InWorkLostError, match="the scheduler was lost" + KEPT):
        list(executors._as_they_end(client, [never], "dask there", 600))
    settings = ExecutionSettings(executor="dask", scheduler=dask_processes.address, recovery_seconds=0.5)
    with pytest.raises(KpnnError, match=r"the scheduler was lost.* did not come back for 0\.5 s" + KEPT):
        executors._client_of_next_scheduler(client, settings, "dask there")
    assert "dask there: the scheduler is lost; waiting 0.5 s" in caplog.text


def test_a_client_that_has_lost_its_scheduler_is_closed_without_a_traceback(dask_processes, caplog):
    caplog.set_level(logging.INFO)  # as Kedro's runs have it
    dask_processes.start(n_workers=0)
    settings = ExecutionSettings(executor="dask", scheduler=dask_processes.address)
    _, client = cluster_and_client(settings, 1, 60)
    dask_processes.kill()
    end = time.monotonic() + 60
    while client.status == "running" and time.monotonic() < end:
        time.sleep(0.05)
    assert client.status == "connecting"
    executors._close(client)
    # Seldom, because something has to be on its way at that moment: distributed's own thread prints one for it.
    assert not logging.getLogger("distributed.batched").isEnabledFor(logging.INFO)
    assert [one for one in caplog.records if one.exc_info] == []


def test_a_scheduler_that_does_not_answer_is_lost(monkeypatch):
    import distributed

    class Silent:
        status = "running"
        as_current = nullcontext

        def scheduler_info(self, n_workers):
            self.status = "closed"  # as the client's own attempts to connect again end
            return {}

    def never(*_, **__):
        raise TimeoutError

    monkeypatch.setattr(distributed, "wait", never)
    with pytest.raises(executors._InWorkLostError, match="the scheduler was lost" + KEPT):
        list(executors._as_they_end(Silent(), [object()], "dask there", 600))
