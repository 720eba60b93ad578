"""Node that logs the report to MLflow: the answer on the study's run, figures and tables under one name per arm."""

from __future__ import annotations

import tempfile
from pathlib import Path

from kpnn.reporting import Answer, Report, Study
from kpnn.reporting.figures.classes import confusion_figure
from kpnn.reporting.figures.paper import (
    as_files,
    draw_confusions,
    draw_roc,
    draw_roc_of_outputs,
    draw_top_nodes,
    file_name,
    paper_figures,
)
from kpnn.reporting.figures.performance import calibration_figure
from kpnn.reporting.figures.training import learning_curves_figure
from kpnn.reporting.node_words import nodes_may_be_named
from kpnn.reporting.nuisance import nuisance_metrics, nuisance_notes
from kpnn.reporting.outputs import worst_output_in_words
from kpnn.tracking import log_study
from kpnn.tracking.data_sets import log_data
from kpnn.tracking.report_artifacts import ArmArtifacts, log_arm_report, log_study_table


def draw_files(report: Report) -> dict[str, bytes]:
    """The figures for a paper as PDF, SVG and PNG, and every table as CSV: content by path."""
    figures = as_files(paper_figures(report.study, report.network, report.most_nodes))
    tables = {
        f"tables/{file_name(name)}.csv": data.to_csv(index=False).encode() for name, data in report.tables.items()
    }
    return {f"figures/{name}": content for name, content in figures.items()} | tables


def log_report(report: Report, files: Path) -> None:
    """Logs the answer, the report, its figures and its tables on the study's run and on those of the arms."""
    study, answer = report.study, report.answer
    with tempfile.TemporaryDirectory() as name:
        page = Path(name) / "report.html"
        page.write_text(report.page, encoding="utf-8")
        artifacts = [page, *sorted(files.iterdir())]
        measured = answer.metrics | _areas(report) | nuisance_metrics(study)
        log_study(measured, _record(study), _tags(study, answer), artifacts, _description(study, answer))
    log_data(study.data_summary.get("files", {}))
    if len(report.comparison):
        log_study_table("comparison", report.tables["comparison"])
    for arm in study.arms:
        _log_arm(report, arm.name)


def _areas(report: Report) -> dict[str, float]:
    """Each arm's ROC-AUC, so that the study's own row in MLflow's list shows them."""
    if not len(report.comparison):
        return {}
    means = report.comparison.query("metric == 'roc_auc'").set_index("arm")["mean"]
    return {f"roc_auc_{arm.name}": float(means[arm.name]) for arm in report.study.arms if arm.name in means}


def _record(study: Study) -> dict[str, str]:
    """What the result was made from: SHA-256 of the raw files, and versions."""
    hashes = {f"sha256.{Path(path).name}": digest for path, digest in study.data_summary.get("files", {}).items()}
    return {name: str(value) for name, value in hashes.items() if value} | {
        f"version.{name}": value for name, value in study.versions.items()
    }


def _log_arm(report: Report, name: str) -> None:
    arm, weighed = report.study.arm(name), report.study.interpretation(name)
    if arm is None:
        return
    output, scores = arm.outputs[0], report.comparison.set_index(["arm", "metric"]).loc[(name, "roc_auc")]
    images, tables = {"roc": draw_roc((arm,), output) if len(arm.outputs) == 1 else draw_roc_of_outputs(arm)}, {}
    if weighed is not None:
        if nodes_may_be_named(report.study, weighed, output):
            images["top_nodes"] = draw_top_nodes(weighed, output, report.most_nodes)
        tables["node_weights"] = weighed.nodes.round(6)
    plots = {"calibration": calibration_figure((arm,), output).plot}
    confusions = confusion_figure(arm)
    if confusions is not None:
        images["confusions"], plots["confusions"] = draw_confusions(arm), confusions.plot
        tables["confusions"] = report.tables["confusions"].query("arm == @name").drop(columns="arm")
    curves = learning_curves_figure((arm,))
    if curves is not None:
        plots["learning_curves"] = curves.plot
    words = f"`{name}`: ROC-AUC {scores['mean']:.3f} over {scores['n_folds']:g} folds. Figures and tables: artifacts."
    words = " ".join(filter(None, (words, worst_output_in_words((arm,)))))
    log_arm_report(name, ArmArtifacts(images, plots, tables, words))


def _tags(study: Study, answer: Answer) -> dict[str, str]:
    tags = {"kpnn.answered": str(answer.comparison is not None).lower()}
    if study.arms:
        tags["kpnn.outputs"] = ", ".join(study.arms[0].outputs)
    if study.selection.get("status"):
        tags["kpnn.dag_status"] = str(study.selection["status"])
    if answer.comparison is not None:
        tags["kpnn.equivalent"] = str(answer.comparison.equivalent).lower()
        tags["kpnn.not_worse"] = str(answer.comparison.not_worse).lower()
    return tags


def _description(study: Study, answer: Answer) -> str:
    lines = [answer.words, ""]
    saved = answer.metrics.get("parameter_compression_percent")
    if saved is not None:
        lines += [f"The pruned network has {saved:.2f} % fewer parameters.", ""]
    lines += [f"- {note}" for note in (*study.missing, *answer.notes, *nuisance_notes(study))]
    lines.append("The whole report: `report.html` under Artifacts. To compare the arms, tick `full` and `pruned` below")
    lines.append("this run in the table of runs and choose Compare.")
    return "\n".join(lines)
