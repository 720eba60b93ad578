"""Whether results are what their study, as it is configured now, would give: by the records of what made them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from kedro.pipeline import Pipeline
from pydantic import BaseModel

from kpnn import __version__
from kpnn.app.ledger import Ledger, Record, decisive
from kpnn.errors import some_names

STAGES = ("data_engineering", "dag_pruning", "modelling", "reporting")
"""The pipelines of a study, in their order."""

_MOST_CHANGES = 3
"""Changed settings that one finding names."""


@dataclass(frozen=True)
class Finding:
    """Why a result is not current.

    Attributes:
        dataset: the result.
        kind: it was made by other `settings`, from another `input`, by another `version`, or its `content` is not what
            a run left.
        words: what changed, in words.
    """

    dataset: str
    kind: Literal["settings", "input", "version", "content"]
    words: str


def findings(keys: list[str], ledger: Ledger, settings: Mapping[str, BaseModel]) -> list[Finding]:
    """Why results, or what they were made from, are not current; of results without a record nothing is said.

    Args:
        keys: paths of the results.
        ledger: how they came about.
        settings: group -> settings, as configured now.
    """
    found: list[Finding] = []
    left, seen = list(keys), set()
    while left:
        key = left.pop(0)
        record = ledger.records.get(key)
        if key in seen or record is None:
            continue
        seen.add(key)
        found += _of_record(key, record, ledger, settings)
        left += list(record.inputs)
    return found


def _of_record(key: str, record: Record, ledger: Ledger, settings: Mapping[str, BaseModel]) -> Iterator[Finding]:
    now = ledger.fingerprint(key)
    if now is None:
        return  # not there: whoever needs it says so
    name = record.dataset
    if now != record.content:
        yield Finding(name, "content", "is not what a run left: it was changed since, or a run was cut off")
    if record.version != __version__:
        yield Finding(name, "version", f"made by kpnn {record.version}, this is {__version__}")
    for path, (source, digest) in record.inputs.items():
        present = ledger.fingerprint(path)
        if present is not None and present != digest:
            yield Finding(name, "input", f"made from another `{source}` ({path})")
    changes = []
    for group, then in record.settings.items():
        current = {name: value for name, value in decisive(group, settings).items() if name in then}
        changes += list(_changes(group, then, current))
    if changes:
        shown = changes[:_MOST_CHANGES] + ([f"{len(changes) - _MOST_CHANGES} more"] if changes[_MOST_CHANGES:] else [])
        yield Finding(name, "settings", "; ".join(shown))


def _changes(name: str, then: Any, now: Any) -> Iterator[str]:
    """What differs between settings, each in words."""
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        for key in {**then, **now}:
            yield from _changes(f"{name}.{key}", then.get(key), now.get(key))
    elif then != now:
        yield f"{name} was {_short(then)}, is {_short(now)}"


def _short(value: Any) -> str:
    text = "null" if value is None else str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def by_cause(found: list[Finding]) -> list[str]:
    """Findings as lines: each cause once, with the results that it is about."""
    causes: dict[str, list[str]] = {}
    for one in found:
        causes.setdefault(one.words, []).append(one.dataset)
    return [f"{some_names(dict.fromkeys(names), 3)}: {words}" for words, names in causes.items()]


def stages_to_redo(found: list[Finding], pipelines: Mapping[str, Pipeline], last: str = "reporting") -> list[str]:
    """The pipelines that make stale results current: those that write them, and those between them and `last`.

    Args:
        found: why results are not current.
        pipelines: by name.
        last: the pipeline that reads them; it is not among those returned, unless a stale result is its own.
    """
    stale = {one.dataset for one in found}
    first = next((n for n, stage in enumerate(STAGES) if stale & pipelines[stage].all_outputs()), None)
    if first is None:
        return []
    end = STAGES.index(last) if last in STAGES else len(STAGES) - 1
    return list(STAGES[first : max(end, first + 1)])
