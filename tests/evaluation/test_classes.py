"""Classes that exclude each other: scores, influences and confusions against scikit-learn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    log_loss,
    recall_score,
    roc_auc_score,
)
from sklearn.metrics import (
    confusion_matrix as confusions_of_sklearn,
)

from kpnn.errors import SettingsError
from kpnn.evaluation import (
    METRICS,
    ArmScores,
    are_exclusive,
    confusion_matrix,
    interval,
    metrics_of,
    score,
    top_confusions,
)
from kpnn.evaluation.influence import class_score_with_influence

OUTPUTS = ("B_cell", "CD4+/CD25 T Reg", "Monocyte")


def cells(seed, n=60, members=None):
    rng = np.random.default_rng(seed)
    classes = rng.permutation(np.minimum(np.arange(n) % 5, 2))
    shape = (n, 3) if members is None else (members, n, 3)
    return classes, softmax(1.5 * np.eye(3)[classes] + rng.normal(size=shape), axis=-1)


def table(classes, probabilities, n_folds=3, **columns):
    n = len(classes)
    return pd.DataFrame(
        {
            "repeat": 0,
            "fold": np.repeat(np.arange(n) % n_folds, 3),
            "barcode": np.repeat([f"c{i}" for i in range(n)], 3),
        }
        | {"output": OUTPUTS * n, "label": np.eye(3, dtype=int)[classes].ravel()}
        | {"probability": probabilities.ravel()}
        | columns
    )


def test_scores_over_classes_and_of_each_class_are_scikit_learns():
    classes, p = cells(0)
    calls, found = p.argmax(axis=1), score(np.eye(3)[classes], p, OUTPUTS, one_of_k=True)
    assert found["accuracy"] == pytest.approx(accuracy_score(classes, calls))
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(classes, calls))
    assert found["log_loss"] == pytest.approx(log_loss(classes, p))
    assert found["roc_auc"] == pytest.approx(roc_auc_score(classes, p, multi_class="ovr", average="macro"))
    assert found["f1"] == pytest.approx(f1_score(classes, calls, average="macro"))
    of_each = recall_score(classes, calls, average=None)
    assert [found[f"recall_{name}"] for name in OUTPUTS] == pytest.approx(list(of_each))
    assert found["roc_auc_CD4+/CD25 T Reg"] == pytest.approx(roc_auc_score(classes == 1, p[:, 1]))


def test_a_class_without_cells_is_left_out_of_the_balanced_accuracy():
    classes, p = cells(1)
    there = classes < 2
    found = score(np.eye(3)[classes[there]], p[there], OUTPUTS, one_of_k=True)
    calls = p[there].argmax(axis=1)
    assert found["balanced_accuracy"] == pytest.approx(
        recall_score(classes[there], calls, labels=[0, 1], average=None).mean()
    )


def test_questions_of_their_own_are_scored_as_before():
    y, p = np.random.default_rng(0).integers(0, 2, (40, 3)), np.random.default_rng(1).random((40, 3))
    assert not are_exclusive(y, p)
    assert set(score(y, p, OUTPUTS)) == {*METRICS, *(f"{name}_{output}" for name in METRICS for output in OUTPUTS)}
    classes, exclusive = cells(2)
    assert are_exclusive(np.eye(3)[classes], exclusive.astype(np.float32))
    assert not are_exclusive(np.eye(3)[classes], np.clip(exclusive, 0.01, None))


@pytest.mark.parametrize("metric", metrics_of(one_of_k=True))
def test_an_arms_scores_by_fold_are_those_of_the_folds(metric):
    classes, p = cells(3)
    scores = ArmScores.from_predictions("full", table(classes, p), metric=metric)
    for fold in range(3):
        rows = np.arange(60) % 3 == fold
        expected = score(np.eye(3)[classes[rows]], p[rows], OUTPUTS, one_of_k=True)
        assert scores.fold_values[fold] == pytest.approx(expected[metric])
    found = interval(scores)
    assert found.lower < found.estimate < found.upper
    donors = {f"c{cell}": cell % 10 for cell in range(60)}
    assert interval(scores, groups=donors).estimate == pytest.approx(found.estimate)


@pytest.mark.parametrize("metric", ["accuracy", "log_loss"])
def test_influences_on_scores_over_classes_are_what_weighing_the_cell_more_does(metric):
    classes, p = cells(4, 30)
    value, influence = class_score_with_influence(metric, np.eye(3)[classes], p)
    for cell in range(30):
        weight = np.ones(30)
        weight[cell] += 1e-6
        if metric == "accuracy":
            weighted = accuracy_score(classes, p.argmax(axis=1), sample_weight=weight)
        else:
            weighted = log_loss(classes, p, sample_weight=weight)
        assert influence[cell] == pytest.approx((weighted - value) / 1e-6 * np.sqrt(30 / 29), abs=1e-5)


def test_an_ensemble_without_a_member_is_the_softmax_of_the_others_mean_logits():
    classes, p = cells(5, members=3)
    whole = softmax(np.log(p).mean(axis=0), axis=1)
    members = pd.concat([table(classes, of_member, member=k) for k, of_member in enumerate(p)])
    scores = ArmScores.from_predictions("full", table(classes, whole), metric="log_loss", members=members)
    without_first = ArmScores.from_predictions(
        "full", table(classes, softmax(np.log(p[1:]).mean(axis=0), axis=1)), metric="log_loss"
    )
    np.testing.assert_allclose(scores.leave_one_out.values[0], without_first.values, rtol=1e-9)


def test_the_balanced_accuracy_of_questions_of_their_own_is_refused():
    classes, p = cells(6)
    with pytest.raises(SettingsError, match="exclude each other"):
        ArmScores.from_predictions("full", table(classes, p / 2), metric="balanced_accuracy")


def test_confusions_are_counted_as_scikit_learn_counts_them():
    classes, p = cells(7)
    matrix = confusion_matrix(table(classes, p).sample(frac=1, random_state=0).sort_values("output", kind="stable"))
    assert list(matrix.index) == list(matrix.columns) == sorted(OUTPUTS)
    expected = confusions_of_sklearn(classes, p.argmax(axis=1))
    np.testing.assert_array_equal(matrix.to_numpy(), expected)
    pairs = top_confusions(matrix, most=2)
    off_diagonal = expected - np.diag(np.diag(expected))
    assert pairs["n_cells"].iloc[0] == off_diagonal.max()
    first = pairs.iloc[0]
    assert first["share"] == matrix.loc[first["class"], first["called"]] / matrix.loc[first["class"]].sum()
    assert not len(top_confusions(pd.DataFrame(np.diag([3, 4]), index=["A", "B"], columns=["A", "B"])))
