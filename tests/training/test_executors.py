"""Executors: every task once, errors travel back, a worker that dies costs nothing but time."""

import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from kpnn.errors import KpnnError, SettingsError
from kpnn.training import executors
from kpnn.training.executors import run_tasks, threads_by_task
from kpnn.training.settings import ExecutionSettings


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


@pytest.mark.parametrize("executor", ["sequential", "processes", "dask"])
def test_every_task_is_done_once_and_errors_come_back(executor):
    settings = ExecutionSettings(executor=executor, n_workers=2)
    shared = np.ones(100_000)
    results = dict(run_tasks(add, shared, [1, 13, 5], settings))
    assert results[0] == 2.0
    assert results[2] == 6.0
    assert isinstance(results[1], ValueError)


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


def test_a_killed_dask_worker_has_its_tasks_done_elsewhere(tmp_path, monkeypatch):
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    port = address.rsplit(":", 1)[1]
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard"]
    # Workers import this module to find the task's function.
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": environment, "cwd": tmp_path}
    started = [subprocess.Popen([*dask, "--host", "127.0.0.1", "--port", port, "--no-dashboard"], **options)]
    try:
        started += [subprocess.Popen([*worker, "--no-nanny", "--host", "127.0.0.1"], **options) for _ in range(2)]
        _wait_for_workers(address, 2)
        monkeypatch.setattr(executors, "_CONNECT_SECONDS", 120)
        settings = ExecutionSettings(executor="dask", scheduler=address)
        results = dict(run_tasks(die_once, str(tmp_path / "marker"), list(range(4)), settings))
        assert results == {task: task for task in range(4)}
        assert sorted(worker.poll() is None for worker in started) == [False, True, True]
    finally:
        for process in started:
            process.kill()
            process.wait()


def _wait_for_workers(address, n):
    from distributed import Client

    with Client(address, timeout=300) as client:
        client.wait_for_workers(n, timeout=300)


def test_a_scheduler_that_does_not_answer_is_named():
    settings = ExecutionSettings(executor="dask", scheduler="tcp://127.0.0.1:9")
    with pytest.raises(SettingsError, match=r"tcp://127\.0\.0\.1:9"):
        list(run_tasks(add, np.ones(1), [1], settings))


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


def test_dask_without_workers_or_scheduler_is_one_message_that_says_what_is_kept(monkeypatch, tmp_path, caplog):
    from distributed import Client

    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
    scheduler = subprocess.Popen([*command, "--no-dashboard"], **quiet)
    kept = r".*Finished folds.*are kept.*the same command goes on"
    try:
        with Client(address, timeout=60) as client:
            never = client.submit(time.sleep, 1)
            monkeypatch.setattr(executors, "_LOOK_SECONDS", 0.2)
            monkeypatch.setattr(executors, "_ALONE_SECONDS", 0.4)
            with pytest.raises(KpnnError, match=r"dask there: there has been no worker for 0\.4 s" + kept):
                list(executors._as_they_end(client, [never], "dask there"))
            assert "dask there: no worker is left; waiting 0.4 s" in caplog.text  # at once
            monkeypatch.setattr(executors, "_ALONE_SECONDS", 600)
            threading.Timer(0.5, scheduler.kill).start()
            with pytest.raises(KpnnError, match=r"dask there: the scheduler (is gone|was lost)" + kept):
                list(executors._as_they_end(client, [never], "dask there"))
    finally:
        scheduler.kill()
        scheduler.wait()
