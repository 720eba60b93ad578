"""An arm's scores, fold by fold and cell by cell, from its table of held-out predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, softmax

from kpnn.errors import CellsError, SettingsError, some_names
from kpnn.evaluation.influence import class_score_with_influence, score_with_influence
from kpnn.evaluation.metrics import METRICS, OF_CLASSES, are_exclusive, called, metrics_of

_ROW = ["repeat", "fold", "barcode"]

_OTHER_CELLS = "the members predict other cells than their ensembles: every member, every held-out cell"

ALL_CLASSES = "all classes"
"""Stands for the outputs in scores over classes that exclude each other."""


@dataclass(frozen=True, eq=False)
class LeaveOneOut:
    """Scores of each fold's ensemble with one member left out.

    Attributes:
        values: shape (n_members, n_folds, n_outputs); in a fold whose ensemble is smaller than the largest, places
            beyond its own members leave none out.
        influence: shape (n_members, n_rows, n_outputs).
        sizes: number of members of each fold's ensemble, shape (n_folds,), int, at least 2.
    """

    values: np.ndarray
    influence: np.ndarray
    sizes: np.ndarray

    def __sub__(self, other: LeaveOneOut) -> LeaveOneOut:
        """Of a paired difference: the members of one place were trained on the same inner fold."""
        return LeaveOneOut(self.values - other.values, self.influence - other.influence, self.sizes)

    def weighted(self, weights: np.ndarray, fold_of_row: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Sums over outputs, `as_of_one_size`: values (n_members, n_folds), influences (n_members, n_rows); sizes.

        Args:
            weights: of each fold and output, shape (n_folds, n_outputs).
            fold_of_row: shape (n_rows,).
        """
        values = (np.nan_to_num(self.values) * weights).sum(axis=2)
        influence = (self.influence * weights[fold_of_row]).sum(axis=2)
        return as_of_one_size(values, self.sizes), as_of_one_size(influence, self.sizes[fold_of_row]), self.sizes


@dataclass(frozen=True)
class _Rule:
    """Which score, and whether it is of classes that exclude each other."""

    metric: str
    one_of_k: bool

    @property
    def over_classes(self) -> bool:
        """Whether the score is one of all classes together."""
        return self.one_of_k and self.metric in OF_CLASSES


@dataclass(frozen=True, eq=False)
class ArmScores:
    """What an arm scored on every fold, and what each held-out cell contributed.

    Rows are held-out cells, ordered by repeat, fold and barcode: a cell has one row per repeat.

    Attributes:
        arm: name of the arm.
        metric: which score.
        outputs: names of the output nodes; `ALL_CLASSES` alone where the score is over classes that exclude each other.
        folds: repeat and fold, shape (n_folds, 2), int.
        values: score of each fold and output, NaN where it needs both classes and one is absent, shape
            (n_folds, n_outputs).
        barcodes: of the rows, shape (n_rows,).
        fold_of_row: position in `folds`, shape (n_rows,), int.
        labels: 0/1, shape (n_rows, n_outputs); 0 where the score is over classes.
        influence: of the row on its fold's score, shape (n_rows, n_outputs); see `score_with_influence`.
        leave_one_out: the same of ensembles without one of their members; None where the members' predictions are
            not known or there is one only.

    Examples:
        >>> import pandas as pd
        >>> predictions = pd.DataFrame({"repeat": 0, "fold": [0] * 4 + [1] * 4, "barcode": list("abcdefgh")})
        >>> predictions = predictions.assign(output="TCR", label=[0, 0, 1, 1] * 2)
        >>> predictions["probability"] = [0.1, 0.4, 0.6, 0.9, 0.1, 0.7, 0.3, 0.9]
        >>> scores = ArmScores.from_predictions("full", predictions)
        >>> scores.fold_values.tolist(), scores.mean
        ([1.0, 0.75], 0.875)
    """

    arm: str
    metric: str
    outputs: tuple[str, ...]
    folds: np.ndarray
    values: np.ndarray
    barcodes: np.ndarray
    fold_of_row: np.ndarray
    labels: np.ndarray
    influence: np.ndarray
    leave_one_out: LeaveOneOut | None = None

    @classmethod
    def from_predictions(
        cls,
        arm: str,
        predictions: pd.DataFrame,
        *,
        metric: str = "roc_auc",
        members: pd.DataFrame | None = None,
    ) -> ArmScores:
        """Scores every fold of an arm.

        Args:
            arm: name of the arm.
            predictions: of held-out cells, by the deployed models: `repeat`, `fold`, `barcode`, `output`, `label`,
                `probability`; every cell once per repeat and output.
            metric: one of `METRICS`; or `balanced_accuracy` of classes that exclude each other. Whether they do is seen
                from the predictions (`are_exclusive`); scores then mean what `score` says.
            members: what each member of a fold's ensemble says about the same cells: `repeat`, `fold`, `member`,
                `barcode`, `output`, `probability`. The ensemble's prediction is the mean of their logits.

        Raises:
            SettingsError: `metric` is unknown, or needs classes that exclude each other.
            CellsError: a cell occurs twice or lacks an output, or the members' table holds other cells.
        """
        if metric not in metrics_of(one_of_k=True):
            raise SettingsError(f"metric {metric!r} is not one of {', '.join(METRICS)}")
        outputs = tuple(dict.fromkeys(predictions["output"]))
        keys, (labels, probabilities) = _wide(
            predictions, {"output": outputs}, ["label", "probability"], f"arm `{arm}`"
        )
        folds, fold_of_row = np.unique(keys[["repeat", "fold"]].to_numpy(dtype=int), axis=0, return_inverse=True)
        fold_of_row = fold_of_row.ravel()
        bounds = np.searchsorted(fold_of_row, np.arange(len(folds) + 1))
        one_of_k = are_exclusive(labels, probabilities)
        if metric not in metrics_of(one_of_k):
            raise SettingsError(f"metric {metric!r} needs classes that exclude each other, and these outputs do not")
        rule = _Rule(metric, one_of_k)
        values, influence = _score_folds(rule, labels, probabilities, bounds)
        without = None if members is None else _leave_one_out(rule, members, (outputs, keys, labels, bounds))
        barcodes = keys["barcode"].to_numpy(dtype=object)
        if rule.over_classes:
            outputs, labels = (ALL_CLASSES,), np.zeros((len(labels), 1), dtype=int)
        return cls(arm, metric, outputs, folds, values, barcodes, fold_of_row, labels, influence, without)

    @property
    def fold_values(self) -> np.ndarray:
        """Score of each fold, the mean over the outputs that have one, shape (n_folds,); NaN where none has."""
        counted = np.isfinite(self.values)
        number = counted.sum(axis=1)
        total = np.where(counted, self.values, 0.0).sum(axis=1)
        return np.where(number > 0, total / np.maximum(number, 1), np.nan)

    @property
    def mean(self) -> float:
        """The arm's score: the mean over folds within a repeat, then over repeats, then over outputs."""
        return self._mean(fold_weights(self))

    @property
    def output_means(self) -> dict[str, float]:
        """The score of each output: the mean over folds within a repeat, then over repeats; NaN where it has none."""
        return {name: self._mean(fold_weights(self, j)) for j, name in enumerate(self.outputs)}

    def _mean(self, weights: np.ndarray) -> float:
        n_repeats = len(np.unique(self.folds[weights.any(axis=1), 0]))
        return float(np.nansum(weights * self.values) / n_repeats) if n_repeats else float("nan")


def fold_weights(scores: ArmScores, output: int | None = None) -> np.ndarray:
    """What each fold and output counts in its repeat's mean, shape (n_folds, n_outputs); folds without a score 0.

    Args:
        scores: of an arm.
        output: position of the only output that counts; None: each counts alike.
    """
    counted = np.isfinite(scores.values)
    if output is not None:
        counted &= np.arange(counted.shape[1]) == output
    weights = np.zeros(counted.shape)
    for repeat in np.unique(scores.folds[:, 0]):
        rows = scores.folds[:, 0] == repeat
        number = counted[rows].sum(axis=0)
        weights[rows] = counted[rows] / np.maximum(number, 1) / max(1, int((number > 0).sum()))
    return weights


def group_codes(scores: ArmScores, groups: Mapping[str, object] | pd.Series) -> np.ndarray:
    """The group (donor, sample) of each row, as int from 0, shape (n_rows,).

    Raises:
        CellsError: a cell has no group.
    """
    of_row = pd.Series(scores.barcodes).map(groups if isinstance(groups, pd.Series) else dict(groups))
    if of_row.isna().any():
        lacking = pd.unique(scores.barcodes[of_row.isna().to_numpy()])
        raise CellsError(f"no group is known for {some_names(lacking)}: give one for every held-out cell")
    return pd.factorize(of_row, sort=True)[0]


def _wide(
    table: pd.DataFrame, axes: Mapping[str, Sequence[object]], columns: Sequence[str], what: str
) -> tuple[pd.DataFrame, list[np.ndarray]]:
    """One row per held-out cell, in order, with the other columns spread along axes.

    Returns:
        Repeat, fold and barcode of the rows, and each of `columns` in the shape (n_rows, *sizes of the axes).
    """
    codes = [pd.factorize(table[name], sort=True)[0] for name in _ROW]
    for name, categories in axes.items():
        codes.append(pd.Index(categories).get_indexer(table[name]))
        if (codes[-1] < 0).any():
            raise CellsError(f"{what}: the {name} {some_names(table[name][codes[-1] < 0].unique())} is unknown")
    order = np.lexsort(codes[::-1])
    ordered = np.stack([code[order] for code in codes])
    twice = np.flatnonzero((ordered[:, 1:] == ordered[:, :-1]).all(axis=0))
    if len(twice):
        names = pd.unique(table["barcode"].to_numpy()[order][twice])
        raise CellsError(f"{what}: {some_names(names)} occurs more than once in a fold")
    sizes = [len(categories) for categories in axes.values()]
    n_rows = len(table) // int(np.prod(sizes))
    expected = np.indices([n_rows, *sizes]).reshape(len(sizes) + 1, -1)[1:]
    if not np.array_equal(ordered[len(_ROW) :], expected):
        raise CellsError(f"{what}: some held-out cells lack the prediction of some {' or '.join(axes)}")
    keys = table[_ROW].iloc[order[:: int(np.prod(sizes))]].reset_index(drop=True)
    return keys, [table[name].to_numpy()[order].reshape(n_rows, *sizes) for name in columns]


def _score_folds(
    rule: _Rule, labels: np.ndarray, probabilities: np.ndarray, bounds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Scores (n_folds, n_outputs) and influences (n_rows, n_outputs); fold f has rows bounds[f] to bounds[f + 1].

    A score over classes has one column in the place of the outputs.
    """
    n_folds, n_columns = len(bounds) - 1, 1 if rule.over_classes else labels.shape[1]
    values, influence = np.empty((n_folds, n_columns)), np.empty((len(labels), n_columns))
    for fold in range(n_folds):
        rows = slice(bounds[fold], bounds[fold + 1])
        if rule.over_classes:
            found = class_score_with_influence(rule.metric, labels[rows], probabilities[rows])
            values[fold, 0], influence[rows, 0] = found
            continue
        metric, p = _metric_and_predictions(rule, probabilities[rows])
        for j in range(n_columns):
            values[fold, j], influence[rows, j] = score_with_influence(metric, labels[rows, j], p[:, j])
            if rule.metric == "balanced_accuracy" and not labels[rows, j].any():
                values[fold, j] = np.nan
    return values, influence


def _metric_and_predictions(rule: _Rule, probabilities: np.ndarray) -> tuple[str, np.ndarray]:
    """What each output is scored by: of classes that exclude each other the most probable one is called."""
    if not rule.one_of_k or rule.metric not in ("balanced_accuracy", "precision", "recall", "f1"):
        return rule.metric, probabilities
    metric = "recall" if rule.metric == "balanced_accuracy" else rule.metric
    return metric, called(probabilities, one_of_k=True).astype(float)


def _leave_one_out(
    rule: _Rule, members: pd.DataFrame, ensemble: tuple[tuple[str, ...], pd.DataFrame, np.ndarray, np.ndarray]
) -> LeaveOneOut | None:
    outputs, keys, labels, bounds = ensemble
    p, sizes = _of_members(members, outputs, keys)
    if len(sizes) == 0 or sizes.min() < 2:
        return None
    n_members = np.repeat(sizes, np.diff(bounds))[:, None]
    p = np.clip(p, 1e-15, 1 - 1e-15)
    # The logits of a softmax are the logarithms of its probabilities, less what all classes of a cell have in common.
    logits = np.log(p) if rule.one_of_k else np.log(p) - np.log1p(-p)
    total = np.nansum(logits, axis=0)
    mean = np.where(np.isnan(logits), total / n_members, (total - logits) / (n_members - 1))
    of_others = softmax(mean, axis=-1) if rule.one_of_k else expit(mean)
    scored = [_score_folds(rule, labels, p, bounds) for p in of_others]
    return LeaveOneOut(
        np.stack([values for values, _ in scored]), np.stack([influence for _, influence in scored]), sizes
    )


def _of_members(members: pd.DataFrame, outputs: tuple[str, ...], keys: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (n_members, n_rows, n_outputs), NaN where a fold has fewer members, and each fold's number of them.

    Where classes are in few groups, a fold's training part may have too few of them for as many inner folds as others.
    """
    of_fold = members.groupby(["repeat", "fold"])["member"].transform("nunique")
    p = np.full((of_fold.max() if len(of_fold) else 0, len(keys), len(outputs)), np.nan)
    found = pd.Series(0, index=pd.MultiIndex.from_frame(keys[["repeat", "fold"]]).unique())
    rows = pd.Series(np.arange(len(keys)), index=pd.MultiIndex.from_frame(keys[_ROW]))
    for size, part in members.groupby(of_fold):
        names = sorted(part["member"].unique())
        there, (values,) = _wide(
            part, {"output": outputs, "member": names}, ["probability"], "members of the ensembles"
        )
        places = rows.reindex(pd.MultiIndex.from_frame(there))
        if places.isna().any():
            raise CellsError(_OTHER_CELLS)
        p[: len(names), places.to_numpy(dtype=int)] = np.moveaxis(values.astype(float), -1, 0)
        found[pd.MultiIndex.from_frame(there[["repeat", "fold"]]).unique()] = size
    if np.isnan(p[:1]).any():
        raise CellsError(_OTHER_CELLS)
    return p, found.to_numpy()


def as_of_one_size(left_out: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Values with one member left out as if every column had all members.

    The jackknife's variance, (K - 1) / K times the sum of squared deviations, is then right with the same K everywhere.

    Args:
        left_out: shape (n_members, n).
        sizes: number of members of each column, shape (n,), int, at least 2.
    """
    n_members = len(left_out)
    if (sizes == n_members).all():
        return left_out
    is_there = np.arange(n_members)[:, None] < sizes
    mean = np.where(is_there, left_out, 0.0).sum(axis=0) / sizes
    factor = np.sqrt((sizes - 1) / sizes * n_members / (n_members - 1))
    return np.where(is_there, mean + factor * (left_out - mean), mean)
