"""The second figure of the first page: the nodes that a run of the demo called, on their paths to the output."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from answer_figure import STYLE

WIDTH, STEP, TOP = 760, 150, 104
GENE_GAP = 22


def called_figure(numbers: dict[str, Any]) -> str:
    """The figure, as SVG: the output on the left, each node right of the one above it, genes on the right.

    Args:
        numbers: as `demo_run.numbers_of_run` gives them.
    """
    nodes = {one["node"]: one for one in numbers["called"]}
    depth_of = {name: _depth(name, nodes) for name in nodes}
    rows: dict[str, int] = {}
    for name in sorted(nodes, key=lambda name: (depth_of[name], name)):
        above = nodes[name]["parent"]
        taken = {rows[other] for other in rows if depth_of[other] == depth_of[name]}
        rows[name] = next(row for row in range(rows.get(above, 0), len(nodes) + 1) if row not in taken)
    height = TOP + 110 * (1 + max(rows.values(), default=0))
    places = {name: (60 + STEP * depth_of[name], TOP + 110 * rows[name]) for name in nodes}
    body = "\n".join(part for name in nodes for part in _node(nodes[name], places))
    called = ", ".join(name for name in nodes if nodes[name]["called"])
    title = f"Called nodes of the pruned network on their paths to the output: {called}"
    others = numbers["n_parameters"]["pruned"] - numbers["n_edges"]["pruned"] - len(nodes)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{title}">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n"
        f'<rect class="paper" width="{WIDTH}" height="{height}" rx="8"/>\n'
        '<text class="bold" x="20" y="28">Called nodes, and the genes that they read</text>\n'
        f'<text class="small" x="20" y="46">demo, pruned network; ROC-AUC of each one alone in unseen cells; '
        f"{others} other neurons are not called</text>\n"
        f"{body}\n</svg>\n"
    )


def _depth(name: str, nodes: dict[str, dict[str, Any]]) -> int:
    above = nodes[name]["parent"]
    return 0 if above is None else 1 + _depth(above, nodes)


def _node(node: dict[str, Any], places: dict[str, tuple[int, int]]) -> Iterator[str]:
    x, y = places[node["node"]]
    if node["parent"] is not None:
        above = places[node["parent"]]
        yield f'<path class="line" fill="none" d="M{above[0] + 14} {above[1]}L{x - 14} {y}"/>'
    genes = node.get("genes", [])
    for place, gene in enumerate(genes):
        at = y + GENE_GAP * (place - (len(genes) - 1) / 2)
        yield f'<path class="line" fill="none" d="M{x + 14} {y}L{x + 110} {at:g}"/>'
        yield f'<text class="small" x="{x + 116}" y="{at + 4:g}">{gene}</text>'
    if node.get("n_genes", 0) > len(genes):
        at = y + GENE_GAP * (len(genes) + 1) / 2
        yield f'<text class="small" x="{x + 116}" y="{at + 4:g}">and {node["n_genes"] - len(genes)} more</text>'
    yield f'<circle class="{"arm" if node["called"] else "output"}" cx="{x}" cy="{y}" r="12"/>'
    yield f'<text class="bold" text-anchor="middle" x="{x}" y="{y - 22}">{node["node"]}</text>'
    if "roc_auc" in node:
        yield f'<text class="small" text-anchor="middle" x="{x}" y="{y + 32}">{node["roc_auc"]:.3f}</text>'
