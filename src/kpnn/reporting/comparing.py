"""The answer: how well each arm predicts, whether one predicts as well as the other, and what it saves."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from kpnn.errors import some_names
from kpnn.evaluation import METRICS, Comparison, interval
from kpnn.pkn import percent_saved
from kpnn.reporting.paired import compare_arms, scores_of
from kpnn.reporting.standing import controls_table, size_curve, size_in_words, standing_in_words
from kpnn.reporting.study import ArmTables, Study

REFERENCE, CANDIDATE = "full", "pruned"


@dataclass(frozen=True, eq=False)
class Answer:
    """What the study says about its question.

    Attributes:
        sentence: the answer in words; says why where there is none.
        comparison: the test, where both arms share folds.
        metrics: `parameter_compression_percent`, `edge_compression_percent`, `roc_auc_degradation_percent`,
            `roc_auc_difference`, its `_lower`, `_upper` and `_p_value`, as far as they are known.
        notes: what is not there or does not fit together, in sentences.
        controls: every control beside every arm; see `kpnn.reporting.standing.controls_table`.
        size_curve: ROC-AUC against size; see `kpnn.reporting.standing.size_curve`.
    """

    sentence: str
    comparison: Comparison | None
    metrics: dict[str, float]
    notes: tuple[str, ...] = ()
    controls: pd.DataFrame = field(default_factory=pd.DataFrame)
    size_curve: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def findings(self) -> tuple[str, ...]:
        """Where the arms stand among the controls, and how small a network may be, in sentences."""
        return (*standing_in_words(self.controls), *size_in_words(self.size_curve))

    @property
    def words(self) -> str:
        """All of the answer: the sentence and what was found beside it."""
        return " ".join((self.sentence, *self.findings))


def comparison_table(arms: tuple[ArmTables, ...], groups: pd.Series | None = None) -> pd.DataFrame:
    """Scores of every arm, computed within folds and then averaged.

    Args:
        arms: the arms.
        groups: donor or sample of each cell, by barcode, where cells stay together in the folds.

    Returns:
        One row per arm and metric: `arm`, `metric`, `mean` and `sd` over folds, `n_folds`, and the 95 % interval
        `lower`, `upper` of the mean, over cells and training.
    """
    rows = []
    for arm in arms:
        for metric in METRICS:
            scores = scores_of(arm, arm.folds, metric)
            values = scores.fold_values[np.isfinite(scores.fold_values)]
            found = interval(scores, groups=groups) if len(values) else None
            rows.append(
                {
                    "arm": arm.name,
                    "metric": metric,
                    "mean": scores.mean,
                    "sd": float(np.std(values, ddof=1)) if len(values) > 1 else float("nan"),
                    "n_folds": len(values),
                    "lower": float("nan") if found is None else found.lower,
                    "upper": float("nan") if found is None else found.upper,
                }
            )
    return pd.DataFrame(rows, columns=["arm", "metric", "mean", "sd", "n_folds", "lower", "upper"])


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
    pairing = compare_arms(candidate, reference, study.groups, margin)
    comparison, notes = pairing.comparison, pairing.notes
    beside = controls_table(study, margin), size_curve(study, margin)
    if comparison is None:
        return Answer(f"There is no comparison: {pairing.why_not}", None, metrics, notes, *beside)
    found, scale = comparison.interval, 100 / comparison.reference_roc_auc
    metrics |= {
        "roc_auc_degradation_percent": -found.estimate * scale,
        "roc_auc_degradation_percent_lower": -found.upper * scale,
        "roc_auc_degradation_percent_upper": -found.lower * scale,
        "roc_auc_difference": found.estimate,
        "roc_auc_difference_lower": found.lower,
        "roc_auc_difference_upper": found.upper,
        "roc_auc_difference_p_value": comparison.p_value,
    }
    return Answer(comparison.sentence, comparison, metrics, notes, *beside)


def _savings(reference: ArmTables, candidate: ArmTables) -> dict[str, float]:
    metrics = {}
    for name, size in (("parameter_compression_percent", "n_parameters"), ("edge_compression_percent", "n_edges")):
        full, pruned = reference.size(size), candidate.size(size)
        if full and pruned is not None:
            metrics[name] = percent_saved(full, pruned)
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
