"""The race: who is worse than chance allows goes, the best never does, nobody is judged within an inner fold."""

import numpy as np
import pytest

from kpnn.training.racing import Contender, Member, race
from kpnn.training.settings import Hyperparameters

CELLS = np.random.default_rng(0).normal(0, 0.2, (5, 400))


def configuration(mean, spread=0.1):
    """Stands for a configuration whose losses have this mean over cells, and this spread in their differences."""
    return Hyperparameters(learning_rate=mean, kernel_l1=spread)


def trainer(calls):
    def train(wanted):
        calls.append([(h.learning_rate, fold) for h, fold in wanted])
        members = []
        for h, fold in wanted:
            noise = np.random.default_rng(int(1e6 * h.learning_rate) + fold).normal(0, h.kernel_l1, 400)
            losses = CELLS[fold] - CELLS[fold].mean() + h.learning_rate + noise - noise.mean()
            members.append(Member(h.learning_rate, float(losses.mean()), losses, None))
        return members

    return train


def test_all_start_on_one_inner_fold_together_and_the_best_gets_all():
    calls = []
    best, close, far = race([configuration(m) for m in (0.3, 0.302, 0.5)], 5, trainer(calls))
    assert calls[0] == [(0.3, 0), (0.302, 0), (0.5, 0)]
    assert [len(one.members) for one in (best, close, far)] == [5, 5, 1]
    assert (best.dropped, close.dropped, far.dropped) == (False, False, True)
    assert best.loss() == pytest.approx(0.3)


def test_a_difference_that_cells_cannot_tell_is_no_reason_to_drop():
    steady, noisy = (race([configuration(0.3, s), configuration(0.33, s)], 5, trainer([]))[1] for s in (0.01, 1.0))
    assert steady.dropped
    assert not noisy.dropped


def test_the_leader_of_before_is_who_must_be_beaten():
    [leader] = race([configuration(0.3)], 5, trainer([]), dropping=False)
    worse, better = race([configuration(0.4), configuration(0.2)], 5, trainer([]), leader)
    assert worse.dropped
    assert len(better.members) == 5
    [alone] = race([configuration(0.4)], 5, trainer([]), leader)
    assert alone.dropped
    assert len(alone.members) == 1


def test_without_dropping_all_get_all_at_once():
    calls = []
    found = race([configuration(0.3), configuration(9.0)], 4, trainer(calls), dropping=False)
    assert [len(one.members) for one in found] == [4, 4]
    assert len(calls) == 1


@pytest.mark.parametrize("n_folds", [1, 2, 3])
def test_small_models_race_as_well(n_folds):
    found = race([configuration(0.3), configuration(0.9)], n_folds, trainer([]))
    assert len(found[0].members) == n_folds
    assert not found[0].dropped


def test_a_configuration_that_diverges_is_out():
    def train(wanted):
        return [
            Member(None, float("nan"), np.zeros(0), None) if h.learning_rate == 0.5 and fold == 1 else member
            for (h, fold), member in zip(wanted, trainer([])(wanted), strict=True)
        ]

    diverged, fine = race([configuration(0.5, 5.0), configuration(0.6, 5.0)], 5, train)
    assert diverged.diverged
    assert len(diverged.members) == 2
    assert len(fine.members) == 5


def test_the_value_is_the_mean_over_inner_folds():
    members = [Member(None, loss, np.zeros(2), None) for loss in (0.2, 0.4, 0.9)]
    one = Contender(Hyperparameters(), members)
    assert one.loss() == pytest.approx(0.5)
    assert one.loss(2) == pytest.approx(0.3)
