"""How figures look: colours that colour-blind readers tell apart, never colour alone, one plain layout."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
from markupsafe import escape

# Okabe & Ito 2008, Color Universal Design: https://jfly.uni-koeln.de/color/
BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
INK, MUTED, LINE, PAPER = "#1d2430", "#5a6474", "#d5dae2", "#ffffff"
TINT = "#dcebf5"
"""The palest blue: the light end of every scale."""

ON_DARK = {
    BLUE: SKY,
    VERMILLION: "#F08A4B",
    GREEN: "#3FC79A",
    PURPLE: "#E3A2C6",
    INK: "#e8ebf0",
    MUTED: "#a3adbb",
    LINE: "#3a4250",
    PAPER: "#171b22",
    TINT: "#1f3344",
}
"""What each colour of a figure becomes on a dark page."""


@dataclass(frozen=True)
class Look:
    """How an arm is drawn: colour, dash and marker all say which it is."""

    colour: str
    dash: str
    marker: str


_LOOKS = {"full": Look(BLUE, "solid", "circle"), "pruned": Look(VERMILLION, "dash", "diamond")}
_OTHERS = (Look(GREEN, "dot", "square"), Look(PURPLE, "dashdot", "triangle-up"), Look(ORANGE, "longdash", "cross"))


def look_of(arm: str, position: int = 0) -> Look:
    """The look of an arm.

    Args:
        arm: its name.
        position: its place among the arms, for arms other than `full` and `pruned`.
    """
    return _LOOKS.get(arm, _OTHERS[position % len(_OTHERS)])


def translucent(colour: str, opacity: float = 0.18) -> str:
    """A `#rrggbb` colour as `rgba(...)`."""
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


@dataclass(frozen=True, eq=False)
class Figure:
    """A figure as it stands in the report.

    Attributes:
        name: of its files, such as `roc`.
        title: its heading.
        caption: what it shows and what to see in it; read aloud in the place of the picture too.
        plot: the interactive figure.
    """

    name: str
    title: str
    caption: str
    plot: go.Figure


def new_plot(x: str, y: str, **layout: Any) -> go.Figure:
    """An empty figure with labelled axes.

    Args:
        x: label of the x axis, with its unit.
        y: label of the y axis, with its unit.
        **layout: anything else of plotly's layout.
    """
    axis = {
        "gridcolor": LINE,
        "linecolor": MUTED,
        "zerolinecolor": LINE,
        "ticks": "outside",
        "tickcolor": LINE,
        "automargin": True,
        "title": {"standoff": 8},
    }
    common = {
        "template": "none",
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, -apple-system, Segoe UI, Roboto, sans-serif", "size": 13, "color": INK},
        "margin": {"l": 56, "r": 16, "t": 16, "b": 48},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"color": INK}},
        "hoverlabel": {"font": {"size": 13}},
        "xaxis": axis | {"title": {"text": x, "standoff": 8, "font": {"size": 12}}},
        "yaxis": axis | {"title": {"text": y, "standoff": 8, "font": {"size": 12}}},
        "height": 380,
    }
    # A layout given whole is set in a fraction of the time of one that is updated.
    plot = go.Figure(layout=common)
    if layout:
        plot.update_layout(**layout)
    return plot


def name_rows(plot: go.Figure, names: Iterable[object]) -> None:
    """Gives each name a row of its own, the first on top."""
    upwards = [as_text(name) for name in names][::-1]
    plot.update_yaxes(type="category", categoryorder="array", categoryarray=upwards)


def add_reference(plot: go.Figure, x: tuple[float, float], y: tuple[float, float], name: str) -> None:
    """A dotted line to compare with, such as what guessing gives."""
    plot.add_scatter(x=x, y=y, mode="lines", line={"color": LINE, "dash": "dot"}, name=name, hoverinfo="skip")


def percent(share: float, digits: int = 1) -> str:
    """A share as it is read: 0.125 is `12.5 %`."""
    return f"{100 * share:.{digits}f} %"


def as_text(name: object) -> str:
    """A user's name for plotly, which reads tags and entities in every text."""
    return str(escape(name))


_SIDES = {
    "top center": (0.0, 1.0),
    "bottom center": (0.0, -1.0),
    "middle right": (1.0, 0.0),
    "middle left": (-1.0, 0.0),
}
_LETTER, _LABEL_HEIGHT, _MARKER = 0.024, 0.065, 0.025
"""Width of a letter, height of a label and size of a marker, as shares of a figure on a telephone or beside another."""


def place_labels(
    x: Sequence[float], y: Sequence[float], names: Sequence[str], others: Sequence[tuple[float, float]] = ()
) -> list[str | None]:
    """A side for each label at which it covers no label and no marker; None where there is none: it is left out.

    Args:
        x: positions, as shares of the axis.
        y: positions, as shares of the axis.
        names: the labels, the most important first.
        others: positions of markers without a label.

    Returns:
        Per name one of plotly's text positions, or None.
    """
    points = {*zip(x, y, strict=True), *others}
    taken: list[tuple[float, float, float, float]] = []
    sides: list[str | None] = []
    for name, right, top in zip(names, x, y, strict=True):
        markers = [_around(*point) for point in points if point != (right, top)]
        side = next((side for side in _SIDES if _is_free(_box(name, right, top, side), [*taken, *markers])), None)
        if side is not None:
            taken.append(_box(name, right, top, side))
        sides.append(side)
    return sides


def _around(x: float, y: float) -> tuple[float, float, float, float]:
    """Left, bottom, right and top of a marker."""
    half = _MARKER / 2
    return x - half, y - half, x + half, y + half


def _box(name: str, x: float, y: float, side: str) -> tuple[float, float, float, float]:
    """Left, bottom, right and top of a label beside its marker."""
    width, (to_right, to_top) = _LETTER * len(name), _SIDES[side]
    centre_x = x + to_right * (width / 2 + _MARKER)
    centre_y = y + to_top * (_LABEL_HEIGHT / 2 + _MARKER)
    return centre_x - width / 2, centre_y - _LABEL_HEIGHT / 2, centre_x + width / 2, centre_y + _LABEL_HEIGHT / 2


def _is_free(box: tuple[float, float, float, float], taken: list[tuple[float, float, float, float]]) -> bool:
    left, bottom, right, top = box
    inside = left > -0.05 and right < 1.08
    return inside and not any(left < r and right > l and bottom < t and top > b for l, b, r, t in taken)  # noqa: E741
