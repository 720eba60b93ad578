"""A run that is silent says that it is at work."""

import logging
import pickle
import threading
import time
from types import SimpleNamespace

import pytest

from kpnn.app.pulse import PulseHook
from kpnn.doings import telling


def hear(caplog, of, times, within=20.0):
    """Waits until it was said that something is at work, however slow the machine is."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        found = [record.message for record in caplog.records if record.name == "kpnn.app.pulse"]
        if sum(message.startswith(f"{of}: at work for ") for message in found) >= times:
            return
        time.sleep(0.01)
    raise AssertionError(f"of {of} nothing was said within {within} s")


def begin(hook):
    """What Kedro does with a wrapper, where the other hooks find nothing wrong."""
    looking = hook.before_pipeline_run()
    next(looking)
    assert next(looking, "over") == "over"


def test_what_is_looked_at_before_the_first_node_is_not_silent_either(caplog):
    caplog.set_level(logging.INFO)
    hook = PulseHook(seconds=0.05)
    looking = hook.before_pipeline_run()
    next(looking)
    hear(caplog, of="before the first node", times=1)
    with pytest.raises(ValueError, match="a file is missing"):
        looking.throw(ValueError("a file is missing"))
    assert hook._word not in logging.getLogger().handlers
    assert hook._ended.is_set()


def test_silence_is_broken_by_the_name_of_the_node(caplog):
    caplog.set_level(logging.INFO)
    hook = PulseHook(seconds=0.05)
    begin(hook)
    try:
        hook.before_node_run(SimpleNamespace(name="select_dag"))
        hear(caplog, of="select_dag", times=2)
    finally:
        hook.after_pipeline_run()
    assert hook._word not in logging.getLogger().handlers


def test_how_far_it_has_come_stands_beside_it(caplog):
    caplog.set_level(logging.INFO)
    hook = PulseHook(seconds=0.05)
    begin(hook)
    try:
        with telling(lambda: "7 of 9 networks still train"):
            hear(caplog, of="before the first node", times=2)
    finally:
        hook.after_pipeline_run()
    assert any(record.message.endswith(" s; 7 of 9 networks still train") for record in caplog.records)


def test_who_speaks_is_not_interrupted(caplog):
    caplog.set_level(logging.INFO)
    hook = PulseHook(seconds=1000.0)
    begin(hook)
    before = hook._word.at
    hook.before_node_run(SimpleNamespace(name="select_dag"))
    time.sleep(0.01)
    logging.getLogger("kpnn.elsewhere").info("a word")
    assert hook._word.at > before
    hook.on_pipeline_error()
    for thread in threading.enumerate():
        if thread.name == "kpnn-pulse":
            thread.join(10)
            assert not thread.is_alive()
    assert not any(record.name == "kpnn.app.pulse" for record in caplog.records)


def test_a_copy_in_another_process_is_silent():
    hook = PulseHook(seconds=3.0)
    begin(hook)
    try:
        assert pickle.loads(pickle.dumps(hook))._seconds == 3.0
    finally:
        hook.after_pipeline_run()
