"""What a finished study says in the terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from kpnn.errors import KpnnError
from kpnn.reporting.figures.performance import metric_label
from kpnn.reporting.outputs import base_metric

MLFLOW_ADDRESS, VIZ_ADDRESS = "http://127.0.0.1:5000", "http://127.0.0.1:4141"


def summary_text(folder: Path) -> str:
    """Tells the comparison, the answer and where to look further.

    Args:
        folder: where the `reporting` pipeline wrote, `data/08_reporting/<study>`.

    Raises:
        KpnnError: there is no comparison yet.
    """
    comparison, test = folder / "comparison.csv", folder / "comparison_test.json"
    for path in (comparison, test):
        if not path.is_file():
            raise KpnnError(f"{path}: no such file; run the study first with `kedro run`")
    answer = json.loads(test.read_text(encoding="utf-8"))
    lines = ["", *comparison_lines(pd.read_csv(comparison)), "", answer["sentence"], *answer.get("findings", [])]
    lines += [f"Mind: {note}" for note in answer.get("notes", [])]
    savings = answer.get("metrics", {})
    if "parameter_compression_percent" in savings:
        lines.append(
            f"The pruned network has {savings['parameter_compression_percent']:.2f} % fewer parameters and "
            f"{savings['edge_compression_percent']:.2f} % fewer edges."
        )
    lines += [
        "",
        f"  Report    {(folder / 'report.html').resolve()}",
        f"  MLflow    make mlflow, then open {MLFLOW_ADDRESS}",
        f"  Pipeline  make viz, then open {VIZ_ADDRESS}",
        "",
    ]
    return "\n".join(lines)


def comparison_lines(comparison: pd.DataFrame) -> list[str]:
    """The comparison as a table of text: a row per score, a column per arm, mean +- sd over folds.

    Of several outputs each has a row for its ROC-AUC; all other scores are of all outputs.
    """
    if not len(comparison):
        return ["No arm has results."]
    parts = [base_metric(str(name)) for name in comparison["metric"]]
    comparison = comparison[[not output or base == "roc_auc" for base, output in parts]]
    shown = comparison.assign(
        metric=comparison["metric"].map(metric_label),
        told=[
            f"{mean:.3f}" if pd.isna(sd) else f"{mean:.3f} ± {sd:.3f}"
            for mean, sd in zip(comparison["mean"], comparison["sd"], strict=True)
        ],
    )
    table = shown.pivot(index="metric", columns="arm", values="told")
    in_order = table.reindex(index=shown["metric"].unique(), columns=shown["arm"].unique())
    return in_order.rename_axis(index=None, columns=None).to_string(na_rep="").splitlines()
