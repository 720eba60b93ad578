"""Figures of what the called nodes do: their activity in held-out cells by class, and by donor or sample."""

from __future__ import annotations

import numpy as np
import pandas as pd

from kpnn.pkn import Dag
from kpnn.reporting.figures.called import nodes_with_activity
from kpnn.reporting.figures.style import BLUE, VERMILLION, Figure, as_text, name_rows, new_plot, translucent
from kpnn.reporting.study import Interpretation

_DRAWN_CELLS = 200
"""Quantiles that stand for the cells of a class: a report must stay small enough to be sent."""


def standardized(weighed: Interpretation, nodes: list[str]) -> pd.DataFrame:
    """Oriented held-out activations in standard deviations from the mean of their fold: `barcode` and the nodes.

    Every fold has networks of its own, whose neurons have levels and ranges of their own.
    """
    table = weighed.activations
    by_fold = table.groupby(["repeat", "fold"])[nodes]
    spread = by_fold.transform("std", ddof=0)
    scaled = (table[nodes] - by_fold.transform("mean")) / spread.where(spread > 0)
    return scaled.fillna(0.0).assign(barcode=table["barcode"])


def activity_figure(weighed: Interpretation, dag: Dag, output: str, labels: pd.Series) -> Figure | None:
    """Activity of the called nodes by class, in the order of the tree; None where there is nothing to show.

    Args:
        weighed: what the arm's networks say.
        dag: the arm's network.
        output: the output.
        labels: 0/1 by barcode.
    """
    nodes = nodes_with_activity(weighed, dag, output)
    if not nodes:
        return None
    values = standardized(weighed, nodes)
    is_positive = values["barcode"].map(labels).to_numpy() > 0
    plot = new_plot("activation (sd from the mean)", "", height=100 + 52 * len(nodes))
    for chosen, colour, side, name in (
        (is_positive, VERMILLION, "positive", f"{as_text(output)} = 1"),
        (~is_positive, BLUE, "negative", f"{as_text(output)} = 0"),
    ):
        for number, node in enumerate(nodes):
            plot.add_violin(
                x=_quantiles(values.loc[chosen, node].to_numpy()).round(3),
                y=[as_text(node)] * min(_DRAWN_CELLS, int(chosen.sum())),
                name=name,
                legendgroup=name,
                showlegend=number == 0,
                side=side,
                orientation="h",
                points=False,
                spanmode="hard",
                width=0.9,
                line={"color": colour, "width": 1.5},
                fillcolor=translucent(colour, 0.3),
                meanline={"visible": True},
                hoveron="violins",
                hoverinfo="x+name",
            )
    name_rows(plot, nodes)
    plot.update_layout(violingap=0, violinmode="overlay", margin={"b": 64})
    return Figure(
        f"activity_{weighed.arm}_{output}",
        f"Activity of the called nodes: {output}",
        f"Activity of the called nodes of `{weighed.arm}` in cells that the networks had not seen, by class; to the "
        f"right it speaks for {output}; the line is the mean. The further the two halves stand apart, the better the "
        "node alone tells the classes.",
        plot,
    )


def _quantiles(values: np.ndarray) -> np.ndarray:
    """The values, or as many quantiles of them as are drawn."""
    if len(values) <= _DRAWN_CELLS:
        return values
    return np.quantile(values, (np.arange(_DRAWN_CELLS) + 0.5) / _DRAWN_CELLS)


def groups_figure(
    weighed: Interpretation, dag: Dag, output: str, labels: pd.Series, groups: pd.Series
) -> Figure | None:
    """Mean activity of the called nodes for each value of a column of the cells, by class; None without such nodes.

    Args:
        weighed: what the arm's networks say.
        dag: the arm's network.
        output: the output.
        labels: 0/1 by barcode.
        groups: such as donor or cell type, by barcode, with its name.
    """
    nodes = nodes_with_activity(weighed, dag, output)
    if not nodes:
        return None
    values = standardized(weighed, nodes)
    by_group = values[nodes].groupby([values["barcode"].map(groups), values["barcode"].map(labels) > 0]).mean()
    plot = new_plot(
        "mean activation (sd)", "", height=120 + 34 * len(nodes), margin={"l": 56, "r": 16, "t": 16, "b": 64}
    )
    for is_positive, colour, symbol in ((True, VERMILLION, "diamond"), (False, BLUE, "circle-open")):
        rows = by_group[by_group.index.get_level_values(1) == is_positive]
        points = rows.droplevel(1).melt(ignore_index=False, var_name="node")
        plot.add_scatter(
            x=points["value"].round(3),
            y=points["node"].map(as_text),
            mode="markers",
            name=f"{as_text(output)} = {int(is_positive)}",
            marker={"color": colour, "symbol": symbol, "size": 9},
            text=[as_text(name) for name in points.index],
            hovertemplate="%{text}: %{x:.2f} sd, %{y}<extra></extra>",
        )
    name_rows(plot, nodes)
    return Figure(
        f"activity_by_{groups.name}_{weighed.arm}_{output}",
        f"Activity of the called nodes by {groups.name}: {output}",
        f"A point is the mean activity of a called node of `{weighed.arm}` in the held-out cells of one class and one "
        f"value of {groups.name}. What stands apart for every value does not hang on it; what stands apart for one "
        "alone is that one's.",
        plot,
    )
