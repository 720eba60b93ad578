"""The reference of parameters, from the settings classes and the commented defaults of `conf/base`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
import yaml
from plain_text import escaped
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from kpnn.pipelines.parameters import GROUPS

ABOUT = {
    "cross_validation": "How cells are split: [evaluation](../evaluation.md).",
    "simulate": "The demo's raw data: [data with a known truth](../data.md#data-with-a-known-truth).",
    "priors": "Public prior knowledge: [fetching public knowledge](../networks.md#fetching-public-knowledge).",
    "download": "A published study's files: [studies of the literature](../data.md#studies-of-the-literature).",
    "data_engineering": "From raw files to cells, network and folds: [data in](../data.md).",
    "dag_selection": "Which DAG is kept: [DAG selection](../dag_selection.md).",
    "modelling": "How networks are trained: [the network](../network.md), [evaluation](../evaluation.md).",
    "controls": "What the arms are judged against: [controls](../evaluation.md#controls-and-baselines).",
    "interpretation": "What node weights are held against: [node weights](../interpretation.md).",
    "reporting": "How arms are compared and told of: [the verdict](../evaluation.md#the-verdict).",
    "predict": "New cells: [operations](../operations.md#new-cells).",
    "tracking": "What a run asks of MLflow's server: [nothing lost](../reliability.md#mlflow).",
}
"""Where to read about a group."""

_PLAIN = {bool: "true or false", int: "whole number", float: "number", str: "text", NoneType: "null", Any: "any value"}
_BOUNDS = (
    (annotated_types.Ge, "ge", "at least"),
    (annotated_types.Gt, "gt", "above"),
    (annotated_types.Le, "le", "at most"),
    (annotated_types.Lt, "lt", "below"),
)


@dataclass(frozen=True)
class Parameter:
    """One parameter as the reference shows it.

    Attributes:
        name: dotted, as `--params` takes it.
        type: its type in words.
        range: which values of that type are allowed, in words; empty: all.
        default: its value where a study states nothing, as YAML.
        meaning: in words.
    """

    name: str
    type: str
    range: str
    default: str
    meaning: str


def parameters_page(base: Path) -> str:
    """The page, as Markdown.

    Args:
        base: the folder `conf/base`, whose values are what a study gets that states nothing.
    """
    written, comments = _stated(base)
    lines = [
        "# Parameters",
        "",
        "Everything that can be set, from the classes that check it. A study states what differs in "
        "`conf/<study>/parameters*.yml`; for one run, `kedro run --params dag_selection.time_limit=300`. Defaults are "
        "those of `conf/base`. All parameters are checked before the first node runs, whichever pipeline is to run.",
        "",
    ]
    alone = _alone(written, comments)
    lines += ["## Of all pipelines", "", *_as_table(alone, "")] if alone else []
    for group, model in GROUPS.items():
        lines += [f"## {group}", "", ABOUT.get(group, ""), ""]
        for prefix, parameters in _tables(model, group, written.get(group), comments):
            if prefix != group:
                lines += [f"### {prefix}", ""]
            lines += _as_table(parameters, prefix)
    return "\n".join(lines) + "\n"


def all_parameters(base: Path) -> list[Parameter]:
    """Every parameter of every group.

    Args:
        base: the folder `conf/base`.
    """
    written, comments = _stated(base)
    return _alone(written, comments) + [
        parameter
        for group, model in GROUPS.items()
        for _, parameters in _tables(model, group, written.get(group), comments)
        for parameter in parameters
    ]


def _alone(written: dict[str, Any], comments: dict[str, str]) -> list[Parameter]:
    """The parameters that stand in no group."""
    return [
        Parameter(name, _PLAIN[type(value)], "", _as_yaml(value), comments.get(name, ""))
        for name, value in written.items()
        if name not in GROUPS
    ]


def _tables(
    model: type[BaseModel], prefix: str, written: Any, comments: dict[str, str]
) -> Iterator[tuple[str, list[Parameter]]]:
    """The parameters of a group of settings, then those of the groups and kinds of value within it."""
    meanings = _meanings(model)
    parameters, within = [], []
    for name, field in model.model_fields.items():
        dotted = f"{prefix}.{name}"
        value = written.get(name, PydanticUndefined) if isinstance(written, dict) else PydanticUndefined
        nested = _models_in(field.annotation)
        if nested and nested[0] is field.annotation:
            within.append((nested[0], dotted, value))
            continue
        within += [(kind, f"{dotted}.NAME{_kind(kind)}", None) for kind in nested]
        parameters.append(
            Parameter(
                dotted,
                _type(field.annotation),
                _range(field.metadata),
                _default(field, value),
                re.sub(r"\bNone\b", "`null`", meanings.get(name) or comments.get(dotted, "")),
            )
        )
    if parameters:
        yield prefix, parameters
    for kind, dotted, value in within:
        yield from _tables(kind, dotted, value, comments)


def _as_table(parameters: list[Parameter], prefix: str) -> list[str]:
    lines = ["| parameter | type | default | meaning |", "|---|---|---|---|"]
    for one in parameters:
        kind = f"{one.type}, {one.range}" if one.range else one.type
        default = f"`{one.default}`" if one.default else ""
        cells = (f"`{one.name.removeprefix(f'{prefix}.')}`", kind, default, escaped(one.meaning))
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, ""]


def _kind(model: type[BaseModel]) -> str:
    """Which of several kinds of settings a heading speaks of, where each says by `type` what it is."""
    tag = model.model_fields.get("type")
    return f" of type {get_args(tag.annotation)[0]}" if tag is not None else ""


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def _type(annotation: Any) -> str:
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        demand = _range(annotation.__metadata__)
        return f"{_type(parts[0])} {demand}".rstrip()
    if origin is Literal:
        return " or ".join(f"`{part}`" for part in parts)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_type(part) for part in parts))
    if origin in (tuple, list):
        one = re.sub(r"^mapping", "mappings", _type(parts[0]))
        return f"list of {one}" if parts[-1] is Ellipsis else f"[{', '.join(map(_type, parts))}]"
    if origin is dict:
        return f"mapping of names to {_type(parts[1])}"
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return "settings (below)"
    raise TypeError(f"no words for the type {annotation!r}")


def _range(metadata: Any) -> str:
    words = []
    for one in metadata:
        words += [f"{word} {_number(getattr(one, bound))}" for kind, bound, word in _BOUNDS if isinstance(one, kind)]
        check = getattr(one, "func", None)
        demand = inspect.getclosurevars(check).nonlocals.get("demand") if inspect.isfunction(check) else None
        if isinstance(demand, str) and not demand.startswith("one of"):
            words.append(demand.removeprefix("a whole number of "))
    return " and ".join(words)


def _number(value: float) -> str:
    return f"{int(value):,}" if float(value).is_integer() else f"{value:g}"


def _default(field: FieldInfo, value: Any) -> str:
    if value is PydanticUndefined:
        if field.is_required():
            return ""
        value = field.get_default(call_default_factory=True)
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return f"{len(value)} of them in conf/base"
    if isinstance(value, dict) and value:
        return "{" + ", ".join(value) + "}"
    if isinstance(value, tuple):
        value = list(value)
    return _as_yaml(value)


def _as_yaml(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("\n").removesuffix("\n...")


def _meanings(model: type[BaseModel]) -> dict[str, str]:
    """What the `Attributes:` of a class and of its bases say."""
    meanings: dict[str, str] = {}
    for base in reversed(model.__mro__):
        doc = inspect.cleandoc(base.__doc__ or "") if issubclass(base, BaseModel) and base is not BaseModel else ""
        _, found, attributes = doc.partition("Attributes:\n")
        if not found:
            continue
        own, *_ = re.split(r"\n(?=\S)", attributes)  # the next section is no attribute
        for entry in re.split(r"\n(?= {4}\S)", own):
            name, _, text = entry.strip().partition(":")
            meanings[name] = " ".join(text.split())
    return meanings


def _stated(base: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """What the YAML files state, and the comment beside each dotted name."""
    written: dict[str, Any] = {}
    comments: dict[str, str] = {}
    for path in sorted(base.glob("parameters*.yml")):
        text = path.read_text(encoding="utf-8")
        written |= yaml.safe_load(text) or {}
        comments |= _comments(text)
    return written, comments


def _comments(text: str) -> dict[str, str]:
    """Dotted name -> the comment on its line and on the lines right below that hold nothing else."""
    comments: dict[str, str] = {}
    open_keys: list[tuple[int, str]] = []
    current = ""
    for line in text.splitlines():
        if found := re.match(r"^( *)(\w+):(?:[^#]|(?<! )#)*(?: #\s*(.*))?$", line):
            indent, key, comment = len(found[1]), found[2], found[3]
            open_keys = [(depth, name) for depth, name in open_keys if depth < indent] + [(indent, key)]
            current = ".".join(name for _, name in open_keys)
            if comment:
                comments[current] = comment
        elif (more := re.match(r"^\s*#\s*(.*)$", line)) and current in comments:
            comments[current] += f" {more[1]}"
        else:
            current = ""
    return comments
