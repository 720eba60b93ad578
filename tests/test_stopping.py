"""Work on several threads: at once, and told to stop together."""

from __future__ import annotations

from threading import Barrier, Event

import pytest

from kpnn.stopping import SideBySide, asked_to_stop


def test_pieces_of_work_go_on_at_once_and_each_gives_its_result():
    met = Barrier(2, timeout=30)
    with SideBySide(2) as steps:
        found = [steps.begin(lambda name=name: (name, met.wait())[0]) for name in ("a", "b")]
    assert [one.result() for one in found] == ["a", "b"]


def test_one_at_a_time_keeps_the_order():
    seen = []
    with SideBySide(1) as steps:
        for name in "abc":
            steps.begin(lambda name=name: seen.append(name))
    assert seen == ["a", "b", "c"]


class LongWork:
    """Goes on until it is asked to stop."""

    def __init__(self) -> None:
        self.begun, self.stopped = Event(), Event()

    def __call__(self) -> None:
        asked = asked_to_stop()
        self.begun.set()
        if asked.wait(30):
            self.stopped.set()


def test_the_error_of_one_stops_the_other():
    work = LongWork()

    def fails() -> None:
        assert work.begun.wait(30)
        raise ValueError("of this piece")

    with pytest.raises(ValueError, match="of this piece"), SideBySide(2) as steps:
        steps.begin(work)
        steps.begin(fails).result()
    assert work.stopped.is_set()


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_error_in_the_block_stops_what_has_begun_and_begins_nothing_else(error):
    work, never = LongWork(), Event()
    with pytest.raises(error), SideBySide(1) as steps:
        steps.begin(work)
        steps.begin(never.set)
        assert work.begun.wait(30)
        raise error
    assert work.stopped.is_set() and not never.is_set()
