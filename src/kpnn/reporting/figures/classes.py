"""Figures of classes that exclude each other: which class cells of a class are taken for."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from kpnn.evaluation import confusion_matrix
from kpnn.reporting.figures.style import BLUE, PAPER, TINT, Figure, as_text, new_plot
from kpnn.reporting.study import ArmTables


def shares_of(matrix: pd.DataFrame) -> np.ndarray:
    """The rows of a confusion matrix as shares of a class's cells, shape (n_classes, n_classes); NaN without cells."""
    counts = matrix.to_numpy(dtype=float)
    totals = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)


def draw_confusions(matrix: pd.DataFrame) -> go.Figure:
    """Shares of each class by what its cells are called; the counts on hover.

    Args:
        matrix: counts, the index holds the classes that cells are of, the columns what they are called.
    """
    classes = [as_text(name) for name in matrix.index]
    shares, counts = shares_of(matrix), matrix.to_numpy()
    totals = np.broadcast_to(counts.sum(axis=1, keepdims=True), counts.shape)
    plot = new_plot("called (the most probable class)", "class", height=170 + 40 * len(classes))
    plot.add_heatmap(
        z=shares,
        x=classes,
        y=classes,
        zmin=0,
        zmax=1,
        xgap=2,
        ygap=2,
        colorscale=[[0, PAPER], [0.001, TINT], [1, BLUE]],
        customdata=np.dstack([counts, totals]),
        texttemplate="%{z:.2f}",
        showscale=False,
        hovertemplate=(
            "class %{y}, called %{x}: %{customdata[0]:,} of %{customdata[1]:,} cells (%{z:.1%})<extra></extra>"
        ),
    )
    plot.update_xaxes(type="category", showgrid=False)
    plot.update_yaxes(type="category", showgrid=False, autorange="reversed")
    return plot


def confusion_figure(arm: ArmTables) -> Figure | None:
    """Shares of each class's held-out cells by what they are called; None where outputs do not exclude each other."""
    if not arm.one_of_k:
        return None
    return Figure(
        f"confusions_{arm.name}",
        f"Which class is taken for which: {arm.name}",
        f"Each row holds the held-out cells of a class as `{arm.name}` calls them, as shares of the row; point at a "
        "field for numbers of cells. What is right stands on the diagonal.",
        draw_confusions(confusion_matrix(arm.predictions)),
    )
