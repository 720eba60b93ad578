"""Node that gives an arm's results back cell by cell."""

from __future__ import annotations

import pandas as pd
from anndata import AnnData

from kpnn.pipelines.reporting.weighing import TrainedArm
from kpnn.reporting.versions import versions
from kpnn.training.cell_results import (
    OUT_OF_FOLD,
    CellResults,
    out_of_fold_activations,
    probabilities_by_cell,
)


def annotate_cells(
    arm: str, trained: TrainedArm, predictions: pd.DataFrame | None, node_weights: pd.DataFrame
) -> AnnData:
    """Puts out-of-fold probabilities and node activations of the study's cells beside their labels.

    Cells of a fold whose network does not exist are left out.
    """
    cells = trained.evaluation.cells
    if predictions is None or not len(predictions) or not trained.folds:
        return AnnData(obs=cells.obs.iloc[:0][[]])
    activations = out_of_fold_activations([(fold.members, fold.held_out) for fold in trained.folds], cells)
    probabilities = probabilities_by_cell(predictions)
    both = probabilities.index.intersection(activations.index, sort=False)
    predicted = pd.Series(OUT_OF_FOLD, index=both)
    results = CellResults(probabilities.loc[both], activations, predicted, arm, node_weights, versions())
    return results.to_anndata(cells.obs, one_of_k=bool(cells.uns.get("kpnn", {}).get("one_of_k", False)))
