"""Renders blocks into the page: one file that needs no network, with every name escaped by Jinja2."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup, escape
from plotly.offline import get_plotlyjs

from kpnn.reporting.blocks import Section
from kpnn.reporting.figures.style import ON_DARK, Figure

_CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class Tile:
    """A figure that the page opens with."""

    label: str
    value: str
    detail: str


@dataclass(frozen=True)
class Lead:
    """What comes before the sections.

    Attributes:
        answer: the study's answer, in words.
        tiles: its figures.
        notes: what a reader must know before believing them.
    """

    answer: str
    tiles: tuple[Tile, ...]
    notes: tuple[str, ...]


def render_page(title: str, lead: Lead, sections: Sequence[Section], version: str) -> str:
    """The whole report as one file that needs nothing else.

    Args:
        title: of the page.
        lead: what comes before the sections.
        sections: in order; one without blocks is left out.
        version: of kpnn.
    """
    kept = [section for section in sections if section.blocks]
    template = _environment().get_template("report.html")
    return template.render(title=title, lead=lead, sections=kept, version=version, on_dark=ON_DARK)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("kpnn.reporting", "templates"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    environment.filters |= {"marked": marked, "plain": plain, "spec": plot_spec}
    environment.globals |= {"source": _source, "plotlyjs": lambda: Markup(get_plotlyjs())}
    return environment


def _source(name: str) -> Markup:
    """A style sheet or script of the page, as it is."""
    loader = PackageLoader("kpnn.reporting", "templates")
    return Markup(loader.get_source(_environment(), name)[0])


def marked(sentence: str) -> Markup:
    """A sentence, escaped, with `names` in backquotes as code."""
    parts = (
        Markup("<code>{}</code>").format(part) if number % 2 else escape(part)
        for number, part in enumerate(_CODE.split(sentence))
    )
    return Markup("").join(parts)


def plain(sentence: str) -> str:
    """A sentence without its backquotes, to be read aloud."""
    return _CODE.sub(r"\1", sentence)


def plot_spec(figure: Figure) -> dict[str, Any]:
    """A figure's traces and layout, as the page's script draws them."""
    spec: dict[str, Any] = json.loads(figure.plot.to_json())
    spec.pop("frames", None)
    spec["layout"].pop("template", None)
    return spec
