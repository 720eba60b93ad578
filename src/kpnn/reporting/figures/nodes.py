"""Figures of what the networks' nodes weigh, and how far that can be trusted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from kpnn.reporting.figures.style import (
    BLUE,
    INK,
    MUTED,
    TINT,
    VERMILLION,
    Figure,
    add_reference,
    as_text,
    look_of,
    name_rows,
    new_plot,
    percent,
    place_labels,
)
from kpnn.reporting.study import Interpretation

_BIASES = 30
"""Neurons whose biases are drawn."""


def standing(row: pd.Series, membership: dict[str, str], n_folds: int) -> str:
    """How firmly a node stands, in words, parted by semicolons.

    Its ROC-AUC alone, in the top of how many folds it is, and whether all, some or none of the optimal DAGs hold it, as
    far as each is known.
    """
    words = [f"ROC-AUC {row['roc_auc']:.2f} by itself"] if np.isfinite(row.get("roc_auc", np.nan)) else []
    words.append(f"top in {int(row['top_folds'])} of {n_folds} folds")
    of_dags = {"all": "in every optimal DAG", "some": "in some optimal DAGs", "none": "in no optimal DAG"}
    known = membership.get(str(row["node"]), "unknown")
    return "; ".join([*words, *([of_dags[known]] if known in of_dags else [])])


def heaviest(weighed: Interpretation, output: str, most: int) -> pd.DataFrame:
    """The leading nodes for an output, in their order."""
    nodes = weighed.of_output(output)
    return nodes.nsmallest(most, "rank")


def top_nodes_figure(weighed: Interpretation, output: str, membership: dict[str, str], most: int) -> Figure:
    """The leading nodes with every network's weight."""
    top = heaviest(weighed, output, most)
    look, n_folds = look_of(weighed.arm), int(top["n_folds"].max())
    folds = weighed.per_fold[weighed.per_fold["output"] == output]
    plot = new_plot("Δ probability per unit of activation", "", height=110 + 26 * len(top))
    points = folds[folds["node"].isin(list(top["node"]))]
    plot.add_scatter(
        x=points["gradient"].abs().round(5),
        y=points["node"].map(as_text),
        mode="markers",
        name="one network",
        marker={"color": look.colour, "symbol": "line-ns-open", "size": 11},
        hovertemplate="%{y}: %{x:.4f} in one network<extra></extra>",
    )
    for called, symbol, name in ((True, "diamond", "mean, called"), (False, "circle-open", "mean, not called")):
        rows = top[top["called"] == called]
        if len(rows):
            plot.add_scatter(
                x=rows["weight"].round(5),
                y=rows["node"].map(as_text),
                mode="markers",
                name=name,
                marker={"color": look.colour, "symbol": symbol, "size": 11},
                text=[
                    f"{standing(row, membership, n_folds)}<br>q = {row['q_value']:.3g}, "
                    f"share {percent(row['share'])}, structure alone {percent(row['control_share'])}"
                    for _, row in rows.iterrows()
                ],
                hovertemplate="<b>%{y}</b>: %{x:.4f}<br>%{text}<extra></extra>",
            )
    name_rows(plot, top["node"])
    plot.update_xaxes(rangemode="tozero")
    return Figure(
        f"top_nodes_{weighed.arm}_{output}",
        f"Leading nodes of {weighed.arm}: {output}",
        f"Node weights in `{weighed.arm}`: absolute change of the predicted probability of {output} per change of the "
        "node's activation, on held-out cells; ticks are networks, larger marks their mean, by combined z. "
        "Filled diamonds: called.",
        plot,
    )


def structure_figure(weighed: Interpretation, output: str, most: int) -> Figure | None:
    """What each node weighs against what the structure alone would give it; None where no controls were trained."""
    nodes = weighed.of_output(output)
    if "control_share" not in nodes or nodes["control_share"].isna().all():
        return None
    plot = new_plot(
        "share of weight with control inputs (%)",
        "share of weight in real networks (%)",
        height=110 + 26 * min(most, len(nodes)),
    )
    reach = 100 * float(np.nanmax([nodes["share"].max(), nodes["control_share"].max()])) * 1.05
    add_reference(plot, (0, reach), (0, reach), "structure alone")
    shares = nodes.set_index("node")[["control_share", "share"]] * 100
    leading = nodes.sort_values(["called", "share"], ascending=False)
    leaders = [*leading.loc[leading["called"], "node"], *nodes.nlargest(2, "share")["node"]]
    sides = _sides(shares["control_share"] / reach, shares["share"] / reach, leaders)
    looks = ((True, "diamond", VERMILLION, "called"), (False, "circle-open", MUTED, "not called"))
    for called, symbol, colour, name in looks:
        points = shares.loc[nodes.loc[nodes["called"] == called, "node"]].round(3)
        if len(points):
            _add_named_points(
                plot,
                points,
                sides,
                name=name,
                marker={"color": colour, "symbol": symbol, "size": 9},
                hovertemplate="%{customdata}: %{y:.2f} %, structure alone %{x:.2f} %<extra></extra>",
            )
    return Figure(
        f"structure_{weighed.arm}_{output}",
        f"Knowledge or structure? {weighed.arm}: {output}",
        f"Each node's share of all weights in `{weighed.arm}` against its share in networks whose genes are all "
        "equally predictive. On the dotted line a node weighs what its place in the network gives it; above it, more: "
        "that is what the data say.",
        plot,
    )


def _sides(x: pd.Series, y: pd.Series, leaders: list[str]) -> dict[str, str]:
    """Where the leaders' labels stand, the first first; what would cover a label or a marker is left out."""
    names = list(dict.fromkeys(leaders))
    x, y = x.fillna(0.0), y.fillna(0.0)
    others = list(zip(x.drop(names), y.drop(names), strict=True))
    sides = place_labels(list(x.loc[names]), list(y.loc[names]), names, others)
    return {name: side for name, side in zip(names, sides, strict=True) if side is not None}


def _add_named_points(plot: go.Figure, points: pd.DataFrame, sides: dict[str, str], **look: object) -> None:
    """Points with the names of those that have a side; `points` holds x and y by node."""
    x, y = points.columns
    plot.add_scatter(
        x=points[x],
        y=points[y],
        mode="markers+text",
        text=[as_text(node) if node in sides else "" for node in points.index],
        textposition=[sides.get(node, "top center") for node in points.index],
        textfont={"size": 11, "color": INK},
        customdata=[as_text(node) for node in points.index],
        **look,
    )


def ranks_figure(weighed: Interpretation, output: str, most: int) -> Figure | None:
    """Rank by weight of the leading nodes in every fold; None with a single fold."""
    of_output = weighed.per_fold[weighed.per_fold["output"] == output]
    folds = list(of_output.groupby(["repeat", "fold"], sort=True))
    if len(folds) < 2:
        return None
    order = list(heaviest(weighed, output, most)["node"])[::-1]
    ranks = np.array(
        [
            table["gradient"].abs().groupby(table["node"]).mean().rank(ascending=False, method="min").reindex(order)
            for _, table in folds
        ]
    ).T
    names = [f"{repeat}.{fold}" if len({key[0] for key, _ in folds}) > 1 else str(fold) for (repeat, fold), _ in folds]
    plot = new_plot("fold", "", height=110 + 24 * len(order))
    plot.add_heatmap(
        z=np.log2(ranks),
        x=names,
        y=[as_text(node) for node in order],
        zmin=0,
        zmax=float(np.log2(len(of_output["node"].unique()))),
        colorscale=[[0, BLUE], [1, TINT]],
        text=ranks.astype(int),
        texttemplate="%{text}" if len(names) <= 12 else None,
        hovertemplate="%{y} in fold %{x}: rank %{text}<extra></extra>",
        showscale=False,
        xgap=1,
        ygap=1,
    )
    plot.update_xaxes(type="category")
    plot.update_yaxes(type="category")
    return Figure(
        f"ranks_{weighed.arm}_{output}",
        f"Rank in every fold, {weighed.arm}: {output}",
        f"Rank by weight of the leading nodes of `{weighed.arm}` in each fold (1: the heaviest; the paler, the further "
        "down). Rows of one shade: the ranking does not hang on which cells were held out.",
        plot,
    )


def biases_figure(weighed: Interpretation) -> Figure:
    """Learned biases of the neurons with the largest mean square, as violins and points."""
    squared = weighed.biases.assign(square=weighed.biases["bias"] ** 2).groupby("neuron")["square"].mean()
    order = list(squared.nlargest(_BIASES).index)
    plot = new_plot("", "bias (no unit)", height=420)
    for neuron in order:
        values = weighed.biases.loc[weighed.biases["neuron"] == neuron, "bias"].astype(float).round(5)
        plot.add_violin(
            x=[as_text(neuron)] * len(values),
            y=values,
            name=as_text(neuron),
            points="all",
            pointpos=0,
            jitter=0.2,
            line={"color": look_of(weighed.arm).colour, "width": 1},
            marker={"size": 4},
            showlegend=False,
            spanmode="hard",
            hoveron="points",
        )
    plot.update_xaxes(type="category", tickangle=-90)
    return Figure(
        f"biases_{weighed.arm}",
        f"Biases of {weighed.arm}",
        f"Learned biases of the neurons of `{weighed.arm}` with the largest mean square over folds; a point is a fold. "
        "Biases are strongly regularised and tell less than node weights do.",
        plot,
    )


def genes_figure(weighed: Interpretation, output: str, most: int) -> Figure:
    """The genes with the largest gradient."""
    genes = weighed.genes[weighed.genes["output"] == output]
    top = genes.reindex(genes["weight"].abs().sort_values(ascending=False).index).head(most).iloc[::-1]
    plot = new_plot("Δ probability per unit of expression", "", height=110 + 24 * len(top))
    for up, colour, symbol, name in ((True, VERMILLION, "triangle-up", "raises"), (False, BLUE, "square", "lowers")):
        rows = top[(top["weight"] > 0) == up]
        if len(rows):
            plot.add_scatter(
                x=rows["weight"].round(6),
                y=rows["gene"].map(as_text),
                error_x={"type": "data", "array": rows["sd"].fillna(0).round(6), "thickness": 1.5, "width": 3},
                mode="markers",
                name=f"{name} the probability",
                marker={"color": colour, "symbol": symbol, "size": 9},
                hovertemplate="%{y}: %{x:.4f}<extra></extra>",
            )
    name_rows(plot, top["gene"].iloc[::-1])
    plot.update_xaxes(zeroline=True, zerolinecolor=MUTED)
    return Figure(
        f"genes_{weighed.arm}_{output}",
        f"Heaviest genes of {weighed.arm}: {output}",
        f"Change of the predicted probability of {output} per unit of (transformed) expression in `{weighed.arm}`, "
        "mean over held-out cells and folds; bars are one standard deviation over folds.",
        plot,
    )


def arms_figure(first: Interpretation, second: Interpretation, output: str) -> Figure | None:
    """Weights of the nodes that both arms have; None where they share none."""
    a, b = (weighed.of_output(output).set_index("node")["weight"] for weighed in (first, second))
    shared = a.index.intersection(b.index)
    if not len(shared):
        return None
    plot = new_plot(f"node weight in {first.arm}", f"node weight in {second.arm}")
    x, y = a.loc[shared], b.loc[shared]
    sides = _sides(x / (x.max() or 1.0), y / (y.max() or 1.0), [*x.nlargest(6).index, *y.nlargest(6).index])
    _add_named_points(
        plot,
        pd.DataFrame({"x": x, "y": y}).round(5),
        sides,
        marker={"color": BLUE, "symbol": "circle", "size": 8},
        hovertemplate=f"%{{customdata}}: {first.arm} %{{x:.4f}}, {second.arm} %{{y:.4f}}<extra></extra>",
        showlegend=False,
    )
    plot.update_xaxes(rangemode="tozero")
    plot.update_yaxes(rangemode="tozero")
    return Figure(
        f"arms_{output}",
        f"Nodes that both arms have: {output}",
        f"Weight of each of the {len(shared)} hidden nodes that `{first.arm}` and `{second.arm}` share. Nodes near the "
        "rising diagonal matter alike in both.",
        plot,
    )
