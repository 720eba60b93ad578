"""Which process is at work, told apart from an earlier one with the same number; and the cores that it may use."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path

_SAME_SECONDS = 3.0  # the clock may be set while a process runs


def usable_cores() -> int:
    """Cores that this process may use, which a scheduler or a container may have made fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Process:
    """A process on some machine.

    Attributes:
        host: name of the machine.
        pid: the process's number.
        started: when it started, in seconds since 1970; 0 where the system does not tell.
    """

    host: str
    pid: int
    started: float

    @classmethod
    def this(cls) -> Process:
        """The process that asks."""
        pid = os.getpid()
        return cls(socket.gethostname(), pid, round(_start_of(pid) or 0.0, 1))

    @classmethod
    def from_text(cls, text: str) -> Process | None:
        """What `str` made of a process; None if the text says something else."""
        host, _, numbers = text.partition(" ")
        try:
            pid, started = numbers.split()
            return cls(host, int(pid), float(started))
        except ValueError:
            return None

    def __str__(self) -> str:
        return f"{self.host} {self.pid} {self.started:.1f}"

    @property
    def is_dead(self) -> bool:
        """Whether it ran on this machine and is over; of another machine's processes nothing is known."""
        if self.host != socket.gethostname():
            return False
        if not _exists(self.pid):
            return True
        started = _start_of(self.pid)
        return bool(started and self.started) and abs((started or 0.0) - self.started) > _SAME_SECONDS

    @property
    def words(self) -> str:
        """For a person to read, such as `process 4242 on ada since 2026-11-25 10:00`."""
        since = time.strftime(" since %Y-%m-%d %H:%M", time.localtime(self.started)) if self.started else ""
        return f"process {self.pid} on {self.host}{since}"


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # someone else's
    return True


def _start_of(pid: int) -> float | None:
    """When a process started, as Linux tells; None elsewhere."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime "))
    except (OSError, StopIteration):
        return None
    if state == "Z":
        return 1.0  # no process at work started then
    return float(boot.split()[1]) + int(fields[18]) / os.sysconf("SC_CLK_TCK")
