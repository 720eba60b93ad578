"""What every result was made from: content of what it was computed from, settings, kpnn's version."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from pydantic import BaseModel

from kpnn import __version__
from kpnn.files import held_alone, sha256_of, written_whole

_NOT_DECISIVE: dict[str, set[str]] = {
    "modelling": {"resume", "execution", "tracking"},
    "data_engineering": {"in_memory_cells"},
    "dag_selection": {"threads"},
}
"""Settings of a group on which no result depends."""

_ALL_THAT_COUNTS = {
    ("rewire_full", "data_engineering"): {"full_dag"},
    ("alternatives", "controls"): {"alternative"},
    ("alternatives", "interpretation"): {"alternative_dags"},
    ("rivals_of_selection", "controls"): {"alternative", "rewired", "size_curve", "seed"},
    ("rivals_of_selection", "interpretation"): {"alternative_dags"},
}
"""Of a node, or of one of a node's outputs, that takes a group for a few of its settings: which."""


@dataclass(frozen=True)
class Record:
    """How a result came about.

    Attributes:
        dataset: its name in the catalog.
        content: SHA-256 of the file or folder.
        inputs: what it was computed from: path, relative to the project, -> dataset and SHA-256 (None: was not there).
        settings: group of parameters -> those that decide, as they were.
        version: of kpnn.
        seconds: that the node took which made it.
        written: when, in seconds since 1970.
    """

    dataset: str
    content: str | None
    inputs: dict[str, tuple[str, str | None]]
    settings: dict[str, Any]
    version: str = __version__
    seconds: float = 0.0
    written: float = field(default_factory=time.time)


class Ledger:
    """The records of a study's results, by path, in one file; and the fingerprints of files, each computed once."""

    def __init__(self, root: Path, path: Path) -> None:
        """Names the file.

        Args:
            root: of the project; paths are relative to it.
            path: of the file, which is made with the first record.
        """
        self._root, self._path = root, path
        self.records: dict[str, Record] = {}
        self._fingerprints: dict[str, tuple[str, str]] = {}
        self._read()

    def key(self, path: Path) -> str:
        """A path as records name it."""
        whole = self._root / path
        return whole.relative_to(self._root).as_posix() if whole.is_relative_to(self._root) else str(whole)

    def fingerprint(self, key: str) -> str | None:
        """SHA-256 of what lies there now; a file that has not been touched since is not read again."""
        path = self._root / key
        state = _state_of(path)
        known = self._fingerprints.get(key)
        if known is None or known[0] != state:
            known = (state, sha256_of(path) or "")
            self._fingerprints[key] = known
        return known[1] or None

    def add(self, key: str, record: Record) -> None:
        """Keeps a record, and writes all of them down.

        Args:
            key: path of the result.
            record: how it came about.
        """
        with held_alone(self._path.parent):
            self._read()  # another run of the study, such as `predict`, may have added its own
            self.records[key] = record
            kept = {"records": {k: vars(one) for k, one in self.records.items()}, "fingerprints": self._fingerprints}
            with written_whole(self._path) as partial:
                # On one line: indented, JSON is written in Python, which took a seventh of a small study's run.
                partial.write_text(json.dumps(kept), encoding="utf-8")

    def _read(self) -> None:
        try:
            kept = json.loads(self._path.read_text(encoding="utf-8"))
            self.records = {key: _as_record(one) for key, one in kept["records"].items()}
            found = {key: (str(one[0]), str(one[1])) for key, one in kept["fingerprints"].items()}
        except (OSError, ValueError, KeyError, TypeError):
            return  # of no run yet, or of another version: nothing is known about what is there
        self._fingerprints = found | self._fingerprints


def record_of(
    name: str,
    node: Node,
    pipeline: Pipeline,
    catalog: CatalogProtocol,
    ledger: Ledger,
    settings: Mapping[str, BaseModel],
) -> Record:
    """States how a result of a running pipeline came about, once it is written.

    Args:
        name: the result's dataset.
        node: that made it.
        pipeline: what runs.
        catalog: where its datasets lie.
        ledger: knows the fingerprints of files.
        settings: group -> settings of this run.
    """
    inputs: dict[str, tuple[str, str | None]] = {}
    groups: dict[str, Any] = {}
    for source, reader, output in _sources(node, pipeline, catalog):
        group = source.removeprefix("params:")
        path = path_of(catalog, source)
        if group != source:
            of_group = decisive(group, settings)
            counts = _ALL_THAT_COUNTS.get((output, group)) or _ALL_THAT_COUNTS.get((reader, group))
            groups.setdefault(group, {}).update({k: v for k, v in of_group.items() if counts is None or k in counts})
        elif path is not None:
            inputs[ledger.key(path)] = (source, ledger.fingerprint(ledger.key(path)))
    own = path_of(catalog, name)
    content = None if own is None else ledger.fingerprint(ledger.key(own))
    return Record(name, content, inputs, groups)


def decisive(group: str, settings: Mapping[str, BaseModel]) -> dict[str, Any]:
    """The settings of a group on which results depend, as JSON says them.

    Args:
        group: of parameters.
        settings: group -> settings.
    """
    if group not in settings:
        return {}
    found: dict[str, Any] = settings[group].model_dump(mode="json", exclude=_NOT_DECISIVE.get(group))
    if group == "modelling":
        found["tuning"].pop("storage", None)
    return found


def path_of(catalog: CatalogProtocol, name: str) -> Path | None:
    """Where a dataset of files on this machine lies; None for one in memory, elsewhere, or that is no result itself."""
    dataset = catalog.get(name)
    if dataset is None or name.rsplit(".", 1)[-1] == "fold_store":
        return None
    place = str(dataset._describe().get("filepath") or "")
    return Path(place) if place and "://" not in place else None


def is_raw(catalog: CatalogProtocol, name: str) -> bool:
    """Whether a dataset is what a user brings, wherever its file lies."""
    dataset = catalog.get(name)
    metadata = getattr(dataset, "metadata", None) or {}
    is_said = metadata.get("kedro-viz", {}).get("layer") == "raw"
    return bool(is_said or type(dataset).__module__ == "kpnn.datasets.raw")


def _sources(node: Node, pipeline: Pipeline, catalog: CatalogProtocol) -> Iterator[tuple[str, str, str]]:
    """Parameters and datasets on disk that a node's outputs derive from, which node reads each, and for what in memory.

    The last is empty where that is the node itself.
    """
    makers = {output: one for one in pipeline.nodes for output in one.outputs}
    seen: set[tuple[str, str, str]] = set()
    left = [(name, node, "") for name in node.inputs]
    while left:
        name, reader, output = left.pop()
        if (name, reader.name, output) in seen or name == "parameters":
            continue
        seen.add((name, reader.name, output))
        if name.startswith("params:") or path_of(catalog, name) is not None:
            yield name, reader.short_name.rsplit(".", 1)[-1], output
        elif name in makers:
            left.extend((inner, makers[name], name) for inner in makers[name].inputs)


def _as_record(kept: dict[str, Any]) -> Record:
    inputs = {path: (str(name), digest) for path, (name, digest) in kept["inputs"].items()}
    return Record(**{**kept, "inputs": inputs})


def _state_of(path: Path) -> str:
    """Sizes and times of a file, or of a folder's files: what changes when it is written."""
    parts = [path] if path.is_file() else sorted(part for part in path.rglob("*") if part.is_file())
    return ";".join(f"{part.name}:{(s := part.stat()).st_size}:{s.st_mtime_ns}:{s.st_ino}" for part in parts)
