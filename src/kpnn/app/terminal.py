"""Messages and log lines as a terminal can hold them: long ones are broken between words."""

from __future__ import annotations

import logging
import shutil
import sys
import textwrap
from collections.abc import Callable
from typing import IO, Any

import click
from kedro.framework.hooks import hook_impl

_LEAST_WIDTH = 60
"""Columns below which a terminal breaks lines itself: nothing would be gained beside the time and the level."""


def terminal_width(stream: IO[str] | None = None) -> int | None:
    """Columns of the terminal that is written to; None where it goes into a file or a pipe.

    Args:
        stream: what is written to; by default standard error.
    """
    return shutil.get_terminal_size().columns if (stream or sys.stderr).isatty() else None


def broken(text: str, width: int | None, indent: str = "") -> str:
    """A text whose lines are no longer than a terminal is wide, broken between words and never inside a name.

    Args:
        text: of one line or several.
        width: columns there are; None where lines may have any length.
        indent: what the lines begin with that a long one goes on in.

    Examples:
        >>> print(broken("Error: " + "a long message " * 5, 60, "  "))
        Error: a long message a long message a long message a long
          message a long message
    """
    if width is None or width < _LEAST_WIDTH:
        return text
    lines = []
    for line in text.splitlines():
        if len(line) <= width:  # a table keeps its blanks
            lines.append(line)
        else:
            lines += textwrap.wrap(
                line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
            )
    return "\n".join(lines)


class TerminalFormatter(logging.Formatter):
    """Formats a record; in a terminal no line is longer than the terminal is wide.

    Files and pipes get one line for each message, as programs that read them expect.
    """

    width: Callable[[], int | None] = staticmethod(terminal_width)
    """How many columns there are; None where lines may have any length."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The record in as many lines as it takes; the lines of a message stand below each other.

        Args:
            record: what is logged, its message made.
        """
        whole = super().formatMessage(record)
        return broken(whole, self.width(), " " * max(whole.find(record.message), 0))


class Failure(click.ClickException):
    """What ends a command, said in a message that in a terminal is broken between words."""

    def show(self, file: IO[Any] | None = None) -> None:
        """Prints the message.

        Args:
            file: where to; by default standard error.
        """
        click.echo(broken(f"Error: {self.format_message()}", terminal_width()), file=file, err=file is None)


class TerminalHook:
    """Lets what a project logs with break its lines, in the form that its `logging.yml` gives them.

    Kedro takes no formatter of others from that file.
    """

    @hook_impl(tryfirst=True)
    def after_context_created(self) -> None:
        """Changes how the root logger's lines to a terminal are written."""
        for handler in logging.getLogger().handlers:
            if type(handler) is logging.StreamHandler and type(handler.formatter) is logging.Formatter:
                handler.setFormatter(TerminalFormatter(handler.formatter._fmt, handler.formatter.datefmt))
