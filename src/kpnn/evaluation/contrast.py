"""A score, or a difference of scores, as the weighted sum that its variance is taken of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from kpnn.errors import SettingsError
from kpnn.evaluation.scores import ArmScores, LeaveOneOut, fold_weights


@dataclass(frozen=True, eq=False)
class Contrast:
    """A score, or a difference of scores, as a weighted sum over folds and outputs.

    Attributes:
        values: shape (n_folds, n_outputs).
        weights: of the values within their repeat, same shape.
        repeat_of_fold: position of the fold's repeat, shape (n_folds,).
        n_repeats: number of repeats.
        n_splits: number of folds of a repeat.
        fold_of_row: shape (n_rows,).
        influence: of each row on its repeat's mean, shape (n_rows,).
        labels: shape (n_rows, n_outputs).
        barcode_of_row: position of the row's barcode, shape (n_rows,).
        leave_one_out: independent sets of members left out: values of the mean over folds (n_members, n_folds) and
            influences (n_members, n_rows), `as_of_one_size`, and the folds' sizes (n_folds,).
    """

    values: np.ndarray
    weights: np.ndarray
    repeat_of_fold: np.ndarray
    n_repeats: int
    n_splits: int
    fold_of_row: np.ndarray
    influence: np.ndarray
    labels: np.ndarray
    barcode_of_row: np.ndarray
    leave_one_out: tuple[tuple[np.ndarray, np.ndarray, np.ndarray], ...]

    def summed(self, influence: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Influences summed per cell or group and repeat, shape (n_repeats, n_codes)."""
        n_codes = int(codes.max()) + 1
        position = self.repeat_of_fold[self.fold_of_row] * n_codes + codes
        return np.bincount(position, influence, self.n_repeats * n_codes).reshape(self.n_repeats, n_codes)


def contrast_of(scores: ArmScores, output: str | None) -> Contrast:
    """An arm's score.

    Args:
        scores: of the arm.
        output: of this output only; None: the mean over outputs.

    Raises:
        SettingsError: there is no such output, or no fold has a score.
    """
    leave_one_out = () if scores.leave_one_out is None else (scores.leave_one_out,)
    return _weighted(scores, (scores.values, scores.influence), leave_one_out, output)


def contrast_between(candidate: ArmScores, reference: ArmScores, output: str | None) -> Contrast:
    """Candidate minus reference, paired over cells and folds.

    Args:
        candidate: scores of the arm in question.
        reference: of the arm compared against.
        output: of this output only; None: the mean over outputs.

    Raises:
        SettingsError: the arms have other metrics, outputs, folds or cells, there is no such output, or no fold has a
            score.
    """
    _require_pairs(candidate, reference)
    difference = (candidate.values - reference.values, candidate.influence - reference.influence)
    leave_one_out = _paired(candidate.leave_one_out, reference.leave_one_out)
    return _weighted(candidate, difference, leave_one_out, output)


def _require_pairs(candidate: ArmScores, reference: ArmScores) -> None:
    pair = f"`{candidate.arm}` and `{reference.arm}`"
    if candidate.metric != reference.metric or candidate.outputs != reference.outputs:
        raise SettingsError(f"{pair} are scored by different metrics or outputs: compare like with like")
    if not np.array_equal(candidate.folds, reference.folds):
        raise SettingsError(f"{pair} have different folds: keep those that both have")
    same_cells = np.array_equal(candidate.barcodes, reference.barcodes)
    if not same_cells or not np.array_equal(candidate.labels, reference.labels):
        raise SettingsError(f"{pair} hold out different cells or labels: run both on the same folds")


def _paired(first: LeaveOneOut | None, second: LeaveOneOut | None) -> tuple[LeaveOneOut, ...]:
    """Ensembles of one size in every fold are paired member by member; else each arm's members count by themselves."""
    if first is not None and second is not None and np.array_equal(first.sizes, second.sizes):
        return (first - second,)
    return tuple(one for one in (first, second) if one is not None)


def _weighted(
    scores: ArmScores,
    values_and_influence: tuple[np.ndarray, np.ndarray],
    leave_one_out: tuple[LeaveOneOut, ...],
    output: str | None,
) -> Contrast:
    if output is not None and output not in scores.outputs:
        raise SettingsError(f"output {output!r} is not one of {', '.join(scores.outputs)}")
    weights = fold_weights(scores, None if output is None else scores.outputs.index(output))
    if not weights.any():
        raise SettingsError(f"no fold of `{scores.arm}` has a score: each holds out cells of one class only")
    values, influence = values_and_influence
    of_row = weights[scores.fold_of_row]
    # A repeat without any score counts for nothing: its folds weigh zero, whichever repeat they are put with.
    repeats = np.unique(scores.folds[weights.any(axis=1), 0])
    repeat_of_fold = np.searchsorted(repeats, scores.folds[:, 0]).clip(0, len(repeats) - 1)
    return Contrast(
        values=np.nan_to_num(values),
        weights=weights,
        repeat_of_fold=repeat_of_fold,
        n_repeats=len(repeats),
        n_splits=int(np.unique(scores.folds[:, 0], return_counts=True)[1].max()),
        fold_of_row=scores.fold_of_row,
        influence=(influence * of_row).sum(axis=1),
        labels=scores.labels,
        barcode_of_row=pd.factorize(scores.barcodes)[0],
        leave_one_out=tuple(one.weighted(weights, scores.fold_of_row) for one in leave_one_out),
    )
