"""P-values, q-values and corrections against exact enumeration, statsmodels' arithmetic and planted truths."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from kpnn.interpretation import agreement, permutation_p_values
from kpnn.interpretation.significance import HeldOutEvidence, contribution
from kpnn.interpretation.stability import pair


def test_permutation_p_values_agree_with_all_permutations():
    rng = np.random.default_rng(0)
    activations = rng.normal(size=(8, 5)) + np.arange(5) * (np.arange(8) < 4)[:, None]
    labels = (np.arange(8) < 4).astype(float)
    gradient = np.array([1.0, -1.0, 0.5, 2.0, 1.0])
    evidence = HeldOutEvidence(activations, gradient, labels)
    observed = contribution(evidence)
    exact = np.zeros(5)
    subsets = list(combinations(range(8), 4))
    for subset in subsets:
        other = np.zeros(8)
        other[list(subset)] = 1
        exact += contribution(HeldOutEvidence(activations, gradient, other)) >= observed - 1e-12
    p_values = permutation_p_values([evidence], 20_000, seed=1)
    np.testing.assert_allclose(p_values, exact / len(subsets), atol=0.012)


def test_p_values_of_neurons_that_know_nothing_are_uniform_in_one_fold():
    rng = np.random.default_rng(1)
    p_values = []
    for _ in range(20):
        labels = rng.integers(0, 2, 40).astype(float)
        fold = HeldOutEvidence(rng.normal(size=(40, 50)), rng.normal(size=50), labels)
        p_values.append(permutation_p_values([fold], 400, seed=int(rng.integers(10_000))))
    below = np.mean(np.concatenate(p_values) < 0.05)
    assert below == pytest.approx(0.05, abs=0.02)


def test_cross_validated_networks_that_learned_noise_are_not_called_more_often_than_the_level():
    # Each fold's gradient is what the other folds' noise taught it, so the folds depend on each other as in training.
    rng = np.random.default_rng(2)
    p_values = []
    for _ in range(20):
        labels, activations = rng.integers(0, 2, 90).astype(float), rng.normal(size=(90, 50))
        parts = np.arange(90) % 3
        folds = []
        for part in range(3):
            seen = parts != part
            learned = contribution(HeldOutEvidence(activations[seen], np.ones(50), labels[seen]))
            folds.append(HeldOutEvidence(activations[~seen], learned, labels[~seen]))
        p_values.append(permutation_p_values(folds, 400, seed=int(rng.integers(10_000))))
    assert np.mean(np.concatenate(p_values) < 0.05) < 0.05


def test_what_only_tells_donors_apart_is_not_called_where_donors_hold_both_classes():
    rng = np.random.default_rng(3)
    donors = np.repeat(np.arange(6), 30)
    alone, within = [], []
    for number in range(20):
        share = rng.uniform(0.1, 0.9, 6)
        labels = (rng.random(180) < share[donors]).astype(float)
        activations = rng.normal(size=(180, 30)) + 2 * rng.normal(size=(6, 30))[donors]
        gradient = rng.normal(size=30)
        alone.append(permutation_p_values([HeldOutEvidence(activations, gradient, labels)], 200, number))
        within.append(permutation_p_values([HeldOutEvidence(activations, gradient, labels, donors)], 200, number))
    assert np.mean(np.concatenate(alone) < 0.05) > 0.15
    assert np.mean(np.concatenate(within) < 0.05) == pytest.approx(0.05, abs=0.025)


def test_donors_of_one_class_each_are_as_many_observations_as_there_are_donors():
    rng = np.random.default_rng(4)
    donors = np.repeat(np.arange(6), 30)
    labels = (donors < 3).astype(float)
    activations = rng.normal(size=(180, 400)) + 2 * rng.normal(size=(6, 400))[donors]
    evidence = HeldOutEvidence(activations, rng.normal(size=400), labels, donors)
    p_values = permutation_p_values([evidence], 2000, 5)
    assert p_values.min() == pytest.approx(1 / 20, abs=0.02)  # 20 ways to choose three donors of six
    assert np.mean(p_values < 0.15) == pytest.approx(0.1, abs=0.05)


def test_a_neuron_that_never_varies_is_never_called():
    evidence = HeldOutEvidence(np.ones((20, 1)), np.ones(1), np.arange(20) % 2)
    assert permutation_p_values([evidence], 200)[0] == 1.0


def test_rankings_are_compared_over_the_nodes_that_both_have():
    first = pd.Series({"a": 3.0, "b": -2.0, "c": 1.0, "x": 9.0})
    second = pd.Series({"a": -6.0, "b": 4.0, "c": 2.0, "y": 8.0})
    assert pair(first, second, k=2) == (1.0, 1.0, 3)
    assert pair(first, pd.Series({"z": 1.0}))[2] == 0
    found = agreement({"1": first, "2": second, "3": pd.Series({"z": 1.0})}, k=2)
    assert (found.n_pairs, found.rank_correlation, found.top_overlap) == (1, 1.0, 1.0)
