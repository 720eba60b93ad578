"""The commands that pages show: found, and taken apart."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Command:
    """One command of a page.

    Attributes:
        page: the page's path.
        words: the command as a shell takes it apart, without comments.
        typed: whether the page has the reader type it (a block), or only speaks of it.
    """

    page: Path
    words: tuple[str, ...]
    typed: bool

    def options(self) -> dict[str, str]:
        """Long options and their values (empty for flags)."""
        found: dict[str, str] = {}
        for place, word in enumerate(self.words):
            if word.startswith("--"):
                name, equals, value = word.partition("=")
                after = self.words[place + 1] if place + 1 < len(self.words) else ""
                found[name] = value if equals else ("" if after.startswith("--") else after)
        return found


def commands_of(page: Path) -> Iterator[Command]:
    """Every command of a page: lines that start with `$` in blocks of `console`, then those within sentences.

    Args:
        page: Markdown.
    """
    text = page.read_text(encoding="utf-8")
    for block in re.findall(r"^```console\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE):
        for line in re.sub(r"\\\n\s*", " ", block).splitlines():
            if line.startswith("$ "):
                words = shlex.split(line[2:], comments=True)
                if words:
                    yield Command(page, tuple(words), typed=True)
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    for words in re.findall(r"`((?:kedro|kpnn|make|python|pip)\s[^`]+)`", prose):
        yield Command(page, tuple(shlex.split(words)), typed=False)


def blocks_of(page: Path, language: str) -> list[str]:
    """The blocks of code in a language.

    Args:
        page: Markdown.
        language: as it stands after the three backquotes.
    """
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
