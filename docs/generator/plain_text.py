"""Text from code and comments on a page of Markdown."""

from __future__ import annotations

import re

_ENTITIES = {"<": "&lt;", "|": "&#124;", "$": "&#36;"}


def escaped(text: str) -> str:
    """Text whose characters all show as they are; only what stands in backquotes remains code.

    Args:
        text: one paragraph.
    """
    parts = re.split(r"(`[^`]*`)", " ".join(text.split()))
    return "".join(part if part.startswith("`") else _plain(part) for part in parts)


def _plain(text: str) -> str:
    text = re.sub(r"([\\*_{}#\[\]])", r"\\\1", text)
    return "".join(_ENTITIES.get(letter, letter) for letter in text)
