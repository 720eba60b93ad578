"""Tests of nodes against exact enumeration, statsmodels' arithmetic, simulated nulls and planted truths."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm, rankdata

from kpnn.interpretation import HeldOutEvidence, activity_test, agreement
from kpnn.interpretation.between_groups import FoldOfGroups, compare_groups, smallest_visible
from kpnn.interpretation.significance import contribution, together
from kpnn.interpretation.stability import pair


def test_z_is_the_rank_sum_standardized_over_all_permutations():
    rng = np.random.default_rng(0)
    activations = rng.normal(size=(8, 5)).round(1) + np.arange(5) * (np.arange(8) < 4)[:, None]
    activations[:, 1] = np.arange(8) // 3  # ties
    gradient = np.array([1.0, -1.0, 0.5, 2.0, 1.0])
    ranks = rankdata(activations * gradient, axis=0)
    of_subsets = np.array([ranks[list(subset)].sum(axis=0) for subset in combinations(range(8), 4)])
    expected = (ranks[:4].sum(axis=0) - of_subsets.mean(axis=0)) / of_subsets.std(axis=0)
    found = activity_test([HeldOutEvidence(activations, gradient, (np.arange(8) < 4).astype(float))])
    np.testing.assert_allclose(found.z, expected, atol=1e-9)


def test_p_values_are_those_of_all_permutations():
    rng = np.random.default_rng(5)
    activations = rng.normal(size=(14, 6)) + 0.5 * np.arange(6) * (np.arange(14) < 5)[:, None]
    ranks = rankdata(activations, axis=0)
    of_subsets = np.array([ranks[list(subset)].sum(axis=0) for subset in combinations(range(14), 5)])
    exact = (of_subsets >= ranks[:5].sum(axis=0)).mean(axis=0)
    found = activity_test([HeldOutEvidence(activations, np.ones(6), (np.arange(14) < 5).astype(float))])
    np.testing.assert_allclose(found.p_value, exact, atol=0.01)


def test_within_donors_z_is_standardized_over_permutations_within_donors():
    activations = np.random.default_rng(1).normal(size=(8, 3))
    donors = np.repeat(["a", "b"], 4)
    labels = np.array([1, 0, 0, 0, 1, 1, 0, 0.0])
    ranks = np.concatenate([rankdata(activations[donors == name], axis=0) for name in ("a", "b")]) / 5
    permutations = [[first, *second] for first in range(4) for second in combinations(range(4, 8), 2)]
    sums = np.array([ranks[rows].sum(axis=0) for rows in permutations])
    found = activity_test([HeldOutEvidence(activations, np.ones(3), labels, donors)])
    np.testing.assert_allclose(found.z, (ranks[labels > 0].sum(axis=0) - sums.mean(axis=0)) / sums.std(axis=0))


def test_beside_depth_z_is_standardized_over_permutations_among_cells_of_like_depth():
    rng = np.random.default_rng(8)
    depth, labels = rng.permutation(16) * 100.0 + 500, np.tile([1.0, 0.0], 8)
    labels[rng.permutation(16)] = labels.copy()
    activations = rng.normal(size=(16, 4)) + depth[:, None] / 300
    order = rankdata(depth)
    straight = [np.polyval(np.polyfit(order, column, 1), order) for column in activations.T]
    ranks = rankdata(activations - np.transpose(straight), axis=0)
    halves = [np.flatnonzero(order <= 8), np.flatnonzero(order > 8)]
    means, variances = np.zeros(4), np.zeros(4)
    for half in halves:
        subsets = [half[list(chosen)] for chosen in combinations(range(8), int(labels[half].sum()))]
        sums = np.array([ranks[rows].sum(axis=0) for rows in subsets])
        means, variances = means + sums.mean(axis=0), variances + sums.var(axis=0)
    found = activity_test([HeldOutEvidence(activations, np.ones(4), labels, depth=depth)])
    np.testing.assert_allclose(found.z, (ranks[labels > 0].sum(axis=0) - means) / np.sqrt(variances), atol=1e-9)


@pytest.mark.parametrize("with_donors", [False, True])
def test_what_only_tells_depth_is_not_called_where_one_class_is_sequenced_deeper(with_donors):
    rng = np.random.default_rng(9)
    donors = np.repeat(np.arange(4), 60) if with_donors else None
    blind, beside = [], []
    for _ in range(20):
        labels = (rng.random(240) < 0.3).astype(float)
        depth = np.exp(rng.normal(8, 0.4, 240) + 0.3 * labels)
        # Means and spread go with depth, as logarithms of few counts do.
        noise = rng.normal(size=(240, 30)) * (8000 / depth[:, None])
        activations = np.tanh(noise - 8000 / depth[:, None])
        blind.append(activity_test([HeldOutEvidence(activations, np.ones(30), labels, donors)]).p_value)
        beside.append(activity_test([HeldOutEvidence(activations, np.ones(30), labels, donors, depth=depth)]).p_value)
    assert np.mean(np.concatenate(blind) < 0.05) > 0.1
    assert np.mean(np.concatenate(beside) < 0.05) == pytest.approx(0.05, abs=0.025)


def test_looking_beside_depth_costs_little_where_depth_has_nothing_to_do_with_the_classes():
    rng, blind, beside = np.random.default_rng(10), [], []
    for _ in range(20):
        labels, depth = (np.arange(120) % 2).astype(float), np.exp(rng.normal(8, 0.5, 120))
        evidence = HeldOutEvidence(rng.normal(size=(120, 20)) + 0.7 * labels[:, None], np.ones(20), labels)
        blind.append(activity_test([evidence]).z.mean())
        beside.append(activity_test([replace(evidence, depth=depth)]).z.mean())
    assert np.mean(beside) > 0.95 * np.mean(blind)


def test_p_values_of_neurons_that_know_nothing_are_uniform_in_one_fold():
    rng = np.random.default_rng(1)
    p_values = []
    for _ in range(20):
        labels = rng.integers(0, 2, 40).astype(float)
        fold = HeldOutEvidence(rng.normal(size=(40, 50)), rng.normal(size=50), labels)
        p_values.append(activity_test([fold]).p_value)
    below = np.mean(np.concatenate(p_values) < 0.05)
    assert below == pytest.approx(0.05, abs=0.02)


@pytest.mark.parametrize(("n_folds", "n_genes"), [(2, 1), (5, 1), (3, 6), (5, 6), (5, 40), (10, 20)])
def test_cross_validated_networks_that_learned_noise_are_not_called_more_often_than_the_level(n_folds, n_genes):
    # Each fold's activity is what the other folds' noise taught it of its genes, so the folds depend on each other as
    # in training.
    rng = np.random.default_rng(2)
    p_values = []
    for _ in range(60):
        labels, genes = rng.integers(0, 2, 120).astype(float), rng.normal(size=(120, 30, n_genes))
        parts = np.arange(120) % n_folds
        folds = []
        for part in range(n_folds):
            seen = parts != part
            learned = genes[seen & (labels > 0)].mean(axis=0) - genes[seen & (labels == 0)].mean(axis=0)
            activations = np.einsum("cng,ng->cn", genes[~seen], learned)
            folds.append(HeldOutEvidence(activations, np.ones(30), labels[~seen]))
        p_values.append([activity_test(folds).p_value, activity_test(folds, np.full(30, n_genes)).p_value])
    unknown, known = np.concatenate(p_values, axis=1)
    assert 0.005 < np.mean(unknown < 0.05) < 0.062  # 1,800 draws: 0.05 + 2.4 standard errors
    assert 0.03 < np.mean(known < 0.05) < 0.062  # and where the number of genes is known it is nearly the level
    assert (known <= unknown).all()
    assert np.mean(known < 0.01) < 0.0165


def test_folds_that_tell_little_by_themselves_tell_much_together():
    rng = np.random.default_rng(3)
    labels = np.arange(100) % 2
    effect = 0.5 * labels[:, None] * (np.arange(50) < 25)
    folds = [HeldOutEvidence(rng.normal(size=(100, 50)) + effect, np.ones(50), labels.astype(float)) for _ in range(5)]
    found = activity_test(folds)
    assert np.mean(found.p_value[:25] < 0.001) > 0.8
    by_median = np.median([activity_test([fold]).p_value for fold in folds], axis=0)
    assert np.mean(2 * by_median[:25] < 0.001) < 0.2


def test_repeats_of_the_same_cells_are_no_new_evidence():
    rng = np.random.default_rng(6)
    labels = (np.arange(60) % 2).astype(float)
    once = [HeldOutEvidence(rng.normal(size=(60, 10)), np.ones(10), labels) for _ in range(3)]
    again = [HeldOutEvidence(one.activations, one.gradient, one.labels, None, 1) for one in once]
    np.testing.assert_allclose(activity_test([*once, *again]).z, activity_test(once).z)


def test_members_of_opposite_sign_add_up():
    rng = np.random.default_rng(7)
    labels = (np.arange(80) % 2).astype(float)
    activations = rng.normal(size=(80, 4)) + labels[:, None]
    one = HeldOutEvidence(activations, np.full(4, 0.5), labels)
    other = HeldOutEvidence(-activations, np.full(4, -0.3), labels)
    both = together([one, other])
    np.testing.assert_allclose(np.sign(contribution(both)), np.sign(contribution(one)))
    np.testing.assert_allclose(activity_test([both]).z, activity_test([one]).z)


def test_every_network_counts_alike_however_much_it_makes_of_a_neuron():
    rng = np.random.default_rng(11)
    labels = (np.arange(90) % 2).astype(float)
    members = [HeldOutEvidence(rng.normal(size=(90, 3)), rng.normal(size=3), labels) for _ in range(3)]
    members[0].activations[:, 2] = 0.25  # a network in which the neuron never varies tells nothing of it
    ranks = [rankdata(one.activations * one.gradient, axis=0) for one in members]
    expected = activity_test([HeldOutEvidence(np.mean(ranks, axis=0), np.ones(3), labels)]).z
    np.testing.assert_allclose(activity_test([together(members)]).z, expected)
    louder = [replace(members[0], gradient=100 * members[0].gradient), *members[1:]]
    np.testing.assert_allclose(activity_test([together(louder)]).z, expected)


def test_what_only_tells_donors_apart_is_not_called_where_donors_hold_both_classes():
    rng = np.random.default_rng(3)
    donors = np.repeat(np.arange(6), 30)
    alone, within = [], []
    for _ in range(20):
        share = rng.uniform(0.1, 0.9, 6)
        labels = (rng.random(180) < share[donors]).astype(float)
        activations = rng.normal(size=(180, 30)) + 2 * rng.normal(size=(6, 30))[donors]
        gradient = rng.normal(size=30)
        alone.append(activity_test([HeldOutEvidence(activations, gradient, labels)]).p_value)
        within.append(activity_test([HeldOutEvidence(activations, gradient, labels, donors)]).p_value)
    assert np.mean(np.concatenate(alone) < 0.05) > 0.15
    assert np.mean(np.concatenate(within) < 0.05) == pytest.approx(0.05, abs=0.025)


def test_donors_of_one_class_each_are_as_many_observations_as_there_are_donors():
    rng = np.random.default_rng(4)
    donors = np.repeat(np.arange(6), 30)
    labels = (donors < 3).astype(float)
    activations = rng.normal(size=(180, 400)) + 2 * rng.normal(size=(6, 400))[donors]
    evidence = HeldOutEvidence(activations, rng.normal(size=400), labels, donors)
    p_values = activity_test([evidence]).p_value
    assert p_values.min() == pytest.approx(1 / 20, abs=0.02)  # 20 ways to choose three donors of six
    assert np.mean(p_values < 0.15) == pytest.approx(0.1, abs=0.05)


def _cohort(rng, n_donors, n_folds, *, n_genes=6, n_nodes=60, effect=0.0, learns=True):
    """Folds of whole donors, each of one class; what the networks make of a node's genes, the other folds taught."""
    donors = np.repeat(np.arange(n_donors), 30)
    of_donor, labels = donors % n_folds, ((donors // n_folds) % 2).astype(float)
    genes = rng.normal(size=(len(donors), n_nodes, n_genes)) + effect * labels[:, None, None]
    genes = genes + 0.4 * rng.normal(size=(n_donors, n_nodes, n_genes))[donors]
    folds = []
    for part in range(n_folds):
        seen = of_donor != part
        learned = genes[seen & (labels > 0)].mean(axis=0) - genes[seen & (labels == 0)].mean(axis=0)
        if not learns:
            learned = np.ones_like(learned)
        activations = np.einsum("cng,ng->cn", genes[~seen], learned)
        folds.append(HeldOutEvidence(activations, np.ones(n_nodes), labels[~seen], donors[~seen]))
    return folds


@pytest.mark.parametrize(("n_donors", "n_folds"), [(6, 3), (10, 5), (20, 5), (8, 2)])
@pytest.mark.parametrize("n_genes", [1, 20])
def test_donors_of_one_class_each_that_taught_networks_noise_hold_the_level(n_donors, n_folds, n_genes):
    rng = np.random.default_rng(14)
    folds = [_cohort(rng, n_donors, n_folds, n_genes=n_genes) for _ in range(40)]
    p_values = np.concatenate([activity_test(of_study).p_value for of_study in folds])
    assert 0.01 < np.mean(p_values < 0.05) < 0.06  # 2,400 draws: 0.05 + 2.3 standard errors
    assert np.mean(p_values < 0.01) < 0.015


def test_what_differs_between_ten_donors_of_one_class_each_is_found_over_folds_of_two():
    folds = _cohort(np.random.default_rng(15), 10, 5, effect=1.0)
    assert np.median(activity_test(folds).p_value) < 1e-3
    # The same donors without one spread for all folds: which is above the other, five times.
    assert norm.sf(5 / np.sqrt(2 * 5)) > 0.05


def test_donors_that_are_all_alike_tell_no_more_than_their_cells():
    rng = np.random.default_rng(16)
    folds = [replace(fold, activations=np.round(fold.labels[:, None])) for fold in _cohort(rng, 10, 5, n_nodes=1)]
    folds = [replace(fold, gradient=np.ones(1)) for fold in folds]
    by_cells = activity_test([replace(fold, groups=None) for fold in folds])
    found = activity_test(folds)
    np.testing.assert_allclose(found.z, by_cells.z)
    np.testing.assert_allclose(found.by_fold, by_cells.by_fold)


def test_two_folds_of_two_donors_show_nothing():
    found = activity_test(_cohort(np.random.default_rng(17), 4, 2, effect=3.0))
    assert (found.p_value == 1).all()
    assert np.isnan(found.smallest_visible(1, 0.05))


def test_a_difference_between_donors_of_the_smallest_visible_roc_auc_is_found_in_about_four_studies_of_five():
    rng, n_folds, n_studies = np.random.default_rng(18), 5, 400
    folds = [FoldOfGroups(rng.normal(size=(8, n_studies)), np.arange(8) < 4) for _ in range(n_folds)]
    unlimited = np.full((n_folds, n_studies), 99.0)
    tested = compare_groups(folds, unlimited)
    visible = smallest_visible(tested.degrees, tested.z_per_roc_auc, level=0.01, power=0.8)
    shift = np.sqrt(2) * norm.ppf(visible) * (np.arange(8) < 4)[:, None]
    found = compare_groups([replace(fold, values=fold.values + shift) for fold in folds], unlimited)
    assert np.mean(norm.sf(found.z) < 0.01) > 0.7


def test_a_neuron_that_never_varies_is_never_called():
    evidence = HeldOutEvidence(np.ones((20, 1)), np.ones(1), np.arange(20) % 2)
    assert activity_test([evidence]).p_value[0] == 1.0
    assert activity_test([HeldOutEvidence(np.ones((20, 1)), np.ones(1), np.ones(20))]).p_value[0] == 1.0


def test_rankings_are_compared_over_the_nodes_that_both_have():
    first = pd.Series({"a": 3.0, "b": -2.0, "c": 1.0, "x": 9.0})
    second = pd.Series({"a": -6.0, "b": 4.0, "c": 2.0, "y": 8.0})
    assert pair(first, second, k=2) == (1.0, 1.0, 2 / 3, 3)
    assert pair(first, pd.Series({"z": 1.0}))[3] == 0
    found = agreement({"1": first, "2": second, "3": pd.Series({"z": 1.0})}, k=2)
    assert (found.n_pairs, found.rank_correlation, found.top_overlap, found.chance_overlap) == (1, 1.0, 1.0, 2 / 3)


def test_the_overlap_of_chance_is_that_of_random_rankings():
    rng, names = np.random.default_rng(12), list("abcdefghij")
    draws = [pair(*(pd.Series(rng.random(10), names) for _ in range(2)), k=3) for _ in range(300)]
    overlaps, by_chance = np.array(draws)[:, 1], np.array(draws)[:, 2]
    assert overlaps.mean() == pytest.approx(by_chance[0], abs=0.05)


@pytest.mark.parametrize("donors", [None, "crossed"])
def test_a_node_of_the_smallest_visible_roc_auc_is_found_in_four_studies_of_five(donors):
    rng, n_nodes = np.random.default_rng(13), 40
    labels = (rng.random(150) < 0.4).astype(float)
    groups = None if donors is None else np.arange(150) % 3

    def tested(shift):
        activations = rng.normal(size=(150, 600)) + shift * labels[:, None]
        return activity_test([HeldOutEvidence(activations, np.ones(600), labels, groups)])

    visible = tested(0.0).smallest_visible(n_nodes, 0.05)
    found = tested(np.sqrt(2) * norm.ppf(visible))  # two normals that far apart have this ROC-AUC
    assert found.roc_auc.mean() == pytest.approx(visible, abs=0.01)
    assert np.mean(found.p_value < 0.05 / n_nodes) == pytest.approx(0.8, abs=0.06)


def test_no_roc_auc_is_visible_where_donors_are_too_few_to_show_any():
    donors = np.repeat(np.arange(4), 30)
    labels = (donors < 2).astype(float)
    found = activity_test([HeldOutEvidence(np.random.default_rng(0).normal(size=(120, 3)), np.ones(3), labels, donors)])
    assert np.isnan(found.smallest_visible(3, 0.05))
    assert np.isnan(activity_test([HeldOutEvidence(np.ones((9, 1)), np.ones(1), np.ones(9))]).smallest_visible(1, 0.05))
