"""A user's names in YAML that Kedro reads, in which not every text stays the text that it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

_LIKE_A_NUMBER = re.compile(r"[-+.\d]")
_INTERPOLATION = re.compile(r"(\\*)\$\{")


class _Dumper(yaml.SafeDumper):
    """Quotes every text that begins like a number: OmegaConf reads more of them as numbers (`1e5`) than YAML does."""


def _quoted(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "'" if _LIKE_A_NUMBER.match(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _quoted)


def yaml_of(value: Any) -> str:
    """A value as YAML, on one line, that OmegaConf reads as the same value.

    Args:
        value: what can be written so: texts, numbers, lists and groups of these; tuples become lists.
    """
    dumped = yaml.dump(
        _plain(value), Dumper=_Dumper, default_flow_style=True, sort_keys=False, width=float("inf"), allow_unicode=True
    )
    return dumped.removesuffix("...\n").rstrip("\n")  # nothing else: a name may end with a space of another kind


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    # `${name}` stands for another value there, unless a backslash says that it does not.
    return _INTERPOLATION.sub(lambda found: rf"{found[1] * 2}\${{", value) if isinstance(value, str) else value
