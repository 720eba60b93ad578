"""Figures of the cells on coordinates such as a UMAP: by class, and by the activity of each called node."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from kpnn.pkn import Dag
from kpnn.reporting.figures.activity import standardized
from kpnn.reporting.figures.called import called_tree
from kpnn.reporting.figures.style import BLUE, LINE, VERMILLION, Figure, as_text, new_plot
from kpnn.reporting.study import Interpretation

_DRAWN_CELLS = 5000
"""Cells that are drawn: a report must stay small enough to be sent."""
_FURTHEST = 2.5
"""Standard deviations from the mean beyond which colours no longer change."""


def embedding_figures(
    weighed: Interpretation, dag: Dag, output: str, labels: pd.Series, coordinates: pd.DataFrame
) -> list[Figure]:
    """The cells by class, and by the activity of a called node that is chosen in the figure; none without such nodes.

    Args:
        weighed: what the arm's networks say.
        dag: the arm's network.
        output: the output.
        labels: 0/1 by barcode.
        coordinates: two columns named for the axes, index the barcodes.
    """
    tree = called_tree(weighed, dag, output)
    called = weighed.of_output(output).set_index("node").loc[tree.loc[tree["is_called"], "node"], "rank"]
    nodes = [node for node in called.sort_values(kind="stable").index if node in weighed.activations]
    if not nodes:
        return []
    # A cell is held out once per repeat.
    active = standardized(weighed, nodes).groupby("barcode", sort=False)[nodes].mean()
    shown = _drawn(active.index, coordinates)
    if shown.empty:
        return []
    active, is_positive = active.loc[shown.index], labels.reindex(shown.index).to_numpy() > 0
    how_many = "" if len(shown) == len(coordinates) else f" {len(shown):,} of {len(coordinates):,} cells are drawn."
    return [
        _by_class(weighed.arm, output, shown, is_positive, how_many),
        _by_activity(weighed.arm, output, shown, active, how_many),
    ]


def _drawn(barcodes: pd.Index, coordinates: pd.DataFrame) -> pd.DataFrame:
    """The cells that have activities and coordinates, or as many of them as are drawn, the same in every report."""
    known = coordinates[np.isfinite(coordinates).all(axis=1) & coordinates.index.isin(barcodes)]
    if len(known) <= _DRAWN_CELLS:
        return known
    chosen = np.random.default_rng(0).choice(len(known), _DRAWN_CELLS, replace=False)
    return known.iloc[np.sort(chosen)]


def _by_class(arm: str, output: str, shown: pd.DataFrame, is_positive: np.ndarray, how_many: str) -> Figure:
    plot = _plot(shown)
    for chosen, colour, value in ((~is_positive, BLUE, 0), (is_positive, VERMILLION, 1)):
        plot.add_scattergl(
            **_points(shown[chosen]),
            name=f"{as_text(output)} = {value}",
            marker={"color": colour, "size": _size(shown), "opacity": 0.7},
        )
    return Figure(
        f"cells_by_class_{arm}_{output}",
        f"Cells by class: {output}",
        f"The cells by the class that they are labelled with, for comparison with the activities.{how_many}",
        plot,
    )


def _by_activity(arm: str, output: str, shown: pd.DataFrame, active: pd.DataFrame, how_many: str) -> Figure:
    plot = _plot(shown)
    colours = {node: active[node].clip(-_FURTHEST, _FURTHEST).round(1).tolist() for node in active}
    plot.add_scattergl(
        **_points(shown),
        showlegend=False,
        marker={
            "color": next(iter(colours.values())),
            "size": _size(shown),
            "opacity": 0.8,
            "cmin": -_FURTHEST,
            "cmax": _FURTHEST,
            "colorscale": [[0, BLUE], [0.5, LINE], [1, VERMILLION]],
            "colorbar": {"title": {"text": "sd", "side": "top"}, "thickness": 10, "len": 0.8},
        },
    )
    # Only the colours change from one node to the next: positions stand in the page once.
    buttons = [
        {"label": as_text(node), "method": "restyle", "args": [{"marker.color": [of_node]}, [0]]}
        for node, of_node in colours.items()
    ]
    menu = {"buttons": buttons, "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom", "showactive": True}
    plot.update_layout(updatemenus=[menu])
    return Figure(
        f"cells_by_activity_{arm}_{output}",
        f"Cells by the activity of a called node: {output}",
        f"Activity of a called node of `{arm}` in cells that the networks had not seen, in standard deviations from "
        f"the mean of their fold: red speaks for {output}, blue against it. The menu chooses the node.{how_many}",
        plot,
    )


def _plot(shown: pd.DataFrame) -> go.Figure:
    x, y = shown.columns
    plot = new_plot(as_text(x), as_text(y), height=460, margin={"l": 40, "r": 8, "t": 48, "b": 40})
    plot.update_xaxes(showgrid=False, zeroline=False, showticklabels=False, ticks="")
    plot.update_yaxes(showgrid=False, zeroline=False, showticklabels=False, ticks="")
    return plot


def _points(shown: pd.DataFrame) -> dict[str, object]:
    x, y = (values.to_numpy().round(2) for _, values in shown.items())
    return {"x": x, "y": y, "mode": "markers", "hoverinfo": "skip"}


def _size(shown: pd.DataFrame) -> int:
    """Diameter of a point in pixels: the more cells, the smaller."""
    return 6 if len(shown) <= 1000 else 4 if len(shown) <= 3000 else 3
