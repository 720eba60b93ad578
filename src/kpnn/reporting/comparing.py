"""The answer: how well each arm predicts, whether one predicts as well as the other, and what it saves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from kpnn.errors import some_names
from kpnn.reporting.study import ArmTables, Study
from kpnn.training.comparison import Comparison, compare
from kpnn.training.metrics import METRICS, bootstrap_intervals
from kpnn.training.results import wide_predictions

REFERENCE, CANDIDATE = "full", "pruned"


@dataclass(frozen=True)
class Answer:
    """What the study says about its question.

    Attributes:
        sentence: the answer in words; says why where there is none.
        comparison: the test, where both arms share folds.
        metrics: `parameter_compression_percent`, `edge_compression_percent`, `roc_auc_degradation_percent`,
            `roc_auc_difference`, its `_lower`, `_upper` and `_p_value`, as far as they are known.
        notes: what is not there or does not fit together, in sentences.
    """

    sentence: str
    comparison: Comparison | None
    metrics: dict[str, float]
    notes: tuple[str, ...] = ()


def comparison_table(arms: tuple[ArmTables, ...], n_bootstrap: int = 1000, seed: int = 42) -> pd.DataFrame:
    """Scores of every arm.

    Args:
        arms: the arms.
        n_bootstrap: redraws of the cells for the intervals.
        seed: of the redraws.

    Returns:
        One row per arm and metric: `arm`, `metric`, `mean` and `sd` over folds, `n_folds`, and over the out-of-fold
        predictions of all cells together `pooled` with its 95 % bootstrap interval `lower`, `upper`.
    """
    rows = []
    for arm in arms:
        y, probabilities, outputs, _ = wide_predictions(arm.predictions)
        intervals = bootstrap_intervals(y, probabilities, outputs, n_bootstrap=n_bootstrap, seed=seed)
        for metric in METRICS:
            values = arm.fold_metrics[metric].to_numpy(dtype=float)
            interval = intervals.loc[metric]
            rows.append(
                {
                    "arm": arm.name,
                    "metric": metric,
                    "mean": float(np.mean(values)),
                    "sd": float(np.std(values, ddof=1)) if len(values) > 1 else float("nan"),
                    "n_folds": len(values),
                    "pooled": float(interval["estimate"]),
                    "lower": float(interval["lower"]),
                    "upper": float(interval["upper"]),
                }
            )
    columns = ["arm", "metric", "mean", "sd", "n_folds", "pooled", "lower", "upper"]
    return pd.DataFrame(rows, columns=columns)


def answer(study: Study, margin: float = 0.01) -> Answer:
    """Answers whether the pruned KPNN predicts as well as the full one, from the folds that both have.

    Args:
        study: the study.
        margin: differences in ROC-AUC within +-margin count as equal; set it before looking.
    """
    reference, candidate = study.arm(REFERENCE), study.arm(CANDIDATE)
    if reference is None or candidate is None:
        there = [f"`{arm.name}`" for arm in study.arms]
        absent = [f"`{name}`" for name in (REFERENCE, CANDIDATE) if study.arm(name) is None]
        sentence = (
            f"There is no comparison: the results of {' and '.join(absent)} are not there"
            + (f" (found: {some_names(there)})" if there else "")
            + ". Run `kedro run --pipeline modelling`."
        )
        return Answer(sentence, None, {})
    metrics = _savings(reference, candidate)
    common, notes = shared_folds(reference, candidate)
    if not common:
        sentence = "There is no comparison: `full` and `pruned` have no fold with the same cells in common."
        return Answer(sentence, None, metrics, notes)
    auc = {arm.name: _roc_auc_of(arm, common) for arm in (reference, candidate)}
    usable = np.isfinite(auc[REFERENCE]) & np.isfinite(auc[CANDIDATE])
    if not usable.any():
        sentence = "There is no comparison: no fold has a ROC-AUC, since each holds out cells of one class only."
        return Answer(sentence, None, metrics, notes)
    of_full, of_pruned = auc[REFERENCE][usable], auc[CANDIDATE][usable]
    n_splits = max(2, int(reference.fold_metrics.groupby("repeat")["fold"].nunique().max()))
    comparison = compare(
        (REFERENCE, of_full),
        (CANDIDATE, of_pruned),
        n_splits=n_splits,
        margin=margin,
        out_of_fold=_paired_cells(reference, candidate, common),
    )
    metrics["roc_auc_degradation_percent"] = 100 * float((of_full.mean() - of_pruned.mean()) / of_full.mean())
    metrics["roc_auc_difference"] = float(of_pruned.mean() - of_full.mean())
    if comparison.folds is not None:
        scale = 100 / float(of_full.mean())
        metrics |= {
            "roc_auc_difference_lower": comparison.folds.lower,
            "roc_auc_difference_upper": comparison.folds.upper,
            "roc_auc_difference_p_value": comparison.folds.p_value,
            "roc_auc_degradation_percent_lower": -comparison.folds.upper * scale,
            "roc_auc_degradation_percent_upper": -comparison.folds.lower * scale,
        }
    return Answer(comparison.sentence, comparison, metrics, notes)


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


def _roc_auc_of(arm: ArmTables, folds: list[tuple[int, int]]) -> np.ndarray:
    by_fold = arm.fold_metrics.set_index(["repeat", "fold"])["roc_auc"]
    return by_fold.loc[folds].to_numpy(dtype=float)


def _paired_cells(
    reference: ArmTables, candidate: ArmTables, folds: list[tuple[int, int]]
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    if len(reference.outputs) != 1 or reference.outputs != candidate.outputs:
        return None
    y, p_reference, _, cells = wide_predictions(_of_folds(reference, folds))
    _, p_candidate, _, same_cells = wide_predictions(_of_folds(candidate, folds))
    if not cells.equals(same_cells) or len(np.unique(y)) < 2:
        return None
    return y[:, 0], p_reference[:, 0], p_candidate[:, 0]


def _of_folds(arm: ArmTables, folds: list[tuple[int, int]]) -> pd.DataFrame:
    keys = pd.MultiIndex.from_frame(arm.predictions[["repeat", "fold"]])
    return arm.predictions[keys.isin(folds)]


def _savings(reference: ArmTables, candidate: ArmTables) -> dict[str, float]:
    """The tutorial's formulas: (1 - pruned / full) * 100."""
    metrics = {}
    for name, size in (("parameter_compression_percent", "n_parameters"), ("edge_compression_percent", "n_edges")):
        full, pruned = reference.size(size), candidate.size(size)
        if full and pruned is not None:
            metrics[name] = 100 * (1 - pruned / full)
    return metrics


def sizes_table(study: Study) -> pd.DataFrame:
    """How large each network is: `network`, `nodes`, `inputs`, `neurons`, `edges`, `parameters`."""
    rows: list[tuple[str, int, int, int, int, int | None]] = []
    if study.pkn is not None:
        inputs, nodes = len(study.pkn.inputs), len(study.pkn.nodes)
        rows.append(("PKN, measured genes", nodes, inputs, nodes - inputs, len(study.pkn.edges), None))
    for name, dag in ((REFERENCE, study.full_dag), (CANDIDATE, study.pruned_dag)):
        if dag is not None:
            rows.append((name, len(dag.nodes), len(dag.inputs), len(dag.neurons), len(dag.edges), dag.n_parameters))
    table = pd.DataFrame(rows, columns=["network", "nodes", "inputs", "neurons", "edges", "parameters"])
    return table.astype({"parameters": "Int64"})
