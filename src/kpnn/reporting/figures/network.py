"""The selected DAG: one layout, drawn interactively here and for a paper in `kpnn.reporting.figures.paper`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from kpnn.pkn import Dag
from kpnn.pkn.graph import longest_paths, parents_by_child
from kpnn.reporting.figures.style import (
    BLUE,
    GREEN,
    INK,
    LINE,
    MUTED,
    ORANGE,
    PAPER,
    TINT,
    VERMILLION,
    Figure,
    as_text,
    percent,
)
from kpnn.reporting.node_words import nodes_may_be_named
from kpnn.reporting.study import Interpretation, Study

LETTER_PIXELS, GAP_PIXELS, ROW_PIXELS = 6.9, 78.0, 18
"""Width of a letter of a name, room for edges between two levels, height of a row."""

_SWEEPS = 8
"""Passes over all levels; after so many, nodes hardly move."""
_SIGNS = {1: ("activates", GREEN, "solid"), -1: ("inhibits", VERMILLION, "dash"), 0: ("sign unknown", MUTED, "solid")}
_WIDTHS = (0.7, 1.4, 2.6)
"""Line widths of edges below a third, below two thirds, and above two thirds of the largest weight."""

_MEMBERSHIP = {
    "all": ("in all optimal DAGs", BLUE, "circle"),
    "some": ("in some optimal DAGs", ORANGE, "diamond"),
    "none": ("in no optimal DAG", MUTED, "x"),
    "unknown": ("hidden node", MUTED, "circle"),
}
CAPTION = (
    "The selected DAG, outputs on the left, each further level one step nearer the genes. The fuller a node's colour, "
    "the heavier it is; the larger, the more genes it reads; a thick ring marks nodes that are called. Pruned-away "
    "nodes are hollow and stand below. Point at a node for its figures; the drawing scrolls."
)


@dataclass(frozen=True, eq=False)
class NetworkLayout:
    """Where every neuron stands: no two names overlap, and an edge begins after its parent's name.

    Attributes:
        nodes: `node`, `level` (0: outputs), `x` (pixels), `row` (downwards; pruned-away nodes below all others),
            `is_output`, `kept`, `n_genes`, `weight`, `share`, `q_value`, `called`, `membership`.
        edges: `parent`, `child` (positions in `nodes`), `sign`, `kept`, `weight` (absolute, NaN where not known).
    """

    nodes: pd.DataFrame
    edges: pd.DataFrame

    @property
    def width(self) -> float:
        """Pixels from the outputs to the end of the longest name on the right."""
        return float((self.nodes["x"] + LETTER_PIXELS * self.nodes["node"].str.len()).max()) + 24

    def rows(self, kept_only: bool) -> float:
        """The last row."""
        nodes = self.nodes[self.nodes["kept"]] if kept_only else self.nodes
        return float(nodes["row"].max())

    def curves(self, edges: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Edges as smooth lines, one per row of thirteen points: pixels across, rows down."""
        x, row = self.nodes["x"].to_numpy(), self.nodes["row"].to_numpy()
        parents, children = edges["parent"].to_numpy(dtype=int), edges["child"].to_numpy(dtype=int)
        begin = x + 14 + LETTER_PIXELS * self.nodes["node"].str.len().to_numpy()
        along = np.linspace(0, 1, 13)
        across = np.outer(begin[parents], 1 - along) + np.outer(x[children], along)
        eased = along**2 * (3 - 2 * along)
        return across, np.outer(row[parents], 1 - eased) + np.outer(row[children], eased)


def lay_out(selected: Dag, full: Dag | None = None) -> NetworkLayout:
    """Lays out the neurons of the selected DAG in levels, and below them those of the full DAG that it leaves out.

    Args:
        selected: the DAG to draw.
        full: the DAG that it was selected from.
    """
    level = _levels(selected)
    dags = [selected] if full is None or full is selected else [selected, full]
    for dag in dags[1:]:
        level = _levels(dag) | level
    names = sorted(level, key=lambda name: (level[name], name))
    place = {name: number for number, name in enumerate(names)}
    genes = {name: count for dag in reversed(dags) for name, count in _gene_counts(dag).items()}
    links = pd.concat([_links(dag).assign(kept=dag is selected) for dag in dags], ignore_index=True)
    links = links.drop_duplicates(["parent", "child"], ignore_index=True)
    nodes = pd.DataFrame({"node": names, "level": [level[name] for name in names]})
    nodes["is_output"] = nodes["node"].isin(selected.outputs)
    nodes["kept"] = nodes["node"].isin(set(selected.neurons))
    nodes["n_genes"] = nodes["node"].map(genes).fillna(0).astype(int)
    nodes = nodes.assign(weight=np.nan, share=np.nan, q_value=np.nan, called=False, membership="unknown")
    edges = links.assign(parent=links["parent"].map(place), child=links["child"].map(place), weight=np.nan)
    nodes["row"] = _rows(nodes, edges)
    widest_name = nodes.groupby("level")["node"].agg(lambda of_level: of_level.str.len().max())
    nodes["x"] = nodes["level"].map((widest_name * LETTER_PIXELS + GAP_PIXELS).cumsum().shift(fill_value=0.0))
    return NetworkLayout(nodes, edges)


def lay_out_study(study: Study) -> NetworkLayout | None:
    """The selected DAG of a study with what its nodes and edges weigh; None without a DAG."""
    selected = study.pruned_dag or study.full_dag
    if selected is None:
        return None
    layout = lay_out(selected, study.full_dag)
    nodes, edges = layout.nodes.copy(), layout.edges.copy()
    columns = ["weight", "share", "q_value", "called"]
    weighed = [found for arm in ("pruned", "full") if (found := study.interpretation(arm)) is not None]
    if weighed:
        heaviest = [
            _with_named_calls(study, found).sort_values("weight", ascending=False).drop_duplicates("node")
            for found in weighed
        ]
        known = pd.concat(heaviest).drop_duplicates("node").set_index("node").reindex(nodes["node"])
        nodes[columns] = known[columns].to_numpy()
        nodes = nodes.assign(called=nodes["called"].eq(True), **nodes[columns[:3]].astype(float))
        of_edge = weighed[0].edges.set_index(["parent", "child"])["weight"].abs()
        names = nodes["node"].to_numpy()
        pairs = pd.MultiIndex.from_arrays([names[edges["parent"]], names[edges["child"]]])
        edges["weight"] = of_edge.reindex(pairs).to_numpy(dtype=float)
    if len(study.membership):
        membership = study.membership.set_index("node")["membership"]
        nodes["membership"] = nodes["node"].map(membership).fillna("unknown")
    return NetworkLayout(nodes, edges)


def _with_named_calls(study: Study, weighed: Interpretation) -> pd.DataFrame:
    """The nodes of an arm, none of which is called for an output that the arm does not predict."""
    named = [output for output in weighed.outputs if nodes_may_be_named(study, weighed, output)]
    return weighed.nodes.assign(called=weighed.nodes["called"] & weighed.nodes["output"].isin(named))


def _levels(dag: Dag) -> dict[str, int]:
    """Longest way down from an output, for each neuron."""
    return dict.fromkeys(dag.neurons, 0) | longest_paths(parents_by_child(_links(dag)))


def _links(dag: Dag) -> pd.DataFrame:
    """Edges between neurons."""
    return dag.edges.loc[~dag.edges["child"].isin(set(dag.inputs)), ["parent", "child", "sign"]]


def _gene_counts(dag: Dag) -> dict[str, int]:
    return dag.edges.loc[dag.edges["child"].isin(set(dag.inputs)), "parent"].value_counts().to_dict()


def _rows(nodes: pd.DataFrame, edges: pd.DataFrame) -> np.ndarray:
    """Rows by the barycentre of neighbours (Sugiyama's heuristic): kept nodes above, pruned-away ones below."""
    neighbours: list[list[int]] = [[] for _ in range(len(nodes))]
    is_kept = nodes["kept"].to_numpy()
    for parent, child, kept in zip(edges["parent"], edges["child"], edges["kept"], strict=True):
        # What was pruned away must not move what was kept.
        if kept or not is_kept[child]:
            neighbours[child].append(parent)
        if kept or not is_kept[parent]:
            neighbours[parent].append(child)
    row = np.zeros(len(nodes))
    top = 0.0
    for part in (is_kept, ~is_kept):
        levels = [np.flatnonzero(part & (nodes["level"] == level)) for level in nodes["level"].unique()]
        height = max((len(level) for level in levels), default=0)
        if not height:
            continue
        for level in levels:
            row[level] = _spread(len(level), height, top)
        for sweep in range(_SWEEPS):
            for number in range(len(levels))[:: 1 if sweep % 2 == 0 else -1]:
                level = levels[number]
                centre = [np.mean([row[other] for other in neighbours[node]] or [row[node]]) for node in level]
                levels[number] = level[np.argsort(centre, kind="stable")]
                row[levels[number]] = _spread(len(level), height, top)
        top += height + 1
    return row


def _spread(n: int, height: int, top: float) -> np.ndarray:
    return top + (np.arange(n) + 0.5) * height / max(n, 1) - 0.5


def draw_hidden_part(dag: Dag, membership: Mapping[str, str] | None = None, title: str = "") -> go.Figure:
    """Draws the neurons of a DAG and the edges among them; the inputs appear as a count per neuron.

    Args:
        dag: the DAG.
        membership: of hidden nodes in the optimal DAGs: `all`, `some`, `none` or `unknown`; colours the neurons.
        title: above the drawing.
    """
    layout = lay_out(dag)
    nodes = layout.nodes.assign(membership=layout.nodes["node"].map(dict(membership or {})).fillna("unknown"))
    plot = draw_network(NetworkLayout(nodes, layout.edges))
    plot.update_layout(dragmode="pan")
    if title:
        heading = {"text": title, "x": 0.02, "y": 1, "yref": "container", "yanchor": "top", "pad": {"t": 10}}
        plot.update_layout(title=heading | {"font": {"size": 14}}, margin={"t": 90}, height=plot.layout.height + 50)
    return plot


def network_figure(layout: NetworkLayout) -> Figure:
    """The selected DAG as the report shows it."""
    return Figure("network", "The selected DAG", CAPTION, draw_network(layout))


def draw_network(layout: NetworkLayout) -> go.Figure:
    """The interactive drawing: names beside nodes, figures on hover, pruned-away nodes hidden until asked for."""
    plot = go.Figure()
    edges = layout.edges
    strongest = edges.loc[edges["kept"], "weight"].max()
    strength = (3 * edges["weight"].fillna(0) / (strongest if strongest > 0 else 1)).clip(0, 2).astype(int)
    named: set[str] = set()
    for (sign, width), rows in edges[edges["kept"]].groupby([edges["sign"], strength], sort=True):
        word, colour, dash = _SIGNS[int(sign)]
        line = {"color": colour, "dash": dash, "width": _WIDTHS[int(width)]}
        _add_edges(plot, layout, rows, line, word, word not in named)
        named.add(word)
    _add_edges(plot, layout, edges[~edges["kept"]], {"color": LINE, "width": 1, "dash": "dot"}, "away")
    _add_edges(plot, layout, edges.iloc[:0], {"color": VERMILLION, "width": 2.5}, "lit")
    _add_nodes(plot, layout)
    heights = [max(220, int(ROW_PIXELS * (layout.rows(kept_only) + 2) + 56)) for kept_only in (True, False)]
    ranges = [[layout.rows(kept_only) + 1, -1] for kept_only in (True, False)]
    plot.update_layout(
        template="none",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, -apple-system, Segoe UI, Roboto, sans-serif", "size": 12, "color": INK},
        height=heights[0],
        width=max(420, int(layout.width) + 40),
        margin={"l": 8, "r": 8, "t": 40, "b": 8},
        legend={
            "orientation": "h",
            "yanchor": "bottom",
            "y": 1.0,
            "x": 0,
            "itemclick": False,
            "itemdoubleclick": False,
        },
        hoverlabel={"font": {"size": 13}, "align": "left"},
        dragmode=False,
        xaxis={"visible": False, "range": [-20, max(380, int(layout.width))]},
        yaxis={"visible": False, "range": ranges[0]},
        # What the page's script needs to show the pruned-away part and to light a node's edges.
        meta={
            "nodes": layout.nodes["node"].tolist(),
            "kept": layout.nodes["kept"].tolist(),
            "edges": edges[["parent", "child"]].to_numpy().tolist(),
            "at": np.column_stack([layout.nodes["x"].round(1), layout.nodes["row"].round(2)]).tolist(),
            "heights": heights,
            "ranges": ranges,
        },
    )
    return plot


def _add_nodes(plot: go.Figure, layout: NetworkLayout) -> None:
    told = pd.Series(_hover(layout), index=layout.nodes.index)
    for name, rows, marker in _groups(layout.nodes):
        if rows.empty:
            continue
        is_kept = bool(rows["kept"].all())
        sizes = 8 + np.minimum(12, 1.1 * np.sqrt(rows["n_genes"]))
        plot.add_scatter(
            x=rows["x"].round(1),
            y=rows["row"].round(2),
            mode="markers+text",
            name=name,
            text=[as_text(node) for node in rows["node"]],
            textposition="middle right",
            textfont={"size": 11.5, "color": INK if is_kept else MUTED},
            marker={"size": sizes.round(1), "opacity": 1} | marker,
            hovertext=told[rows.index],
            hoverinfo="text",
            visible=is_kept,
        )


def _groups(nodes: pd.DataFrame) -> list[tuple[str, pd.DataFrame, dict[str, object]]]:
    """Nodes that look alike: by weight and calling where these are known, else by membership in the optimal DAGs."""
    hidden = nodes[nodes["kept"] & ~nodes["is_output"]]
    outputs, away = nodes[nodes["is_output"]], nodes[~nodes["kept"]]
    groups = [
        ("pruned away", away, _look(PAPER, MUTED, 1)),
        ("output", outputs, _look(BLUE, BLUE, 1) | {"symbol": "square"}),
    ]
    if hidden["weight"].max() > 0:
        scale = {"cmin": 0, "cmax": float(hidden["weight"].max()), "colorscale": [[0, TINT], [1, BLUE]]}
        looks = (("hidden node, the fuller the heavier", False, BLUE, 1), ("called", True, VERMILLION, 3))
        for name, called, ring, width in looks:
            rows = hidden[hidden["called"] == called]
            groups.append((name, rows, _look(rows["weight"].fillna(0).round(5), ring, width) | scale))
    else:
        for kind, (words, colour, symbol) in _MEMBERSHIP.items():
            look = _look(colour, colour, 1) | {"symbol": symbol}
            groups.append((words, hidden[hidden["membership"] == kind], look))
    return groups


def _look(fill: object, ring: str, width: float) -> dict[str, object]:
    return {"color": fill, "line": {"color": ring, "width": width}}


def _add_edges(
    plot: go.Figure,
    layout: NetworkLayout,
    rows: pd.DataFrame,
    line: dict[str, object],
    name: str,
    in_legend: bool = False,
) -> None:
    across, down = layout.curves(rows)
    gap = np.full((len(rows), 1), np.nan)
    xs, ys = np.hstack([across.round(1), gap]).ravel(), np.hstack([down.round(2), gap]).ravel()
    hidden = name in ("away", "lit")
    plot.add_scatter(
        x=xs, y=ys, mode="lines", line=line, name=name, hoverinfo="skip", showlegend=in_legend, visible=not hidden
    )


def _hover(layout: NetworkLayout) -> list[str]:
    """What is told about each node."""
    nodes, edges = layout.nodes, layout.edges
    names = nodes["node"].map(as_text).to_numpy()
    links = edges[edges["kept"]] if nodes["kept"].all() else edges
    told = []
    for number, node in enumerate(nodes.itertuples()):
        kind = "output" if node.is_output else "hidden node" if node.kept else "pruned away"
        lines = [f"<b>{names[number]}</b>", kind, f"{node.n_genes:,} inputs directly below"]
        for word, at, other in (("below", "child", "parent"), ("above", "parent", "child")):
            others = names[links.loc[links[at] == number, other]].tolist()
            if others:
                lines.append(f"{word} {', '.join(others[:6])}{' …' if len(others) > 6 else ''}")
        if node.weight == node.weight:
            lines.append(f"weight {node.weight:.3g}, {percent(node.share)} of all")
            lines.append(f"q = {node.q_value:.2g}{', called' if node.called else ''}")
        if node.membership != "unknown" and not node.is_output:
            lines.append(_MEMBERSHIP[node.membership][0])
        told.append("<br>".join(lines))
    return told
