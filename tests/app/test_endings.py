"""A run that is stopped, or meets a full disk or an error that nobody foresaw, ends in words."""

from __future__ import annotations

import errno
import os
import signal
import sqlite3

import click
import pytest
from click.testing import CliRunner

from kpnn.app.endings import Terminated, full_disk, terminable
from kpnn.app.hooks import BeforeRunHook
from kpnn.app.messages import as_messages
from kpnn.app.mlflow_hook import ForgivingMlflowHook
from kpnn.errors import DiskFullError
from kpnn.files import written_whole


def ended(action) -> tuple[int, str]:
    """Exit code and output of a command that does something in the way of `kedro run`."""

    @click.command()
    def command() -> None:
        with as_messages(), terminable():
            action()

    done = CliRunner().invoke(command)
    return done.exit_code, done.output


@pytest.fixture(autouse=True)
def no_run(monkeypatch):
    """Other tests may have left a run of this process."""
    monkeypatch.setattr("kpnn.app.endings._before_run", lambda: None)


@pytest.fixture
def hears_ctrl_c():
    """What runs in the background of a shell ignores Ctrl-C from its birth."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(("number", "code", "name"), [(signal.SIGTERM, 143, "SIGTERM"), (signal.SIGINT, 130, "SIGINT")])
@pytest.mark.usefixtures("hears_ctrl_c")
def test_a_signal_ends_a_run_with_its_own_code_and_one_line(number, code, name):
    before = signal.getsignal(signal.SIGTERM)
    assert ended(lambda: os.kill(os.getpid(), number)) == (code, f"Error: stopped by {name}\n")
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.usefixtures("hears_ctrl_c")
def test_a_run_that_is_stopped_is_closed_and_says_which_folds_are_kept(tmp_path, monkeypatch):
    hook = BeforeRunHook(ForgivingMlflowHook())
    closed = []
    monkeypatch.setattr(hook._mlflow, "close_runs", closed.append)
    monkeypatch.setattr(hook, "_stores", (tmp_path / "06_models" / "full",))
    monkeypatch.setattr("kpnn.app.endings._before_run", lambda: hook)
    none = "no fold was finished yet, finished trials are kept, and the same command goes on"
    assert ended(lambda: os.kill(os.getpid(), signal.SIGTERM)) == (143, f"Error: stopped by SIGTERM: {none}\n")
    fold = tmp_path / "06_models" / "full" / "repeat_0_fold_0"
    fold.mkdir(parents=True)
    (fold / "manifest.json").write_text("{}")
    kept = f"finished folds are kept in {tmp_path / '06_models'}, and the same command goes on from there"
    assert ended(lambda: os.kill(os.getpid(), signal.SIGTERM)) == (143, f"Error: stopped by SIGTERM: {kept}\n")
    assert closed == ["KILLED", "KILLED"]


def test_a_second_signal_does_not_stop_the_clearing_up():
    cleared = []
    with pytest.raises(Terminated), terminable():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            cleared.append(True)
    assert cleared


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_names_the_file_and_leaves_the_old_one(code, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(DiskFullError, match=rf"^{path}: the disk is full"), written_whole(path):
        raise OSError(code, "no room")
    assert path.read_text() == "old" and [entry.name for entry in tmp_path.iterdir()] == ["table.csv"]


def test_a_full_disk_is_known_from_what_other_libraries_say_of_it():
    def save() -> None:
        try:
            raise sqlite3.OperationalError("database or disk is full")
        except sqlite3.OperationalError as error:
            raise ValueError("trial could not be kept") from error

    code, output = ended(save)
    assert code == 1 and output.startswith("Error: the disk is full; make room")
    assert full_disk(ValueError("something else")) is None


def test_an_error_that_nobody_foresaw_shows_no_password():
    def fail() -> None:
        raise RuntimeError("cannot reach http://ada:lovelace@host/x")

    code, output = ended(fail)
    assert code == 1
    assert "RuntimeError: cannot reach http://***@host/x" in output and "lovelace" not in output
