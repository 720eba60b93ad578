"""Scores against scikit-learn, influences against what weighing a cell more does to scikit-learn's scores."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, precision_recall_fscore_support, roc_auc_score

from kpnn.evaluation import METRICS, score
from kpnn.evaluation.influence import score_with_influence


def weighted(metric, y, p, weight):
    """Scikit-learn's score of weighted cells."""
    if metric == "roc_auc":
        return roc_auc_score(y, p, sample_weight=weight)
    if metric == "average_precision":
        return average_precision_score(y, p, sample_weight=weight)
    called = (p > 0.5).astype(int)
    if metric in ("precision", "recall", "f1"):
        scores = precision_recall_fscore_support(y, called, average="binary", sample_weight=weight, zero_division=0)
        return scores[("precision", "recall", "f1").index(metric)]
    per_cell = {
        "accuracy": called == y,
        "brier": (p - y) ** 2,
        "log_loss": -np.log(np.where(y == 1, p, 1 - p)),
    }[metric]
    return np.average(per_cell, weights=weight)


def cells(seed, n, ties):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    y[:4] = [0, 1, 0, 1]
    p = rng.integers(1, 6, n) / 6 if ties else rng.uniform(0.02, 0.98, n)
    return y, np.clip(p + 0.1 * y, 0.01, 0.99)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31 - 1), st.integers(5, 50), st.booleans())
def test_every_score_is_scikit_learns(seed, n, ties):
    y, p = cells(seed, n, ties)
    expected = score(y[:, None], p[:, None], ["OUT"])
    for metric in METRICS:
        assert score_with_influence(metric, y, p)[0] == pytest.approx(expected[metric], abs=1e-9)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("metric", METRICS)
def test_an_influence_is_what_weighing_the_cell_more_does(metric, ties):
    y, p = cells(3, 30, ties)
    value, influence = score_with_influence(metric, y, p)
    n = np.where(y == 1, (y == 1).sum(), (y == 0).sum()) if metric == "roc_auc" else np.full(30, 30)
    step = 1e-6
    for cell in range(30):
        weight = np.ones(30)
        weight[cell] += step
        slope = (weighted(metric, y, p, weight) - value) / step
        assert influence[cell] == pytest.approx(slope * np.sqrt(n[cell] / (n[cell] - 1)), abs=1e-5)


def test_squared_influences_sum_to_delongs_variance():
    y, p = cells(5, 40, ties=True)
    positive, negative = p[y == 1], p[y == 0]
    wins = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    variance = wins.mean(axis=1).var(ddof=1) / len(positive) + wins.mean(axis=0).var(ddof=1) / len(negative)
    value, influence = score_with_influence("roc_auc", y, p)
    assert value == pytest.approx(wins.mean())
    assert (influence**2).sum() == pytest.approx(variance)


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision"])
def test_one_class_alone_has_no_score_and_no_influence(metric):
    value, influence = score_with_influence(metric, np.ones(4), np.linspace(0.1, 0.9, 4))
    assert np.isnan(value) and not influence.any()


def test_nothing_called_is_precision_zero():
    value, influence = score_with_influence("precision", np.array([0, 1, 1]), np.array([0.1, 0.2, 0.3]))
    assert value == 0.0 and not influence.any()
