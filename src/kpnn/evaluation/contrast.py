"""A score, or a difference of two arms' scores, as a weighted sum over folds and outputs."""

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


def contrast_of(
    scores: ArmScores,
    values_and_influence: tuple[np.ndarray, np.ndarray],
    leave_one_out: tuple[LeaveOneOut, ...],
    output: str | None,
) -> Contrast:
    """The contrast of scores whose folds, cells and labels are one arm's.

    Args:
        scores: of the arm, or of either of two that are paired.
        values_and_influence: shapes (n_folds, n_outputs) and (n_rows, n_outputs): its own, or their differences.
        leave_one_out: independent sets of members left out.
        output: the only output that counts; None: each counts alike.

    Raises:
        SettingsError: there is no such output, or no fold has a score.
    """
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
