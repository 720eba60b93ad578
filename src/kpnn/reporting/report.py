"""The report: sections in the order in which a reader asks, each made from what is there."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from kpnn.reporting import html
from kpnn.reporting.collecting import Collector
from kpnn.reporting.comparing import Answer, answer, comparison_table, sizes_table
from kpnn.reporting.html import Section
from kpnn.reporting.network_drawing import NetworkDrawing, draw_network
from kpnn.reporting.node_sections import network_section, nodes_section, trust_section
from kpnn.reporting.performance_figures import (
    calibration_figure,
    controls_figure,
    fold_figure,
    metric_label,
    precision_recall_figure,
    roc_figure,
    scores_figure,
    sizes_figure,
)
from kpnn.reporting.study import Study
from kpnn.reporting.style import Figure
from kpnn.reporting.training_figures import (
    importances_figure,
    learning_curves_figure,
    parameter_importances,
    tuning_figure,
)


@dataclass(frozen=True, eq=False)
class Report:
    """A study, told.

    Attributes:
        page: the HTML file's content.
        figures: every figure in it, in order.
        tables: every table in it, by name, in full.
        answer: what the study says about its question.
        network: the selected DAG's drawing, where there is one.
    """

    page: str
    figures: tuple[Figure, ...]
    tables: Mapping[str, pd.DataFrame]
    answer: Answer
    network: NetworkDrawing | None = None


def write_report(study: Study, margin: float = 0.01, title: str = "", top: int = 20) -> Report:
    """Writes the report.

    Args:
        study: what is there.
        margin: differences in ROC-AUC within +-margin count as equal.
        title: of the page; by default it names the outputs.
        top: nodes in the headline figures.
    """
    found = answer(study, margin)
    collector = Collector()
    comparison = comparison_table(study.arms, study.groups)
    outputs = study.arms[0].outputs if study.arms else []
    steps: list[tuple[str, str, Callable[[], str]]] = [
        ("comparison", "Comparison", lambda: _comparison(study, comparison, collector)),
        ("curves", "Curves", lambda: _curves(study, outputs, collector)),
        ("nodes", "Nodes", lambda: nodes_section(study, collector, top)),
        ("network", "Network", lambda: network_section(study, collector)),
        ("trust", "Stability", lambda: trust_section(study, collector)),
        ("sizes", "Sizes", lambda: _sizes(study, collector)),
        ("controls", "Controls", lambda: _controls(study, collector)),
        ("training", "Training", lambda: _training(study, collector)),
        ("data", "Data", lambda: _data(study, collector)),
        ("record", "Record", lambda: _record(study, collector)),
        ("cite", "How to cite", _how_to_cite),
    ]
    sections = [Section(name, heading, write()) for name, heading, write in steps]
    heading = title or f"KPNN report: {', '.join(outputs[:3])}{' and more' if len(outputs) > 3 else ''}".rstrip(": ")
    footer = html.paragraph(
        f"Written by kpnn {study.versions.get('kpnn', '')}. "
        "This file needs no network: it can be kept, sent and printed."
    )
    page = html.page(heading, _lead(study, found), sections, footer)
    return Report(page, tuple(collector.figures), collector.tables, found, draw_network(study))


def _lead(study: Study, found: Answer) -> str:
    parts = [f'<p class="answer">{html.text(found.sentence)}</p>']
    tiles = []
    if found.comparison is not None:
        for arm in (found.comparison.reference, found.comparison.candidate):
            value = getattr(found.comparison, "reference_roc_auc" if arm == "full" else "candidate_roc_auc")
            tiles.append((f"ROC-AUC of {arm}", f"{value:.3f}", "mean over folds"))
    names = {
        "parameter_compression_percent": ("fewer parameters", "pruned against full"),
        "edge_compression_percent": ("fewer edges", "pruned against full"),
        "roc_auc_degradation_percent": ("loss of ROC-AUC", _degradation_interval(found)),
    }
    for name, (label, detail) in names.items():
        if name in found.metrics:
            tiles.append((label, f"{found.metrics[name]:.2f} %", detail))
    if study.selection:
        status = str(study.selection.get("status", ""))
        gap = study.selection.get("gap", 0.0)
        detail = "no smaller DAG exists" if status == "optimal" else f"at most {100 * gap:.2f} % from the smallest"
        tiles.append(("selected DAG", status.replace("_", " "), detail))
    if tiles:
        parts.append(
            '<dl class="tiles">'
            + "".join(
                f'<div class="tile"><dt>{html.text(label)}</dt><dd>{html.text(value)}<small>{html.text(detail)}</small>'
                "</dd></div>"
                for label, value, detail in tiles
            )
            + "</dl>"
        )
    notes = [*study.missing, *found.notes, *_warnings(study)]
    if notes:
        parts.append(f'<div class="note" role="note"><strong>Mind</strong>{html.bullets(notes)}</div>')
    return "".join(parts)


def _degradation_interval(found: Answer) -> str:
    lower = found.metrics.get("roc_auc_degradation_percent_lower")
    upper = found.metrics.get("roc_auc_degradation_percent_upper")
    if lower is None or upper is None:
        return "positive: pruned is worse"
    return f"95 % interval {lower:+.2f} to {upper:+.2f} %"


def _warnings(study: Study) -> list[str]:
    """What a reader must know before believing the figures."""
    found = []
    for arm in study.arms:
        if "protocol" in arm.fold_metrics and (arm.fold_metrics["protocol"] == "tutorial").any():
            found.append(
                f"`{arm.name}` was evaluated by the tutorial's protocol: early stopping looked at the fold that is "
                "reported, so its scores are optimistic."
            )
        undefined = int(arm.fold_metrics["roc_auc"].isna().sum())
        if undefined:
            found.append(f"{undefined} folds of `{arm.name}` hold out one class only and have no ROC-AUC.")
    status = study.selection.get("status")
    if status not in (None, "optimal"):
        found.append(
            f"The selected DAG is not proven to be the smallest (status {status}, gap "
            f"{100 * study.selection.get('gap', float('nan')):.2f} %): raise `dag_selection.time_limit`."
        )
    return found


def _comparison(study: Study, comparison: pd.DataFrame, collector: Collector) -> str:
    if not len(comparison):
        return ""
    shown = comparison.assign(metric=[metric_label(name) for name in comparison["metric"]])
    figures = [collector.figure(scores_figure(comparison))]
    if len(study.arms) > 1:
        figures.append(collector.figure(fold_figure(study.arms)))
    folds = pd.concat([arm.fold_metrics for arm in study.arms], ignore_index=True)
    return (
        html.side_by_side(figures)
        + collector.table(
            shown,
            "comparison",
            "Scores by arm: mean and standard deviation over folds, and the 95 % interval of the mean over cells and "
            "training.",
        )
        + "<details><summary>Every fold</summary>"
        + collector.table(folds, "folds", "Scores, sizes, seeds and chosen hyperparameters of every fold.")
        + "</details>"
    )


def _curves(study: Study, outputs: list[str], collector: Collector) -> str:
    parts = []
    for output in outputs:
        arms = tuple(arm for arm in study.arms if output in arm.outputs)
        drawn = [draw(arms, output) for draw in (roc_figure, precision_recall_figure, calibration_figure)]
        parts.append(html.side_by_side([collector.figure(figure) for figure in drawn]))
    return "".join(parts)


def _sizes(study: Study, collector: Collector) -> str:
    sizes = sizes_table(study)
    if not len(sizes):
        return ""
    return collector.figure(sizes_figure(sizes), wide=True) + collector.table(sizes, "sizes", "Sizes of the networks.")


def _controls(study: Study, collector: Collector) -> str:
    if not len(study.controls) or "roc_auc" not in study.controls:
        return ""
    return collector.figure(controls_figure(study.controls, study.arms), wide=True) + collector.table(
        study.controls, "controls", "Every replicate of every control."
    )


def _training(study: Study, collector: Collector) -> str:
    importances = parameter_importances(study.arms)
    figures = [
        collector.figure(drawn)
        for drawn in (
            learning_curves_figure(study.arms),
            tuning_figure(study.arms),
            importances_figure(importances),
        )
        if drawn is not None
    ]
    return (html.side_by_side(figures) if figures else "") + collector.table(
        importances, "tuning_importances", "Importance of each searched hyperparameter."
    )


def _data(study: Study, collector: Collector) -> str:
    summary = study.data_summary
    parts = []
    if summary.get("steps"):
        steps = pd.DataFrame(summary["steps"])
        keep = [name for name in ("name", "cells", "genes", "what", "dropped", "why") if name in steps]
        parts.append(collector.table(steps[keep], "data_steps", "Cells and genes left after each step."))
    if summary.get("network"):
        parts.append(collector.table(pd.DataFrame(summary["network"]), "network_steps", "The network at each step."))
    if summary.get("classes"):
        n_cells = summary["steps"][-1]["cells"] if summary.get("steps") else None
        rows = [
            {"output": name, "class 1": count, "class 0": None if n_cells is None else n_cells - count}
            for name, count in summary["classes"].items()
        ]
        parts.append(collector.table(pd.DataFrame(rows), "classes", "Labelled cells of each class."))
    if summary.get("transform"):
        done = ", ".join(f"{name} {value}" for name, value in summary["transform"].items())
        parts.append(html.paragraph(f"Expression was transformed by: {done}."))
    return "".join(parts)


def _record(study: Study, collector: Collector) -> str:
    rows = [{"what": name, "value": str(value)} for name, value in study.versions.items()]
    for source, digest in (study.data_summary.get("files") or {}).items():
        rows.append({"what": f"SHA-256 of {source}", "value": digest or "ships with a package"})
    for name, dag in (("full", study.full_dag), ("pruned", study.pruned_dag)):
        if dag is not None:
            rows.append({"what": f"fingerprint of the {name} DAG", "value": dag.fingerprint})
    for arm in study.arms:
        if "seed" in arm.fold_metrics:
            seeds = ", ".join(str(seed) for seed in arm.fold_metrics["seed"])
            rows.append({"what": f"seeds of `{arm.name}`, fold by fold", "value": seeds})
    parts = [collector.table(pd.DataFrame(rows), "record", "Versions, hashes and seeds that this report comes from.")]
    if study.selection:
        parts.append(collector.table(_flat(study.selection), "dag_selection", "How the DAG was selected."))
    if study.settings:
        settings = html.escape(json.dumps(study.settings, indent=2, default=str))
        parts.append(f"<details><summary>All parameters</summary><pre><code>{settings}</code></pre></details>")
    return "".join(parts)


def _flat(values: Mapping[str, Any], prefix: str = "") -> pd.DataFrame:
    rows: list[dict[str, str]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{prefix}{name}.").to_dict("records")
        else:
            shown = f"{value:.6g}" if isinstance(value, float) else str(value)
            rows.append({"what": f"{prefix}{name}", "value": shown})
    return pd.DataFrame(rows, columns=["what", "value"])


def _how_to_cite() -> str:
    return html.bullets(
        [
            "The method: Fortelny N, Bock C (2020). Knowledge-primed neural networks enable biologically interpretable "
            "deep learning on single-cell sequencing data. Genome Biology 21:190. doi:10.1186/s13059-020-02100-5",
            "The optimisation over networks: CORNETO, https://github.com/saezlab/corneto",
            "The test over folds: Nadeau C, Bengio Y (2003). Inference for the generalization error. Machine Learning "
            "52:239-281. doi:10.1023/A:1024068626366",
            "The test over cells: DeLong ER, DeLong DM, Clarke-Pearson DL (1988). Comparing the areas under two or "
            "more correlated receiver operating characteristic curves. Biometrics 44:837-845.",
            "This software: kpnn, with the version above.",
        ]
    )
