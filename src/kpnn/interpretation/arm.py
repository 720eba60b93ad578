"""What one arm's networks say about their nodes: weights per fold on held-out cells, controls, stability."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, TypeVar

import pandas as pd

from kpnn.errors import KpnnError
from kpnn.interpretation.controls import (
    DrawCells,
    from_other_starts,
    further_networks,
    no_replicates,
    no_runs,
    on_control_inputs,
    on_other_dags,
    on_permuted_labels,
)
from kpnn.interpretation.held_out import HeldOutWeights, weigh_held_out
from kpnn.interpretation.rewired import nodes_in_rewired
from kpnn.interpretation.settings import InterpretationSettings
from kpnn.interpretation.trained_fold import TrainedFold
from kpnn.pkn import Dag
from kpnn.stopping import SideBySide
from kpnn.training.data import LabelledCells
from kpnn.training.settings import EvaluationSettings

if TYPE_CHECKING:
    import keras

_log = logging.getLogger(__name__)
_Found = TypeVar("_Found")
_MOST_ENTRIES_SIDE_BY_SIDE = 50_000_000
"""Of the cells' expression, 8 bytes each; some copies of them are held for every kind of network."""


@dataclass(frozen=True, eq=False)
class ArmWeights(HeldOutWeights):
    """Everything that was computed for an arm, network by network.

    Attributes:
        control: as `per_fold` with `replicate`, `gradient` and `conductance`, of networks on control inputs.
        permuted: likewise, of networks on permuted labels.
        by_seed: `run`, `node`, `output`, `gradient` of networks from other starts.
        by_dag: likewise, of networks on other optimal DAGs.
        rewired: `replicate`, `node`, `output`, `z` of networks on rewired PKNs.
        notes: which of these could not be trained, and why.

    Examples:
        >>> # With the weights of `weigh_arm`
        >>> weights.notes, weights.neurons
        ((), ('JUN', 'TCR', 'ZAP70'))
        >>> weights.edges.query("fold == 0")[["parent", "child", "weight"]]
          parent      child  weight
        0    JUN   IL2_gene     1.0
        1    TCR        JUN     1.0
        2    TCR      ZAP70     4.0
        3  ZAP70  CD69_gene     2.0
        >>> weights.activations.loc[(0, 1, "21")].round(2).to_dict()
        {'JUN': 0.5, 'TCR': 0.79, 'ZAP70': 0.95}
    """

    control: pd.DataFrame
    permuted: pd.DataFrame
    by_seed: pd.DataFrame
    by_dag: pd.DataFrame
    rewired: pd.DataFrame
    notes: tuple[str, ...]


def weigh_arm(
    folds: Sequence[TrainedFold],
    cells: LabelledCells,
    settings: InterpretationSettings,
    training: EvaluationSettings,
    *,
    draw_control: DrawCells,
    alternatives: Sequence[Dag] = (),
    rewired: Sequence[Sequence[TrainedFold]] = (),
) -> ArmWeights:
    """Computes all weights of an arm.

    Args:
        folds: at least one trained fold; folds without a model are simply not here.
        cells: all cells, in memory.
        settings: how much is trained again.
        training: how the arm's networks were trained.
        draw_control: draws from a seed the same cells with control inputs.
        alternatives: other optimal DAGs with the same inputs and outputs.
        rewired: for each rewired PKN the folds of the network that was trained on it, as a control.

    Returns:
        Weights by fold and network, of the controls, and what could not be weighed.

    Examples:
        >>> # With the folds and cells of `TrainedFold`
        >>> none_again = InterpretationSettings(control_inputs=0, permuted_labels=0, seeds=0, alternative_dags=0)
        >>> weights = weigh_arm(folds, cells, none_again, EvaluationSettings(), draw_control=lambda seed: cells)
        >>> weights.per_fold.query("fold == 0")[["node", "gradient", "ablation"]].round(3)
            node  gradient  ablation
        0    JUN     0.163       0.0
        1  ZAP70     0.653       0.5
    """
    seed, first, others = settings.seed, folds[0], alternatives[: settings.alternative_dags]
    notes: dict[str, str] = {}

    def tried(what: str, train: Callable[[], _Found], otherwise: _Found) -> _Found:
        _log.info("Training again: %s", what)
        try:
            return train()
        except KpnnError as error:
            notes[what] = f"No networks {what}: {error}"
            return otherwise

    def own_networks() -> HeldOutWeights:
        further: Sequence[tuple[keras.Model, ...]] = ()
        if settings.replicates:
            further = tried(
                "from further seeds",
                lambda: further_networks(folds, cells, settings.replicates, training, seed),
                further,
            )
        return weigh_held_out(folds, cells, seed, further)

    def control_inputs() -> pd.DataFrame:
        return on_control_inputs(folds, draw_control, settings.control_inputs, training, seed)

    def labels_permuted() -> pd.DataFrame:
        return on_permuted_labels(folds, cells, settings.permuted_labels, training, seed)

    # Each of these leaves cores idle: a handful of networks at the end of a fit, Python between two of them.
    with SideBySide(_n_at_once(cells)) as steps:
        control = steps.begin(lambda: tried("on control inputs", control_inputs, no_replicates()))
        permuted = steps.begin(lambda: tried("on permuted labels", labels_permuted, no_replicates()))
        weighed = steps.begin(own_networks)
        by_seed = steps.begin(
            lambda: tried(
                "from other starts", lambda: from_other_starts(first, cells, settings.seeds, training, seed), no_runs()
            )
        )
        by_dag = steps.begin(
            lambda: tried(
                "on other optimal DAGs", lambda: on_other_dags(first, cells, others, training, seed), no_runs()
            )
        )
        in_rewired = steps.begin(lambda: nodes_in_rewired(rewired, cells))
        own = weighed.result()
        return ArmWeights(
            **{one.name: getattr(own, one.name) for one in fields(own)},
            control=control.result(),
            permuted=permuted.result(),
            by_seed=by_seed.result(),
            by_dag=by_dag.result(),
            rewired=in_rewired.result(),
            notes=tuple(notes[what] for what in sorted(notes)),
        )


def _n_at_once(cells: LabelledCells) -> int:
    """How many kinds of networks are trained and weighed at once: of large studies one, as each takes memory."""
    found = cells.store.whole()
    return 2 if found is not None and found.nnz <= _MOST_ENTRIES_SIDE_BY_SIDE else 1
