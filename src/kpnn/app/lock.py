"""One writer per study: every run says, in a file that it holds, what it writes; another run looks there first."""

from __future__ import annotations

import atexit
import fcntl
import json
import logging
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

from kpnn.addresses import without_credentials
from kpnn.errors import KpnnError
from kpnn.files import held_alone
from kpnn.processes import Process

_log = logging.getLogger(__name__)

_ORPHANS_SECONDS = 5.0  # processes of a run that was killed hold its file until they notice
_LONG_COMMAND = 60  # characters


@dataclass(frozen=True)
class Claim:
    """What a run is about to do in a study.

    Attributes:
        study: the study.
        makes: it writes what other pipelines read; false for one that looks at results, as `predict` does.
        writes: paths of the files and folders that it writes.
        process: whose it is.
        command: as it was typed, without credentials.
    """

    study: str
    makes: bool
    writes: tuple[str, ...]
    process: str = field(default_factory=lambda: str(Process.this()))
    command: str = field(default_factory=lambda: without_credentials(" ".join(["kedro", *sys.argv[1:]])))

    def hinders(self, other: Claim) -> bool:
        """Whether two runs cannot go on side by side."""
        return (self.makes and other.makes) or bool(set(self.writes) & set(other.writes))

    @property
    def words(self) -> str:
        """Whose it is, for a person to read."""
        process = Process.from_text(self.process)
        command = self.command if len(self.command) <= _LONG_COMMAND else f"{self.command[:_LONG_COMMAND]}..."
        return f"{process.words if process else self.process} (`{command}`)"


class StudyLock:
    """Holds a run's claim on its study until the run, or its process, is over."""

    def __init__(self, folder: Path) -> None:
        """Names the place of the claims on one study.

        Args:
            folder: made where it does not exist.
        """
        self._folder = folder
        self._held: tuple[Path, IO[str]] | None = None

    def acquire(self, claim: Claim) -> None:
        """Takes the study for a run.

        Args:
            claim: what the run is about to do.

        Raises:
            KpnnError: another run is at work on the same; it is named.
        """
        with held_alone(self._folder):
            for path in sorted(self._folder.glob("*.run")):
                other = _claim_of(path)
                if other is None:
                    _log.warning(
                        "study %s: a run that was killed left its lock (%s); it is taken over", claim.study, path
                    )
                elif isinstance(other, _Stale):
                    _log.warning(
                        "study %s: %s did not end as runs do; its lock is taken over, and what it finished is kept",
                        claim.study,
                        other.claim.words,
                    )
                elif claim.hinders(other):
                    raise KpnnError(
                        f"study {claim.study} is being run by {other.words}: wait for it, or end it first; other "
                        "studies (--env) can run beside it"
                    )
                if not isinstance(other, Claim):
                    path.unlink(missing_ok=True)
            self._hold(claim)
        atexit.register(self.release)

    def release(self) -> None:
        """Gives the study back."""
        if self._held is None:
            return
        path, file = self._held
        self._held = None
        path.unlink(missing_ok=True)
        file.close()
        atexit.unregister(self.release)

    def _hold(self, claim: Claim) -> None:
        path = self._folder / f"{uuid.uuid4().hex[:12]}.run"
        file = path.open("w", encoding="utf-8")
        fcntl.flock(file, fcntl.LOCK_EX)
        json.dump(asdict(claim), file)
        file.flush()
        self._held = path, file


@dataclass(frozen=True)
class _Stale:
    claim: Claim


def _claim_of(path: Path) -> Claim | _Stale | None:
    """The claim of a run at work, that of one that is over, or None where the file says nothing."""
    try:
        file = path.open("r+", encoding="utf-8")
    except FileNotFoundError:
        return None
    with file:
        claim = _read(file)
        for _ in _attempts(claim):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            return None if claim is None else _Stale(claim)
    return claim or Claim("", makes=True, writes=(), process="another run", command="kedro run")


def _read(file: IO[str]) -> Claim | None:
    try:
        found = json.load(file)
        return Claim(**{**found, "writes": tuple(found["writes"])})
    except (ValueError, TypeError, KeyError):
        return None


def _attempts(claim: Claim | None) -> Iterator[None]:
    """Once; for some seconds where the process is dead and only what it started holds its file still."""
    yield
    process = None if claim is None else Process.from_text(claim.process)
    end = time.monotonic() + _ORPHANS_SECONDS
    while process is not None and process.is_dead and time.monotonic() < end:
        time.sleep(0.1)
        yield
