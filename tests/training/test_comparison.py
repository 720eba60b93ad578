"""The paired tests against textbook arithmetic and simulation."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from kpnn.errors import SettingsError
from kpnn.training.comparison import compare, corrected_resampled_t_test, delong_test


def test_the_corrected_t_test_is_nadeau_and_bengios_formula():
    differences = np.array([0.01, 0.03, -0.01, 0.02, 0.00])
    n, ratio = 5, 0.25
    t = differences.mean() / np.sqrt((1 / n + ratio) * differences.var(ddof=1))
    result = corrected_resampled_t_test(differences, ratio)
    assert result.p_value == pytest.approx(2 * stats.t.sf(abs(t), n - 1))
    # Without the overlap of the training sets it is the ordinary paired t-test.
    plain = corrected_resampled_t_test(differences, 0.0)
    assert plain.p_value == pytest.approx(stats.ttest_1samp(differences, 0.0).pvalue)
    assert result.p_value > plain.p_value


def test_one_fold_cannot_be_tested():
    with pytest.raises(SettingsError, match="at least two folds"):
        corrected_resampled_t_test(np.array([0.1]), 0.25)


def test_delongs_difference_is_that_of_the_areas():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 80)
    a, b = rng.random(80) + 0.4 * y, rng.random(80) + 0.2 * y
    result = delong_test(y, a, b)
    assert result.difference == pytest.approx(roc_auc_score(y, a) - roc_auc_score(y, b))
    assert delong_test(y, b, a).p_value == pytest.approx(result.p_value)
    assert delong_test(y, a, a).p_value == 1.0


def test_delongs_standard_error_agrees_with_the_bootstrap():
    rng = np.random.default_rng(2)
    y = np.repeat([0, 1], 150)
    shared = rng.normal(size=300)
    a, b = shared + y + rng.normal(size=300), shared + 0.5 * y + rng.normal(size=300)
    draws = []
    for _ in range(400):
        rows = np.r_[rng.integers(0, 150, 150), rng.integers(150, 300, 150)]
        draws.append(roc_auc_score(y[rows], a[rows]) - roc_auc_score(y[rows], b[rows]))
    assert delong_test(y, a, b).standard_error == pytest.approx(np.std(draws), rel=0.15)


def test_delongs_p_is_uniform_where_there_is_no_difference():
    rng = np.random.default_rng(3)
    y = np.repeat([0, 1], 60)
    p = [delong_test(y, rng.normal(size=120) + y, rng.normal(size=120) + y).p_value for _ in range(200)]
    assert stats.kstest(p, "uniform").pvalue > 0.001
    assert np.mean(np.array(p) < 0.05) < 0.12


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        ([0.95, 0.951, 0.949, 0.95, 0.95], "predicts as well as"),
        ([0.97, 0.971, 0.969, 0.972, 0.968], "at least as well as"),
        ([0.90, 0.901, 0.899, 0.90, 0.90], "worse than `full` by more than the margin"),
        ([0.99, 0.91, 0.99, 0.90, 0.96], "cannot tell"),
    ],
)
def test_the_sentence_says_what_the_interval_says(candidate, expected):
    reference = np.array([0.95, 0.949, 0.951, 0.95, 0.95])
    result = compare(("full", reference), ("pruned", np.array(candidate)), n_splits=5, margin=0.01)
    assert expected in result.sentence
    assert f"{np.mean(candidate):.3f}" in result.sentence


def test_with_one_fold_nothing_is_claimed():
    result = compare(("full", np.array([0.9])), ("pruned", np.array([0.9])), n_splits=2)
    assert result.folds is None
    assert not result.equivalent
