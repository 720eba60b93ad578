"""Intervals against formulas worked by hand, and against simulation."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score
from studies import make_folds, predictions, two_arms

from kpnn.errors import CellsError, SettingsError
from kpnn.evaluation import METRICS, ArmScores, difference_interval, interval
from kpnn.evaluation.scores import as_of_one_size


def scored(tables, **options):
    return [ArmScores.from_predictions(name, table, **options) for name, table in zip("rc", tables, strict=True)]


def delong_variance(y, a, b):
    """Of the difference of two areas, pair by pair."""
    positive, negative = y == 1, y == 0
    wins = [(p[positive][:, None] > p[negative]) + 0.5 * (p[positive][:, None] == p[negative]) for p in (a, b)]
    difference = wins[0] - wins[1]
    return difference.mean(axis=1).var(ddof=1) / positive.sum() + difference.mean(axis=0).var(ddof=1) / negative.sum()


def test_scores_are_computed_within_folds_then_averaged():
    table, _ = two_arms(n_repeats=2)
    by_fold = table.groupby(["repeat", "fold"])[["label", "probability"]].apply(
        lambda fold: roc_auc_score(fold["label"], fold["probability"])
    )
    scores = ArmScores.from_predictions("full", table)
    assert scores.fold_values == pytest.approx(by_fold.to_numpy())
    assert scores.mean == pytest.approx(by_fold.groupby("repeat").mean().mean())


def test_one_repeat_is_delong_within_folds_and_what_their_spread_adds():
    tables = two_arms(1)
    reference, candidate = tables
    found = difference_interval(*scored(tables)[::-1])
    differences, variances = [], []
    for fold, rows in candidate.groupby("fold"):
        y, c = rows["label"].to_numpy(), rows["probability"].to_numpy()
        r = reference[reference["fold"] == fold]["probability"].to_numpy()
        differences.append(roc_auc_score(y, c) - roc_auc_score(y, r))
        variances.append(delong_variance(y, c, r))
    cells = sum(variances) / 25
    spread = np.var(differences, ddof=1) / 5
    assert found.estimate == pytest.approx(np.mean(differences))
    assert found.se_cells**2 == pytest.approx((1 + 1 / 4) * cells, rel=1e-3)
    assert found.se_training**2 == pytest.approx(max(0.0, spread - cells), abs=1e-12)
    assert found.standard_error**2 == pytest.approx(found.se_cells**2 + found.se_training**2)
    half = stats.t.ppf(0.975, found.degrees_of_freedom) * found.standard_error
    assert (found.lower, found.upper) == pytest.approx((found.estimate - half, found.estimate + half))


def test_the_order_of_rows_and_the_names_of_cells_do_not_matter():
    tables = two_arms(2, n_repeats=3)
    expected = difference_interval(*scored(tables))
    shuffled = [table.sample(frac=1, random_state=seed) for seed, table in enumerate(tables)]
    renamed = [table.assign(barcode="x" + table["barcode"].str[::-1]) for table in shuffled]
    for others in (shuffled, renamed):
        found = difference_interval(*scored(others))
        assert (found.estimate, found.lower, found.upper) == pytest.approx(
            (expected.estimate, expected.lower, expected.upper)
        )


def test_exchanging_the_arms_turns_the_interval_round():
    reference, candidate = scored(two_arms(3, gain=0.5))
    there, back = difference_interval(candidate, reference), difference_interval(reference, candidate)
    assert (there.lower, there.upper) == pytest.approx((-back.upper, -back.lower))
    assert there.p_value == pytest.approx(back.p_value)


def test_repeats_with_the_same_predictions_add_no_training_variance():
    table = two_arms(4)[0]
    twice = pd.concat([table, table.assign(repeat=1)])
    once, again = (interval(ArmScores.from_predictions("full", rows)) for rows in (table, twice))
    assert again.training_from == "repeats"
    assert again.se_training <= once.se_training
    assert again.se_cells == pytest.approx(once.se_cells)


def test_members_that_agree_add_nothing_and_members_that_differ_do():
    rng = np.random.default_rng(5)
    labels = (np.arange(100) % 2)[:, None]
    folds = make_folds(rng, labels[:, 0], 5)[None]
    base = 2 * labels + rng.normal(size=(100, 1))

    def found(spread):
        logits = [base + spread * rng.normal(size=(100, 1)) for _ in range(5)]
        members = [
            predictions(one[None], labels, folds).drop(columns="label").assign(member=k) for k, one in enumerate(logits)
        ]
        ensemble = predictions(np.mean(logits, axis=0)[None], labels, folds)
        scores = ArmScores.from_predictions("full", ensemble, members=pd.concat(members))
        return interval(scores), scores

    agreeing, _ = found(0.0)
    differing, scores = found(1.0)
    assert agreeing.training_from == differing.training_from == "members"
    assert differing.se_training > agreeing.se_training
    # The jackknife by hand: the ensemble without each member.
    assert scores.leave_one_out.values.shape == (5, 5, 1)


def test_the_jackknife_over_members_is_the_variance_of_ensembles_drawn_again():
    """An ensemble's score varies far less than its members': the variance over members / K is not its variance."""
    rng = np.random.default_rng(6)
    labels = (np.arange(400) % 2)[:, None]
    folds = make_folds(rng, labels[:, 0], 5)[None]
    base = 2.5 * labels + 0.5 * rng.normal(size=(400, 1))

    def ensemble():
        logits = base + 2.0 * rng.normal(size=(5, 400, 1))
        members = [
            predictions(one[None], labels, folds).drop(columns="label").assign(member=k) for k, one in enumerate(logits)
        ]
        return ArmScores.from_predictions(
            "full", predictions(logits.mean(axis=0)[None], labels, folds), members=pd.concat(members)
        )

    drawn = [ensemble() for _ in range(40)]
    truth = np.var([scores.mean for scores in drawn], ddof=1)
    jackknife = np.mean([4 * scores.leave_one_out.values.var(axis=0).sum() / 25 for scores in drawn])
    assert 0.6 < jackknife / truth < 2.2


@pytest.mark.parametrize(("n_ones", "fewest"), [(100, 100), (40, 40), (160, 40)])
def test_a_floor_stands_where_every_fold_is_perfect(n_ones, fewest):
    labels = (np.arange(200) < n_ones).astype(int)[:, None]
    folds = make_folds(np.random.default_rng(0), labels[:, 0], 5)[None]
    table = predictions((20.0 * labels - 10)[None], labels, folds)
    reference, candidate = scored([table, table])
    found = difference_interval(candidate, reference)
    # Rule of three for the cells of the smaller class, two-sided; 1.25 for overlapping training parts.
    half = np.sqrt(1.25) * np.log(2 / 0.05) / fewest
    assert found.upper == pytest.approx(half, rel=0.02) and found.lower == pytest.approx(-half, rel=0.02)
    alone = interval(reference)
    assert alone.estimate == alone.upper == 1.0 and alone.lower == pytest.approx(1 - half, rel=0.02)
    assert found.p_value == 1.0


def test_the_floor_fades_where_cells_speak_for_themselves():
    rng = np.random.default_rng(0)
    labels = (np.arange(200) % 2)[:, None]
    folds = make_folds(rng, labels[:, 0], 5)[None]
    errors, floors = [], []
    for n_misplaced in (0, 1, 20):
        logits = 20.0 * labels - 10 + rng.normal(size=(200, 1))
        logits[: 2 * n_misplaced] *= -1  # both classes in turn
        scores = ArmScores.from_predictions("full", predictions(logits[None], labels, folds))
        of_cells = 1.25 * ((scores.influence / 5) ** 2).sum()
        errors.append(interval(scores).se_cells ** 2)
        floors.append(errors[-1] - of_cells)
    assert floors[0] > floors[1] > 100 * abs(floors[2])
    assert errors[0] < errors[2]


def test_cells_of_a_donor_are_not_independent():
    rng = np.random.default_rng(8)
    donors = np.arange(200) // 2 % 10
    labels = (np.arange(200) % 2)[:, None]
    folds = (rng.permutation(10) % 5)[donors][None]
    shift = 1.5 * rng.normal(size=10)[donors][:, None] * labels
    table = predictions((1.5 * labels + shift + rng.normal(size=(200, 1)))[None], labels, folds)
    groups = pd.Series([f"donor{d}" for d in donors], index=[f"cell{i}" for i in range(200)])
    scores = ArmScores.from_predictions("full", table)
    grouped, ungrouped = interval(scores, groups=groups), interval(scores)
    assert grouped.se_cells > ungrouped.se_cells
    assert grouped.degrees_of_freedom < 15
    assert interval(scores, groups=groups.to_dict()) == grouped


def test_with_one_donor_a_fold_the_spread_of_the_folds_is_the_variance():
    rng = np.random.default_rng(9)
    donors = np.arange(150) // 2 % 5
    labels = (np.arange(150) % 2)[:, None]
    logits = 1.5 * labels + 1.0 * rng.normal(size=5)[donors][:, None] * labels + rng.normal(size=(150, 1))
    scores = ArmScores.from_predictions("full", predictions(logits[None], labels, donors[None]))
    found = interval(scores, groups={f"cell{i}": donor for i, donor in enumerate(donors)})
    assert found.se_cells**2 == pytest.approx(1.25 * np.var(scores.fold_values, ddof=1) / 5, rel=1e-3)
    assert found.degrees_of_freedom == pytest.approx(4)


def test_one_donor_says_nothing_of_donors():
    table = two_arms(16, n_folds=1)[0]
    scores = ArmScores.from_predictions("full", table)
    found = interval(scores, groups=dict.fromkeys(table["barcode"], "donor"))
    assert (found.lower, found.upper) == (0.0, 1.0)
    difference = difference_interval(scores, scores, groups=dict.fromkeys(table["barcode"], "donor"))
    assert (difference.lower, difference.upper) == (-1.0, 1.0)


def test_several_outputs_are_averaged_and_paired_by_cell():
    outputs = ("A", "B")
    tables = two_arms(10, outputs=outputs)
    reference, candidate = scored(tables)
    whole = difference_interval(candidate, reference)
    each = [difference_interval(candidate, reference, output=name) for name in outputs]
    assert whole.estimate == pytest.approx(np.mean([one.estimate for one in each]))
    assert whole.se_cells < max(one.se_cells for one in each)
    only_b = scored([table[table["output"] == "B"] for table in tables])
    assert difference_interval(*only_b[::-1]) == each[1]


def test_folds_of_one_class_are_left_out():
    table = two_arms(11)[0]
    spoilt = table.assign(label=np.where(table["fold"] == 2, 1, table["label"]))
    scores = ArmScores.from_predictions("full", spoilt)
    assert np.isnan(scores.fold_values[2])
    assert interval(scores).estimate == pytest.approx(np.nanmean(scores.fold_values))
    assert scores.mean == pytest.approx(np.nanmean(scores.fold_values))
    nothing = ArmScores.from_predictions("full", table.assign(label=1))
    assert np.isnan(nothing.mean)
    with pytest.raises(SettingsError, match="one class only"):
        interval(nothing)


@pytest.mark.parametrize("metric", METRICS)
def test_every_score_has_an_interval_that_holds_its_mean(metric):
    scores = ArmScores.from_predictions("full", two_arms(12)[0], metric=metric)
    found = interval(scores)
    assert found.lower < scores.mean < found.upper
    assert found.estimate == pytest.approx(scores.mean)


def test_a_holdout_of_one_fold_has_an_interval():
    table = two_arms(13, n_folds=1)[0]
    found = interval(ArmScores.from_predictions("full", table))
    assert 0 < found.lower < found.estimate < found.upper <= 1


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda table: pd.concat([table, table.iloc[:3]]), "cell.* more than once"),
        (lambda table: table.assign(fold=table["fold"] + 1), "different folds"),
        (lambda table: table.assign(barcode=table["barcode"] + "-1"), "different cells"),
        (lambda table: table.assign(output="OTHER"), "different metrics or outputs"),
    ],
)
def test_arms_that_do_not_fit_are_refused(spoil, message):
    table = two_arms(14)[0]
    with pytest.raises((CellsError, SettingsError), match=message):
        difference_interval(*scored([table, spoil(table)]))


def test_a_cell_that_lacks_an_output_a_group_or_a_member_is_named():
    table = two_arms(15, outputs=("A", "B"))[0]
    with pytest.raises(CellsError, match="lack the prediction of some output"):
        ArmScores.from_predictions("full", table.iloc[1:])
    with pytest.raises(CellsError, match="no group is known for cell"):
        interval(ArmScores.from_predictions("full", table), groups={"cell0": "donor"})
    members = pd.concat([table.assign(member=0), table.iloc[:-2].assign(member=1)])
    with pytest.raises(CellsError, match=r"members .* lack the prediction of some output or member"):
        ArmScores.from_predictions("full", table, members=members)
    with pytest.raises(SettingsError, match="not one of"):
        ArmScores.from_predictions("full", table, metric="auc")


def test_the_interval_of_repeats_covers():
    """Cells, and networks that weigh irrelevant features at random: the expected difference is zero."""
    covered, n_studies = 0, 60
    for seed in range(n_studies):
        reference, candidate = scored(two_arms(100 + seed, n_repeats=3))
        found = difference_interval(candidate, reference)
        covered += found.lower <= 0 <= found.upper
    assert covered >= 53  # 57 expected; fewer than 53 has a probability of 2 % at 95 %


def ensembles_of(sizes, spread=1.0, seed=9):
    """An arm with so many members in each fold: scores, and the members' logits."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(200) % 2)[:, None]
    folds = make_folds(rng, labels[:, 0], len(sizes))
    logits = 2 * labels + rng.normal(size=(200, 1)) + spread * rng.normal(size=(max(sizes), 200, 1))
    of_cell = np.asarray(sizes)[folds]
    ensemble = np.stack([logits[:size, cell].mean(axis=0) for cell, size in enumerate(of_cell)])
    members = [
        predictions(one[None], labels, folds[None]).drop(columns="label").assign(member=k)[of_cell > k]
        for k, one in enumerate(logits)
    ]
    table = predictions(ensemble[None], labels, folds[None])
    return ArmScores.from_predictions("full", table, members=pd.concat(members)), table, logits, folds


def test_folds_with_fewer_members_than_others_have_the_jackknife_of_their_own_members():
    """Few donors leave some training parts fewer inner folds, and so fewer networks."""
    sizes = (5, 4, 5, 3, 5)
    scores, table, logits, folds = ensembles_of(sizes)
    variance = 0.0
    for fold, size in enumerate(sizes):
        rows = folds == fold
        label = table.loc[table["fold"] == fold, "label"].to_numpy()
        without = [
            roc_auc_score(label, np.delete(logits[:size, rows, 0], member, axis=0).mean(axis=0))
            for member in range(size)
        ]
        variance += (size - 1) * np.var(without) / len(sizes) ** 2
    assert interval(scores).training_from == "members"
    left_out = as_of_one_size(scores.leave_one_out.values[..., 0] / len(sizes), scores.leave_one_out.sizes)
    assert 4 * left_out.var(axis=0).sum() == pytest.approx(variance)


def test_arms_are_paired_where_their_folds_have_members_alike_and_counted_apart_elsewhere():
    first, *_ = ensembles_of((5, 4, 5, 3, 5))
    same, *_ = ensembles_of((5, 4, 5, 3, 5), spread=2.0)
    other, *_ = ensembles_of((5, 5, 5, 3, 5))
    # The same networks in both arms: paired, nothing of their training is left in the difference.
    assert difference_interval(first, first).se_training == 0.0
    assert difference_interval(same, first).se_training > 0.0
    # Of one size more, the members of the two arms are no pairs.
    apart = difference_interval(other, first)
    assert apart.training_from == "members" and apart.se_training > 0.0


def test_a_member_that_lacks_a_cell_of_its_fold_is_an_error():
    _, table, *_ = ensembles_of((2, 2, 2, 2, 2))
    members = pd.concat([table.drop(columns="label").assign(member=k) for k in range(2)])
    with pytest.raises(CellsError, match="lack the prediction of some output or member"):
        ArmScores.from_predictions("full", table, members=members.iloc[1:])
    with pytest.raises(CellsError, match="other cells than their ensembles"):
        ArmScores.from_predictions("full", table, members=members[members["fold"] != 0])


def test_an_arms_own_interval_reaches_further_towards_a_half():
    scores = ArmScores.from_predictions("full", two_arms(16)[0])
    found = interval(scores)
    below, above = found.estimate - found.lower, found.upper - found.estimate
    assert found.lower > 0 and found.upper < 1
    assert below > above > 0
    # At either end the error is the one of a score there, not the estimate's.
    quantile = stats.t.ppf(0.975, found.degrees_of_freedom)
    for end, away in ((found.lower, below), (found.upper, above)):
        there = found.standard_error * np.sqrt(end * (1 - end) / (found.estimate * (1 - found.estimate)))
        assert away == pytest.approx(quantile * there, rel=0.02)


def test_the_interval_of_a_difference_is_symmetric():
    full, pruned = (ArmScores.from_predictions("arm", table) for table in two_arms(16)[:2])
    found = difference_interval(pruned, full)
    assert found.upper - found.estimate == pytest.approx(found.estimate - found.lower)
