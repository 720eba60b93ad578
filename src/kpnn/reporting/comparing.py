"""The answer: how well each arm predicts, whether one predicts as well as the other, and what it saves."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from kpnn.errors import some_names
from kpnn.evaluation import Comparison, interval, metrics_of
from kpnn.evaluation.scores import ArmScores
from kpnn.pkn import percent_saved
from kpnn.reporting.outputs import confusions_in_words, worst_output_in_words
from kpnn.reporting.paired import compare_arms
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
            `roc_auc_difference`, its `_lower`, `_upper` and `_p_value`, as far as they are known; with several outputs
            those of each, such as `roc_auc_difference_lower_<output>`, p-values after Holm's correction.
        notes: what does not exist or does not fit together, in sentences.
        controls: every control beside every arm; see `kpnn.reporting.standing.controls_table`.
        size_curve: ROC-AUC against size; see `kpnn.reporting.standing.size_curve`.
        of_outputs: the output that each arm predicts worst, and which classes are confused, in sentences.

    Examples:
        >>> # With the study of `Study`
        >>> answer(study).metrics["parameter_compression_percent"]
        37.5
        >>> answer(Study(arms=(study.arm("full"),))).words.split(". ")[0]
        'There is no comparison: the results of `pruned` are missing (found: `full`)'
    """

    sentence: str
    comparison: Comparison | None
    metrics: dict[str, float]
    notes: tuple[str, ...] = ()
    controls: pd.DataFrame = field(default_factory=pd.DataFrame)
    size_curve: pd.DataFrame = field(default_factory=pd.DataFrame)
    of_outputs: tuple[str, ...] = ()

    @property
    def findings(self) -> tuple[str, ...]:
        """What a mean over outputs hides, where the arms stand among the controls, how small a network may be."""
        return (*self.of_outputs, *standing_in_words(self.controls), *size_in_words(self.size_curve))

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
        `lower`, `upper` of the mean, over cells and training. With several outputs a metric is the mean over them, and
        below all of these stand `<metric>_<output>` of each.

    Examples:
        >>> # With the study of `Study`
        >>> table = comparison_table(study.arms)
        >>> table.loc[table["metric"] == "roc_auc", ["arm", "mean", "sd", "n_folds"]].round(3)
              arm  mean   sd  n_folds
        0    full  0.75  0.0        2
        8  pruned  0.75  0.0        2
    """
    rows, of_outputs = [], []
    for arm in arms:
        for metric in metrics_of(arm.one_of_k):
            scores = arm.scores(metric)
            rows.append({"arm": arm.name, "metric": metric} | _summarised(scores, groups))
            if len(scores.outputs) > 1:
                of_outputs += [
                    {"arm": arm.name, "metric": f"{metric}_{output}"} | _summarised(scores, groups, output)
                    for output in scores.outputs
                ]
    return pd.DataFrame(rows + of_outputs, columns=["arm", "metric", "mean", "sd", "n_folds", "lower", "upper"])


def _summarised(scores: ArmScores, groups: pd.Series | None, output: str | None = None) -> dict[str, object]:
    """Mean, spread and interval of a score, of all outputs or of one."""
    of_folds = scores.fold_values if output is None else scores.values[:, scores.outputs.index(output)]
    values = of_folds[np.isfinite(of_folds)]
    found = interval(scores, groups=groups, output=output) if len(values) else None
    return {
        "mean": scores.mean if output is None else scores.output_means[output],
        "sd": float(np.std(values, ddof=1)) if len(values) > 1 else float("nan"),
        "n_folds": len(values),
        "lower": float("nan") if found is None else found.lower,
        "upper": float("nan") if found is None else found.upper,
    }


def answer(study: Study, margin: float = 0.01) -> Answer:
    """Answers whether the pruned KPNN predicts as well as the full one, from the folds that both have.

    Args:
        study: the study.
        margin: differences in ROC-AUC within +-margin count as equal; set it before looking.

    Returns:
        The comparison and its sentence; why there is none, where an arm is missing.

    Examples:
        >>> # With the study of `Study`, whose arms predict the same
        >>> found = answer(study)
        >>> found.metrics["roc_auc_difference"], found.comparison.margin
        (0.0, 0.01)
        >>> print(found.sentence.partition(":")[0])
        These cells and folds cannot tell whether `pruned` predicts as well as `full` (margin 0.01)
    """
    reference, candidate = study.arm(REFERENCE), study.arm(CANDIDATE)
    if reference is None or candidate is None:
        there = [f"`{arm.name}`" for arm in study.arms]
        absent = [f"`{name}`" for name in (REFERENCE, CANDIDATE) if study.arm(name) is None]
        sentence = (
            f"There is no comparison: the results of {' and '.join(absent)} are missing"
            + (f" (found: {some_names(there)})" if there else "")
            + ". Run `kedro run --pipeline modelling`."
        )
        return Answer(sentence, None, {})
    metrics = _savings(reference, candidate)
    pairing = compare_arms(candidate, reference, study.groups, margin)
    comparison, notes = pairing.comparison, pairing.notes
    of_outputs = (worst_output_in_words((candidate, reference)), confusions_in_words(candidate))
    beside = controls_table(study, margin), size_curve(study, margin), tuple(filter(None, of_outputs))
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
    for one in comparison.per_output:
        metrics |= {
            f"roc_auc_difference_{one.output}": one.interval.estimate,
            f"roc_auc_difference_lower_{one.output}": one.interval.lower,
            f"roc_auc_difference_upper_{one.output}": one.interval.upper,
            f"roc_auc_difference_p_value_{one.output}": one.p_value,
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
    """How large each network is: `network`, `nodes`, `inputs`, `neurons`, `edges`, `parameters`.

    Args:
        study: the study.

    Returns:
        A row for each network.

    Examples:
        >>> from kpnn.pkn import Dag
        >>> edges = [("TCR", "ZAP70"), ("TCR", "JUN"), ("ZAP70", "CD69_gene"), ("JUN", "IL2_gene")]
        >>> edges = pd.DataFrame(edges, columns=["parent", "child"])
        >>> full, pruned = (Dag.from_edges(kept, outputs=["TCR"]) for kept in (edges, edges.iloc[[0, 2]]))
        >>> sizes_table(Study(full_dag=full, pruned_dag=pruned))
          network  nodes  inputs  neurons  edges  parameters
        0    full      5       2        3      4           7
        1  pruned      3       1        2      2           4
    """
    rows: list[tuple[str, int, int, int, int, int | None]] = []
    if study.pkn is not None:
        inputs, nodes = len(study.pkn.inputs), len(study.pkn.nodes)
        rows.append(("PKN, measured genes", nodes, inputs, nodes - inputs, len(study.pkn.edges), None))
    for name, dag in ((REFERENCE, study.full_dag), (CANDIDATE, study.pruned_dag)):
        if dag is not None:
            rows.append((name, len(dag.nodes), len(dag.inputs), len(dag.neurons), len(dag.edges), dag.n_parameters))
    table = pd.DataFrame(rows, columns=["network", "nodes", "inputs", "neurons", "edges", "parameters"])
    return table.astype({"parameters": "Int64"})
