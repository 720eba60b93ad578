"""Node that logs the report to MLflow: the answer on the study's run, figures and tables under one name per arm."""

from __future__ import annotations

import tempfile
from pathlib import Path

from kpnn.reporting import Answer, Report, Study
from kpnn.reporting.node_figures import top_nodes_figure
from kpnn.reporting.performance_figures import calibration_figure, roc_figure
from kpnn.reporting.pictures import draw_picture, save_pictures
from kpnn.reporting.style import Figure
from kpnn.reporting.training_figures import learning_curves_figure
from kpnn.tracking import log_study
from kpnn.tracking.report_artifacts import log_arm_report, log_study_table


def draw_files(report: Report) -> dict[str, bytes]:
    """Every figure as PNG and SVG and every table as CSV: content by path."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_pictures(report.figures, folder / "figures", report.network)
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    tables = {f"tables/{name}.csv": data.to_csv(index=False).encode() for name, data in report.tables.items()}
    return files | tables


def log_report(study: Study, report: Report, files: Path) -> None:
    """Logs the answer, the report, its figures and its tables on the study's run and on those of the arms."""
    answer = report.answer
    with tempfile.TemporaryDirectory() as name:
        page = Path(name) / "report.html"
        page.write_text(report.page, encoding="utf-8")
        artifacts = [page, *sorted(files.iterdir())]
        log_study(answer.metrics, _record(study), _tags(study, answer), artifacts, _description(study, answer))
    if "comparison" in report.tables:
        log_study_table("comparison", report.tables["comparison"])
    for arm in study.arms:
        _log_arm(study, arm.name)


def _record(study: Study) -> dict[str, str]:
    """What the result was made from: SHA-256 of the raw files, and versions."""
    hashes = {f"sha256.{Path(path).name}": digest for path, digest in study.data_summary.get("files", {}).items()}
    return {name: str(value) for name, value in hashes.items() if value} | {
        f"version.{name}": value for name, value in study.versions.items()
    }


def _log_arm(study: Study, name: str) -> None:
    arm, weighed = study.arm(name), study.interpretation(name)
    if arm is None:
        return
    output = arm.outputs[0]
    figures: dict[str, Figure | None] = {
        "roc": roc_figure((arm,), output),
        "calibration": calibration_figure((arm,), output),
        "learning_curves": learning_curves_figure((arm,)),
        "top_nodes": top_nodes_figure(weighed, output, {}, 20) if weighed is not None else None,
    }
    with tempfile.TemporaryDirectory() as folder:
        images = {}
        for key, figure in figures.items():
            if figure is not None:
                images[key] = Path(folder) / f"{key}.png"
                draw_picture(figure, (7.2, 5.0)).savefig(images[key])
        tables = {} if weighed is None else {"node_weights": weighed.nodes.round(6)}
        auc = arm.fold_metrics["roc_auc"]
        words = f"`{name}`: ROC-AUC {auc.mean():.3f} over {len(auc)} folds. Figures and tables: artifacts."
        log_arm_report(name, images, tables, words)


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
    lines = [answer.sentence, ""]
    saved = answer.metrics.get("parameter_compression_percent")
    if saved is not None:
        lines += [f"The pruned network has {saved:.2f} % fewer parameters.", ""]
    lines += [f"- {note}" for note in (*study.missing, *answer.notes)]
    lines.append("The whole report: `report.html` under Artifacts. To compare the arms, tick `full` and `pruned` below")
    lines.append("this run in the table of runs and choose Compare.")
    return "\n".join(lines)
