"""The report's sections on nodes: which lead, how far to trust them, the selected DAG, genes and edges."""

from __future__ import annotations

import pandas as pd

from kpnn.interpretation import agreement_of_arms
from kpnn.reporting import html
from kpnn.reporting.collecting import Collector
from kpnn.reporting.network_drawing import draw_network, network_html
from kpnn.reporting.node_figures import (
    arms_figure,
    biases_figure,
    genes_figure,
    heaviest,
    ranks_figure,
    standing,
    structure_figure,
    top_nodes_figure,
)
from kpnn.reporting.study import Interpretation, Study

_NONE_SHARED = "`full` and `pruned` share no hidden node: their weights for {} cannot be compared."
_SHOWN = [
    "node",
    "weight",
    "weight_sd",
    "share",
    "control_share",
    "corrected",
    "q_value",
    "called",
    "top_folds",
    "optimal DAGs",
    "n_genes",
]


def nodes_section(study: Study, collector: Collector, most: int) -> str:
    """The heaviest nodes of each arm and output, the full account of every node, and what could not be weighed."""
    membership = _membership(study)
    parts = []
    for weighed in reversed(study.interpretations):  # the pruned arm first: it is what the study is about
        for number, output in enumerate(dict.fromkeys(weighed.nodes["output"])):
            body = _of_output(weighed, output, membership, collector, most)
            parts.append(body if number == 0 else f"<details><summary>{html.text(output)}</summary>{body}</details>")
    if not parts:
        return html.paragraph("No network is there to weigh nodes with.", "note") if study.arms else ""
    return html.paragraph(
        "A node's weight is how much the predicted probability changes as its activation changes, on cells that the "
        "network has not seen. A node is called where label permutations of held-out cells give q < 0.05 and it weighs "
        "more than its place in the network alone would give it."
    ) + "".join(parts)


def _of_output(
    weighed: Interpretation, output: str, membership: dict[str, str], collector: Collector, most: int
) -> str:
    figures = [
        top_nodes_figure(weighed, output, membership, most),
        structure_figure(weighed, output, most),
        ranks_figure(weighed, output, most),
        genes_figure(weighed, output, most),
    ]
    nodes = weighed.nodes[weighed.nodes["output"] == output].copy()
    nodes["optimal DAGs"] = nodes["node"].map(membership).fillna("unknown")
    columns = [name for name in _SHOWN if name in nodes]
    table = collector.table(
        nodes,
        f"node_weights_{weighed.arm}_{output}",
        f"Every hidden node of `{weighed.arm}` for {output}, heaviest first: weight and sd over folds, share of all "
        "weights, share that the structure alone gives, their difference, q-value, in the top of how many folds, in "
        "all, some or none of the optimal DAGs, genes directly below.",
        most_rows=60,
        shown=columns,
    )
    lead = html.paragraph(_headline(weighed, output, membership))
    drawn = [collector.figure(figure) for figure in figures if figure is not None]
    return lead + html.side_by_side(drawn) + table


def _headline(weighed: Interpretation, output: str, membership: dict[str, str]) -> str:
    """Names the leading nodes with how firmly they stand."""
    nodes = weighed.nodes[weighed.nodes["output"] == output]
    called = nodes[nodes["called"]].sort_values("rank")
    n_folds = int(nodes["n_folds"].max())
    leaders = called if len(called) else heaviest(weighed, output, 3)
    told = [f"{row['node']} ({standing(row, membership, n_folds)})" for _, row in leaders.head(5).iterrows()]
    if not len(called):
        return (
            f"In `{weighed.arm}` no node is called for {output}: none carries more than chance and structure explain. "
            f"The heaviest are {', '.join(told)}."
        )
    more = f" and {len(called) - 5} more" if len(called) > 5 else ""
    return f"In `{weighed.arm}` the prediction of {output} rests on {', '.join(told)}{more}."


def trust_section(study: Study, collector: Collector) -> str:
    """How stable the rankings are across folds, starts, optimal DAGs and arms; biases."""
    parts = []
    tables = [weighed.stability.assign(arm=weighed.arm) for weighed in study.interpretations if len(weighed.stability)]
    if tables:
        stability = pd.concat(tables, ignore_index=True)
        stability = stability[["arm", *(name for name in stability if name != "arm")]]
        parts.append(
            collector.table(
                stability,
                "stability",
                "Agreement of node rankings: mean rank correlation and overlap of the top nodes between folds, starts "
                "(seeds) and optimal DAGs, over the nodes that both have.",
            )
        )
    full, pruned = study.interpretation("full"), study.interpretation("pruned")
    if full is not None and pruned is not None:
        agreement = agreement_of_arms(full.nodes, pruned.nodes)
        for row in agreement.itertuples():
            if row.n_shared == 0:
                parts.append(html.paragraph(_NONE_SHARED.format(row.output), "note"))
        parts.append(
            collector.table(agreement, "arm_agreement", "How alike `full` and `pruned` weigh the nodes that both have.")
        )
        drawn = [arms_figure(full, pruned, output) for output in agreement["output"]]
        parts.append(html.side_by_side([collector.figure(figure) for figure in drawn if figure is not None]))
    biases = [collector.figure(biases_figure(weighed)) for weighed in study.interpretations if len(weighed.biases)]
    if biases:
        parts.append(f"<details><summary>Biases</summary>{html.side_by_side(biases)}</details>")
    for weighed in study.interpretations:
        edges = collector.table(
            weighed.edges,
            f"edge_weights_{weighed.arm}",
            f"Edge weights of `{weighed.arm}`, mean and sd over folds, largest first.",
            most_rows=30,
        )
        genes = collector.table(
            weighed.genes, f"gene_weights_{weighed.arm}", f"Gene weights of `{weighed.arm}`.", most_rows=30
        )
        parts.append(f"<details><summary>Edges and genes of {html.text(weighed.arm)}</summary>{edges}{genes}</details>")
    return "".join(parts)


def network_section(study: Study, collector: Collector) -> str:
    """The selected DAG, drawn, and which nodes every optimal DAG holds."""
    drawing = draw_network(study)
    if drawing is None:
        return ""
    parts = [network_html(drawing)]
    known = study.membership[study.membership["membership"] != "unknown"] if len(study.membership) else study.membership
    if len(known):
        counts = known["membership"].value_counts()
        parts.append(
            html.paragraph(
                f"Of the {len(known)} hidden nodes of the PKN, {counts.get('all', 0)} are in every optimal DAG, "
                f"{counts.get('some', 0)} in some but not all, {counts.get('none', 0)} in none. A node that is only in "
                "some could be exchanged for others at the same cost."
            )
        )
        order = known["membership"].map({"all": 0, "some": 1, "none": 2})
        table = known.iloc[order.argsort(kind="stable")]
        parts.append(
            collector.table(table, "node_membership", "Hidden nodes by the optimal DAGs that hold them.", most_rows=60)
        )
    return "".join(parts)


def _membership(study: Study) -> dict[str, str]:
    if not len(study.membership):
        return {}
    return dict(zip(study.membership["node"], study.membership["membership"], strict=True))
