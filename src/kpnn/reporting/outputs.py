"""How well each of several outputs is predicted: what a mean over outputs may hide."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from kpnn.evaluation import Comparison, confusion_matrix, metrics_of, top_confusions
from kpnn.pkn import inputs_per_output
from kpnn.reporting.figures.style import percent
from kpnn.reporting.study import ArmTables, Study
from kpnn.tables import stacked

_OF_OUTPUT = ("roc_auc", "average_precision", "precision", "recall", "f1")
_CONFUSIONS = 5
"""Pairs of classes of an arm in the table of confusions."""


def base_metric(metric: str) -> tuple[str, str]:
    """A metric's name without the output, and the output; `roc_auc_T_cell` is (`roc_auc`, `T_cell`).

    Args:
        metric: a name of `comparison_table`.

    Returns:
        The output is empty where the metric is of all outputs.
    """
    for name in sorted(metrics_of(one_of_k=True), key=len, reverse=True):
        if metric == name:
            return name, ""
        if metric.startswith(f"{name}_"):
            return name, metric.removeprefix(f"{name}_")
    return metric, ""


def of_all_outputs(comparison: pd.DataFrame) -> pd.DataFrame:
    """The rows of `comparison_table` that are of all outputs together."""
    return comparison[[not base_metric(str(name))[1] for name in comparison["metric"]]]


def worst_output_in_words(arms: Sequence[ArmTables]) -> str:
    """The sentence that names the output that each arm predicts worst; empty where there is one output.

    Args:
        arms: the arms, the one in question last.
    """
    worst = {}
    for arm in arms:
        means = arm.scores().output_means
        scored = {name: value for name, value in means.items() if np.isfinite(value)}
        if len(means) > 1 and scored:
            name = min(scored, key=lambda one: scored[one])
            worst[arm.name] = (name, scored[name])
    if not worst:
        return ""
    names = {name for name, _ in worst.values()}
    if len(names) == 1:
        told = ", ".join(f"{value:.3f} by `{arm}`" for arm, (_, value) in worst.items())
        return f"The output that is predicted worst is `{names.pop()}`: ROC-AUC {told}."
    told = " and ".join(f"`{name}` by `{arm}` (ROC-AUC {value:.3f})" for arm, (name, value) in worst.items())
    return f"The outputs that are predicted worst are {told}."


def confusions_in_words(arm: ArmTables) -> str:
    """The sentence that names the two classes that an arm confuses most often.

    Args:
        arm: the arm; its outputs exclude each other, or the sentence is empty.
    """
    if not arm.one_of_k:
        return ""
    pairs = top_confusions(confusion_matrix(arm.predictions), most=1)
    if not len(pairs):
        return f"`{arm.name}` calls every held-out cell by its class."
    first, share = pairs.iloc[0], f"{percent(pairs['share'].iloc[0])} of its cells"
    if arm.predictions["repeat"].nunique() == 1:  # else a cell counts several times
        share = f"{first['n_cells']:,} of its cells, {percent(first['share'])}"
    return f"`{arm.name}` most often takes `{first['class']}` for `{first['called']}`: {share}."


def outputs_table(arms: Sequence[ArmTables]) -> pd.DataFrame:
    """Scores of each output by itself.

    Args:
        arms: the arms.

    Returns:
        A row per output and arm: `output`, `arm`, `n_cells` of the class, and the means of the scores over folds; empty
        where there is one output.
    """
    rows = []
    for arm in arms:
        if len(arm.outputs) < 2:
            continue
        cells = arm.predictions.drop_duplicates(["barcode", "output"]).groupby("output")["label"].sum()
        means = {metric: arm.scores(metric).output_means for metric in _OF_OUTPUT}
        rows += [
            {"output": output, "arm": arm.name, "n_cells": int(cells[output])}
            | {metric: of_metric[output] for metric, of_metric in means.items()}
            for output in arm.outputs
        ]
    table = pd.DataFrame(rows, columns=["output", "arm", "n_cells", *_OF_OUTPUT])
    order = {output: place for place, output in enumerate(dict.fromkeys(table["output"]))}
    return table.sort_values("output", key=lambda names: names.map(order), kind="stable", ignore_index=True)


def differences_table(comparison: Comparison | None) -> pd.DataFrame:
    """The comparison of two arms for each output by itself.

    Args:
        comparison: of the arms; None where there is none.

    Returns:
        `output`, `difference` of ROC-AUC with its 95 % interval `lower` to `upper`, and `p_value`, after Holm's
        correction over the outputs; empty where there is one output.
    """
    found = () if comparison is None else comparison.per_output
    rows = [
        {"output": one.output, "difference": one.interval.estimate, "lower": one.interval.lower}
        | {"upper": one.interval.upper, "p_value": one.p_value}
        for one in found
    ]
    return pd.DataFrame(rows, columns=["output", "difference", "lower", "upper", "p_value"])


def confusions_table(arms: Sequence[ArmTables]) -> pd.DataFrame:
    """The pairs of classes that each arm confuses most often: `arm`, `class`, `called`, `n_cells`, `share`.

    Args:
        arms: the arms; those whose outputs do not exclude each other have no rows.
    """
    tables = (
        top_confusions(confusion_matrix(arm.predictions), most=_CONFUSIONS).assign(arm=arm.name)
        for arm in arms
        if arm.one_of_k
    )
    return stacked(tables, ["arm", "class", "called", "n_cells", "share"])


def genes_table(study: Study) -> pd.DataFrame:
    """Genes below each output: `output`, and a column each for the PKN, `full` and `pruned`, as far as they are there.

    Args:
        study: the study.
    """
    networks = {"PKN, measured genes": study.pkn, "full": study.full_dag, "pruned": study.pruned_dag}
    counts = {name: inputs_per_output(network) for name, network in networks.items() if network is not None}
    return pd.DataFrame(counts).rename_axis("output").reset_index() if counts else pd.DataFrame(columns=["output"])
