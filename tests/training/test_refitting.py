"""A network that is trained again differs from the fold's by what was asked for, and by nothing else."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import kpnn.training.refitting as refitting_module
from kpnn.errors import CellsError
from kpnn.nn import edge_weights, load_kpnn, members_of
from kpnn.pkn import Dag
from kpnn.training.controls import Arm
from kpnn.training.fold import FoldTask, train_fold
from kpnn.training.refitting import Refit, refit

ROWS = np.arange(120)
TRAINING, HELD_OUT = ROWS[ROWS % 3 != 0], ROWS[ROWS % 3 == 0]


def test_with_nothing_changed_it_is_the_folds_own_network(dag, cells, settings, tmp_path):
    untuned = settings.model_copy(update={"tuning": settings.tuning.model_copy(update={"n_trials": 0})})
    task = FoldTask(0, 0, TRAINING, HELD_OUT, seed=7)
    path = tmp_path / "model.keras"
    path.write_bytes(train_fold((Arm("full", dag), cells, untuned), task).model)
    other = Refit(dag, untuned.hyperparameters, TRAINING, task.fold_seed + 1)
    same = Refit(dag, untuned.hyperparameters, TRAINING, task.fold_seed)
    with_other_seed, again = refit([other, same], cells, untuned)
    own = edge_weights(members_of(load_kpnn(path))[0])
    pd.testing.assert_series_equal(edge_weights(again), own)
    assert not np.allclose(edge_weights(with_other_seed), own)


def test_all_of_a_folds_networks_can_be_asked_for(dag, cells, settings, tmp_path):
    untuned = settings.model_copy(update={"tuning": settings.tuning.model_copy(update={"n_trials": 0})})
    task = FoldTask(0, 0, TRAINING, HELD_OUT, seed=7)
    path = tmp_path / "model.keras"
    path.write_bytes(train_fold((Arm("full", dag), cells, untuned), task).model)
    [whole] = refit([Refit(dag, untuned.hyperparameters, TRAINING, task.fold_seed, n_members=9)], cells, untuned)
    for own, again in zip(members_of(load_kpnn(path)), members_of(whole), strict=True):
        pd.testing.assert_series_equal(edge_weights(own), edge_weights(again))


def test_networks_on_other_dags_come_back_in_the_order_asked_for(dag, cells, settings):
    edges = dag.edges[dag.edges["parent"].isin(["TCR", "A"]) & (dag.edges["child"] != "B")]
    smaller = Dag.from_edges(edges, outputs=["TCR"])
    refits = [Refit(one, settings.hyperparameters, TRAINING, seed) for seed, one in enumerate((dag, smaller, dag))]
    found = [len(edge_weights(model)) for model in refit(refits, cells, settings)]
    assert found == [len(dag.edges), len(smaller.edges), len(dag.edges)]


def test_early_stopping_looks_at_both_classes_and_at_groups_of_its_own(dag, cells, settings, monkeypatch):
    seen = []

    def spy(cells, fits, settings, fit=refitting_module.fit_networks):
        seen.extend(fits)
        return fit(cells, fits, settings)

    monkeypatch.setattr(refitting_module, "fit_networks", spy)
    grouped = replace(cells, groups=np.array([f"donor{i // 6 % 10}" for i in range(120)]))
    refit([Refit(dag, settings.hyperparameters, TRAINING, seed) for seed in range(3)], grouped, settings)
    assert len({tuple(fit.validation) for fit in seen}) == 3
    for fit in seen:
        assert not set(grouped.groups[fit.training]) & set(grouped.groups[fit.validation])
        assert set(fit.training) | set(fit.validation) == set(TRAINING)
        for part in (fit.training, fit.validation):
            assert set(grouped.labels[part, 0]) == {0.0, 1.0}


def test_too_few_cells_of_a_class_are_said(dag, cells, settings):
    few = np.concatenate([ROWS[:57], ROWS[60:61]])
    with pytest.raises(CellsError, match="a class has 1 cells"):
        refit([Refit(dag, settings.hyperparameters, few, 1)], cells, settings)
