"""Says that a run is at work where nothing else is said: compilation and proofs take their time in silence."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Generator
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.pipeline.node import Node

from kpnn.doings import told

_log = logging.getLogger(__name__)


class _LastWord(logging.Handler):
    """Remembers when something was last said."""

    def __init__(self) -> None:
        super().__init__(level=logging.INFO)
        self.at = time.monotonic()

    def emit(self, record: logging.LogRecord) -> None:  # noqa: ARG002 - logging's signature
        self.at = time.monotonic()


class PulseHook:
    """Logs which node is at work, for how long and how far it has come, whenever nothing was logged for a while."""

    def __init__(self, seconds: float = 4.0):
        """Does nothing until a pipeline runs.

        Args:
            seconds: of silence before a line is logged; a busy machine may add one, and five are too many.
        """
        self._seconds = seconds
        self._node, self._begun = "", time.monotonic()
        self._word = _LastWord()
        self._ended = threading.Event()

    @hook_impl(wrapper=True)
    def before_pipeline_run(self) -> Generator[None, Any, Any]:
        """Begins to listen; around what other hooks look at before the first node, which large files make long."""
        self._begin()
        try:
            return (yield)
        except BaseException:  # of a run that does not begin, Kedro tells no hook that it ended
            self._end()
            raise

    def _begin(self) -> None:
        self._ended = threading.Event()
        self._node, self._begun = "before the first node", time.monotonic()
        self._word.at = time.monotonic()
        logging.getLogger().addHandler(self._word)
        threading.Thread(target=self._watch, args=(self._ended,), name="kpnn-pulse", daemon=True).start()

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        """Notes which node is at work."""
        self._node, self._begun = node.name, time.monotonic()

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Ends."""
        self._end()

    @hook_impl
    def on_pipeline_error(self) -> None:
        """Ends."""
        self._end()

    def _end(self) -> None:
        self._ended.set()
        logging.getLogger().removeHandler(self._word)

    def _watch(self, ended: threading.Event) -> None:
        while not ended.wait(max(0.01, self._word.at + self._seconds - time.monotonic())):
            if time.monotonic() - self._word.at >= self._seconds:
                far = told()
                seconds = time.monotonic() - self._begun
                _log.info("%s: at work for %.0f s%s", self._node, seconds, f"; {far}" if far else "")

    def __getstate__(self) -> dict[str, Any]:
        """Without what cannot be sent to another process; a copy there is silent."""
        return {"_seconds": self._seconds}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["_seconds"])  # type: ignore[misc]
