"""Simulated studies hold what their truth says."""

import json

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict

from kpnn.errors import SettingsError
from kpnn.pkn import Dag, Pkn, gene_of
from kpnn.simulation import Dressing, TcrShape, simulate

SMALL = {
    "single": {"n_nodes": 21, "genes_per_node": 8},
    "redundant": {"n_nodes": 21, "genes_per_node": 8},
    "uneven": {"n_nodes": 21, "genes_per_node": 20},
    "deep": {"widths": [3, 5, 8, 12], "genes_per_node": 8},
    "cyclic": {"n_signalling": 12, "n_regulators": 10, "n_genes": 120, "predictive_genes": 10},
    "null": {"n_signalling": 12, "n_regulators": 10, "n_genes": 120, "predictive_genes": 10},
}


def genes_below(simulation, node):
    edges = simulation.edges
    return [gene_of(child, "_gene") for child in edges.loc[edges["parent"] == node, "child"] if child.endswith("_gene")]


def expression_of(simulation, genes):
    cells = simulation.barcodes.get_indexer(simulation.labels["barcode"])
    columns = simulation.symbols.get_indexer(genes)
    return np.log1p(simulation.counts[cells][:, columns].toarray())


def roc_auc(simulation, genes):
    y = simulation.labels.iloc[:, 1].to_numpy()
    scores = cross_val_predict(
        LogisticRegression(C=0.1, max_iter=300), expression_of(simulation, genes), y, cv=4, method="predict_proba"
    )
    return roc_auc_score(y, scores[:, 1])


@pytest.fixture(scope="module", params=list(SMALL))
def study(request):
    return simulate(request.param, n_cells=600, seed=11, **SMALL[request.param])


def test_the_network_joins_every_gene_to_the_output(study):
    pkn = Pkn.from_edges(study.edges, outputs=[study.truth.output])
    assert pkn.pruned().inputs == pkn.inputs
    assert {gene_of(node, "_gene") for node in pkn.inputs} == set(study.symbols)


def test_the_predictive_nodes_genes_tell_the_classes_apart_and_the_others_do_not(study):
    if study.truth.scenario == "null":
        assert study.truth.predictive_nodes == ()
        assert abs(roc_auc(study, list(study.symbols)) - 0.5) < 0.1
        return
    planted = [gene_of(node, "_gene") for node in study.truth.fold_changes]
    for node in study.truth.predictive_nodes:
        assert set(planted) <= set(genes_below(study, node))
    assert roc_auc(study, planted) > 0.85
    others = [gene for gene in study.symbols if gene not in set(planted)]
    assert abs(roc_auc(study, others) - 0.5) < 0.1


def test_fold_changes_are_those_of_the_truth(study):
    y = study.labels.iloc[:, 1].to_numpy()
    cells = study.barcodes.get_indexer(study.labels["barcode"])
    for node, fold_change in study.truth.fold_changes.items():
        counts = study.counts[cells][:, study.symbols.get_loc(gene_of(node, "_gene"))].toarray().ravel()
        # Dropout, which takes low counts rather than high ones, stretches it.
        found = counts[y == 1].mean() / counts[y == 0].mean()
        assert np.log(found) / np.log(fold_change) == pytest.approx(1.1, abs=0.5)


def test_counts_are_overdispersed_sparse_and_of_varying_depth(study):
    dense = study.counts.toarray()
    assert dense.dtype == np.int32
    means, variances = dense.mean(axis=0), dense.var(axis=0)
    assert np.median(variances / means) > 1.3
    assert 0.05 < (dense > 0).mean() < 0.8
    depth = dense.sum(axis=1)
    assert depth.std() / depth.mean() > 0.15


def test_the_truth_is_json(study):
    assert json.loads(json.dumps(study.truth.as_dict()))["scenario"] == study.truth.scenario


def test_the_same_seed_gives_the_same_study_and_another_seed_another():
    one, two, other = (simulate("cyclic", n_cells=50, seed=seed, **SMALL["cyclic"]) for seed in (1, 1, 2))
    assert (one.counts != two.counts).nnz == 0
    assert list(one.barcodes) == list(two.barcodes)
    assert one.edges.equals(two.edges)
    assert not one.edges.equals(other.edges)


def test_single_and_redundant_have_the_shapes_of_sim1_and_sim2():
    for scenario, n_genes in (("single", 101 * 37), ("redundant", 100 * 37)):
        study = simulate(scenario, n_cells=4, seed=0)
        assert len(study.edges) == 101 + 101 * 37
        assert len(study.symbols) == n_genes


def test_in_uneven_the_predictive_node_is_not_the_largest():
    study = simulate("uneven", n_cells=4, seed=0)
    sizes = study.edges[study.edges["child"].str.endswith("_gene")]["parent"].value_counts()
    assert sizes.max() > 10 * sizes[study.truth.predictive_nodes[0]]
    assert sizes.min() == 1


def test_in_deep_the_signal_enters_four_levels_below_the_output():
    study = simulate("deep", n_cells=4, seed=0)
    levels = Dag.from_edges(study.edges, outputs=["OUT"]).levels
    assert len(levels) == 6  # genes, four hidden levels, the output
    assert study.truth.predictive_nodes[0] in levels[1]
    assert len(study.truth.path_nodes) >= 3


def test_cyclic_has_cycles():
    from kpnn.errors import PknError

    study = simulate("cyclic", n_cells=4, seed=0)
    with pytest.raises(PknError, match="cycle"):
        Dag.from_edges(study.edges, outputs=["RECEPTOR"])


def test_a_dressed_file_has_foreign_repeated_and_missing_genes():
    study = simulate(
        "cyclic", n_cells=60, dressing=Dressing(n_foreign=7, n_repeated=3, n_unmeasured=4), **SMALL["cyclic"]
    )
    known = {gene_of(name, "_gene") for name in study.edges["child"] if name.endswith("_gene")}
    assert len(study.symbols) == 120 + 7 + 3 - 4
    assert len(known - set(study.symbols)) == 4
    assert study.symbols.duplicated().sum() == 3
    assert {gene_of(node, "_gene") for node in study.truth.fold_changes} <= set(study.symbols)


SMALL_TCR = TcrShape(
    n_class_0=40, n_class_1=35, n_barcodes=5_000, n_file_genes=1_500, n_entries=60_000, n_hidden=61, n_silent_hidden=3,
    n_measured=500, n_silent=30, n_absent=9, n_matching_columns=575, n_repeats_seen=8, n_measured_edges=1_000,
    n_edges=1_100,
)  # fmt: skip


def test_the_twin_of_the_tcr_study_has_exactly_the_shapes_it_is_told():
    shape = SMALL_TCR
    study = simulate("tcr_like", **shape.__dict__)
    assert study.counts.shape == (5_000, 1_500)
    assert abs(study.counts.nnz - 60_000) < 9_000
    assert study.labels["TCR"].value_counts().to_dict() == {0: 40, 1: 35}
    pkn = Pkn.from_edges(study.edges)
    assert pkn.outputs == ("TCR",)
    assert len(pkn.edges) == shape.n_edges
    assert len(pkn.inputs) == 500 + 30 + 9
    # The tutorial's steps, which cut a gene's name at its first underscore.
    cut = {node.split("_")[0] for node in pkn.inputs}
    matching = study.symbols.isin(cut)
    assert matching.sum() == shape.n_matching_columns
    cells = study.counts[study.barcodes.get_indexer(study.labels["barcode"])]
    is_seen = matching & (np.asarray(cells.sum(axis=0)).ravel() > 0)
    assert is_seen.sum() == 500 + 8
    assert study.symbols[is_seen].nunique() == 500
    measured = pkn.pruned([f"{gene}_gene" for gene in study.symbols[is_seen].unique()])
    assert (len(measured.edges), len(measured.hidden)) == (shape.n_measured_edges, shape.n_hidden)
    assert study.barcodes.is_unique
    assert study.symbols.has_duplicates


def test_the_default_sizes_are_the_studys():
    shape = TcrShape()
    assert (shape.n_class_0 + shape.n_class_1, shape.n_barcodes, shape.n_file_genes) == (1_735, 1_474_560, 64_370)
    hidden = shape.n_hidden + shape.n_silent_hidden
    inputs = shape.n_measured + shape.n_silent + shape.n_absent
    assert (1 + hidden + inputs, inputs, shape.n_edges) == (13_439, 13_121, 27_579)
    assert shape.n_measured + shape.n_hidden + 1 == 12_767
    assert shape.n_measured_edges + shape.n_hidden + 1 == 26_236


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scenario": "other"}, "no scenario other"),
        ({"n_nodes": 3}, "has no size n_nodes"),
        ({"scenario": "single", "n_nodes": 1}, "at least 2 nodes"),
        ({"fold_change": 1.0}, "fold_change must be above 1"),
        ({"n_cells": 2}, "n_cells must be at least 4"),
        ({"predictive_genes": 0}, "more genes than predictive ones"),
        ({"scenario": "tcr_like", "n_barcodes": 10}, "do not fit together"),
        ({"scenario": "tcr_like", "n_genes": 10}, "has no size n_genes"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(SettingsError, match=message):
        simulate(**settings)
