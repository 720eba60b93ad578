"""What one arm's networks say about their nodes: weights per fold on held-out cells, controls, stability."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from kpnn.errors import KpnnError
from kpnn.interpretation.controls import (
    DrawCells,
    from_other_starts,
    no_replicates,
    no_runs,
    on_control_inputs,
    on_other_dags,
    on_permuted_labels,
)
from kpnn.interpretation.frozen import FrozenNetwork
from kpnn.interpretation.settings import InterpretationSettings
from kpnn.interpretation.significance import HeldOutEvidence, contribution
from kpnn.interpretation.trained_fold import TrainedFold, expression_for
from kpnn.interpretation.weights import ablation_weights, as_table, conductance_weights, gene_weights, gradient_weights
from kpnn.pkn import Dag
from kpnn.training.data import LabelledCells
from kpnn.training.settings import EvaluationSettings

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class HeldOutWeights:
    """What the folds' own networks weigh, on the cells that each of them never saw.

    Attributes:
        per_fold: `repeat`, `fold`, `node`, `output`, `gradient`, `conductance`, `ablation`, `contribution`.
        evidence: output -> evidence of each fold, the neurons in the order of `neurons`.
        neurons: names of the neurons that all folds share.
        biases: `repeat`, `fold`, `neuron`, `bias`.
        genes: `repeat`, `fold`, `gene`, `node`, `output`, `weight`.
        edges: `repeat`, `fold`, `parent`, `child`, `weight`.
    """

    per_fold: pd.DataFrame
    evidence: dict[str, list[HeldOutEvidence]]
    neurons: tuple[str, ...]
    biases: pd.DataFrame
    genes: pd.DataFrame
    edges: pd.DataFrame


@dataclass(frozen=True, eq=False)
class ArmWeights(HeldOutWeights):
    """Everything that was computed for an arm, network by network.

    Attributes:
        control: as `per_fold` with `replicate` and `gradient`, of networks on control inputs.
        permuted: likewise, of networks on permuted labels.
        by_seed: `run`, `node`, `output`, `gradient` of networks from other starts.
        by_dag: likewise, of networks on other optimal DAGs.
        notes: which of these could not be trained, and why.
    """

    control: pd.DataFrame
    permuted: pd.DataFrame
    by_seed: pd.DataFrame
    by_dag: pd.DataFrame
    notes: tuple[str, ...]


def weigh_arm(
    folds: Sequence[TrainedFold],
    cells: LabelledCells,
    settings: InterpretationSettings,
    training: EvaluationSettings,
    *,
    draw_control: DrawCells,
    alternatives: Sequence[Dag] = (),
) -> ArmWeights:
    """Computes all weights of an arm.

    Args:
        folds: at least one trained fold; folds without a model are simply not here.
        cells: all cells, in memory.
        settings: how much is trained again.
        training: how the arm's networks were trained.
        draw_control: draws from a seed the same cells with control inputs.
        alternatives: other optimal DAGs with the same inputs and outputs.
    """
    seed, first, others = settings.seed, folds[0], alternatives[: settings.alternative_dags]
    own = weigh_held_out(folds, cells)
    notes: list[str] = []

    def tried(what: str, train: Callable[[], pd.DataFrame], otherwise: pd.DataFrame) -> pd.DataFrame:
        _log.info("Training again: %s", what)
        try:
            return train()
        except KpnnError as error:
            notes.append(f"No networks {what}: {error}")
            return otherwise

    return ArmWeights(
        **vars(own),
        control=tried(
            "on control inputs",
            lambda: on_control_inputs(folds, draw_control, settings.control_inputs, training, seed),
            no_replicates(),
        ),
        permuted=tried(
            "on permuted labels",
            lambda: on_permuted_labels(folds, cells, settings.permuted_labels, training, seed),
            no_replicates(),
        ),
        by_seed=tried(
            "from other starts", lambda: from_other_starts(first, cells, settings.seeds, training, seed), no_runs()
        ),
        by_dag=tried("on other optimal DAGs", lambda: on_other_dags(first, cells, others, training, seed), no_runs()),
        notes=tuple(notes),
    )


def weigh_held_out(folds: Sequence[TrainedFold], cells: LabelledCells) -> HeldOutWeights:
    """Weighs the nodes, genes and edges of each fold's network on the cells that it never saw.

    Args:
        folds: at least one.
        cells: all cells, in memory.
    """
    from kpnn.nn import biases, edge_weights

    neurons = _shared_neurons(folds)
    evidence: dict[str, list[HeldOutEvidence]] = {output: [] for output in folds[0].dag.outputs}
    tables: dict[str, list[pd.DataFrame]] = {name: [] for name in ("per_fold", "biases", "genes", "edges")}
    for trained in folds:
        network = FrozenNetwork.of(trained.model)
        held_out = expression_for(network.dag, cells, trained.held_out)
        weights, found = _weights_of(network, held_out, cells.labels[trained.held_out])
        place_of = {name: place for place, name in enumerate(network.dag.neurons)}
        places = [place_of[name] for name in neurons]
        groups = None if cells.groups is None else cells.groups[trained.held_out]
        for output, one in zip(evidence, found, strict=True):
            shared = HeldOutEvidence(one.activations[:, places], one.gradient[places], one.labels, groups)
            evidence[output].append(shared)
        of_fold = {
            "per_fold": weights,
            "biases": biases(trained.model).rename("bias").reset_index(),
            "genes": gene_weights(trained.model, held_out),
            "edges": edge_weights(trained.model).rename("weight").reset_index(),
        }
        for name, table in of_fold.items():
            tables[name].append(_named(table, trained))
    whole = {name: pd.concat(parts, ignore_index=True) for name, parts in tables.items()}
    return HeldOutWeights(evidence=evidence, neurons=neurons, **whole)


def _shared_neurons(folds: Sequence[TrainedFold]) -> tuple[str, ...]:
    """Neurons of every fold: all of them, unless each fold chose its own genes."""
    common = set(folds[0].dag.neurons).intersection(*(fold.dag.neurons for fold in folds))
    return tuple(sorted(common))


def _weights_of(
    network: FrozenNetwork, cells: csr_matrix, labels: np.ndarray
) -> tuple[pd.DataFrame, list[HeldOutEvidence]]:
    genes = network.genes_in(cells)
    gradients = gradient_weights(network, genes)
    activations = network.run(genes).act
    found = [HeldOutEvidence(activations, gradients[j], labels[:, j]) for j in range(labels.shape[1])]
    columns = {
        "gradient": gradients,
        "conductance": conductance_weights(network, cells),
        "ablation": ablation_weights(network, genes, labels),
        "contribution": np.stack([contribution(one) for one in found]),
    }
    table = as_table(network, gradients, "gradient")
    for name, values in columns.items():
        table[name] = as_table(network, values, name)[name]
    return table, found


def _named(table: pd.DataFrame, trained: TrainedFold) -> pd.DataFrame:
    table = table.copy()
    table.insert(0, "repeat", trained.repeat)
    table.insert(1, "fold", trained.fold)
    return table
