"""An error that a user can mend is one message on the command line, not a traceback."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import click
from kedro.io import DatasetError

from kpnn.addresses import without_credentials
from kpnn.app.endings import full_disk, hiding_credentials, interrupted
from kpnn.app.terminal import Failure
from kpnn.errors import KpnnError, SettingsError


class _WrongInput(Failure):
    exit_code = 2  # as of a wrong option


@contextmanager
def as_messages(*, checking: bool = False) -> Iterator[None]:
    """Turns what a user can mend, inside the block, into click's errors.

    Args:
        checking: whether the command does nothing but check, so that whatever is wrong is a wrong input (exit code 2).
    """
    try:
        yield
    except KeyboardInterrupt as end:
        raise interrupted(end) from None
    except Exception as error:
        explanation = _explanation(error) or full_disk(error)
        if explanation is None:
            raise hiding_credentials(error) from None
        if logging.getLogger("kpnn").isEnabledFor(logging.DEBUG):
            click.secho(traceback.format_exc(), nl=False, err=True)
        kind = _WrongInput if checking or isinstance(explanation, SettingsError) else Failure
        raise kind(without_credentials(str(explanation))) from error


def _explanation(error: BaseException) -> KpnnError | DatasetError | None:
    """The innermost error whose message is meant for the user in a chain of exceptions, or None if there is none."""
    found: KpnnError | DatasetError | None = None
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, KpnnError) or (found is None and isinstance(link, DatasetError)):
            found = link
        # What was hidden by `from None` has been said better by the error that hides it.
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return found


@contextmanager
def collected_warnings() -> Iterator[list[str]]:
    """Collects what the library warns of inside the block; nothing is logged meanwhile."""
    found: list[str] = []

    class Collects(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno >= logging.WARNING:
                found.append(record.getMessage())

    handler, loggers = Collects(), {name: logging.getLogger(name) for name in ("kpnn", "kedro")}
    before = {name: (logger.level, logger.propagate, logger.handlers[:]) for name, logger in loggers.items()}
    for name, logger in loggers.items():
        # Without any handler Python's own, of last resort, prints what loggers below this one say.
        logger.handlers, logger.propagate = [handler if name == "kpnn" else logging.NullHandler()], False
        logger.setLevel(logging.WARNING if name == "kpnn" else logging.CRITICAL)
    try:
        yield found
    finally:
        for name, (level, propagate, handlers) in before.items():
            loggers[name].setLevel(level)
            loggers[name].propagate, loggers[name].handlers = propagate, handlers
