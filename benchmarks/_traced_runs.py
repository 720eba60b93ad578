"""What a command does beyond a folder, as the system sees it: every process and library that it starts included."""

from __future__ import annotations

import ipaddress
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_CALLS = "connect,sendto,sendmsg,sendmmsg,open,openat,creat,rename,renameat,renameat2,mkdir,mkdirat,link,linkat,symlink,symlinkat,unlink,unlinkat,rmdir,truncate"  # noqa: E501
_ADDRESS = re.compile(r'inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"')
_LINE = re.compile(r"^(\d+) +(\w+)\((.*)$")
_PATH = re.compile(r'"((?:[^"\\]|\\.)*)"')


@dataclass
class Traced:
    """What one command did.

    Attributes:
        code: its exit code.
        said: its output.
        addresses: beyond this machine that it turned to.
        written: kind of place -> files and folders that it made, changed or removed there. Kinds: `project`,
            `temporary`, `numba's cache`, `bytecode`, `devices`, `elsewhere`.
        calls: how many calls of the system were looked at.
    """

    code: int
    said: str
    addresses: set[str] = field(default_factory=set)
    written: dict[str, set[str]] = field(default_factory=dict)
    calls: int = 0


def trace(root: Path, *words: str) -> Traced:
    """Runs a command in `root` under strace, in the environment as it is.

    Args:
        root: the project.
        *words: what Python is called with.
    """
    environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "calls"
        strace = ["strace", "-f", "--seccomp-bpf", "-qq", "-s", "4096", "-e", f"trace={_CALLS}", "-o", str(log)]
        ended = subprocess.run(
            [*strace, sys.executable, *words], cwd=root, env=environment, capture_output=True, text=True
        )
        found = Traced(ended.returncode, ended.stdout + ended.stderr)
        with log.open(errors="replace") as lines:
            for call, rest in _calls(lines):
                found.calls += 1
                _note(found, call, rest, root)
    return found


def _calls(lines: Iterator[str]) -> Iterator[tuple[str, str]]:
    """Name and arguments of every call, joined where another process's came between."""
    begun: dict[str, tuple[str, str]] = {}
    for line in lines:
        resumed = re.match(r"^(\d+) +<\.\.\. \w+ resumed>(.*)$", line)
        if resumed:
            name, first = begun.pop(resumed[1], ("", ""))
            yield name, first + resumed[2]
            continue
        whole = _LINE.match(line)
        if whole is None:
            continue
        if whole[3].rstrip().endswith("<unfinished ...>"):
            begun[whole[1]] = (whole[2], whole[3].removesuffix("<unfinished ...>"))
        else:
            yield whole[2], whole[3]
    yield from begun.values()


def _note(found: Traced, call: str, rest: str, root: Path) -> None:
    if call in ("connect", "sendto", "sendmsg", "sendmmsg"):
        for four, six in _ADDRESS.findall(rest):
            address = ipaddress.ip_address(four or six)
            # A name server on this machine asks others.
            if "htons(53)" in rest or not (address.is_loopback or address.is_unspecified):
                found.addresses.add(str(address))
        return
    if re.search(r"= -1 E", rest) or (call in ("open", "openat") and not re.search(r"O_(WRONLY|RDWR|CREAT)", rest)):
        return
    for text in _PATH.findall(rest):
        path = root / text.encode().decode("unicode_escape", errors="replace")
        found.written.setdefault(_kind(path, root), set()).add(str(path))


def _kind(path: Path, root: Path) -> str:
    temporary, cache = Path(tempfile.gettempdir()).resolve(), os.environ.get("NUMBA_CACHE_DIR")
    if path.is_relative_to(root):
        return "project"
    if path.suffix in (".nbi", ".nbc") or re.search(r"\.nb[ic]\.", path.name) or (cache and path.is_relative_to(cache)):
        return "numba's cache"
    if "__pycache__" in path.parts:
        return "bytecode"
    if path.parts[1:2] in (("dev",), ("proc",)):
        return "devices"
    return "temporary" if path.is_relative_to(temporary) else "elsewhere"
