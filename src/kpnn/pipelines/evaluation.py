"""What all arms, controls and baselines have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from anndata import AnnData
from kedro.pipeline import Pipeline, node

from kpnn.cells import DEPTH, Transform
from kpnn.cells.folds import FoldSettings
from kpnn.handed_on import HandedOn
from kpnn.pkn import Dag
from kpnn.tracking import ArmTracker, Served
from kpnn.training.controls import Arm
from kpnn.training.cross_validation import Assignment, cross_validate_arms
from kpnn.training.data import LabelledCells
from kpnn.training.inner_folds import check_inner_folds
from kpnn.training.results import ArmResult, FoldStore
from kpnn.training.settings import EvaluationSettings


@dataclass(frozen=True, eq=False)
class Evaluation(HandedOn):
    """The cells, folds and settings under which every arm is trained and scored.

    Attributes:
        cells: the matched cells.
        folds: `repeat`, `fold`, `barcode`: which cells each fold holds out.
        settings: protocol, tuning, execution.
        group_by: column of the cells whose values stay together in every split, or None.
    """

    cells: AnnData
    folds: pd.DataFrame
    settings: EvaluationSettings
    group_by: str | None

    @property
    def groups(self) -> pd.Series | None:
        """Donor or sample of each cell, by barcode; None where cells are split one by one."""
        return None if self.group_by is None else self.cells.obs[self.group_by].astype(str)

    def tracker(self, arm: str, dag: Dag) -> ArmTracker:
        """Where an arm's folds and models are logged."""
        return ArmTracker(arm, self._served(dag), trial_runs=self.settings.tracking.trial_runs)

    def _served(self, dag: Dag) -> Served:
        """What models on a DAG read and predict, with the counts of two cells as an example."""
        genes = list(dag.genes(self.settings.network.gene_suffix))
        transform = (
            Transform.from_dict(self.cells.uns["transform"])
            if "transform" in self.cells.uns
            else Transform(log1p=False)
        )
        few = self.cells[:2].to_memory()
        if "counts" not in few.layers or "node" not in few.var:
            return Served(genes, dag.outputs, transform)
        places = pd.Index(few.var["node"].astype(str)).get_indexer(list(dag.inputs))
        counts = pd.DataFrame(few.layers["counts"][:, places].toarray(), columns=genes, dtype=float)
        if DEPTH in few.obs and DEPTH not in genes:
            counts[DEPTH] = few.obs[DEPTH].to_numpy(dtype=float)
        return Served(genes, dag.outputs, transform, counts)

    def labelled(self, dag: Dag, cells: AnnData | None = None) -> LabelledCells:
        """The cells as fits read them.

        Args:
            dag: whose outputs the labels are.
            cells: others in their place, with the same labels and groups.
        """
        return LabelledCells.from_anndata(self.cells if cells is None else cells, dag.outputs, self.group_by)

    def run(self, arms: Sequence[Arm], stores: Sequence[FoldStore], trackers: Sequence[ArmTracker]) -> list[ArmResult]:
        """Trains and scores arms with the same outputs, and logs each fold as it is finished.

        Args:
            arms: what to train.
            stores: where each arm's finished folds are kept.
            trackers: where they are logged.
        """
        if not arms:
            return []
        assignments = [
            Assignment(arm, store, tracker.log_fold, tracker.finish)
            for arm, store, tracker in zip(arms, stores, trackers, strict=True)
        ]
        return cross_validate_arms(assignments, self.labelled(arms[0].dag), self.folds, self.settings)


def state_evaluation(
    matched_cells: AnnData, folds: pd.DataFrame, modelling: EvaluationSettings, cross_validation: FoldSettings
) -> Evaluation:
    """Brings together what all arms have in common."""
    return Evaluation(matched_cells, folds, modelling, cross_validation.group_by)


def settle_inner_folds(stated_evaluation: Evaluation, full_dag: Dag) -> Evaluation:
    """Checks, before anything is trained, that the training cells of every fold can be split once more."""
    cells = stated_evaluation.labelled(full_dag)
    check_inner_folds(cells, stated_evaluation.folds, stated_evaluation.settings)
    return stated_evaluation


def create_evaluation() -> Pipeline:
    """The nodes that several pipelines begin with; together they hold them once."""
    inputs = ["matched_cells", "folds", "params:modelling", "params:cross_validation"]
    return Pipeline(
        [
            node(state_evaluation, inputs, "stated_evaluation", name="state_evaluation"),
            node(settle_inner_folds, ["stated_evaluation", "full_dag"], "evaluation", name="settle_inner_folds"),
        ],
        namespace="evaluation",
        prefix_datasets_with_namespace=False,
    )
