"""The report's sections on scores, sizes, training and data, and the record of what it was made from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd

from kpnn.evaluation import Comparison
from kpnn.reporting.blocks import Block, Blocks, Bullets, ParametersAsJson, Text, details_of, row_of, table_of
from kpnn.reporting.comparing import sizes_table
from kpnn.reporting.figures.classes import confusion_figure
from kpnn.reporting.figures.performance import (
    calibration_figure,
    controls_figure,
    fold_figure,
    metric_label,
    precision_recall_figure,
    roc_figure,
    scores_figure,
    size_curve_figure,
    sizes_figure,
)
from kpnn.reporting.figures.training import (
    importances_figure,
    learning_curves_figure,
    parameter_importances,
    tuning_figure,
)
from kpnn.reporting.nuisance import nuisance_blocks
from kpnn.reporting.outputs import confusions_table, differences_table, genes_table, of_all_outputs, outputs_table
from kpnn.reporting.standing import size_in_words, standing_in_words
from kpnn.reporting.study import Study


def comparison_section(study: Study, comparison: pd.DataFrame, test: Comparison | None) -> Blocks:
    """Every score of every arm, of each output where there are several, and the same folds in each."""
    if not len(comparison):
        return ()
    of_all = of_all_outputs(comparison)
    shown = comparison.assign(metric=[metric_label(name) for name in comparison["metric"]])
    folds = pd.concat([arm.fold_metrics for arm in study.arms], ignore_index=True)
    every_fold = table_of(folds, "folds", "Scores, sizes, seeds and chosen hyperparameters of every fold.")
    return (
        *row_of([scores_figure(of_all), fold_figure(study.arms) if len(study.arms) > 1 else None]),
        *table_of(
            shown,
            "comparison",
            "Scores by arm: mean and standard deviation over folds, and the 95 % interval of the mean over cells and "
            "training."
            + (" Of several outputs it is the mean; each output is listed below." if len(of_all) < len(shown) else ""),
            len(of_all),
        ),
        *table_of(
            outputs_table(study.arms),
            "outputs",
            "Each output by itself: labelled cells of its class, and means over folds.",
        ),
        *table_of(
            differences_table(test),
            "output_differences",
            "ROC-AUC of `pruned` minus `full`, output by output, with 95 % intervals; p-values are corrected for the "
            "number of outputs (Holm).",
        ),
        *details_of("Every fold", every_fold),
    )


def classes_section(study: Study) -> Blocks:
    """Which class is taken for which, where classes exclude each other."""
    return (
        *row_of(confusion_figure(arm) for arm in study.arms),
        *table_of(
            confusions_table(study.arms),
            "confusions",
            "Pairs of classes that are confused most often: how many cells of the class, and which share of them, are "
            "called another class where they are held out.",
        ),
    )


def curves_section(study: Study, outputs: list[str]) -> Blocks:
    """ROC, precision-recall and calibration curves of every output."""
    blocks: list[Block] = []
    for output in outputs:
        arms = tuple(arm for arm in study.arms if output in arm.outputs)
        blocks += row_of(draw(arms, output) for draw in (roc_figure, precision_recall_figure, calibration_figure))
    return tuple(blocks)


def sizes_section(study: Study) -> Blocks:
    """How large each network is."""
    sizes = sizes_table(study)
    if not len(sizes):
        return ()
    return (*row_of([sizes_figure(sizes)]), *table_of(sizes, "sizes", "Sizes of the networks."))


def controls_section(study: Study, controls: pd.DataFrame) -> Blocks:
    """The arms among the controls."""
    if not len(controls):
        return ()
    return (
        *(Text(sentence) for sentence in standing_in_words(controls)),
        *row_of([controls_figure(controls, study.arms)]),
        *table_of(
            controls,
            "controls",
            "Every replicate of every control beside every arm. The difference is the arm's ROC-AUC minus the "
            "control's, and the verdict is the arm's, both by the interval that decides the answer.",
        ),
    )


def size_section(curve: pd.DataFrame) -> Blocks:
    """How small a network may be."""
    if not len(curve):
        return ()
    return (
        *(Text(sentence) for sentence in size_in_words(curve)),
        *row_of([size_curve_figure(curve)]),
        *table_of(curve, "size_curve", "Networks from the smallest DAG to the full one; differences are from `full`."),
    )


def training_section(study: Study) -> Blocks:
    """Learning curves and what the search over hyperparameters found."""
    importances = parameter_importances(study.arms)
    return (
        *row_of([learning_curves_figure(study.arms), tuning_figure(study.arms), importances_figure(importances)]),
        *table_of(importances, "tuning_importances", "Importance of each searched hyperparameter."),
    )


def data_section(study: Study) -> Blocks:
    """What became of cells, genes and edges, step by step."""
    summary = study.data_summary
    steps, classes = pd.DataFrame(summary.get("steps") or ()), summary.get("classes") or {}
    keep = [name for name in ("name", "cells", "genes", "what", "dropped", "why") if name in steps]
    n_cells = None if steps.empty else int(steps["cells"].iloc[-1])
    counts = pd.DataFrame(
        [
            {"output": name, "class 1": count, "class 0": None if n_cells is None else n_cells - count}
            for name, count in classes.items()
        ]
    )
    blocks = [
        *table_of(steps[keep], "data_steps", "Cells and genes left after each step."),
        *table_of(pd.DataFrame(summary.get("network") or ()), "network_steps", "The network at each step."),
        *table_of(counts, "classes", "Labelled cells of each class."),
        *table_of(
            genes_table(study),
            "genes_per_output",
            "Genes below each output: what it can be predicted from in the PKN, in `full` and in `pruned`.",
        ),
    ]
    if summary.get("transform"):
        done = ", ".join(f"{name} {value}" for name, value in summary["transform"].items())
        blocks.append(Text(f"Expression was transformed by: {done}."))
    return (*blocks, *nuisance_blocks(study))


def record_section(study: Study) -> Blocks:
    """Versions, hashes, seeds and parameters."""
    rows = [{"what": name, "value": str(value)} for name, value in study.versions.items()]
    for source, digest in (study.data_summary.get("files") or {}).items():
        rows.append({"what": f"SHA-256 of {source}", "value": digest or "ships with a package"})
    rows += [{"what": f"SHA-256 of {name}", "value": digest} for name, digest in study.made_from.items()]
    for name, dag in (("full", study.full_dag), ("pruned", study.pruned_dag)):
        if dag is not None:
            rows.append({"what": f"fingerprint of the {name} DAG", "value": dag.fingerprint})
    for arm in study.arms:
        if "seed" in arm.fold_metrics:
            seeds = ", ".join(str(seed) for seed in arm.fold_metrics["seed"])
            rows.append({"what": f"seeds of `{arm.name}`, fold by fold", "value": seeds})
    settings = json.dumps(study.settings, indent=2, default=str)
    return (
        *table_of(pd.DataFrame(rows), "record", "Versions, hashes and seeds that this report comes from."),
        *details_of(
            "How the DAG was selected",
            table_of(_flat(study.selection), "dag_selection", "Settings and outcome of the DAG selection."),
        ),
        *details_of("All parameters", [ParametersAsJson(settings)] if study.settings else []),
    )


def _flat(values: Mapping[str, Any], prefix: str = "") -> pd.DataFrame:
    rows: list[dict[str, str]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{prefix}{name}.").to_dict("records")
        else:
            shown = f"{value:.6g}" if isinstance(value, float) else str(value)
            rows.append({"what": f"{prefix}{name}", "value": shown})
    return pd.DataFrame(rows, columns=["what", "value"])


HOW_TO_CITE: Blocks = (
    Bullets(
        (
            "The method: Fortelny N, Bock C (2020). Knowledge-primed neural networks enable biologically interpretable "
            "deep learning on single-cell sequencing data. Genome Biology 21:190. doi:10.1186/s13059-020-02100-5",
            "The optimisation over networks: CORNETO, https://github.com/saezlab/corneto",
            "The intervals over cells: LeDell E, Petersen M, van der Laan M (2015). Computationally efficient "
            "confidence intervals for cross-validated area under the ROC curve estimates. Electronic Journal of "
            "Statistics 9:1583-1607. doi:10.1214/15-EJS1035",
            "Their allowance for overlapping training parts: Nadeau C, Bengio Y (2003). Inference for the "
            "generalization error. Machine Learning 52:239-281. doi:10.1023/A:1024068626366",
            "This software: kpnn, with the version above.",
        )
    ),
)
