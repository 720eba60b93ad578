"""The report's node part: which nodes it names, in which words, and the figure that it opens with."""

from __future__ import annotations

import json
import re
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
from kpnn.reporting.figures import embedding
from kpnn.reporting.figures.activity import activity_figure, groups_figure, standardized
from kpnn.reporting.figures.called import called_tree, strongest_paths, tree_figure
from kpnn.reporting.figures.embedding import embedding_figure
from kpnn.reporting.figures.network import lay_out_study
from kpnn.reporting.figures.paper import paper_figures
from kpnn.reporting.node_sections import nodes_section
from kpnn.reporting.node_words import told_of_nodes
from kpnn.reporting.nuisance import nuisance_metrics, nuisance_notes


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


def test_the_search_knows_every_node_of_the_drawing_all_genes_of_called_ones_and_the_rows_left_out():
    study = make_study(n_hidden=160)
    weighed = study.interpretation("pruned")
    tree = tree_figure(weighed, study.pruned_dag, "OUT", {})
    held = tree.plot.layout.meta["nodes"]
    drawn = called_tree(weighed, study.pruned_dag, "OUT")
    assert [node["name"] for node in held] == list(drawn["node"])
    genes = study.pruned_dag.edges.groupby("parent")["child"].agg(set)
    for node, is_called in zip(held, drawn["is_called"], strict=True):
        below = {f"{gene[:-2]}_gene" for gene in node["genes"]}
        assert below == (genes[node["name"]] & set(study.pruned_dag.inputs) if is_called else set())
    page = write_report(study).page
    table = page.split('data-searched="pruned, OUT"')[1].split("</figure>")[0]
    left = json.loads(re.search(r'<script type="application/json">(.*)</script>', table).group(1))
    shown = re.findall(r'<td class="name">([^<]+)</td>', table)
    assert len(left) == 20 and {*left, *shown} >= set(weighed.nodes["node"]) and not {*left} & {*shown}
    bar = page.split('<section id="nodes">')[1].split("</div>")[0]
    assert 'role="search" hidden' in bar and re.search(r"<label>Find a node or gene <input type=\"search\"", bar)


def test_no_node_is_named_where_the_arm_does_not_predict(study):
    guessing = make_arm("pruned", study.pruned_dag, strength=0.0)
    without = replace(study, arms=(study.arms[0], guessing))
    found = told(without)
    assert not found.names_nodes
    assert "is not above guessing" in found.sentences[0] and "N0" not in " ".join(found.sentences)
    drawn = figures_of(without)
    assert "top_nodes_full_OUT" in drawn and not any("pruned" in name for name in drawn)
    assert told(study).names_nodes
    assert {name for name in paper_figures(without, None) if name.startswith("top_nodes")} == {"top_nodes_full_OUT"}
    leaders = {arm: study.interpretation(arm).nodes.set_index("rank")["node"][1] for arm in ("full", "pruned")}
    for of_study, arm in ((study, "pruned"), (without, "full")):
        drawn = lay_out_study(replace(of_study, interpretations=(of_study.interpretation(arm),))).nodes
        assert list(drawn.loc[drawn["called"], "node"]) == [leaders[arm]]
    guessed = lay_out_study(replace(without, interpretations=(study.interpretation("pruned"),))).nodes
    assert not guessed["called"].any()


def test_where_no_node_is_called_the_smallest_effect_that_would_have_been_seen_is_said(study):
    words = " ".join(told(study, called=False, visible_roc_auc=0.637).sentences)
    assert "could not tell" in words and "no proof that there is none" in words
    assert "ROC-AUC of 0.64 would be found in four studies of five" in words
    words = " ".join(told(study, called=False, visible_roc_auc=np.nan).sentences)
    assert "could not show any node" in words
    words = " ".join(told(study, called=False, visible_roc_auc=0.9999).sentences)
    assert "by several times what those of one differ" in words and "1.00" not in words


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


def test_it_is_said_which_names_the_network_adds_to_plain_enrichment(study):
    assert "enrichment" not in " ".join(told(study).sentences)
    nodes = study.interpretation("pruned").nodes
    same = " ".join(told(study, enrichment_rank=nodes["rank"]).sentences)
    assert "has 1 of 1 called nodes as its first: the network adds no name" in same
    first_three = {"called": nodes["rank"] <= 3, "enrichment_rank": nodes["rank"].replace({2: 7, 7: 2})}
    second = nodes.loc[nodes["rank"] == 2, "node"].item()
    words = " ".join(told(study, **first_three).sentences)
    assert f"has 2 of 3 called nodes among its first 3; the network adds `{second}` (7.)" in words


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


def test_cells_are_drawn_on_their_coordinates_by_the_activity_of_a_node_or_by_class(study, monkeypatch):
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
    plot = embedding_figure(weighed, study.pruned_dag, "OUT", labels, place).plot
    (points,), (menu,) = plot.data, plot.layout.updatemenus
    assert list(points.x) == [x for x in range(200) if x != 7]
    choices = {button.label: button.args[0]["marker.color"][0] for button in menu.buttons}
    assert list(choices) == [first, second, "class: red 1, blue 0"]
    assert list(points.marker.color) == list(choices[first])
    barcodes = [f"cell{x:.0f}" for x in points.x]
    active = standardized(weighed, [second]).set_index("barcode")[second]
    np.testing.assert_allclose(choices[second], active[barcodes].clip(-2.5, 2.5), atol=0.051)
    assert list(choices["class: red 1, blue 0"]) == [2.5 if labels[name] else -2.5 for name in barcodes]
    monkeypatch.setattr(embedding, "_DRAWN_CELLS", 20)
    fewer, again = (embedding_figure(weighed, study.pruned_dag, "OUT", labels, place) for _ in range(2))
    assert len(fewer.plot.data[0].x) == 20 and fewer.plot == again.plot
    assert "20 of 200 cells are drawn" in fewer.caption
    named = [name for name in figures_of(replace(study, coordinates=place)) if name.startswith("cells_")]
    assert named == ["cells_pruned_OUT", "cells_full_OUT"]
    uncalled = replace(weighed, nodes=weighed.nodes.assign(called=False))
    assert embedding_figure(uncalled, study.pruned_dag, "OUT", labels, place) is None


def test_it_is_said_where_no_donors_are_named_to_exchange_labels_within(study):
    def noted(of_study):
        return [block.sentence for block in nodes_section(of_study, 20) if getattr(block, "style", "") == "note"]

    (note,) = noted(replace(study, groups=None))
    assert "cross_validation.group_by" in note and "p-values" in note
    assert noted(replace(study, groups=pd.Series("d", index=[f"cell{number}" for number in range(200)]))) == []


def test_depth_or_donors_that_tell_the_classes_are_told_before_the_nodes(study):
    row = {"output": "OUT", "measure": "counts", "roc_auc": 0.2, "median_1": 900.0, "median_0": 1500.0}
    deep = replace(study, data_summary={**study.data_summary, "depth": [row], "depth_by_column": [
        {"column": "donor", "measure": "counts", "explained": 0.4, "n_values": 3}]})  # fmt: skip
    page = write_report(deep).page
    assert "Counts alone predict OUT with ROC-AUC 0.80" in page and "group_by" in page
    assert page.index("Counts alone predict") < page.index('<section id="nodes">')
    assert 'download="depth.csv"' in page and 'download="depth_by_column.csv"' in page
    assert nuisance_metrics(deep) == {"depth_roc_auc": 0.8} and nuisance_metrics(study) == {}
    batch = {"column": "donor", "output": "OUT", "roc_auc": 0.9, "n_values": 8, "n_of_class": 4}
    batch |= {"is_nested": True, "is_kept_together": False}
    nested = replace(study, data_summary={**study.data_summary, "batches": [batch]})
    page = write_report(nested).page
    assert "Column donor (8 values) alone predicts OUT with ROC-AUC 0.90" in page and 'download="batches.csv"' in page
    assert nuisance_metrics(nested) == {"batch_roc_auc": 0.9}
    shallow = replace(study, data_summary={**study.data_summary, "depth": [row | {"roc_auc": 0.55}]})
    assert nuisance_notes(shallow) == []
