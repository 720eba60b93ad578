"""Signs and arrows in any of the usual spellings."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kpnn.errors import PknError, some_names

_POSITIVE = ("1", "+", "+1", "1.0", "up", "positive")
_NEGATIVE = ("-1", "-", "-1.0", "down", "negative")
_UNKNOWN = ("", "0", "0.0", "unknown", "na", "nan", "none", "?", "pp", "pd", "interacts", "interaction", "..>")
"""The last one is KEGG's arrow of an indirect effect, whose sign is not known."""
_SIGNS = {**dict.fromkeys(_POSITIVE, 1), **dict.fromkeys(_NEGATIVE, -1), **dict.fromkeys(_UNKNOWN, 0)}
_STEMS = {1: r"(?:activat|stimulat|induc)\w*|up-?regulat.*", -1: r"(?:inhibit|repress|suppress)\w*|down-?regulat.*"}
"""Words in any form (`activates`, `inhibitory`), and SIGNOR's (`up-regulates quantity by expression`)."""

_ARROW = re.compile(r"(?P<back>[<|]?)(?:-+|=+)(?P<ahead>[>|]?)")
_HEADS = {">": 1, "<": 1, "|": -1}
_DRAWN = str.maketrans(
    {
        "\N{MINUS SIGN}": "-",
        "\N{EN DASH}": "-",
        "\N{EM DASH}": "-",
        "\N{RIGHTWARDS ARROW}": "->",
        "\N{LONG RIGHTWARDS ARROW}": "->",
        "\N{RIGHTWARDS DOUBLE ARROW}": "->",
        "\N{LEFTWARDS ARROW}": "<-",
        "\N{LONG LEFTWARDS ARROW}": "<-",
        "\N{LEFTWARDS DOUBLE ARROW}": "<-",
        "\N{LEFT RIGHT ARROW}": "<->",
        "\N{LEFT TACK}": "-|",
        "\N{RIGHT TACK}": "|-",
    }
)
"""Word processors and spreadsheets draw `-->` and `--` as one character."""

KNOWN = (
    "1, -1, 0, + or -; activation, stimulation, up-regulation, positive or up; inhibition, repression, "
    "down-regulation, negative or down; unknown or nothing; an arrow: --> (activates), --| (inhibits), <-- and |-- "
    "(the same, from the second node to the first), <-> (both), --- or undirected; or a number between -1 and 1"
)
"""What can be said of an edge, for messages."""


@dataclass(frozen=True)
class Arrow:
    """What an arrow between two nodes says; one without heads has no direction.

    Attributes:
        ahead: sign of the edge from the first node to the second; None: there is no such edge.
        back: sign of the edge from the second to the first.
    """

    ahead: int | None = None
    back: int | None = None


def arrows_in(texts: Iterable[str]) -> dict[str, Arrow]:
    """The texts that are arrows, with what they say.

    A lone `-` is a minus, but beside arrows, and where no `+` stands, it is one without heads: Reactome writes so.

    Args:
        texts: what is said of edges.
    """
    found: dict[str, Arrow] = {}
    dashes: list[str] = []
    has_plus = False
    for text in dict.fromkeys(texts):
        drawn = _plain(text)
        arrow = _ARROW.fullmatch(drawn)
        has_plus |= drawn in ("+", "+1", "1")
        if drawn in ("-", "="):
            dashes.append(text)
        elif drawn == "undirected":
            found[text] = Arrow()
        elif arrow:
            found[text] = Arrow(_HEADS.get(arrow["ahead"]), _HEADS.get(arrow["back"]))
    if not has_plus and any(arrow != Arrow() for arrow in found.values()):
        found |= dict.fromkeys(dashes, Arrow())
    return found


def signs_of(column: pd.Series, where: str) -> pd.Series:
    """Signs in any of the usual spellings (1, +, activation, stimulation...) as 1, -1 or 0.

    Numbers between -1 and 1, such as a regulon's weights, say their sign. Arrows say more than a sign: `arrows_in`.

    Raises:
        PknError: a spelling is none of them.
    """
    said = pd.Series(column.unique(), dtype=object)
    texts = said.astype(str).map(_plain)
    numbers = pd.to_numeric(texts.where(~texts.isin(_SIGNS)), errors="coerce")
    signs = texts.map(_SIGNS).fillna(np.sign(numbers.where(numbers.abs() <= 1)))
    for sign, stem in _STEMS.items():
        signs = signs.mask(texts.str.fullmatch(stem), sign)
    if signs.isna().any():
        raise PknError(f"{where}: {some_names(said[signs.isna()])} is not a sign ({KNOWN})")
    return column.map(dict(zip(said, signs, strict=True))).astype("int8")


def unknown_among(texts: Iterable[str]) -> list[str]:
    """The texts that are neither signs nor arrows, each once, in their order.

    Args:
        texts: what is said of edges.
    """
    known = list(dict.fromkeys(texts))
    arrows = arrows_in(known)
    strange = []
    for text in known:
        if text not in arrows:
            try:
                signs_of(pd.Series([text], dtype=object), "")
            except PknError:
                strange.append(text)
    return strange


def _plain(text: str) -> str:
    return str(text).strip().lower().translate(_DRAWN)
