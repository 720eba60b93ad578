"""Addresses of servers and databases, as they may be shown: without user names, passwords and tokens."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

HIDDEN = "***"

_CREDENTIALS = re.compile(r"(?<=://)[^\s'\"<>]*@")
_SECRET_WORDS = r"password|passwd|pwd|passphrase|token|secret|api_?key|access_?key|credential"
_QUERY = re.compile(rf"([?&;][\w.-]*(?:{_SECRET_WORDS})[\w.-]*=)[^&;\s'\"]+", re.IGNORECASE)


def without_credentials(text: str) -> str:
    """The same text with the credentials of every address in it hidden.

    Args:
        text: anything that is to be shown, such as an address, an error or a log line.

    Examples:
        >>> without_credentials("postgresql://ada:lovelace@host/optuna?sslmode=require")
        'postgresql://***@host/optuna?sslmode=require'
    """
    if "://" not in text:
        return text
    return _QUERY.sub(rf"\g<1>{HIDDEN}", _CREDENTIALS.sub(f"{HIDDEN}@", text))


def shown(value: Any) -> Any:
    """The same value, however nested, with the credentials of every address in it hidden.

    Args:
        value: what YAML can say.
    """
    if isinstance(value, str):
        return without_credentials(value)
    if isinstance(value, Mapping):
        return {key: shown(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [shown(inner) for inner in value]
    return value


def first_line(error: BaseException) -> str:
    """What an error says in its first line, without credentials; its kind where it says nothing."""
    lines = str(error).strip().splitlines()
    return without_credentials(lines[0]) if lines else type(error).__name__
