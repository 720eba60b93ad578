"""What nodes weigh in networks trained again: on control inputs or permuted labels, from other starts, on other DAGs.

Each is trained as the fold's own network was, with the hyperparameters that tuning chose for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from kpnn.interpretation.frozen import FrozenNetwork
from kpnn.interpretation.trained_fold import TrainedFold, expression_for, spread_over
from kpnn.interpretation.weights import as_table, conductance_weights, gradient_weights
from kpnn.pkn import Dag
from kpnn.stopping import stop_if_asked
from kpnn.tables import rows_of_all
from kpnn.training.controls import permuted_labels
from kpnn.training.data import LabelledCells
from kpnn.training.refitting import Refit, refit
from kpnn.training.seeds import derived_seed
from kpnn.training.settings import EvaluationSettings

if TYPE_CHECKING:
    import keras

DrawCells = Callable[[int], LabelledCells]
"""Draws cells from a seed: those of the study, in their order, with other expression."""

_CONTROL_INPUTS, _PERMUTED_LABELS, _STARTS, _DAGS, _REPLICATES = 1, 2, 3, 4, 5
"""First numbers of the seeds, so that no two kinds of network share one."""
_WEIGHED = ("member", "node", "output", "gradient", "conductance")
"""What is told about every network's nodes."""


def on_control_inputs(
    folds: Sequence[TrainedFold], draw_control: DrawCells, times: int, training: EvaluationSettings, seed: int
) -> pd.DataFrame:
    """Gradient weights of networks on equally predictive genes: what structure alone gives a node.

    Args:
        folds: the networks to train again, all folds of a repeat together.
        draw_control: draws control cells with the study's labels.
        times: networks per fold.
        training: how all networks of the study are trained.
        seed: of everything drawn.

    Returns:
        `repeat`, `fold`, `member`, `node`, `output`, `gradient`, `conductance`, `replicate`.
    """

    def drawn(_folds: Sequence[TrainedFold], drawn_from: int) -> LabelledCells:
        return draw_control(drawn_from)

    return _replicates(folds, drawn, range(times), training, [seed, _CONTROL_INPUTS])


def on_permuted_labels(
    folds: Sequence[TrainedFold], cells: LabelledCells, times: int, training: EvaluationSettings, seed: int
) -> pd.DataFrame:
    """Gradient weights of networks on permuted labels: what noise gives a node.

    Labels are exchanged among the cells of a group, or where there are none among those of a fold: every fold, and
    every group, has as many cells of a class as before.

    Args:
        folds: the networks to train again, all folds of a repeat together.
        cells: all cells.
        times: networks per fold.
        training: how all networks of the study are trained.
        seed: of everything drawn.

    Returns:
        `repeat`, `fold`, `member`, `node`, `output`, `gradient`, `conductance`, `replicate`.
    """

    def permuted(of_repeat: Sequence[TrainedFold], drawn_from: int) -> LabelledCells:
        within = _fold_of_cells(of_repeat, len(cells.labels)) if cells.groups is None else cells.groups
        return cells.with_labels(permuted_labels(cells.labels, within, np.random.default_rng(drawn_from)))

    return _replicates(folds, permuted, range(times), training, [seed, _PERMUTED_LABELS])


def further_networks(
    folds: Sequence[TrainedFold], cells: LabelledCells, times: int, training: EvaluationSettings, seed: int
) -> list[tuple[keras.Model, ...]]:
    """More networks of every fold, which differ from its model's by their random numbers and inner splits alone.

    Args:
        folds: the networks to train again, all together.
        cells: all cells.
        times: networks per fold.
        training: how all networks of the study are trained.
        seed: of everything drawn.

    Returns:
        For each fold as many networks.
    """
    refits = [
        Refit(one.dag, one.hyperparameters, one.training, derived_seed(seed, _REPLICATES, one.repeat, one.fold, number))
        for one in folds
        for number in range(times)
    ]
    models = iter(refit(refits, cells, training))
    return [tuple(next(models) for _ in range(times)) for _ in folds]


def from_other_starts(
    fold: TrainedFold, cells: LabelledCells, times: int, training: EvaluationSettings, seed: int
) -> pd.DataFrame:
    """Gradient weights of networks that differ from the fold's by their random numbers alone.

    Args:
        fold: the network to train again.
        cells: all cells.
        times: how many networks.
        training: how all networks of the study are trained.
        seed: of everything drawn.

    Returns:
        `run`, `member`, `node`, `output`, `gradient`, `conductance`.
    """
    seeds = [derived_seed(seed, _STARTS, number) for number in range(times)]
    refits = [Refit(fold.dag, fold.hyperparameters, fold.training, one) for one in seeds]
    return _runs(refits, fold, cells, training)


def on_other_dags(
    fold: TrainedFold, cells: LabelledCells, dags: Sequence[Dag], training: EvaluationSettings, seed: int
) -> pd.DataFrame:
    """Gradient weights of networks on other DAGs.

    Args:
        fold: whose cells and hyperparameters they get.
        cells: all cells.
        dags: with the same outputs.
        training: how all networks of the study are trained.
        seed: of everything drawn, the same for all: so they differ by their DAGs.

    Returns:
        `run`, `member`, `node`, `output`, `gradient`, `conductance`.
    """
    refits = [Refit(dag, fold.hyperparameters, fold.training, derived_seed(seed, _DAGS)) for dag in dags]
    return _runs(refits, fold, cells, training)


def no_replicates() -> pd.DataFrame:
    """The table of no network per fold."""
    return pd.DataFrame(columns=["repeat", "fold", *_WEIGHED, "replicate"])


def no_runs() -> pd.DataFrame:
    """The table of no further network."""
    return pd.DataFrame(columns=["run", *_WEIGHED])


def _replicates(
    folds: Sequence[TrainedFold],
    cells_of: Callable[[Sequence[TrainedFold], int], LabelledCells],
    replicates: range,
    training: EvaluationSettings,
    seed: Sequence[int],
) -> pd.DataFrame:
    """All folds of a repeat see the same drawn cells, and are trained together."""
    tables = []
    for repeat, of_repeat in _by_repeat(folds):
        for replicate in replicates:
            cells = cells_of(of_repeat, derived_seed(*seed, repeat, replicate))
            refits = [
                Refit(one.dag, one.hyperparameters, one.training, derived_seed(*seed, repeat, replicate, one.fold))
                for one in of_repeat
            ]
            for one, model in zip(of_repeat, refit(refits, cells, training), strict=True):
                table = _weighed(model, cells, one.held_out)
                tables.append(table.assign(repeat=one.repeat, fold=one.fold, replicate=replicate))
    return rows_of_all(tables, list(no_replicates()))


def _runs(
    refits: Sequence[Refit], fold: TrainedFold, cells: LabelledCells, training: EvaluationSettings
) -> pd.DataFrame:
    models = refit(refits, cells, training)
    tables = [_weighed(model, cells, fold.held_out) for model in models]
    return rows_of_all((table.assign(run=run) for run, table in enumerate(tables)), list(no_runs()))


def _weighed(model: keras.Model, cells: LabelledCells, rows: np.ndarray) -> pd.DataFrame:
    """Gradient and conductance weights of every network of a model, on some cells."""
    from kpnn.nn import members_of

    tables = []
    for number, member in enumerate(members_of(model)):
        stop_if_asked()
        network = FrozenNetwork.of(member)
        expression = expression_for(network.dag, cells, rows[spread_over(len(rows))])
        table = as_table(network, gradient_weights(network, network.genes_in(expression)), "gradient")
        flows = as_table(network, conductance_weights(network, expression), "conductance")
        tables.append(table.assign(conductance=flows["conductance"], member=number))
    return pd.concat(tables, ignore_index=True)


def _by_repeat(folds: Sequence[TrainedFold]) -> Iterator[tuple[int, list[TrainedFold]]]:
    in_order = sorted(folds, key=lambda one: (one.repeat, one.fold))
    return ((repeat, list(group)) for repeat, group in groupby(in_order, key=lambda one: one.repeat))


def _fold_of_cells(folds: Sequence[TrainedFold], n_cells: int) -> np.ndarray:
    """In which fold each cell is held out, shape (n_cells,); -1: in none of these."""
    fold_of = np.full(n_cells, -1)
    for one in folds:
        fold_of[one.held_out] = one.fold
    return fold_of
