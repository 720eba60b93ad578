"""An interactive drawing of the hidden part of a DAG: outputs on the left, neurons in levels to the right."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from kpnn.pkn import Dag

_ROW_PIXELS = 17
_LEVEL_PIXELS = 190
_COLOURS = {"all": "#1b6ca8", "some": "#e08e0b", "none": "#9a9a9a", "unknown": "#9a9a9a", "output": "#222222"}
_SIGNS = {1: ("activates", "#5a9e6f"), -1: ("inhibits", "#c0504d"), 0: ("sign unknown", "#b8b8b8")}
_MEMBERSHIP_WORDS = {
    "all": "in all optimal DAGs",
    "some": "in some optimal DAGs",
    "none": "in no optimal DAG",
    "unknown": "not settled",
    "output": "output",
}


def draw_hidden_part(dag: Dag, membership: Mapping[str, str] | None = None, title: str = "") -> go.Figure:
    """Draws the neurons of a DAG and the edges among them; the inputs appear as a count per neuron.

    Each neuron has a row of its own below its parent, so that names stay readable with hundreds of neurons: the figure
    grows in height. Hovering tells a neuron's parents, children and number of inputs.

    Args:
        dag: the DAG.
        membership: of hidden nodes in the optimal DAGs: `all`, `some`, `none` or `unknown`; colours the neurons.
        title: above the drawing.
    """
    neurons = set(dag.neurons)
    is_between = dag.edges["child"].isin(neurons)
    between = dag.edges[is_between]
    n_inputs = dag.edges.loc[~is_between, "parent"].value_counts().to_dict()
    parents = between.groupby("child")["parent"].agg(list).to_dict()
    children = between.groupby("parent")["child"].agg(list).to_dict()
    depth = _depths(dag, parents)
    row = _rows(dag, children, depth)
    figure = go.Figure()
    for sign, (word, colour) in _SIGNS.items():
        xs, ys = _steps(between[between["sign"] == sign], depth, row)
        if xs:
            figure.add_trace(
                go.Scatter(x=xs, y=ys, mode="lines", name=word, line={"color": colour, "width": 1.2}, hoverinfo="skip")
            )
    kinds = {name: "output" if name in dag.outputs else (membership or {}).get(name, "all") for name in neurons}
    for kind, colour in _COLOURS.items():
        names = sorted(name for name in neurons if kinds[name] == kind)
        if names:
            figure.add_trace(
                go.Scatter(
                    x=[depth[name] for name in names],
                    y=[row[name] for name in names],
                    mode="markers+text",
                    name=_MEMBERSHIP_WORDS[kind] if membership or kind == "output" else "hidden node",
                    text=names,
                    textposition="middle right",
                    textfont={"size": 11},
                    marker={"size": [_size(n_inputs.get(name, 0)) for name in names], "color": colour},
                    hovertext=[_hover(name, parents, children, n_inputs) for name in names],
                    hoverinfo="text",
                )
            )
    figure.update_layout(
        title=title or None,
        template="plotly_white",
        height=max(420, _ROW_PIXELS * (max(row.values()) + 6)),
        width=max(700, _LEVEL_PIXELS * (max(depth.values()) + 2)),
        margin={"l": 20, "r": 140, "t": 60 if title else 20, "b": 20},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0},
        dragmode="pan",
        xaxis={"visible": False, "range": [-0.15, max(depth.values()) + 1]},
        yaxis={"visible": False, "autorange": "reversed"},
    )
    return figure


def _depths(dag: Dag, parents: Mapping[str, list[str]]) -> dict[str, int]:
    """Longest path from an output down to each neuron."""
    depth: dict[str, int] = {}
    for level in reversed(dag.levels[1:]):
        for name in level:
            depth[name] = 1 + max((depth[parent] for parent in parents.get(name, ())), default=-1)
    return depth


def _rows(dag: Dag, children: Mapping[str, list[str]], depth: Mapping[str, int]) -> dict[str, int]:
    """A row for every neuron: depth-first below the outputs, as in a folder tree."""
    row: dict[str, int] = {}
    waiting = list(reversed(dag.outputs))
    while waiting:
        name = waiting.pop()
        if name in row:
            continue
        row[name] = len(row)
        below = [child for child in sorted(children.get(name, ())) if depth[child] == depth[name] + 1]
        waiting += reversed(below)
    for name in dag.neurons:
        row.setdefault(name, len(row))
    return row


def _steps(
    between: pd.DataFrame, depth: Mapping[str, int], row: Mapping[str, int]
) -> tuple[list[float | None], list[float | None]]:
    """Right-angled lines from parent to child, separated by gaps."""
    xs: list[float | None] = []
    ys: list[float | None] = []
    for parent, child in zip(between["parent"], between["child"], strict=True):
        xs += [depth[parent], depth[parent], depth[child], None]
        ys += [row[parent], row[child], row[child], None]
    return xs, ys


def _size(n_inputs: int) -> float:
    return 7.0 + min(14.0, 1.1 * n_inputs**0.5)


def _hover(
    name: str, parents: Mapping[str, list[str]], children: Mapping[str, list[str]], n_inputs: Mapping[str, int]
) -> str:
    lines = [f"<b>{name}</b>", f"{n_inputs.get(name, 0):,} inputs"]
    for word, others in (("below", sorted(parents.get(name, ()))), ("above", sorted(children.get(name, ())))):
        if others:
            lines.append(f"{word} {', '.join(others[:8])}{' …' if len(others) > 8 else ''}")
    return "<br>".join(lines)
