"""Nodes that weigh an arm's nodes from its saved models."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pandas as pd

from kpnn.cells import CellsOnDisk
from kpnn.cells.folds import fold_parts
from kpnn.errors import ModelError
from kpnn.handed_on import HandedOn
from kpnn.interpretation import (
    InterpretationSettings,
    TrainedFold,
    summarise_nodes,
    summarise_runs,
    summarise_stability,
    weigh_arm,
)
from kpnn.pipelines.evaluation import Evaluation
from kpnn.pipelines.rivals import rivals_of_kind
from kpnn.pkn import Dag
from kpnn.simulation import control_inputs, most_control_entries, write_control_inputs
from kpnn.training.data import LabelledCells
from kpnn.training.results import FoldStore, fold_name
from kpnn.training.settings import Hyperparameters

_SHOWN_NODES = 12
"""Nodes of an output whose activations are kept, cell by cell: the called ones, or else the first."""
_CONTROL_ENTRIES_IN_MEMORY = 250_000_000
"""Of 12 bytes each while they are drawn; training holds the cells of a fold beside them."""
_NETWORK = ["repeat", "fold", "member"]
_COLUMNS = {
    "node_weights": ["node", "output", "rank", "weight"],
    "node_weights_by_fold": [*_NETWORK, "node", "output", "gradient"],
    "biases": [*_NETWORK, "neuron", "bias"],
    "gene_weights": ["gene", "node", "output", "weight"],
    "edge_weights": ["parent", "child", "weight"],
    "stability": ["between", "method", "output"],
    "node_activations": ["repeat", "fold", "barcode"],
    "retrained_weights": [*_NETWORK, "node", "output", "gradient", "kind"],
}
"""Columns of the tables of an arm without any model."""


class NodeTables(NamedTuple):
    """What the networks of an arm say about their nodes, by the names of the catalog."""

    node_weights: pd.DataFrame
    node_weights_by_fold: pd.DataFrame
    biases: pd.DataFrame
    gene_weights: pd.DataFrame
    edge_weights: pd.DataFrame
    stability: pd.DataFrame
    node_activations: pd.DataFrame
    retrained_weights: pd.DataFrame
    interpretation: dict[str, Any]


@dataclass(frozen=True, eq=False)
class TrainedArm(HandedOn):
    """An arm as it was trained.

    Attributes:
        dag: its network.
        evaluation: the cells, folds and settings under which it was trained; the cells in memory.
        folds: its networks.
        notes: which folds have none, in sentences.
    """

    dag: Dag
    evaluation: Evaluation
    folds: list[TrainedFold]
    notes: list[str]


@dataclass(frozen=True, eq=False)
class RivalNetworks(HandedOn):
    """What the nodes of an arm are weighed beside.

    Attributes:
        alternative: other optimal DAGs.
        rewired: for each rewired PKN the folds that were trained on its DAG.
        notes: what is not there, in sentences.
    """

    alternative: Sequence[Dag] = ()
    rewired: Sequence[Sequence[TrainedFold]] = ()
    notes: Sequence[str] = ()


def load_networks(dag: Dag, evaluation: Evaluation, store: FoldStore, models: dict[str, Any] | None) -> TrainedArm:
    """Loads an arm's networks from disk, and says which are missing."""
    if evaluation.cells.isbacked:  # ablation and control inputs look at all cells again and again
        evaluation = replace(evaluation, cells=evaluation.cells.to_memory())
    folds, notes = _trained_folds(evaluation, store, models or {})
    return TrainedArm(dag, evaluation, folds, notes)


def load_rivals(
    arm: TrainedArm, rival_dags: pd.DataFrame, store: FoldStore, summary: pd.DataFrame | None
) -> RivalNetworks:
    """Loads what the selected DAG is weighed beside: other optimal DAGs, and the controls trained on rewired PKNs."""
    outputs, trained = arm.dag.outputs, set() if summary is None else set(summary["arm"])
    rewired = []
    for number, dag in enumerate(rivals_of_kind(rival_dags, "rewired", outputs)):
        name = f"rewired_{number}"
        if name not in trained:
            continue
        folds, notes = _trained_folds(arm.evaluation, store.of_arm(name), None)
        if not notes and all(one.dag.fingerprint == dag.fingerprint for one in folds):
            rewired.append(folds)
    return RivalNetworks(rivals_of_kind(rival_dags, "alternative", outputs), rewired)


def weigh_nodes(arm: TrainedArm, settings: InterpretationSettings, rivals: RivalNetworks | None = None) -> NodeTables:
    """Weighs every node on the cells that each fold held out, and says what could not be weighed."""
    if not arm.folds:
        empty = {name: pd.DataFrame(columns=columns) for name, columns in _COLUMNS.items()}
        return NodeTables(**empty, interpretation={"notes": arm.notes, "n_folds": 0})
    dag, evaluation, rivals = arm.dag, arm.evaluation, rivals or RivalNetworks()

    with TemporaryDirectory() as folder:
        weights = weigh_arm(
            arm.folds,
            evaluation.labelled(dag),
            settings,
            evaluation.settings,
            draw_control=lambda seed: _control_cells(evaluation, dag, seed, Path(folder)),
            alternatives=rivals.alternative,
            rewired=rivals.rewired,
        )
    summary = summarise_nodes(weights, dag, settings)
    retrained = (weights.control.assign(kind="control inputs"), weights.permuted.assign(kind="permuted labels"))
    return NodeTables(
        node_weights=summary,
        node_weights_by_fold=weights.per_fold,
        biases=weights.biases,
        gene_weights=summarise_runs(weights.genes, ["gene", "node", "output"]),
        edge_weights=summarise_runs(weights.edges, ["parent", "child"]),
        stability=summarise_stability(weights, settings),
        node_activations=_shown_activations(weights.activations, summary),
        retrained_weights=pd.concat(retrained, ignore_index=True),
        interpretation={"notes": [*arm.notes, *rivals.notes, *weights.notes], "n_folds": len(arm.folds)},
    )


def _control_cells(evaluation: Evaluation, dag: Dag, seed: int, folder: Path) -> LabelledCells:
    """Cells with control inputs; on disk, instead of those before them, where they would be a large part of memory."""
    # With the study's own profile common genes would tell more than rare ones: not the network's structure alone.
    if most_control_entries(evaluation.cells) <= _CONTROL_ENTRIES_IN_MEMORY:
        return evaluation.labelled(dag, control_inputs(evaluation.cells, dag.outputs, seed, flat_profile=True))
    for earlier in folder.iterdir():
        earlier.unlink()
    write_control_inputs(evaluation.cells, dag.outputs, seed, folder / f"{seed}.h5ad", flat_profile=True)
    return replace(evaluation.labelled(dag), store=CellsOnDisk.open(folder / f"{seed}.h5ad"))


def _shown_activations(activations: pd.DataFrame, nodes: pd.DataFrame) -> pd.DataFrame:
    """Oriented activations, in the cells that each fold held out, of the nodes that the report opens with."""
    first = nodes.sort_values(["called", "rank"], ascending=[False, True], kind="stable")
    shown = dict.fromkeys(first.groupby("output", sort=False).head(_SHOWN_NODES)["node"])
    return activations[list(shown)].astype("float32").reset_index()


def _trained_folds(
    evaluation: Evaluation, store: FoldStore, models: Container[str] | None
) -> tuple[list[TrainedFold], list[str]]:
    from kpnn.nn import load_kpnn

    rows_of = pd.Index(evaluation.cells.obs_names.astype(str))
    trained: list[TrainedFold] = []
    notes: list[str] = []
    for part in fold_parts(evaluation.folds):
        name = fold_name(part.repeat, part.fold)
        result, path = store.load(part.repeat, part.fold), store.model_path(part.repeat, part.fold)
        is_stated = models is None or name in models
        if not is_stated or result is None or not path.is_file():
            notes.append(f"{name} has no model in {store.root}: its nodes are not weighed.")
            continue
        try:
            model = load_kpnn(path)
        except ModelError as error:
            notes.append(f"{name}: {path} cannot be read ({str(error).splitlines()[0]}); its nodes are not weighed.")
            continue
        training, held_out = (rows_of.get_indexer(barcodes) for barcodes in (part.training, part.held_out))
        hyperparameters = Hyperparameters.model_validate(result.hyperparameters)
        trained.append(TrainedFold(part.repeat, part.fold, model, training, held_out, hyperparameters))
    return trained, notes
