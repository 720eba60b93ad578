"""Figures as PNG and SVG files, drawn by matplotlib from the interactive figure's own traces: no browser is needed."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg", force=False)
import numpy as np
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from kpnn.reporting.network_drawing import NetworkDrawing
from kpnn.reporting.style import BLUE, INK, LINE, MUTED, VERMILLION, Figure

_DASHES = {"solid": "-", "dash": "--", "dot": ":", "dashdot": "-.", "longdash": (0, (8, 3))}
_MARKERS = {
    "circle": "o",
    "circle-open": "o",
    "diamond": "D",
    "diamond-open": "D",
    "square": "s",
    "square-open": "s",
    "triangle-up": "^",
    "cross": "P",
    "line-ns-open": "|",
}
_HATCHES = {"/": "//", "x": "xx", "\\": "\\\\", ".": "..", "": None, None: None}


def draw_picture(figure: Figure, inches: tuple[float, float] | None = None) -> Canvas:
    """Draws a figure with matplotlib.

    Args:
        figure: scatter, bar, box and violin traces on one pair of axes.
        inches: width and height; by default as the interactive figure is shaped.
    """
    plot = figure.plot
    height = float(plot.layout.height or 380) / 100
    canvas = Canvas(figsize=inches or (7.2, max(3.2, height)), dpi=120, layout="constrained")
    axes = canvas.add_subplot()
    positions = {"x": _Scale(plot, "x"), "y": _Scale(plot, "y")}
    bars = [trace for trace in plot.data if trace.type == "bar"]
    for trace in plot.data:
        if trace.type == "scatter":
            _scatter(axes, trace, positions)
        elif trace.type == "bar":
            _bar(axes, trace, positions, bars.index(trace), len(bars))
        elif trace.type in ("violin", "box"):
            _violin(axes, trace, positions)
        elif trace.type == "heatmap":
            _heatmap(axes, trace)
    for shape in plot.layout.shapes:
        _line(axes, shape)
    _finish(axes, plot, positions)
    axes.set_title(figure.title, loc="left", fontsize=11, color=INK)
    return canvas


def draw_network_picture(drawing: NetworkDrawing) -> Canvas:
    """Draws the selected DAG by levels: outputs left, the heavier the darker, called nodes ringed."""
    nodes, edges = drawing.nodes, drawing.edges
    widest = int(nodes.loc[nodes["kept"]].groupby("level").size().max())
    canvas = Canvas(figsize=(2.2 * drawing.n_levels + 2, max(3.5, min(30.0, 0.2 * widest + 1))), dpi=150)
    axes = canvas.add_axes((0.02, 0.02, 0.96, 0.92))
    x, y = nodes["level"].to_numpy(dtype=float), -nodes["place"].to_numpy() * widest
    for edge in edges[edges["kept"]].itertuples():
        axes.plot([x[edge.parent], x[edge.child]], [y[edge.parent], y[edge.child]], color=LINE, lw=0.7, zorder=1)
    heaviest = nodes.loc[nodes["kept"] & ~nodes["is_output"], "weight"].max()
    for place, node in enumerate(nodes.itertuples()):
        if not node.kept:
            continue
        heavy = 1.0 if node.is_output else 0.1 + 0.9 * float(np.nan_to_num(node.weight / heaviest))
        style: dict[str, Any] = {"s": 60 if node.is_output else 18 + 2 * min(node.n_genes, 40), "zorder": 2}
        marker, ring = ("s", BLUE) if node.is_output else ("o", VERMILLION if node.called else BLUE)
        axes.scatter(x[place], y[place], color="white", **style)
        style |= {"marker": marker, "edgecolors": ring, "linewidths": 1.8 if node.called else 0.8}
        axes.scatter(x[place], y[place], facecolors=_with_opacity(BLUE, heavy), **style)
        axes.annotate(
            node.node, (x[place], y[place]), xytext=(6, -3), textcoords="offset points", fontsize=6, color=INK
        )
    axes.set_xlim(-0.3, drawing.n_levels - 0.3)
    axes.axis("off")
    axes.set_title(
        "The selected DAG: outputs left, the heavier the darker, called nodes ringed", loc="left", fontsize=9
    )
    return canvas


def _with_opacity(colour: str, opacity: float) -> tuple[float, float, float, float]:
    """A `#rrggbb` colour with an opacity, as matplotlib takes it."""
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return red, green, blue, min(1.0, opacity)


def save_pictures(figures: tuple[Figure, ...], folder: Path, network: NetworkDrawing | None = None) -> list[Path]:
    """Writes `<name>.png` and `<name>.svg` of every figure, and of the network; returns the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    drawn = [(figure.name, figure.caption, draw_picture(figure)) for figure in figures]
    if network is not None:
        drawn.append(("network", "The selected DAG", draw_network_picture(network)))
    for name, caption, canvas in drawn:
        path = folder / f"{_file_name(name)}.png"
        canvas.savefig(path, metadata={"Description": caption}, pil_kwargs={"compress_level": 3})
        canvas.set_layout_engine("none")  # what was laid out for the first file holds for the second
        canvas.savefig(path.with_suffix(".svg"), metadata={"Date": None})
        paths += [path, path.with_suffix(".svg")]
    return paths


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name)


class _Scale:
    """Turns an axis' values into numbers: categories stand at 0, 1, 2, ... in their order."""

    def __init__(self, plot: go.Figure, name: str) -> None:
        axis = plot.layout[f"{name}axis"]
        self.axis = axis
        values = [value for trace in plot.data for value in (trace[name] if trace[name] is not None else ())]
        self.is_category = axis.type == "category" or any(isinstance(value, str) for value in values)
        given = list(axis.categoryarray) if axis.categoryarray is not None else []
        self.categories = list(dict.fromkeys([*given, *values])) if self.is_category else []
        self._place = {value: number for number, value in enumerate(self.categories)}

    def __call__(self, values: Any) -> np.ndarray:
        if values is None:
            return np.zeros(0)
        if self.is_category:
            return np.array([self._place[value] for value in values], dtype=float)
        return _numbers(values)


def _scatter(axes: Axes, trace: Any, scales: dict[str, _Scale]) -> None:
    x, y = scales["x"](trace.x), scales["y"](trace.y)
    mode = trace.mode or "lines"
    label = trace.name if trace.showlegend is not False and trace.name else None
    if trace.fill == "toself":
        colour, opacity = _colour(trace.fillcolor)
        axes.fill(x, y, color=colour, alpha=opacity, linewidth=0)
        return
    line_colour, _ = _colour(trace.line.color or trace.marker.color)
    if "lines" in mode:
        steps = "steps-post" if trace.line.shape == "hv" else "default"
        dash = _DASHES.get(trace.line.dash or "solid", "-")
        axes.plot(x, y, dash, color=line_colour, lw=trace.line.width or 1.5, label=label, drawstyle=steps)
        label = None
    if "markers" in mode:
        symbol = trace.marker.symbol if isinstance(trace.marker.symbol, str) else "circle"
        single = isinstance(trace.marker.color, str) or trace.marker.color is None
        colours = _colour(trace.marker.color)[0] if single else [_colour(c)[0] for c in trace.marker.color]
        size = trace.marker.size if isinstance(trace.marker.size, int | float) else 7
        faces = "none" if symbol.endswith("-open") else colours
        kind = _MARKERS.get(symbol, "o")
        style: dict[str, Any] = {"color": colours} if kind == "|" else {"facecolors": faces, "edgecolors": colours}
        axes.scatter(x, y, s=(size * 0.75) ** 2, marker=kind, label=label, zorder=3, **style)
        label = None
    if "text" in mode and trace.text is not None:
        for place_x, place_y, words in zip(x, y, trace.text, strict=False):
            axes.annotate(
                str(words), (place_x, place_y), fontsize=7, color=INK, xytext=(3, 3), textcoords="offset points"
            )
    for name, error in (("xerr", trace.error_x), ("yerr", trace.error_y)):
        if error is not None and error.array is not None:
            above = _numbers(error.array)
            below = _numbers(error.arrayminus) if error.arrayminus is not None else above
            spread = np.abs(np.array([below, above]))
            colour = _colour(error.color or trace.marker.color)[0]
            axes.errorbar(x, y, fmt="none", ecolor=colour, capsize=3, lw=1.3, **{name: spread})


def _bar(axes: Axes, trace: Any, scales: dict[str, _Scale], number: int, of: int) -> None:
    flat = trace.orientation == "h"
    along, across = (
        (scales["y"](trace.y), scales["x"](trace.x)) if flat else (scales["x"](trace.x), scales["y"](trace.y))
    )
    width = 0.8 / of
    places = along + (number - (of - 1) / 2) * width
    colour = _colour(trace.marker.color)[0] if isinstance(trace.marker.color, str) else INK
    hatch = _HATCHES.get(trace.marker.pattern.shape if trace.marker.pattern else None)
    draw = axes.barh if flat else axes.bar
    drawn = draw(places, across, width * 0.95, color=colour, hatch=hatch, label=trace.name, edgecolor="white")
    if trace.text is not None:
        axes.bar_label(drawn, labels=[str(words) for words in trace.text], padding=2, fontsize=8, color=INK)


def _violin(axes: Axes, trace: Any, scales: dict[str, _Scale]) -> None:
    y = scales["y"](trace.y)
    place = float(scales["x"](trace.x)[0]) if trace.x is not None else 0.0
    colour = _colour(trace.line.color)[0]
    if len(y) > 2 and np.ptp(y) > 0:
        parts: Any = axes.violinplot(y, [place], widths=0.8, showextrema=False)
        for body in parts["bodies"]:
            body.set_facecolor(colour)
            body.set_alpha(0.25)
    axes.scatter(np.full(len(y), place), y, s=10, color=colour, zorder=3)


def _heatmap(axes: Axes, trace: Any) -> None:
    values = np.array(trace.z, dtype=float)
    axes.imshow(values, aspect="auto", origin="lower", cmap="Blues_r", vmin=trace.zmin, vmax=trace.zmax)
    if trace.texttemplate and trace.text is not None:
        middle = (float(trace.zmin) + float(trace.zmax)) / 2
        for (row, column), words in np.ndenumerate(np.array(trace.text)):
            colour = "white" if values[row, column] < middle else INK
            axes.text(column, row, str(words), ha="center", va="center", fontsize=7, color=colour)


def _line(axes: Axes, shape: Any) -> None:
    colour = _colour(shape.line.color)[0]
    if shape.type == "line" and shape.yref and "domain" in str(shape.yref):
        axes.axvline(shape.x0, color=colour, linestyle=":", lw=1)
    elif shape.type == "line" and shape.xref and "domain" in str(shape.xref):
        axes.axhline(shape.y0, color=colour, linestyle=":", lw=1)


def _finish(axes: Axes, plot: go.Figure, scales: dict[str, _Scale]) -> None:
    for name, scale in scales.items():
        set_label, set_ticks = getattr(axes, f"set_{name}label"), getattr(axes, f"set_{name}ticks")
        set_limits, set_scale = getattr(axes, f"set_{name}lim"), getattr(axes, f"set_{name}scale")
        axis = scale.axis
        set_label((axis.title.text or "").replace("<br>", "\n"), color=INK, fontsize=9)
        if axis.type == "log":
            set_scale("log")
        if scale.is_category:
            names = [str(value).replace("<br>", "\n") for value in scale.categories]
            turned = name == "x" and (len(names) > 8 or max(map(len, names), default=0) > 14)
            set_ticks(range(len(names)), names, rotation=90 if turned else 0, fontsize=8)
        elif axis.tickvals is not None:
            set_ticks(list(axis.tickvals), [str(words).replace("<br>", "\n") for words in axis.ticktext], fontsize=8)
        if axis.range is not None and not scale.is_category and axis.type != "log":
            set_limits(*axis.range)
    axes.grid(True, color=LINE, lw=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=8)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(MUTED)
    handles, labels = axes.get_legend_handles_labels()
    if handles and plot.layout.showlegend is not False:
        unique = dict(zip(labels, handles, strict=True))
        axes.legend(unique.values(), unique.keys(), frameon=False, fontsize=8)


def _numbers(values: Any) -> np.ndarray:
    """An array of a plotly figure, which may have become plotly's base64 form when the figure was copied."""
    if isinstance(values, Mapping):
        return np.frombuffer(base64.b64decode(values["bdata"]), dtype=values["dtype"]).astype(float)
    return np.array([np.nan if value is None else value for value in values], dtype=float)


def _colour(given: Any) -> tuple[str, float]:
    """A plotly colour as `#rrggbb` and opacity."""
    if not isinstance(given, str):
        return INK, 1.0
    if given.startswith("rgba("):
        red, green, blue, opacity = given[5:-1].split(",")
        return f"#{int(red):02x}{int(green):02x}{int(blue):02x}", float(opacity)
    return given, 1.0
