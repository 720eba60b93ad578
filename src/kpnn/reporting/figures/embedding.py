"""Figure of the cells on coordinates such as a UMAP, by the activity of a called node or by class."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from kpnn.pkn import Dag
from kpnn.reporting.figures.activity import standardized
from kpnn.reporting.figures.called import nodes_with_activity
from kpnn.reporting.figures.style import BLUE, LINE, VERMILLION, Figure, as_text, new_plot
from kpnn.reporting.study import Interpretation

_DRAWN_CELLS = 5000
"""Cells that are drawn: a report must stay small enough to be sent."""
_FURTHEST = 2.5
"""Standard deviations from the mean beyond which colours no longer change."""


def embedding_figure(
    weighed: Interpretation, dag: Dag, output: str, labels: pd.Series, coordinates: pd.DataFrame
) -> Figure | None:
    """The cells by the activity of a called node, or by class, whichever is chosen in the figure.

    Args:
        weighed: what the arm's networks say.
        dag: the arm's network.
        output: the output.
        labels: 0/1 by barcode.
        coordinates: two columns named for the axes, index the barcodes.

    Returns:
        None where no node is called, or no cell has coordinates.
    """
    ranks = weighed.of_output(output).set_index("node")["rank"]
    nodes = list(ranks[nodes_with_activity(weighed, dag, output)].sort_values(kind="stable").index)
    if not nodes:
        return None
    # A cell is held out once per repeat.
    active = standardized(weighed, nodes).groupby("barcode", sort=False)[nodes].mean()
    shown = _drawn(active.index, coordinates)
    if shown.empty:
        return None
    colours = {as_text(node): active.loc[shown.index, node].to_numpy() for node in nodes}
    is_positive = labels.reindex(shown.index).to_numpy() > 0
    colours["class: red 1, blue 0"] = np.where(is_positive, _FURTHEST, -_FURTHEST)
    how_many = "" if len(shown) == len(coordinates) else f" {len(shown):,} of {len(coordinates):,} cells are drawn."
    return Figure(
        f"cells_{weighed.arm}_{output}",
        f"Cells by the activity of a called node: {output}",
        f"Activity of a called node of `{weighed.arm}` in cells that the networks had not seen, in standard deviations "
        f"from the mean of their fold: red speaks for {output}, blue against it. The menu chooses the node, or the "
        f"class that the cells are labelled with.{how_many}",
        _plot(shown, colours),
    )


def _drawn(barcodes: pd.Index, coordinates: pd.DataFrame) -> pd.DataFrame:
    """The cells that have activities and coordinates, or as many of them as are drawn, the same in every report."""
    known = coordinates[np.isfinite(coordinates).all(axis=1) & coordinates.index.isin(barcodes)]
    if len(known) <= _DRAWN_CELLS:
        return known
    chosen = np.random.default_rng(0).choice(len(known), _DRAWN_CELLS, replace=False)
    return known.iloc[np.sort(chosen)]


def _plot(shown: pd.DataFrame, colours: dict[str, np.ndarray]) -> go.Figure:
    x, y = shown.columns
    plot = new_plot(as_text(x), as_text(y), height=460, margin={"l": 40, "r": 8, "t": 48, "b": 40})
    for update in (plot.update_xaxes, plot.update_yaxes):
        update(showgrid=False, zeroline=False, showticklabels=False, ticks="")
    values = {name: by.clip(-_FURTHEST, _FURTHEST).round(1).tolist() for name, by in colours.items()}
    plot.add_scattergl(
        x=shown[x].to_numpy().round(2),
        y=shown[y].to_numpy().round(2),
        mode="markers",
        hoverinfo="skip",
        showlegend=False,
        marker={
            "color": next(iter(values.values())),
            "size": _size(shown),
            "opacity": 0.8,
            "cmin": -_FURTHEST,
            "cmax": _FURTHEST,
            "colorscale": [[0, BLUE], [0.5, LINE], [1, VERMILLION]],
            "colorbar": {"title": {"text": "sd", "side": "top"}, "thickness": 10, "len": 0.8},
        },
    )
    # Only the colours change from one choice to the next: positions stand in the page once.
    buttons = [
        {"label": name, "method": "restyle", "args": [{"marker.color": [by]}, [0]]} for name, by in values.items()
    ]
    menu = {"buttons": buttons, "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom", "showactive": True}
    plot.update_layout(updatemenus=[menu])
    return plot


def _size(shown: pd.DataFrame) -> int:
    """Diameter of a point in pixels: the more cells, the smaller."""
    return 6 if len(shown) <= 1000 else 4 if len(shown) <= 3000 else 3
