"""Scores against scikit-learn, intervals against simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from kpnn.training.metrics import METRICS, _score_one, _score_quickly, bootstrap_intervals, calibration, score


@settings(max_examples=60, deadline=None)
@given(st.integers(4, 60), st.integers(0, 2**31 - 1), st.booleans())
def test_the_bootstrap_scores_as_scikit_learn_does(n, seed, ties):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    y[:2] = [0, 1]
    p = rng.integers(0, 5, n) / 5 if ties else rng.random(n)
    expected, got = _score_one(y, p), _score_quickly(y.astype(float), p)
    assert got == pytest.approx(expected, abs=1e-9)


def test_several_outputs_are_averaged_and_listed():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, (50, 2))
    p = rng.random((50, 2))
    scores = score(y, p, ["A", "B"])
    each = [roc_auc_score(y[:, j], p[:, j]) for j in (0, 1)]
    assert scores["roc_auc"] == pytest.approx(np.mean(each))
    assert scores["roc_auc_B"] == pytest.approx(each[1])
    assert scores["average_precision_A"] == pytest.approx(average_precision_score(y[:, 0], p[:, 0]))


def test_a_single_class_has_no_roc_auc():
    assert np.isnan(score(np.ones((4, 1)), np.full((4, 1), 0.7), ["A"])["roc_auc"])


def test_the_bootstrap_interval_covers_the_truth_about_as_often_as_it_says():
    # Scores N(1, 1) against N(0, 1): the true ROC-AUC is Phi(1 / sqrt(2)).
    from scipy.stats import norm

    truth = norm.cdf(1 / np.sqrt(2))
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(60):
        y = np.repeat([0, 1], 60)
        scores = 1 / (1 + np.exp(-(rng.normal(size=120) + y)))
        interval = bootstrap_intervals(y[:, None], scores[:, None], ["A"], n_bootstrap=150, seed=3).loc["roc_auc"]
        covered += interval["lower"] <= truth <= interval["upper"]
    assert 0.85 <= covered / 60 <= 1.0


def test_the_bootstrap_lists_every_metric_and_repeats():
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 2, (40, 1)), rng.random((40, 1))
    first = bootstrap_intervals(y, p, ["A"], n_bootstrap=20, seed=5)
    assert list(first.index) == list(METRICS)
    assert first.equals(bootstrap_intervals(y, p, ["A"], n_bootstrap=20, seed=5))
    assert (first["lower"] <= first["upper"]).all()


def test_calibration_counts_every_cell_once():
    p = np.array([0.0, 0.05, 0.55, 0.58, 1.0])
    y = np.array([0, 1, 1, 0, 1])
    table = calibration(y, p, n_bins=10)
    assert table["n_cells"].sum() == 5
    assert table["observed"].tolist() == [0.5, 0.5, 1.0]
