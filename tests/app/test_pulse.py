"""A run that is silent says that it is at work."""

import logging
import pickle
import threading
import time
from types import SimpleNamespace

from kpnn.app.pulse import PulseHook


def said(caplog, until, within=20.0):
    """Waits until something was said, however slow the machine is."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        found = [record.message for record in caplog.records if record.name == "kpnn.app.pulse"]
        if len(found) >= until:
            return found
        time.sleep(0.01)
    raise AssertionError(f"nothing was said within {within} s")


def test_silence_is_broken_by_the_name_of_the_node(caplog):
    caplog.set_level(logging.INFO)
    hook = PulseHook(seconds=0.05)
    hook.before_pipeline_run()
    try:
        hook.before_node_run(SimpleNamespace(name="select_dag"))
        assert said(caplog, until=2)[0].startswith("select_dag: at work for ")
    finally:
        hook.after_pipeline_run()
    assert hook._word not in logging.getLogger().handlers


def test_who_speaks_is_not_interrupted(caplog):
    caplog.set_level(logging.INFO)
    hook = PulseHook(seconds=1000.0)
    hook.before_pipeline_run()
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
    hook.before_pipeline_run()
    try:
        assert pickle.loads(pickle.dumps(hook))._seconds == 3.0
    finally:
        hook.after_pipeline_run()
