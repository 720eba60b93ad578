"""Scores against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from kpnn.evaluation import calibration, score


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


def test_calibration_counts_every_cell_once():
    p = np.array([0.0, 0.05, 0.55, 0.58, 1.0])
    y = np.array([0, 1, 1, 0, 1])
    table = calibration(y, p, n_bins=10)
    assert table["n_cells"].sum() == 5
    assert table["observed"].tolist() == [0.5, 0.5, 1.0]
