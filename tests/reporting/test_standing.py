"""Where the arms stand among the controls, and how small a network may be."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
from fabricated import make_arm, make_dag, make_study

from kpnn.reporting import Control, Study, answer, write_report
from kpnn.reporting.paired import compare_arms
from kpnn.reporting.standing import controls_table, size_curve, size_in_words, standing_in_words


def test_every_control_is_compared_with_both_arms_by_the_interval_of_the_answer():
    study = make_study()
    table = controls_table(study)
    assert len(table) == 2 * len(study.controls)
    for row in table.itertuples():
        control = next(one for one in study.controls if (one.kind, one.replicate) == (row.control, row.replicate))
        comparison = compare_arms(study.arm(row.arm), control.tables).comparison
        assert row.verdict == comparison.verdict.value
        assert (row.difference_lower, row.difference_upper) == (comparison.interval.lower, comparison.interval.upper)
        assert row.difference == pytest.approx(study.arm(row.arm).fold_metrics["roc_auc"].mean() - row.roc_auc)
        assert row.roc_auc == pytest.approx(control.tables.fold_metrics["roc_auc"].mean())
        assert row.lower < row.roc_auc < row.upper


def test_the_lead_says_where_both_arms_stand():
    study = make_study(n_cells=600)
    found = answer(study)
    [alike] = found.findings
    assert alike.startswith(
        "Among the controls `full` and `pruned` predict better than all 2 networks from rewired PKNs"
    )
    assert "worse than logistic regression (ROC-AUC 0.9" in alike
    page = write_report(study).page
    assert alike.replace("`full`", "<code>full</code>").replace("`pruned`", "<code>pruned</code>") in page


def test_replicates_with_different_verdicts_are_counted():
    verdicts = ["better"] * 3 + ["as well (within the margin)", "worse"]
    table = pd.DataFrame({"control": "rewired", "arm": "pruned", "roc_auc": 0.9, "verdict": verdicts})
    [sentence] = standing_in_words(table)
    assert sentence == (
        "Among the controls `pruned` predicts better than 3, as well as 1 and worse than 1 of the 5 networks from "
        "rewired PKNs (ROC-AUC 0.900 on average)."
    )


def test_arms_that_stand_apart_have_a_sentence_each():
    rows = [("logistic", "full", "better"), ("logistic", "pruned", "cannot tell")]
    table = pd.DataFrame(rows, columns=["control", "arm", "verdict"]).assign(roc_auc=0.9)
    assert standing_in_words(table) == (
        "Among the controls `full` predicts better than logistic regression (ROC-AUC 0.900).",
        "Among the controls `pruned` predicts perhaps no worse than logistic regression (ROC-AUC 0.900).",
    )


def test_without_controls_nothing_is_said_of_them():
    found = answer(replace(make_study(), controls=()))
    assert found.findings == () and found.words == found.sentence


def study_with_curve(strengths: dict[str, float]) -> Study:
    study = make_study(n_cells=2000)
    dags = [make_dag(n_hidden, 60, 2) for n_hidden in (8, 12, 20)]
    steps = [
        Control("size_path", k, make_arm(f"size_path_{k}", dag, seed=k, strength=strength, n_cells=2000))
        for k, (dag, strength) in enumerate(zip(dags, strengths.values(), strict=True))
    ]
    return replace(study, controls=(*study.controls, *steps[::-1]))


def test_the_smallest_network_that_is_as_good_is_named_with_its_size():
    study = study_with_curve({"small": 0.5, "middle": 1.5, "large": 1.5})
    curve = size_curve(study)
    assert curve["n_parameters"].is_monotonic_increasing
    assert list(curve["network"]) == ["size_path_0", "size_path_1", "size_path_2", "full"]
    assert curve["verdict"].iloc[0] == "worse" and curve["verdict"].isna().tolist() == [False, False, False, True]
    [sentence] = size_in_words(curve)
    as_good = curve[
        curve["verdict"].isin(["better", "as well (within the margin)", "not worse by more than the margin"])
    ]
    assert f"has {as_good['n_parameters'].iloc[0]:,} parameters" in sentence
    # The networks of the curve are none of the controls.
    assert "size_path" not in set(controls_table(study)["control"])
    report = write_report(study)
    assert "How small can it be?" in report.page and "size_curve" in report.tables


def test_where_every_smaller_network_is_worse_that_is_said():
    study = study_with_curve({"small": 0.5, "middle": 0.6, "large": 0.7})
    [sentence] = size_in_words(size_curve(study))
    assert sentence.startswith("No network smaller than `full`")


def test_without_a_curve_nothing_is_said_of_size():
    assert size_in_words(size_curve(make_study())) == ()
    assert "How small" not in write_report(make_study()).page
