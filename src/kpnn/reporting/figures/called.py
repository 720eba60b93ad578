"""The figure that the report's node part opens with: the called nodes, their genes, and how they reach the output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from kpnn.errors import some_names
from kpnn.pkn import Dag
from kpnn.pkn.graph import children_by_parent
from kpnn.reporting.figures.style import (
    BLUE,
    INK,
    LINE,
    MUTED,
    PAPER,
    VERMILLION,
    Figure,
    as_text,
    new_plot,
)
from kpnn.reporting.study import Interpretation
from kpnn.tables import largest_first

MOST = 10
"""Called nodes that are drawn."""
_GENES, _MORE_GENES, _GENE_LETTERS = 3, 10, 30
"""Genes named beside a node and on pointing at it, and letters that those beside it may take."""
_INDENT, _TWO_LINES, _ONE_LINE = 22, 40, 26
"""Pixels: from one level to the next, and height of a row with and without genes."""
_LETTER, _NARROW, _DEEPEST = 7.2, 330, 132
"""Width of a letter, of the drawing on a telephone, and of all its levels together."""


def strongest_paths(dag: Dag, edges: pd.DataFrame, output: str) -> dict[str, str]:
    """The parent of each neuron on its strongest path to an output: of the largest product of absolute edge weights.

    Args:
        dag: the network.
        edges: `parent`, `child`, `weight`.
        output: where paths end.

    Returns:
        Parent by child; a neuron without a path to the output is not in it.
    """
    size = {(a, b): abs(w) for a, b, w in edges[["parent", "child", "weight"]].itertuples(index=False, name=None)}
    inputs = set(dag.inputs)
    children = children_by_parent(dag.edges[~dag.edges["child"].isin(inputs)])
    strength, parent_of = {output: 1.0}, {}
    for level in reversed(dag.levels[1:]):
        for node in level:
            for child in children.get(node, ()) if node in strength else ():
                along = strength[node] * size.get((node, child), 0.0)
                if along > strength.get(child, -1.0):
                    strength[child], parent_of[child] = along, node
    return parent_of


def called_tree(weighed: Interpretation, dag: Dag, output: str) -> pd.DataFrame:
    """The called nodes of an output with the nodes on their strongest paths to it, each below its parent.

    Args:
        weighed: what the arm's networks say.
        dag: the arm's network.
        output: the output.

    Returns:
        `node`, `parent` (empty for the output), `depth`, `is_called`, in the order of drawing; no rows where no node is
        called.
    """
    nodes = weighed.of_output(output)
    called = nodes[nodes["called"]].nsmallest(MOST, "rank")
    parent_of = strongest_paths(dag, weighed.edges, output)
    shown = [node for node in called["node"] if node in parent_of]
    children: dict[str, list[str]] = {}
    seen = {output}
    for node in shown:  # in their order: so do the branches stand
        path = [node]
        while path[-1] not in seen:
            seen.add(path[-1])
            path.append(parent_of[path[-1]])
        for child, parent in zip(path[-2::-1], path[:0:-1], strict=True):
            if child not in children.setdefault(parent, []):
                children[parent].append(child)
    rows: list[tuple[str, str, int, bool]] = []
    waiting = [(output, "", 0)] if shown else []
    while waiting:
        node, parent, depth = waiting.pop()
        rows.append((node, parent, depth, node in shown))
        waiting += [(child, node, depth + 1) for child in reversed(children.get(node, []))]
    return pd.DataFrame(rows, columns=["node", "parent", "depth", "is_called"])


def nodes_with_activity(weighed: Interpretation, dag: Dag, output: str) -> list[str]:
    """The called nodes whose activations are known, in the order of the tree."""
    tree = called_tree(weighed, dag, output)
    return [node for node in tree.loc[tree["is_called"], "node"] if node in weighed.activations]


def searched_as(weighed: Interpretation, output: str) -> str:
    """What the search of the report's node part calls the drawing of an output's called nodes, and their table."""
    return f"{weighed.arm}, {output}"


def tree_figure(weighed: Interpretation, dag: Dag, output: str, stands: Mapping[str, str]) -> Figure | None:
    """The called nodes on their paths to the output with their heaviest genes; None where no node is called.

    Args:
        weighed: what the arm's networks say.
        dag: the arm's network.
        output: the output.
        stands: what is told about each called node, by node.
    """
    tree = called_tree(weighed, dag, output)
    if tree.empty:
        return None
    genes = _genes_below(weighed, dag, output)
    known = weighed.of_output(output).set_index("node")
    lines = [_lines(row.node, row.is_called, known, genes) for row in tree.itertuples()]
    heights = np.array([_TWO_LINES if under else _ONE_LINE for _, under in lines])
    tree["y"] = np.cumsum(heights) - heights / 2
    tree["x"] = 8 + min(_INDENT, _DEEPEST / tree["depth"].max()) * tree["depth"]
    letters = [max(len(name), 0.85 * len(under)) for name, under in lines]
    width = float((tree["x"] + 16 + _LETTER * np.array(letters)).max())
    plot = new_plot("", "", height=int(heights.sum()) + 56)
    _add_branches(plot, tree)
    _add_marks(plot, tree, [_told(node, stands, genes) for node in tree["node"]])
    _add_names(plot, tree, lines)
    plot.update_xaxes(visible=False, range=[0, max(width, _NARROW)], fixedrange=True)
    plot.update_yaxes(visible=False, range=[float(heights.sum()) + 4, -4], fixedrange=True)
    # `meta` tells the page's scripts that the drawing is made for a narrow page already, and what can be found in it:
    # all genes of a called node, not only those that are drawn.
    meta = {
        "narrow": True,
        "searched": searched_as(weighed, output),
        "nodes": [
            {"name": row.node, "genes": genes.get(row.node, []) if row.is_called else []} for row in tree.itertuples()
        ],
    }
    plot.update_layout(margin={"l": 4, "r": 4, "t": 40, "b": 4}, dragmode=False, meta=meta)
    if width > _NARROW:
        plot.update_layout(width=int(width) + 8)
    return Figure(
        f"called_{weighed.arm}_{output}",
        f"Called nodes of {weighed.arm} on their way to {output}",
        f"Each called node of `{weighed.arm}` below what it acts through: of all its paths to {output} the one of the "
        "largest product of edge weights. Beside it the ROC-AUC of its activity alone, below it its heaviest genes: ▲ "
        f"more expression raises the probability of {output}, ▼ lowers it. Point at a node for its figures.",
        plot,
    )


def _add_marks(plot: go.Figure, tree: pd.DataFrame, told: Sequence[str]) -> None:
    """A mark for each node, which says by its shape and colour whether it is an output, or called."""
    looks = (
        ("output", tree["parent"] == "", "square", BLUE, BLUE),
        ("called", tree["is_called"], "circle", VERMILLION, VERMILLION),
        ("on the way to the output", ~tree["is_called"] & (tree["parent"] != ""), "circle", PAPER, MUTED),
    )
    for name, chosen, symbol, fill, ring in looks:
        rows = tree[chosen]
        if len(rows):
            plot.add_scatter(
                x=rows["x"],
                y=rows["y"],
                mode="markers",
                name=name,
                marker={"symbol": symbol, "size": 12, "color": fill, "line": {"color": ring, "width": 2}},
                hovertext=[told[place] for place in rows.index],
                hoverinfo="text",
            )


def _add_names(plot: go.Figure, tree: pd.DataFrame, lines: Sequence[tuple[str, str]]) -> None:
    """Each node's name beside its mark, and what stands below it."""
    for row, (name, under) in zip(tree.itertuples(), lines, strict=True):
        weight = "b" if row.is_called or not row.parent else "span"
        text = f"<{weight}>{as_text(name)}</{weight}>" + (
            f'<br><span style="font-size:11px">{under}</span>' if under else ""
        )
        plot.add_annotation(
            x=row.x, y=row.y, text=text, xshift=11, xanchor="left", align="left", showarrow=False,
            font={"size": 13, "color": INK if row.is_called or not row.parent else MUTED},
        )  # fmt: skip


def _genes_below(weighed: Interpretation, dag: Dag, output: str) -> dict[str, list[str]]:
    """The genes directly below each node, the heaviest first, with what they do to the probability."""
    of_output = weighed.genes[weighed.genes["output"] == output].set_index("node")
    inputs = dag.edges[dag.edges["child"].isin(of_output.index)]
    found: dict[str, list[str]] = {}
    for parent, rows in inputs.groupby("parent"):
        own = largest_first(of_output.loc[rows["child"], ["gene", "weight"]])
        found[str(parent)] = [f"{row.gene} {'▲' if row.weight > 0 else '▼'}" for row in own.itertuples()]
    return found


def _lines(node: str, is_called: bool, known: pd.DataFrame, genes: Mapping[str, list[str]]) -> tuple[str, str]:
    """What stands beside a node, and below that its genes."""
    if not is_called:
        return node, ""
    area = known["roc_auc"].get(node, np.nan) if "roc_auc" in known else np.nan
    shown: list[str] = []
    for gene in genes.get(node, [])[:_GENES]:
        if shown and len("  ".join([*shown, gene])) > _GENE_LETTERS:
            break
        shown.append(gene)
    return node + (f"  {area:.2f}" if area == area else ""), as_text("  ".join(shown))


def _told(node: str, stands: Mapping[str, str], genes: Mapping[str, list[str]]) -> str:
    lines = [f"<b>{as_text(node)}</b>"]
    lines += [as_text(part) for part in stands.get(node, "").split("; ") if part]
    of_node = genes.get(node, [])
    if of_node:
        lines.append(f"genes: {as_text(some_names(of_node, _MORE_GENES))}")
    return "<br>".join(lines)


def _add_branches(plot: go.Figure, tree: pd.DataFrame) -> None:
    """Lines from each node down its parent's column and across."""
    place = tree.set_index("node")[["x", "y"]]
    x: list[float] = []
    y: list[float] = []
    for row in tree[tree["parent"] != ""].itertuples():
        above = place.loc[row.parent]
        x += [above["x"], above["x"], row.x, np.nan]
        y += [above["y"], row.y, row.y, np.nan]
    plot.add_scatter(x=x, y=y, mode="lines", line={"color": LINE, "width": 2}, hoverinfo="skip", showlegend=False)
