"""Log lines as a terminal can hold them: long ones are broken between words, below their own beginning."""

from __future__ import annotations

import logging
import shutil
import sys
import textwrap
from collections.abc import Callable

from kedro.framework.hooks import hook_impl

_LEAST_WIDTH = 60
"""Columns below which a terminal breaks lines itself: nothing would be gained beside the time and the level."""


def terminal_width() -> int | None:
    """Columns of the terminal that standard error goes to; None where it goes into a file or a pipe."""
    return shutil.get_terminal_size().columns if sys.stderr.isatty() else None


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
        whole, width = super().formatMessage(record), self.width()
        if width is None or width < _LEAST_WIDTH:
            return whole
        indent = " " * max(whole.find(record.message), 0)
        lines = []
        for line in whole.splitlines():
            if len(line) <= width:  # a table keeps its blanks
                lines.append(line)
            else:
                lines += textwrap.wrap(
                    line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
                )
        return "\n".join(lines)


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
