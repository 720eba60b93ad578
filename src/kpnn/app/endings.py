"""How a run that is stopped from outside ends: everything closed, and said what is kept."""

from __future__ import annotations

import signal
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import click
from kedro.framework.project import settings

from kpnn.addresses import without_credentials
from kpnn.app.hooks import BeforeRunHook
from kpnn.app.terminal import Failure
from kpnn.errors import DiskFullError
from kpnn.files import is_disk_full


class Terminated(KeyboardInterrupt):
    """The process was asked to end by SIGTERM, as batch systems do."""


class _StoppedByUser(Failure):
    exit_code = 128 + signal.SIGINT


class _StoppedBySystem(Failure):
    exit_code = 128 + signal.SIGTERM


@contextmanager
def terminable() -> Iterator[None]:
    """Within the block SIGTERM ends what is done as Ctrl-C does: by an exception, with all clearing up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - Python's signature
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not stop the clearing up
    raise Terminated


def interrupted(end: KeyboardInterrupt) -> click.ClickException:
    """Clears up after a run that was interrupted; returns what to tell the user.

    Args:
        end: how it was interrupted.
    """
    hook = _before_run()
    kept = ""
    if hook is not None:
        hook.interrupted()
        kept = hook.kept
    name, kind = ("SIGTERM", _StoppedBySystem) if isinstance(end, Terminated) else ("SIGINT", _StoppedByUser)
    return kind(f"stopped by {name}{f': {kept}' if kept else ''}")


def full_disk(error: BaseException) -> DiskFullError | None:
    """What to say about an error that comes from a full disk, whichever library met it; None for every other error.

    Args:
        error: that ended the run.
    """
    link: BaseException | None = error
    while link is not None:
        if is_disk_full(link):
            file = getattr(link, "filename", None)
            hook = _before_run()
            kept = f"; {hook.kept}" if hook is not None and hook.kept else ""
            return DiskFullError(f"{f'{file}: ' if file else ''}the disk is full; make room{kept}")
        link = link.__cause__ or link.__context__
    return None


def hiding_credentials(error: Exception) -> BaseException:
    """The error itself, or, where its text would show credentials, an exit after the text without them.

    Args:
        error: that nobody foresaw.
    """
    text = "".join(traceback.format_exception(error))
    hidden = without_credentials(text)
    if hidden == text:
        return error
    click.echo(hidden, err=True)
    return SystemExit(1)


def _before_run() -> BeforeRunHook | None:
    return next((hook for hook in settings.HOOKS if isinstance(hook, BeforeRunHook)), None)
