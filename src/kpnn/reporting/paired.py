"""Arms compared with each other on the folds that both have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from kpnn.errors import some_names
from kpnn.evaluation import Comparison, compare
from kpnn.reporting.study import ArmTables


@dataclass(frozen=True)
class Pairing:
    """Two arms, compared as far as they can be.

    Attributes:
        comparison: None where there is nothing to compare.
        why_not: says in words why there is nothing, else empty.
        notes: folds that were left out, in sentences.
    """

    comparison: Comparison | None
    why_not: str = ""
    notes: tuple[str, ...] = ()


def compare_arms(
    candidate: ArmTables, reference: ArmTables, groups: pd.Series | None = None, margin: float = 0.01
) -> Pairing:
    """Compares two arms' ROC-AUC on the folds that both have.

    Args:
        candidate: the arm in question.
        reference: the arm compared against.
        groups: donor or sample of each cell, by barcode, where cells stay together in the folds.
        margin: differences within +-margin do not matter.
    """
    names = f"`{reference.name}` and `{candidate.name}`"
    common, notes = shared_folds(reference, candidate)
    if not common:
        return Pairing(None, f"{names} have no fold with the same cells in common.", notes)
    common = [fold for fold in common if _has_roc_auc(reference, fold) and _has_roc_auc(candidate, fold)]
    if not common:
        return Pairing(None, "no fold has a ROC-AUC, since each holds out cells of one class only.", notes)
    of_reference, of_candidate = (arm.scores(folds=common) for arm in (reference, candidate))
    if of_reference.outputs != of_candidate.outputs:
        return Pairing(None, f"{names} predict different outputs.", notes)
    alike = _are_one_network(candidate, reference)
    return Pairing(compare(of_candidate, of_reference, groups=groups, margin=margin, one_network=alike), "", notes)


def _are_one_network(first: ArmTables, second: ArmTables) -> bool:
    """Whether both were trained on one DAG and say, to the last digit, the same about every cell.

    Either alone does not show it: one DAG trained by other settings or seeds is another model, and two models may agree
    on these cells.
    """
    if first.dag is None or second.dag is None or first.dag.fingerprint != second.dag.fingerprint:
        return False
    columns = ["repeat", "fold", "barcode", "output", "probability"]
    told = (arm.predictions[columns].sort_values(columns[:-1], ignore_index=True) for arm in (first, second))
    return next(told).equals(next(told))


def shared_folds(first: ArmTables, second: ArmTables) -> tuple[list[tuple[int, int]], tuple[str, ...]]:
    """Folds that hold out the same cells in both arms, and in words those that do not."""
    notes = []
    here, there = set(first.folds), set(second.folds)
    for arm, lacking in ((first, there - here), (second, here - there)):
        if lacking:
            names = some_names(f"repeat {repeat} fold {fold}" for repeat, fold in sorted(lacking))
            notes.append(f"`{arm.name}` has no {names}: left out of the comparison.")
    same: list[tuple[int, int]] = []
    other: list[tuple[int, int]] = []
    for fold in sorted(here & there):
        (same if first.cells_of(*fold) == second.cells_of(*fold) else other).append(fold)
    if other:
        names = some_names(f"repeat {repeat} fold {fold}" for repeat, fold in other)
        notes.append(
            f"`{first.name}` and `{second.name}` hold out different cells in {names}: left out of the comparison. "
            "Run `kedro run` again so that both arms see the same folds."
        )
    return same, tuple(notes)


def _has_roc_auc(arm: ArmTables, fold: tuple[int, int]) -> bool:
    return bool(np.isfinite(arm.roc_auc_by_fold.loc[fold]))
