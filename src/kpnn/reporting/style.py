"""How figures look: colours that colour-blind readers tell apart, never colour alone, one plain layout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

# Okabe & Ito 2008, Color Universal Design: https://jfly.uni-koeln.de/color/
BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
INK, MUTED, LINE, PAPER = "#1d2430", "#5a6474", "#d5dae2", "#ffffff"

ON_DARK = {
    BLUE: SKY,
    VERMILLION: "#F08A4B",
    GREEN: "#3FC79A",
    PURPLE: "#E3A2C6",
    INK: "#e8ebf0",
    MUTED: "#a3adbb",
    LINE: "#3a4250",
    PAPER: "#171b22",
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
    plot = go.Figure()
    plot.update_layout(
        template="none",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, -apple-system, Segoe UI, Roboto, sans-serif", "size": 13, "color": INK},
        margin={"l": 56, "r": 16, "t": 16, "b": 48},
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"color": INK}},
        hoverlabel={"font": {"size": 13}},
        xaxis=axis | {"title": {"text": x, "standoff": 8, "font": {"size": 12}}},
        yaxis=axis | {"title": {"text": y, "standoff": 8, "font": {"size": 12}}},
        height=380,
    )
    plot.update_layout(**layout)
    return plot
