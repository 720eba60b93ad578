"""Verdicts at the edges of their definition; the sentence prints the interval that decides."""

import json

import numpy as np
import pytest
from studies import two_arms

from kpnn.errors import SettingsError
from kpnn.evaluation import ArmScores, Interval, Verdict, compare, holm, verdict_in_words


def scored(tables):
    return [ArmScores.from_predictions(name, table) for name, table in zip(("full", "pruned"), tables, strict=True)]


def between(lower, upper):
    return Interval((lower + upper) / 2, lower, upper, 0.01, 10.0, 0.01, 0.0, "repeats")


@pytest.mark.parametrize(
    ("lower", "upper", "verdict", "words"),
    [
        (0.002, 0.02, Verdict.BETTER, "better than `full`, perhaps by less than"),
        (0.002, 0.008, Verdict.AS_WELL, "as well as `full` (within the margin of 0.01; better by a little)"),
        (0.012, 0.02, Verdict.BETTER, "better than `full`, by more than"),
        (-0.005, 0.005, Verdict.AS_WELL, "as well as `full` (within the margin of 0.01)"),
        (-0.005, 0.02, Verdict.NOT_WORSE, "not worse than `full` by more than the margin"),
        (-0.008, -0.002, Verdict.WORSE, "worse than `full`, by less than"),
        (-0.02, -0.002, Verdict.WORSE, "worse than `full`, perhaps by less than"),
        (-0.03, -0.02, Verdict.WORSE, "worse than `full`, by more than"),
        (-0.02, 0.005, Verdict.CANNOT_TELL, "cannot tell"),
        (-0.01, 0.005, Verdict.CANNOT_TELL, "cannot tell"),
        (0.0, 0.005, Verdict.AS_WELL, "as well as"),
        (-0.005, 0.0, Verdict.AS_WELL, "as well as"),
    ],
)
def test_the_verdict_is_what_the_interval_says(lower, upper, verdict, words):
    found = between(lower, upper)
    assert Verdict.of(found, 0.01) is verdict
    assert words in verdict_in_words("pruned", "full", found, 0.01)


def test_the_sentence_prints_the_interval_that_decides():
    reference, candidate = scored(two_arms(1, gain=1.5, n_cells=300))
    result = compare(candidate, reference, margin=0.01)
    assert result.verdict is Verdict.BETTER
    for figure in (f"{reference.mean:.3f}", f"{candidate.mean:.3f}", f"{result.interval.lower:+.3f}"):
        assert figure in result.sentence
    assert result.p_value < 0.05 and result.not_worse and not result.equivalent
    assert compare(reference, candidate).verdict is Verdict.WORSE


def test_the_verdict_and_the_p_value_agree():
    for seed in range(12):
        reference, candidate = scored(two_arms(seed, gain=0.4))
        result = compare(candidate, reference)
        excludes_zero = not result.interval.lower <= 0 <= result.interval.upper
        assert excludes_zero == (result.p_value < 0.05)
        decided = Verdict.of_control(result.interval, 0.01)
        assert excludes_zero == (decided in (Verdict.BETTER, Verdict.WORSE))
        assert decided is result.verdict or (decided is Verdict.BETTER and result.equivalent)


def test_an_arm_against_itself_is_never_certain():
    table = two_arms(2)[0]
    result = compare(*scored([table, table]))
    assert result.interval.lower < 0 < result.interval.upper
    assert result.p_value == 1.0


def test_one_output_that_fails_is_not_hidden_by_the_mean():
    tables = two_arms(3, n_cells=400, outputs=("A", "B", "C"))
    worse = tables[1].copy()
    of_b = worse["output"] == "B"
    worse.loc[of_b, "probability"] = np.random.default_rng(0).random(of_b.sum())
    result = compare(*scored([tables[0], worse])[::-1])
    by_name = {one.output: one for one in result.per_output}
    assert by_name["B"].p_value < 0.001
    assert "Worse for `B`" in result.sentence
    assert by_name["A"].p_value >= by_name["A"].interval.p_value


def test_holms_correction_by_hand():
    assert holm(np.array([0.01, 0.04, 0.03])) == pytest.approx([0.03, 0.06, 0.06])
    assert holm(np.array([0.9, 0.8])) == pytest.approx([1.0, 1.0])


def test_the_comparison_is_plain_json():
    plain = compare(*scored(two_arms(4))).as_dict()
    assert json.loads(json.dumps(plain))["verdict"] in {verdict.value for verdict in Verdict}
    assert {"reference_roc_auc", "candidate_roc_auc", "equivalent", "not_worse", "sentence"} <= set(plain)


def test_only_the_roc_auc_is_compared():
    brier = [ArmScores.from_predictions("full", table, metric="brier") for table in two_arms(5)]
    with pytest.raises(SettingsError, match="brier"):
        compare(*brier)
