"""The answer: figures by hand, and bad input said plainly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fabricated import make_arm, make_dag, make_study
from sklearn.metrics import roc_auc_score, roc_curve

from kpnn.evaluation import Verdict
from kpnn.reporting import Study, answer, comparison_table, sizes_table
from kpnn.reporting.figures.curves import precision_recall_band, roc_band
from kpnn.reporting.figures.training import parameter_importances


def test_savings_and_degradation_are_the_tutorials():
    study = make_study()
    full, pruned = study.arms
    found = answer(study)
    expected = 100 * (1 - pruned.dag.n_parameters / full.dag.n_parameters)
    assert found.metrics["parameter_compression_percent"] == pytest.approx(expected)
    edges = 100 * (1 - len(pruned.dag.edges) / len(full.dag.edges))
    assert found.metrics["edge_compression_percent"] == pytest.approx(edges)
    a, b = full.fold_metrics["roc_auc"].mean(), pruned.fold_metrics["roc_auc"].mean()
    assert found.metrics["roc_auc_degradation_percent"] == pytest.approx(100 * (a - b) / a)
    assert found.comparison.reference_roc_auc == pytest.approx(a)
    assert found.metrics["roc_auc_difference"] == pytest.approx(b - a)
    lower, upper = (found.metrics[f"roc_auc_degradation_percent_{end}"] for end in ("lower", "upper"))
    assert lower < found.metrics["roc_auc_degradation_percent"] < upper


def test_the_comparison_table_holds_the_mean_over_folds_and_its_interval():
    study = make_study()
    table = comparison_table(study.arms).set_index(["arm", "metric"])
    rows = study.arms[1].predictions
    row = table.loc[("pruned", "roc_auc")]
    by_fold = [roc_auc_score(fold["label"], fold["probability"]) for _, fold in rows.groupby("fold")]
    assert row["mean"] == pytest.approx(np.mean(by_fold))
    assert row["sd"] == pytest.approx(np.std(by_fold, ddof=1))
    assert row["lower"] < row["mean"] < row["upper"]
    # One ROC-AUC everywhere: the table, the answer and the folds' own scores agree.
    found = answer(study)
    assert row["mean"] == pytest.approx(found.comparison.candidate_roc_auc)
    assert f"{row['mean']:.3f}" in found.sentence


def test_a_missing_arm_leaves_no_comparison_and_says_so():
    study = make_study()
    found = answer(replace(study, arms=study.arms[:1]))
    assert found.comparison is None
    assert "`pruned`" in found.sentence and "are missing" in found.sentence
    assert "no comparison" in answer(Study()).sentence


def test_folds_with_other_cells_are_left_out_and_named():
    study = make_study()
    other = make_arm("pruned", study.pruned_dag, seed=1, shift=1)
    found = answer(replace(study, arms=(study.arms[0], other)))
    assert found.comparison is None
    assert "different cells" in found.notes[0]
    # Every saving is still known.
    assert "parameter_compression_percent" in found.metrics


def test_a_fold_that_one_arm_lacks_is_left_out_of_the_test():
    study = make_study()
    pruned = study.arms[1]
    fewer = replace(
        pruned,
        predictions=pruned.predictions[pruned.predictions["fold"] != 2],
        fold_metrics=pruned.fold_metrics[pruned.fold_metrics["fold"] != 2],
    )
    found = answer(replace(study, arms=(study.arms[0], fewer)))
    assert "repeat 0 fold 2" in found.notes[0]
    kept = study.arms[0].fold_metrics["roc_auc"].drop(2).mean()
    assert found.comparison.reference_roc_auc == pytest.approx(kept)


def test_curves_are_means_over_folds_of_sklearns():
    arm = make_study().arms[0]
    band = roc_band(arm, "OUT")
    curves = []
    for _, fold in arm.predictions.groupby("fold"):
        x, y, _ = roc_curve(fold["label"], fold["probability"])
        curves.append(np.interp(0.5, x, y))
    assert band.set_index(band["x"].round(2)).loc[0.5, "mean"] == pytest.approx(np.mean(curves))
    assert (band["lower"] <= band["mean"]).all() and (band["mean"] <= band["upper"]).all()


def test_a_perfect_classifier_has_precision_one_at_every_recall():
    arm = make_arm("full", make_dag(5, 10, 1), strength=50)
    band = precision_recall_band(arm, "OUT")
    assert band["mean"].min() == 1.0


def test_precision_at_full_recall_is_the_share_of_class_one_among_all_called():
    predictions = pd.DataFrame({"repeat": 0, "fold": 0, "barcode": list("abcd"), "output": "OUT"})
    predictions = predictions.assign(label=[1, 0, 0, 1], probability=[0.9, 0.8, 0.7, 0.6])
    arm = replace(make_study().arms[0], predictions=predictions)
    band = precision_recall_band(arm, "OUT").set_index("x")["mean"]
    assert band.iloc[-1] == pytest.approx(0.5)
    assert band.iloc[25] == pytest.approx(1.0)


def test_sizes_count_the_networks():
    study = make_study()
    table = sizes_table(study).set_index("network")
    assert table.loc["full", "parameters"] == len(study.full_dag.edges) + len(study.full_dag.neurons)
    assert pd.isna(table.loc["PKN, measured genes", "parameters"])


def test_the_hyperparameter_that_decides_the_loss_is_the_important_one():
    arm = make_study().arms[0]
    trials = arm.trials.assign(value=arm.trials["dropout"] ** 2, noise=np.random.default_rng(0).random(len(arm.trials)))
    found = parameter_importances((replace(arm, trials=trials),)).set_index("hyperparameter")["importance"]
    assert found["dropout"] == pytest.approx(1.0)
    assert found["noise"] < 0.9 and 0 <= found["optimizer"] <= 1


def test_donors_widen_the_answer():
    study = make_study()
    donors = pd.Series({f"cell{number}": f"donor{number // 2 % 5}" for number in range(200)})
    together = answer(replace(study, groups=donors)).comparison
    assert together.interval.degrees_of_freedom < 10
    assert together.interval.degrees_of_freedom < answer(study).comparison.interval.degrees_of_freedom


def test_folds_without_a_roc_auc_are_left_out_of_the_comparison():
    study = make_study()
    arms = tuple(
        replace(
            arm,
            predictions=arm.predictions.assign(label=arm.predictions["label"].where(arm.predictions["fold"] != 1, 1)),
            fold_metrics=arm.fold_metrics.assign(
                roc_auc=arm.fold_metrics["roc_auc"].where(arm.fold_metrics["fold"] != 1)
            ),
        )
        for arm in study.arms
    )
    found = answer(replace(study, arms=arms))
    assert found.comparison.reference_roc_auc == pytest.approx(arms[0].fold_metrics["roc_auc"].mean())
    table = comparison_table(arms).set_index(["arm", "metric"])
    assert table.loc[("full", "roc_auc"), "n_folds"] == 4
    none = tuple(
        replace(arm, predictions=arm.predictions.assign(label=1), fold_metrics=arm.fold_metrics.assign(roc_auc=np.nan))
        for arm in arms
    )
    assert "one class only" in answer(replace(study, arms=none)).sentence


def test_one_network_trained_alike_cannot_differ_from_itself():
    dag = make_dag(6, 12, seed=1)
    full, pruned = (make_arm(name, dag, seed=3) for name in ("full", "pruned"))
    found = answer(Study(arms=(full, pruned)))
    assert found.comparison.verdict == Verdict.AS_WELL
    assert (found.comparison.interval.lower, found.comparison.interval.upper, found.comparison.p_value) == (0, 0, 1)
    assert found.sentence == (
        f"`pruned` and `full` are the same network, so they predict alike: ROC-AUC "
        f"{found.comparison.candidate_roc_auc:.3f}."
    )


@pytest.mark.parametrize(("seed", "of_network"), [(4, 1), (3, 2)])
def test_one_network_trained_otherwise_or_two_that_say_the_same_have_an_interval(seed, of_network):
    full = make_arm("full", make_dag(6, 12, seed=1), seed=3)
    pruned = make_arm("pruned", make_dag(6, 12, seed=of_network), seed=seed)
    found = answer(Study(arms=(full, pruned))).comparison.interval
    assert found.lower < found.estimate < found.upper
