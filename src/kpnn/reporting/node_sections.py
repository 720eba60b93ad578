"""The report's sections on nodes: which lead, how far to trust them, the selected DAG, genes and edges."""

from __future__ import annotations

import numpy as np
import pandas as pd

from kpnn.interpretation import agreement_of_arms
from kpnn.reporting.blocks import Block, Blocks, NetworkDrawing, Search, Table, Text, details_of, row_of, table_of
from kpnn.reporting.figures.activity import activity_figure, groups_figure
from kpnn.reporting.figures.called import searched_as, tree_figure
from kpnn.reporting.figures.embedding import embedding_figure
from kpnn.reporting.figures.network import NetworkLayout, network_figure
from kpnn.reporting.figures.nodes import (
    arms_figure,
    biases_figure,
    genes_figure,
    ranks_figure,
    standing,
    structure_figure,
    top_nodes_figure,
)
from kpnn.reporting.figures.style import percent
from kpnn.reporting.node_words import told_of_nodes
from kpnn.reporting.study import Interpretation, Study

_NONE_SHARED = "`full` and `pruned` share no hidden node: their weights for {} cannot be compared."
_SHOWN = (
    "node",
    "combined_z",
    "z",
    "q_value",
    "roc_auc",
    "differs",
    "rests",
    "specific",
    "called",
    "structure",
    "agreement",
    "beyond_rewired",
    "enrichment_z",
    "enrichment_rank",
    "weight",
    "weight_sd",
    "share",
    "control_share",
    "corrected",
    "top_folds",
    "optimal DAGs",
    "n_genes",
)
_WITHOUT_GROUPS = (
    "No donor or sample is named in `cross_validation.group_by`: labels are exchanged among all cells, and p-values of "
    "nodes take every cell for an observation. Cells of one donor are none of their own."
)
_MOST_ROWS = 60
"""Rows of a table of nodes in the page."""
_MOST_VALUES = 100
"""Values of a column of the cells up to which activity is shown by it."""
_EXPLANATION = (
    "Two questions are asked of a node on cells that the networks have not seen. Does its activity differ between the "
    "classes (z, summed over folds; q < 0.05 after correction for the number of nodes)? Do the networks rest on it: "
    "does more flow through it than in networks trained on permuted labels, or is something lost without it? Where "
    "other nodes stand in for it: is it specific, do its own genes differ more than as many genes drawn at random? A "
    "node is called where its activity differs and the networks rest on it or it is specific, and all networks mean "
    "the same by it: in every pair of them its activities correlate above 0.5. Nodes stand in the order of their "
    "combined z, which adds up what the networks say (z) and what their genes say without a network (enrichment z): "
    "what both tell leads, and among nodes that tell little the order does not hang on the seed. A node's weight is "
    "how much the predicted probability changes as its activation changes."
)


def nodes_section(study: Study, most: int) -> Blocks:
    """The leading nodes of each arm and output, the full account of every node, and what could not be weighed."""
    if not study.interpretations:
        return (Text("No network is there to weigh nodes with.", "note"),) if study.arms else ()
    blocks: list[Block] = [Search()] if study.groups is not None else [Search(), Text(_WITHOUT_GROUPS, "note")]
    for weighed in reversed(study.interpretations):  # the pruned arm first: it is what the study is about
        for number, output in enumerate(weighed.outputs):
            told = _of_output(study, weighed, output, most)
            blocks += told if number == 0 else details_of(output, told)
    return (*blocks, *details_of("How to read this", [Text(_EXPLANATION)]))


def _of_output(study: Study, weighed: Interpretation, output: str, most: int) -> Blocks:
    membership = _membership(study)
    told = told_of_nodes(study, weighed, output, membership)
    nodes = weighed.of_output(output)
    nodes = nodes.assign(**{"optimal DAGs": nodes["node"].map(membership).fillna("unknown")})
    caption = (
        f"Every hidden node of `{weighed.arm}` that can reach {output}, by combined z: z, q-value, ROC-AUC of its "
        "activity alone, whether its activity differs, whether the networks rest on it, whether its genes differ more "
        "than random ones (specific), called, whether its share of the weights is all structure, lowest correlation of "
        "its activity in two networks, standard deviations beyond its place in networks on rewired PKNs, z and rank by "
        "plain enrichment, weight and sd over networks, share of "
        "all weights, share with control inputs, their difference, in the top of how many folds, in all, some or none "
        "of the optimal DAGs, genes directly below."
    )
    shown = tuple(name for name in _SHOWN if name in nodes)
    table = Table(
        nodes, f"node_weights_{weighed.arm}_{output}", caption, _MOST_ROWS, shown, searched_as(weighed, output)
    )
    notes = tuple(Text(note, "note") for note in told.notes)
    first, *others = (Text(sentence) for sentence in told.sentences)
    if not told.names_nodes:
        return (*notes, first, *others, *details_of(f"All the same, the nodes of `{weighed.arm}`", [table]))
    return (
        *notes,
        first,
        *_opening(study, weighed, output, membership),
        *others,
        *row_of([top_nodes_figure(weighed, output, membership, most), structure_figure(weighed, output, most)]),
        *row_of([ranks_figure(weighed, output, most), genes_figure(weighed, output, most)]),
        table,
    )


def _opening(study: Study, weighed: Interpretation, output: str, membership: dict[str, str]) -> list[Block]:
    """What people look at first: the called nodes on their paths, and their activity by class and by group."""
    arm = study.arm(weighed.arm)
    dag = None if arm is None else arm.dag
    if arm is None or dag is None:
        return []
    nodes = weighed.of_output(output)
    n_folds = int(nodes["n_folds"].max())
    stands = {
        str(row["node"]): "; ".join((_figures_of(row), standing(row, membership, n_folds)))
        for _, row in nodes[nodes["called"]].iterrows()
    }
    labels = arm.predictions_of(output).drop_duplicates("barcode").set_index("barcode")["label"]
    tree = tree_figure(weighed, dag, output, stands)
    blocks = row_of([tree, activity_figure(weighed, dag, output, labels)])
    if len(study.coordinates):
        blocks += row_of([embedding_figure(weighed, dag, output, labels, study.coordinates)])
    for name, column in study.columns.items():
        if 1 < column.nunique() <= _MOST_VALUES:
            shown = groups_figure(weighed, dag, output, labels, column)
            blocks += details_of(f"Activity by {name}", row_of([shown]))
    return blocks


def _figures_of(row: pd.Series) -> str:
    """z, q-value, shares, and the place in rewired networks, of a node."""
    words = [f"z {row['z']:.1f}, q = {row['q_value']:.2g}", f"{percent(row['share'])} of all weights"]
    if np.isfinite(row["control_share"]):
        words.append(f"structure alone {percent(row['control_share'])}")
    if np.isfinite(row.get("rewired_z", np.nan)):
        words.append(f"z {row['rewired_z']:.1f} in its place in rewired networks")
    return "; ".join(words)


def trust_section(study: Study) -> Blocks:
    """How stable the rankings are across folds, starts, optimal DAGs and arms; biases."""
    blocks: list[Block] = []
    tables = [weighed.stability.assign(arm=weighed.arm) for weighed in study.interpretations if len(weighed.stability)]
    if tables:
        stability = pd.concat(tables, ignore_index=True)
        stability = stability[["arm", *(name for name in stability if name != "arm")]]
        blocks += table_of(
            stability,
            "stability",
            "Agreement of node rankings: mean rank correlation and overlap of the top nodes between folds, starts "
            "(seeds) and optimal DAGs, over the nodes that both have; and the overlap of two random rankings.",
        )
    blocks += _agreement(study)
    biases = [biases_figure(weighed) for weighed in study.interpretations if len(weighed.biases)]
    blocks += details_of("Biases", row_of(biases))
    for weighed in study.interpretations:
        arm = weighed.arm
        edges = f"Edge weights of `{arm}`, mean and sd over folds, largest first."
        tables_of_arm = (
            *table_of(weighed.edges, f"edge_weights_{arm}", edges, most_rows=30),
            *table_of(weighed.genes, f"gene_weights_{arm}", f"Gene weights of `{arm}`.", most_rows=30),
        )
        blocks += details_of(f"Edges and genes of `{arm}`", tables_of_arm)
    return tuple(blocks)


def _agreement(study: Study) -> list[Block]:
    """How alike `full` and `pruned` weigh the nodes that both have."""
    full, pruned = study.interpretation("full"), study.interpretation("pruned")
    if full is None or pruned is None:
        return []
    agreement = agreement_of_arms(full.nodes, pruned.nodes)
    apart = agreement.loc[agreement["n_shared"] == 0, "output"]
    return [
        *(Text(_NONE_SHARED.format(output), "note") for output in apart),
        *table_of(agreement, "arm_agreement", "How alike `full` and `pruned` weigh the nodes that both have."),
        *row_of(arms_figure(full, pruned, output) for output in agreement["output"]),
    ]


def network_section(study: Study, layout: NetworkLayout | None) -> Blocks:
    """The selected DAG, drawn, and which nodes every optimal DAG holds."""
    if layout is None:
        return ()
    n_away = int((~layout.nodes["kept"]).sum())
    blocks: list[Block] = [NetworkDrawing(network_figure(layout), tuple(sorted(layout.nodes["node"])), n_away)]
    membership = study.membership
    known = membership[membership["membership"] != "unknown"] if len(membership) else membership
    if len(known):
        counts = known["membership"].value_counts()
        blocks.append(
            Text(
                f"Of the {len(known)} hidden nodes of the PKN, {counts.get('all', 0)} are in every optimal DAG, "
                f"{counts.get('some', 0)} in some but not all, {counts.get('none', 0)} in none. A node that is only in "
                "some could be exchanged for others at the same cost."
            )
        )
        order = known["membership"].map({"all": 0, "some": 1, "none": 2})
        table = known.iloc[order.argsort(kind="stable")]
        caption = "Hidden nodes by the optimal DAGs that hold them."
        blocks += details_of("Hidden nodes and optimal DAGs", table_of(table, "node_membership", caption, _MOST_ROWS))
    return tuple(blocks)


def _membership(study: Study) -> dict[str, str]:
    if not len(study.membership):
        return {}
    return dict(zip(study.membership["node"], study.membership["membership"], strict=True))
