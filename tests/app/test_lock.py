"""One writer per study; what only looks is not hindered, and what a killed run left is taken over."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from kpnn.app.lock import Claim, StudyLock
from kpnn.errors import KpnnError
from kpnn.processes import Process

MAKER = Claim("demo", makes=True, writes=("data/a",))
READER = Claim("demo", makes=False, writes=("data/b",))
OTHER_READER = Claim("demo", makes=False, writes=("data/c",))


class Holder:
    """Another process that holds a study."""

    def __init__(self, folder: Path, makes: bool, writes: tuple[str, ...]) -> None:
        ready, told = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            StudyLock(folder).acquire(Claim("demo", makes, writes, command="kedro run --env demo"))
            os.write(told, b"x")
            time.sleep(600)
            os._exit(0)
        os.read(ready, 1)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


@pytest.fixture
def hold(tmp_path):
    held = []

    def start(claim: Claim) -> Holder:
        held.append(Holder(tmp_path / "demo", claim.makes, claim.writes))
        return held[-1]

    yield start
    for holder in held:
        with suppress(ProcessLookupError):
            holder.kill()


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        (MAKER, MAKER, False),
        (MAKER, READER, True),
        (READER, MAKER, True),
        (READER, OTHER_READER, True),
        (READER, READER, False),
    ],
)
def test_what_can_go_on_side_by_side(first, second, together, hold, tmp_path):
    holder = hold(first)
    lock = StudyLock(tmp_path / "demo")
    if together:
        lock.acquire(second)
        lock.release()
        return
    with pytest.raises(
        KpnnError, match=rf"study demo is being run by process {holder.pid} on .*`kedro run --env demo`"
    ):
        lock.acquire(second)


def test_other_studies_do_not_wait(hold, tmp_path):
    hold(MAKER)
    lock = StudyLock(tmp_path / "other")
    lock.acquire(MAKER)
    assert len(list((tmp_path / "other").glob("*.run"))) == len(list((tmp_path / "demo").glob("*.run"))) == 1
    lock.release()
    assert not list((tmp_path / "other").glob("*.run")) and list((tmp_path / "demo").glob("*.run"))


def test_the_lock_of_a_killed_process_is_taken_over_and_said(hold, tmp_path, caplog):
    holder = hold(MAKER)
    holder.kill()
    lock = StudyLock(tmp_path / "demo")
    lock.acquire(MAKER)
    assert f"process {holder.pid}" in caplog.text and "taken over" in caplog.text
    lock.release()
    assert list((tmp_path / "demo").iterdir()) == []
    lock.acquire(MAKER)
    lock.release()


def test_half_a_lock_is_taken_over(tmp_path, caplog):
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "abc.run").write_text('{"study": "de')
    lock = StudyLock(tmp_path / "demo")
    lock.acquire(MAKER)
    lock.release()
    assert "taken over" in caplog.text and list((tmp_path / "demo").iterdir()) == []


def test_a_process_is_told_from_a_later_one_of_its_number():
    here = Process.this()
    assert not here.is_dead and Process.from_text(str(here)) == here
    assert Process(here.host, here.pid, here.started - 60).is_dead or here.started == 0
    assert not Process("another-host", 1, 1.0).is_dead
    assert Process.from_text("nothing") is None
    child = os.fork()
    if child == 0:
        os._exit(0)
    time.sleep(0.1)
    assert Process(here.host, child, here.started).is_dead or here.started == 0  # a zombie
    os.waitpid(child, 0)
    assert Process(here.host, child, here.started).is_dead
