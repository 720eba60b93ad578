"""The report's node part: which nodes it names, in which words, and the figure that it opens with."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import prod

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from fabricated import make_arm, make_dag, make_interpretation, make_study

from kpnn.pkn import Dag
from kpnn.reporting import write_report
from kpnn.reporting.blocks import Row, leaves
from kpnn.reporting.depth import depth_metrics, depth_notes
from kpnn.reporting.figures import embedding
from kpnn.reporting.figures.activity import activity_figure, groups_figure, standardized
from kpnn.reporting.figures.called import called_tree, strongest_paths, tree_figure
from kpnn.reporting.figures.embedding import embedding_figures
from kpnn.reporting.node_sections import nodes_section
from kpnn.reporting.node_words import told_of_nodes


@pytest.fixture(scope="module")
def study():
    return make_study(n_hidden=16)


def told(study, **columns):
    """What is said of `pruned` where its nodes' table has these columns."""
    weighed = study.interpretation("pruned")
    nodes = weighed.nodes.assign(**columns)
    return told_of_nodes(study, replace(weighed, nodes=nodes), "OUT", {})


def figures_of(study):
    """Names of the figures of the node part."""
    return [
        figure.name for block in leaves(nodes_section(study, 20)) if isinstance(block, Row) for figure in block.figures
    ]


def test_the_strongest_path_is_that_of_the_largest_product_of_edge_weights():
    dag = make_dag(9, 12, 5)
    rng = np.random.default_rng(0)
    edges = dag.edges[["parent", "child"]].assign(weight=rng.normal(size=len(dag.edges)))
    size = edges.set_index(["parent", "child"])["weight"].abs().to_dict()
    graph = nx.DiGraph(list(size))
    parent_of = strongest_paths(dag, edges, "OUT")
    assert set(parent_of) == set(dag.hidden)
    for node in dag.hidden:
        paths = list(nx.all_simple_paths(graph, "OUT", node))
        best = max(prod(size[pair] for pair in pairwise(path)) for path in paths)
        found, along = node, 1.0
        while found != "OUT":
            along, found = along * size[parent_of[found], found], parent_of[found]
        assert along == pytest.approx(best)


def test_every_called_node_hangs_below_its_parent_down_from_the_output(study):
    weighed = study.interpretation("pruned")
    called = list(weighed.nodes.nsmallest(5, "rank")["node"])
    weighed = replace(weighed, nodes=weighed.nodes.assign(called=weighed.nodes["node"].isin(called)))
    tree = called_tree(weighed, study.pruned_dag, "OUT")
    assert set(tree.loc[tree["is_called"], "node"]) == set(called) and tree["node"].is_unique
    assert tree.iloc[0][["node", "parent", "depth"]].tolist() == ["OUT", "", 0]
    edges = set(study.pruned_dag.edges[["parent", "child"]].itertuples(index=False, name=None))
    depth = tree.set_index("node")["depth"]
    for place, row in enumerate(tree.itertuples()):
        if row.parent:
            assert (row.parent, row.node) in edges and row.depth == depth[row.parent] + 1
            assert row.parent in list(tree["node"][:place])
    leaves = tree[~tree["node"].isin(tree["parent"])]
    assert leaves["is_called"].all()  # nothing hangs there that leads to no called node
    assert len(called_tree(replace(weighed, nodes=weighed.nodes.assign(called=False)), study.pruned_dag, "OUT")) == 0


def test_the_heaviest_genes_of_a_called_node_stand_beside_it_with_their_direction():
    rows = [("OUT", "A"), ("OUT", "B"), *(("A", f"G{number}_gene") for number in range(4)), ("B", "G0_gene")]
    dag = Dag.from_edges(pd.DataFrame(rows, columns=["parent", "child"]), outputs=["OUT"])
    weighed = make_interpretation("pruned", dag)
    weights = dict(zip(dag.inputs, (0.1, -0.9, 0.5, 0.01), strict=True))
    weighed = replace(
        weighed,
        genes=weighed.genes.assign(weight=weighed.genes["node"].map(weights)),
        nodes=weighed.nodes.assign(called=weighed.nodes["node"] == "A"),
    )
    figure = tree_figure(weighed, dag, "OUT", {"A": "top in 5 of 5 folds"})
    drawn = [note.text for note in figure.plot.layout.annotations]
    assert any("<b>A  0.90</b>" in text and "G1 ▼  G2 ▲  G0 ▲" in text for text in drawn)
    assert not any("G3" in text for text in drawn)
    hover = next(trace.hovertext[0] for trace in figure.plot.data if trace.name == "called")
    assert "top in 5 of 5 folds" in hover and "G3 ▲" in hover


def test_no_node_is_named_where_the_arm_does_not_predict(study):
    guessing = make_arm("pruned", study.pruned_dag, strength=0.0)
    without = replace(study, arms=(study.arms[0], guessing))
    found = told(without)
    assert not found.names_nodes
    assert "is not above guessing" in found.sentences[0] and "N0" not in " ".join(found.sentences)
    drawn = figures_of(without)
    assert "top_nodes_full_OUT" in drawn and not any("pruned" in name for name in drawn)
    assert told(study).names_nodes


def test_where_no_node_is_called_the_smallest_effect_that_would_have_been_seen_is_said(study):
    words = " ".join(told(study, called=False, visible_roc_auc=0.637).sentences)
    assert "could not tell" in words and "no proof that there is none" in words
    assert "ROC-AUC of 0.64 would be found in four studies of five" in words
    words = " ".join(told(study, called=False, visible_roc_auc=np.nan).sentences)
    assert "could not show any node" in words


def test_nodes_tested_under_the_tutorials_protocol_carry_the_warning_of_its_scores(study):
    arm = study.arm("pruned")
    tutorial = replace(arm, fold_metrics=arm.fold_metrics.assign(protocol="tutorial"))
    assert told(study).notes == ()
    (note,) = told(replace(study, arms=(tutorial,))).notes
    assert "p-values" in note and "optimistic" in note


def test_it_is_said_where_randomized_networks_do_as_well(study):
    assert "1 of 1 called nodes" in " ".join(told(study, beyond_rewired=6.0).sentences)
    leader = study.interpretation("pruned").nodes.nsmallest(1, "rank")["node"].iloc[0]
    words = " ".join(told(study, beyond_rewired=0.4).sentences)
    assert f"Randomized networks do as well for `{leader}`" in words
    assert "rewired PKNs" not in " ".join(told(study, n_rewired=0, beyond_rewired=np.nan).sentences)


def test_a_called_node_that_weighs_what_its_place_gives_it_is_marked_as_structure(study):
    assert "structure" not in " ".join(told(study).sentences)
    assert "weighs no more than its place" in " ".join(told(study, structure=True).sentences)
    marks = pd.array([pd.NA] * len(study.interpretation("pruned").nodes), dtype="boolean")
    assert "structure" not in " ".join(told(study, structure=marks).sentences)


def test_activities_are_shown_by_class_and_by_donor_in_standard_deviations_of_their_fold(study):
    weighed = study.interpretation("pruned")
    node = weighed.nodes.nsmallest(1, "rank")["node"].iloc[0]
    labels = pd.Series(np.arange(200) % 2, index=[f"cell{number}" for number in range(200)])
    shift = weighed.activations["fold"] * 5.0  # folds have levels of their own
    active = weighed.activations["barcode"].map(labels) + 0.1 * weighed.activations[node] + shift
    weighed = replace(weighed, activations=weighed.activations.assign(**{node: active}))
    values = standardized(weighed, [node])
    np.testing.assert_allclose(
        values[node].groupby(weighed.activations["fold"]).agg(["mean", "std"]), [[0, 1]] * 5, atol=0.02
    )
    plot = activity_figure(weighed, study.pruned_dag, "OUT", labels).plot
    means = {trace.name: np.mean(trace.x) for trace in plot.data}
    assert means["OUT = 1"] > 0.9 and means["OUT = 0"] < -0.9
    donors = pd.Series([f"donor{number % 3}" for number in range(200)], index=labels.index, name="donor")
    plot = groups_figure(weighed, study.pruned_dag, "OUT", labels, donors).plot
    assert {trace.name: len(trace.x) for trace in plot.data} == {"OUT = 1": 3, "OUT = 0": 3}
    assert min(plot.data[0].x) > 0.9 > -0.9 > max(plot.data[1].x)
    described = replace(study, columns=donors.to_frame().assign(same="x", barcode=labels.index))
    assert [name for name in figures_of(described) if "activity_by" in name and "pruned" in name] == [
        "activity_by_donor_pruned_OUT"
    ]


def test_cells_are_drawn_on_their_coordinates_by_class_and_by_the_activity_of_a_node(study, monkeypatch):
    weighed = study.interpretation("pruned")
    first, second = weighed.nodes.nsmallest(2, "rank")["node"]
    names = [f"cell{number}" for number in range(200)]
    weighed = replace(
        weighed,
        nodes=weighed.nodes.assign(called=weighed.nodes["node"].isin([first, second])),
        activations=weighed.activations.assign(**{second: np.arange(200.0)}),
    )
    labels = pd.Series(np.arange(200) % 2, index=names)
    place = pd.DataFrame({"umap 1": np.arange(200.0), "umap 2": 0.0}, index=names)
    place.iloc[7] = np.nan  # a cell without coordinates is not drawn
    by_class, by_activity = embedding_figures(weighed, study.pruned_dag, "OUT", labels, place)
    drawn = {trace.name: list(trace.x) for trace in by_class.plot.data}
    assert drawn == {"OUT = 0": list(range(0, 200, 2)), "OUT = 1": [x for x in range(1, 200, 2) if x != 7]}
    (points,) = by_activity.plot.data
    (menu,) = by_activity.plot.layout.updatemenus
    assert [button.label for button in menu.buttons] == [first, second]
    values = standardized(weighed, [second]).set_index("barcode")[second]
    (change,) = (button.args for button in menu.buttons if button.label == second)
    expected = values[[f"cell{x:.0f}" for x in points.x]].clip(-2.5, 2.5)
    np.testing.assert_allclose(change[0]["marker.color"][0], expected, atol=0.051)
    assert list(points.marker.color) == list(menu.buttons[0].args[0]["marker.color"][0])
    monkeypatch.setattr(embedding, "_DRAWN_CELLS", 20)
    fewer, again = (embedding_figures(weighed, study.pruned_dag, "OUT", labels, place)[1] for _ in range(2))
    assert len(fewer.plot.data[0].x) == 20 and fewer.plot == again.plot
    assert "20 of 200 cells are drawn" in fewer.caption
    named = [name for name in figures_of(replace(study, coordinates=place)) if name.startswith("cells_by")]
    assert named == [f"cells_by_{what}_{arm}_OUT" for arm in ("pruned", "full") for what in ("class", "activity")]
    uncalled = replace(weighed, nodes=weighed.nodes.assign(called=False))
    assert embedding_figures(uncalled, study.pruned_dag, "OUT", labels, place) == []


def test_depth_that_tells_the_classes_is_told_before_the_nodes(study):
    row = {"output": "OUT", "measure": "counts", "roc_auc": 0.2, "median_1": 900.0, "median_0": 1500.0}
    deep = replace(study, data_summary={**study.data_summary, "depth": [row], "depth_by_column": [
        {"column": "donor", "measure": "counts", "explained": 0.4, "n_values": 3}]})  # fmt: skip
    page = write_report(deep).page
    assert "Counts alone predict OUT with ROC-AUC 0.80" in page and "group_by" in page
    assert page.index("Counts alone predict") < page.index('<section id="nodes">')
    assert 'download="depth.csv"' in page and 'download="depth_by_column.csv"' in page
    assert depth_metrics(deep) == {"depth_roc_auc": 0.8} and depth_metrics(study) == {}
    shallow = replace(study, data_summary={**study.data_summary, "depth": [row | {"roc_auc": 0.55}]})
    assert depth_notes(shallow) == []
