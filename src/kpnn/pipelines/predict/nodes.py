"""Nodes of the `predict` pipeline."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import scipy.sparse as sp
from anndata import AnnData

from kpnn.cells import Expression, Transform
from kpnn.cells.spellings import other_kind, other_spelling
from kpnn.errors import ModelError, some_names
from kpnn.files import broken_seal, sha256_of
from kpnn.pipelines.data_engineering.settings import DataEngineeringSettings
from kpnn.pipelines.predict.settings import PredictSettings
from kpnn.reporting.versions import versions
from kpnn.training.cell_results import IN_TRAINING, NEW, CellResults, probabilities_by_cell
from kpnn.training.ensemble import predict_ensemble
from kpnn.training.results import FoldStore

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SavedArm:
    """What modelling left of one arm.

    Attributes:
        store: the folder of its folds.
        models: fold -> file in the store and its SHA-256; None where modelling has not run.
    """

    store: FoldStore
    models: dict[str, Any] | None


@dataclass(frozen=True)
class Preparation:
    """What was done to the training cells, and so is done to new ones.

    Attributes:
        transform: of the counts.
        input_suffix: what an input node's name has after its gene's.
        repeated_genes: how columns with the same gene name are joined.
    """

    transform: Transform
    input_suffix: str
    repeated_genes: Literal["max", "sum"]


def find_networks(full: SavedArm, pruned: SavedArm, settings: PredictSettings) -> list[Path]:
    """Names the files of the chosen arm's networks, one a fold, after checking that they are what modelling left."""
    arm = full if settings.arm == "full" else pruned
    if not arm.models:
        raise ModelError(f"no networks of `{settings.arm}` in {arm.store.root}: run `kedro run --pipeline modelling`")
    paths = []
    for name, model in arm.models.items():
        path = arm.store.root / model["file"]
        if sha256_of(path) != model["sha256"]:
            raise ModelError(f"{path} is not the network that {name} of `{settings.arm}` left: run modelling again")
        damage = broken_seal(path.parent)
        if damage is not None:
            raise ModelError(
                f"{path.parent} is not what {name} of `{settings.arm}` left ({damage}): run `kedro run --pipeline "
                "modelling`, which trains this fold again and keeps the others"
            )
        paths.append(path)
    return paths


def state_preparation(data_summary: dict[str, Any] | None, raw: DataEngineeringSettings) -> Preparation:
    """Says what was done to the training cells' counts, the median library size among it."""
    if not data_summary or "transform" not in data_summary:
        raise ModelError(
            "data_summary does not say how the training cells were transformed: run `kedro run --pipeline "
            "data_engineering`"
        )
    return Preparation(Transform.from_dict(data_summary["transform"]), raw.input_suffix, raw.repeated_genes)


def predict_new_cells(
    new_expression: Expression, networks: list[Path], preparation: Preparation, settings: PredictSettings
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Predicts every cell of the file by the mean over the arm's folds, transformed as the training cells were."""
    from kpnn.nn import dag_of, is_one_of_k, load_kpnn

    models = [load_kpnn(path) for path in networks]
    genes = list(dag_of(models[0]).genes(preparation.input_suffix))
    missing = _missing_genes(new_expression, genes, settings)
    found = predict_ensemble(models, _batches(new_expression, genes, preparation, settings.cells_at_once))
    summary: dict[str, Any] = {
        "arm": settings.arm,
        "networks": len(models),
        "cells": new_expression.n_cells,
        "genes": len(genes),
        "missing_genes": missing,
    }
    if is_one_of_k(models[0]):  # only then is one class called
        summary["cells_called"] = calls_per_class(found.probabilities)
    return found.probabilities, found.activations, summary


def annotate_new_cells(
    probabilities: pd.DataFrame, activations: pd.DataFrame, summary: dict[str, Any], folds: pd.DataFrame
) -> AnnData:
    """Puts the predictions for new cells into an AnnData; cells of the study itself are marked, with a warning."""
    wide = probabilities_by_cell(probabilities)
    known = wide.index.isin(folds["barcode"].unique())
    if known.any():
        _log.warning(
            "%s of %s new cells bear names of cells that the networks were trained on (%s): predictions for "
            "these test nothing; their out-of-fold predictions are in cells_with_results",
            f"{known.sum():,}",
            f"{len(known):,}",
            some_names(wide.index[known], 3),
        )
    predicted = pd.Series(np.where(known, IN_TRAINING, NEW), index=wide.index)
    results = CellResults(wide, activations, predicted, summary["arm"], versions=versions())
    return results.to_anndata(one_of_k="cells_called" in summary)


def calls_per_class(probabilities: pd.DataFrame) -> dict[str, int]:
    """For how many cells each class is the most probable one."""
    most_probable = probabilities.loc[probabilities.groupby("barcode", sort=False)["probability"].idxmax(), "output"]
    counts = most_probable.value_counts()
    return {output: int(counts.get(output, 0)) for output in dict.fromkeys(probabilities["output"])}


def _missing_genes(expression: Expression, genes: list[str], settings: PredictSettings) -> list[str]:
    """The network's genes that the file lacks; an error where these are not to be taken as not expressed."""
    expression.settle((), genes)
    wanted = pd.Index(genes, dtype=object)
    missing = list(wanted[~wanted.isin(expression.genes)])
    if not missing:
        return []
    lacks = f"{expression.source}: lacks {len(missing):,} of the networks' {len(genes):,} genes: {some_names(missing)}"
    if len(missing) == len(genes):
        advice = other_spelling(genes, expression.genes) or other_kind(genes, expression.genes)
        advice = advice or f"it names {some_names(expression.genes, 3)}"
        raise ModelError(f"{lacks}; {advice}; read it as the study's cells are (`gene_names:`, `id_column:`)")
    if settings.missing_genes == "error":
        raise ModelError(f"{lacks}; add them, or take them for not expressed with predict.missing_genes: zeros")
    _log.warning("%s; they are taken for not expressed", lacks)
    return missing


def _batches(expression: Expression, genes: list[str], preparation: Preparation, at_once: int) -> Iterator[AnnData]:
    """Transformed cells in the order of the file; genes that it lacks are 0 in all of them."""
    wanted = pd.Index(genes, dtype=object)
    known = wanted[wanted.isin(expression.genes)]
    lacking = wanted.difference(known, sort=False)
    for start in range(0, expression.n_cells, at_once):
        positions = np.arange(start, min(start + at_once, expression.n_cells))
        counts, totals = expression.counts(positions, known, join=preparation.repeated_genes)
        values = preparation.transform.apply(counts, totals)
        zeros = sp.csr_matrix((len(positions), len(lacking)), dtype=values.dtype)
        barcodes = pd.DataFrame(index=expression.barcodes[positions].astype(str))
        yield AnnData(sp.hstack([values, zeros], format="csr"), barcodes, pd.DataFrame(index=known.append(lacking)))
