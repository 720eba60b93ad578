"""The selected DAG as a drawing: levels from the output down, node weights, gene counts, and what was pruned away."""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd

from kpnn.pkn import Dag
from kpnn.reporting.html import text
from kpnn.reporting.study import Study

_SWEEPS = 8


@dataclass(frozen=True, eq=False)
class NetworkDrawing:
    """Where everything stands.

    Attributes:
        nodes: `node`, `level` (0: outputs), `place` (from -0.5 to 0.5 within its level, scaled by the widest),
            `is_output`, `kept`, `n_genes`, `weight`, `share`, `q_value`, `called`, `membership`.
        edges: `parent`, `child` (positions in `nodes`), `kept`, `weight` (absolute, NaN where not known).
        n_levels: number of levels.
    """

    nodes: pd.DataFrame
    edges: pd.DataFrame
    n_levels: int


def draw_network(study: Study) -> NetworkDrawing | None:
    """Lays out the selected DAG's neurons and those of the full DAG that it leaves out; None without a DAG.

    Args:
        study: with `pruned_dag`, or else only `full_dag`.
    """
    selected = study.pruned_dag or study.full_dag
    if selected is None:
        return None
    depth = _depths(selected)
    away = study.full_dag if study.full_dag is not selected else None
    if away is not None:
        for name, level in _depths(away).items():
            depth.setdefault(name, level)
    names = sorted(depth, key=lambda name: (depth[name], name))
    kept = set(selected.neurons)
    edges = [_neuron_edges(selected).assign(kept=True)]
    if away is not None:
        of_away = _neuron_edges(away)
        pairs = set(zip(edges[0]["parent"], edges[0]["child"], strict=True))
        is_new = [pair not in pairs for pair in zip(of_away["parent"], of_away["child"], strict=True)]
        edges.append(of_away[is_new].assign(kept=False))
    links = pd.concat(edges, ignore_index=True)
    nodes = pd.DataFrame({"node": names, "level": [depth[name] for name in names]})
    nodes["place"] = _places(nodes, links)
    nodes["is_output"] = nodes["node"].isin(selected.outputs)
    nodes["kept"] = nodes["node"].isin(kept)
    genes = {name: count for dag in (away, selected) if dag is not None for name, count in _gene_counts(dag).items()}
    nodes["n_genes"] = nodes["node"].map(genes).fillna(0).astype(int)
    nodes = _with_weights(nodes, study)
    place = {name: number for number, name in enumerate(names)}
    weights = _edge_weights(study)
    links["weight"] = [
        weights.get((parent, child), np.nan) for parent, child in zip(links["parent"], links["child"], strict=True)
    ]
    links["parent"], links["child"] = links["parent"].map(place), links["child"].map(place)
    return NetworkDrawing(nodes, links, int(nodes["level"].max()) + 1)


def _depths(dag: Dag) -> dict[str, int]:
    """Longest way down from an output, for each neuron."""
    edges = _neuron_edges(dag)
    children = edges.groupby("parent")["child"].agg(list).to_dict()
    depth = dict.fromkeys(dag.outputs, 0)
    for level in dag.levels[:0:-1]:
        for node in level:
            for child in children.get(node, ()):
                depth[child] = max(depth.get(child, 0), depth.get(node, 0) + 1)
    return {name: depth.get(name, 0) for name in dag.neurons}


def _neuron_edges(dag: Dag) -> pd.DataFrame:
    return dag.edges.loc[~dag.edges["child"].isin(set(dag.inputs)), ["parent", "child"]].reset_index(drop=True)


def _gene_counts(dag: Dag) -> dict[str, int]:
    genes = dag.edges[dag.edges["child"].isin(set(dag.inputs))]
    return genes["parent"].value_counts().to_dict()


def _places(nodes: pd.DataFrame, links: pd.DataFrame) -> np.ndarray:
    """Order within levels by the barycentre of neighbours (Sugiyama's heuristic), evenly spaced and centred."""
    index = {name: number for number, name in enumerate(nodes["node"])}
    neighbours: list[list[int]] = [[] for _ in index]
    for parent, child in zip(links["parent"], links["child"], strict=True):
        neighbours[index[parent]].append(index[child])
        neighbours[index[child]].append(index[parent])
    levels = [rows.to_numpy() for _, rows in nodes.groupby("level").groups.items()]
    widest = max(len(level) for level in levels)
    place = np.zeros(len(nodes))

    def spread(level: np.ndarray) -> None:
        place[level] = (np.arange(len(level)) - (len(level) - 1) / 2) / widest

    for level in levels:
        spread(level)
    for sweep in range(_SWEEPS):
        for number in range(len(levels)) if sweep % 2 == 0 else range(len(levels) - 1, -1, -1):
            level = levels[number]
            centre = [np.mean([place[other] for other in neighbours[node]] or [place[node]]) for node in level]
            levels[number] = level[np.argsort(centre, kind="stable")]
            spread(levels[number])
    return place


def _with_weights(nodes: pd.DataFrame, study: Study) -> pd.DataFrame:
    columns = ["weight", "share", "q_value", "called"]
    tables = []
    for arm in ("pruned", "full"):
        weighed = study.interpretation(arm)
        if weighed is not None:
            heaviest = weighed.nodes.sort_values("weight", ascending=False).drop_duplicates("node")
            tables.append(heaviest.set_index("node")[columns])
    known = pd.concat(tables) if tables else pd.DataFrame(columns=columns)
    known = known[~known.index.duplicated()].reindex(nodes["node"])
    for column in columns:
        nodes[column] = known[column].to_numpy()
    nodes["called"] = nodes["called"].eq(True)
    membership = {}
    if len(study.membership):
        membership = dict(zip(study.membership["node"], study.membership["membership"], strict=True))
    nodes["membership"] = nodes["node"].map(membership).fillna("unknown")
    return nodes


def _edge_weights(study: Study) -> dict[tuple[str, str], float]:
    weighed = study.interpretation("pruned") or study.interpretation("full")
    if weighed is None or not len(weighed.edges):
        return {}
    edges = weighed.edges
    return {
        (parent, child): abs(float(weight))
        for parent, child, weight in zip(edges["parent"], edges["child"], edges["weight"], strict=True)
    }


CAPTION = (
    "The selected DAG, outputs on the left, each further level one step nearer the genes. The fuller a node's colour, "
    "the heavier it is; the larger, the more genes it reads; a thick ring marks nodes that are called. Dashed "
    "outlines: pruned away."
)


def network_html(drawing: NetworkDrawing) -> str:
    """The drawing as an interactive figure: zoom, pan, hover, search, and the pruned-away part on demand."""
    nodes, edges = drawing.nodes, drawing.edges
    data = {
        "nodes": [
            [
                row.node,
                int(row.level),
                round(float(row.place), 5),
                int(row.is_output),
                int(row.kept),
                int(row.n_genes),
                _number(row.weight),
                _number(row.share),
                _number(row.q_value),
                int(row.called),
                row.membership,
            ]
            for row in nodes.itertuples()
        ],
        "edges": [[int(row.parent), int(row.child), int(row.kept), _number(row.weight)] for row in edges.itertuples()],
        "levels": drawing.n_levels,
        "widest": int(nodes.groupby("level").size().max()),
    }
    payload = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    n_kept, n_away = int(nodes["kept"].sum()), int((~nodes["kept"]).sum())
    options = "".join(f'<option value="{escape(name, quote=True)}">' for name in sorted(nodes["node"]))
    away = (
        f'<button type="button" data-do="away" aria-pressed="false">Show the {n_away} pruned-away nodes</button>'
        if n_away
        else ""
    )
    return (
        '<figure class="drawing" id="figure-network"><h3>The selected DAG</h3>'
        '<div class="controls"><label>Find a node <input type="search" list="node-names" placeholder="name" '
        f'autocomplete="off"></label><datalist id="node-names">{options}</datalist>{away}'
        '<button type="button" data-do="in" aria-label="Zoom in">+</button>'
        '<button type="button" data-do="out" aria-label="Zoom out">&minus;</button>'
        '<button type="button" data-do="fit">Whole network</button>'
        '<span class="quiet" role="status" aria-live="polite"></span></div>'
        f'<div class="stage" role="img" aria-label="{n_kept} neurons in {drawing.n_levels} levels. '
        f'{escape(CAPTION, quote=True)}"></div>'
        '<div class="legend">'
        '<span><svg viewBox="0 0 18 18"><circle cx="9" cy="9" r="7" class="lg-heavy"/></svg>heavy</span>'
        '<span><svg viewBox="0 0 18 18"><circle cx="9" cy="9" r="7" class="lg-light"/></svg>light</span>'
        '<span><svg viewBox="0 0 18 18"><circle cx="9" cy="9" r="6" class="lg-called"/></svg>called</span>'
        '<span><svg viewBox="0 0 18 18"><rect x="3" y="3" width="12" height="12" class="lg-heavy"/></svg>output</span>'
        '<span><svg viewBox="0 0 18 18"><circle cx="9" cy="9" r="6" class="lg-away"/></svg>pruned away</span>'
        f"</div><figcaption>{text(CAPTION)} Drag to move, pinch or use the buttons to zoom, point at a node for its "
        f'figures.</figcaption><script type="application/json">{payload}</script></figure>'
    )


def _number(value: float) -> float | None:
    return None if value is None or value != value else float(f"{float(value):.4g}")
