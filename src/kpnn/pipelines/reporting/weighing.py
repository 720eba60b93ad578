"""Nodes that weigh an arm's nodes from its saved models."""

from __future__ import annotations

import logging
from typing import Any

import pandas as pd
from anndata import AnnData

from kpnn.cells.folds import FoldSettings
from kpnn.errors import KpnnError, ModelError
from kpnn.interpretation import (
    InterpretationSettings,
    TrainedFold,
    summarise_nodes,
    summarise_runs,
    summarise_stability,
    weigh_arm,
)
from kpnn.pipelines.validation import validated
from kpnn.pkn import Dag, Pkn, select_dag
from kpnn.simulation import control_inputs
from kpnn.training.data import LabelledCells
from kpnn.training.results import FoldStore, fold_name
from kpnn.training.settings import EvaluationSettings, Hyperparameters

logger = logging.getLogger(__name__)

ArmTables = tuple[
    pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame, dict[str, Any]
]


_SECONDS_PER_RIVAL = 20.0
_COLUMNS = (
    ["node", "output", "rank", "weight"],
    ["repeat", "fold", "node", "output", "gradient"],
    ["repeat", "fold", "neuron", "bias"],
    ["gene", "node", "output", "weight"],
    ["parent", "child", "weight"],
    ["between", "method", "output"],
    ["repeat", "fold", "node", "output", "gradient", "kind"],
)
"""Columns of the tables of an arm without any model."""


def weigh_nodes(
    dag: Dag,
    matched_cells: AnnData,
    folds: pd.DataFrame,
    store: FoldStore,
    models: dict[str, Any] | None,
    modelling: dict[str, Any],
    interpretation: dict[str, Any],
    cross_validation: dict[str, Any],
    pkn: Pkn | None = None,
    optimal_neuron_sets: pd.DataFrame | None = None,
) -> ArmTables:
    """Weighs every node on the cells that each fold held out, and says what could not be weighed."""
    if matched_cells.isbacked:  # ablation and control inputs look at all cells again and again
        matched_cells = matched_cells.to_memory()
    settings = validated(InterpretationSettings, interpretation, "interpretation")
    evaluation = validated(EvaluationSettings, modelling, "modelling")
    group_by = validated(FoldSettings, cross_validation, "cross_validation").group_by
    trained, notes = _trained_folds(matched_cells, folds, store, models or {})
    if not trained:
        nodes, per_fold, biases, genes, edges, stability, retrained = (pd.DataFrame(columns=c) for c in _COLUMNS)
        return nodes, per_fold, biases, genes, edges, stability, retrained, {"notes": notes, "n_folds": 0}

    def draw_control(seed: int) -> LabelledCells:
        # With the study's own profile common genes would tell more than rare ones: not the network's structure alone.
        control = control_inputs(matched_cells, dag.outputs, seed, flat_profile=True)
        return LabelledCells.from_anndata(control, dag.outputs, group_by)

    weights = weigh_arm(
        trained,
        LabelledCells.from_anndata(matched_cells, dag.outputs, group_by),
        settings,
        evaluation,
        draw_control=draw_control,
        alternatives=_rivals(pkn, optimal_neuron_sets, dag, settings.alternative_dags),
    )
    return (
        summarise_nodes(weights, dag, settings),
        weights.per_fold,
        weights.biases,
        summarise_runs(weights.genes, ["gene", "node", "output"]),
        summarise_runs(weights.edges, ["parent", "child"]),
        summarise_stability(weights, settings),
        pd.concat(
            [weights.control.assign(kind="control inputs"), weights.permuted.assign(kind="permuted labels")],
            ignore_index=True,
        ),
        {"notes": [*notes, *weights.notes], "n_folds": len(trained)},
    )


def _rivals(pkn: Pkn | None, neuron_sets: pd.DataFrame | None, selected: Dag, most: int) -> list[Dag]:
    """DAGs on the other optimal neuron sets, each the smallest on its neurons."""
    if pkn is None or neuron_sets is None or not len(neuron_sets):
        return []
    found: list[Dag] = []
    for _, rows in neuron_sets.groupby("rank", sort=True):
        neurons = {*rows["node"], *pkn.outputs}
        if len(found) == most or neurons == set(selected.neurons):
            continue
        kept = pkn.edges[pkn.edges["parent"].isin(neurons) & pkn.edges["child"].isin(neurons | set(pkn.inputs))]
        part = Pkn(kept.reset_index(drop=True), pkn.inputs, pkn.outputs)
        try:
            found.append(select_dag(part.pruned(), time_limit=_SECONDS_PER_RIVAL).dag)
        except KpnnError as error:
            logger.warning("An optimal DAG is left out of the node weights: %s", error)
    return [dag for dag in found if dag.inputs == selected.inputs]


def _trained_folds(
    cells: AnnData, folds: pd.DataFrame, store: FoldStore, models: dict[str, Any]
) -> tuple[list[TrainedFold], list[str]]:
    import kpnn.nn  # noqa: F401 - chooses Keras's backend, and makes the sparse DAG layer known to it

    # isort: split
    from kpnn.nn import load_kpnn

    rows_of = pd.Index(cells.obs_names.astype(str))
    trained: list[TrainedFold] = []
    notes: list[str] = []
    for (repeat, fold), table in folds.groupby(["repeat", "fold"], sort=True):
        name = fold_name(int(repeat), int(fold))
        result, path = store.load(int(repeat), int(fold)), store.model_path(int(repeat), int(fold))
        if name not in models or result is None or not path.is_file():
            notes.append(f"{name} has no model in {store.root}: its nodes are not weighed.")
            continue
        others = folds[(folds["repeat"] == repeat) & (folds["fold"] != fold)]
        try:
            model = load_kpnn(path)
        except ModelError as error:
            notes.append(f"{name}: {path} cannot be read ({str(error).splitlines()[0]}); its nodes are not weighed.")
            continue
        training, held_out = (rows_of.get_indexer(part["barcode"]) for part in (others, table))
        hyperparameters = Hyperparameters.model_validate(result.hyperparameters)
        trained.append(TrainedFold(int(repeat), int(fold), model, training, held_out, hyperparameters))
    return trained, notes
