"""Which of several errors, one raised while another was handled, a user is shown."""

from __future__ import annotations

import logging

import click
import pytest

from kpnn.app.messages import as_messages, collected_warnings
from kpnn.errors import KpnnError, SettingsError


def failing(*, hidden: bool) -> None:
    try:
        raise SettingsError("no scheduler answers")
    except SettingsError as error:
        raise KpnnError("the scheduler was lost; finished folds are kept") from None if hidden else error


def test_the_error_that_says_the_cause_is_shown() -> None:
    with pytest.raises(click.ClickException) as shown, as_messages():
        failing(hidden=False)
    assert (shown.value.message, shown.value.exit_code) == ("no scheduler answers", 2)


def test_an_error_that_was_hidden_is_not_shown_in_place_of_the_one_that_hides_it() -> None:
    with pytest.raises(click.ClickException) as shown, as_messages():
        failing(hidden=True)
    assert (shown.value.message, shown.value.exit_code) == ("the scheduler was lost; finished folds are kept", 1)


def test_nothing_is_printed_while_warnings_are_collected(capfd) -> None:
    runner = logging.getLogger("kedro.runner.of_a_test")
    runner.setLevel(logging.WARNING)  # as Kedro's own configuration may have it
    with collected_warnings() as found:
        runner.warning("resume with --from-nodes")
        logging.getLogger("kpnn.cells").warning("few cells")
    assert found == ["few cells"]
    assert capfd.readouterr() == ("", "")
