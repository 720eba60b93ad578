"""The report: the answer first, then sections in the order in which a reader asks, each made from what is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from kpnn.handed_on import HandedOn
from kpnn.reporting import node_sections, sections
from kpnn.reporting.blocks import NetworkDrawing, Row, Section, Table, leaves
from kpnn.reporting.comparing import Answer, answer, comparison_table
from kpnn.reporting.figures.network import NetworkLayout, lay_out_study
from kpnn.reporting.figures.style import Figure, percent
from kpnn.reporting.nuisance import nuisance_notes
from kpnn.reporting.page import Lead, Tile, render_page
from kpnn.reporting.study import Study


@dataclass(frozen=True, eq=False)
class Report(HandedOn):
    """A study, told.

    Attributes:
        page: the HTML file's content.
        figures: every figure in it, in order.
        tables: every table in it, by name, in full.
        answer: what the study says about its question.
        comparison: scores of every arm: see `kpnn.reporting.comparison_table`.
        network: the selected DAG, laid out, where there is one.
        study: what it tells of.
        most_nodes: nodes in its headline figures.

    Examples:
        >>> # With the study of `Study`
        >>> report = write_report(study)
        >>> sorted(report.tables), report.comparison["arm"].unique().tolist()
        (['comparison', 'folds'], ['full', 'pruned'])
    """

    page: str
    figures: tuple[Figure, ...]
    tables: Mapping[str, pd.DataFrame]
    answer: Answer
    comparison: pd.DataFrame
    network: NetworkLayout | None
    study: Study
    most_nodes: int


def write_report(study: Study, margin: float = 0.01, title: str = "", top: int = 20) -> Report:
    """Writes the report.

    Args:
        study: what is there.
        margin: differences in ROC-AUC within +-margin count as equal.
        title: of the page; by default it names the outputs.
        top: nodes in the headline figures.

    Returns:
        The page, its figures and its tables.

    Examples:
        >>> # With the study of `Study`
        >>> report = write_report(study, title="T cells")
        >>> "T cells" in report.page, report.answer.metrics["parameter_compression_percent"]
        (True, 37.5)
    """
    found, comparison = answer(study, margin), comparison_table(study.arms, study.groups)
    network = lay_out_study(study)
    outputs = study.arms[0].outputs if study.arms else []
    told = [
        Section("comparison", "Comparison", sections.comparison_section(study, comparison, found.comparison)),
        Section("classes", "Classes", sections.classes_section(study)),
        Section("curves", "Curves", sections.curves_section(study, outputs)),
        Section("nodes", "Nodes", node_sections.nodes_section(study, top)),
        Section("network", "Network", node_sections.network_section(study, network)),
        Section("trust", "Stability", node_sections.trust_section(study)),
        Section("sizes", "Sizes", sections.sizes_section(study)),
        Section("controls", "Controls", sections.controls_section(study, found.controls)),
        Section("small", "How small", sections.size_section(found.size_curve)),
        Section("training", "Training", sections.training_section(study)),
        Section("data", "Data", sections.data_section(study)),
        Section("record", "Record", sections.record_section(study)),
        Section("cite", "How to cite", sections.HOW_TO_CITE),
    ]
    heading = title or f"KPNN report: {', '.join(outputs[:3])}{' and more' if len(outputs) > 3 else ''}".rstrip(": ")
    held = [block for section in told for block in leaves(section.blocks)]
    figures: list[Figure] = []
    for block in held:
        figures += (
            block.figures if isinstance(block, Row) else [block.figure] if isinstance(block, NetworkDrawing) else []
        )
    return Report(
        page=render_page(heading, _lead(study, found), told, study.versions.get("kpnn", "")),
        figures=tuple(figures),
        tables={block.name: block.data for block in held if isinstance(block, Table)},
        answer=found,
        comparison=comparison,
        network=network,
        study=study,
        most_nodes=top,
    )


def _lead(study: Study, found: Answer) -> Lead:
    tiles = []
    if found.comparison is not None:
        for arm, value in (
            (found.comparison.reference, found.comparison.reference_roc_auc),
            (found.comparison.candidate, found.comparison.candidate_roc_auc),
        ):
            tiles.append(Tile(f"ROC-AUC of {arm}", f"{value:.3f}", "mean over folds"))
    names = {
        "parameter_compression_percent": ("fewer parameters", "pruned against full"),
        "edge_compression_percent": ("fewer edges", "pruned against full"),
        "roc_auc_degradation_percent": ("loss of ROC-AUC", _degradation_interval(found)),
    }
    for name, (label, detail) in names.items():
        if name in found.metrics:
            tiles.append(Tile(label, f"{_to_cents(found.metrics[name]):.2f} %", detail))
    if study.selection:
        status = str(study.selection.get("status", ""))
        gap = study.selection.get("gap", 0.0)
        detail = "no smaller DAG exists" if status == "optimal" else f"at most {percent(gap, 2)} from the smallest"
        if study.selection.get("lanes", 1) > 1 and study.selection.get("edges") == "selected":
            detail += f"; paths for {study.selection['lanes']} lanes were added to it"
        tiles.append(Tile("selected DAG", status.replace("_", " "), detail))
    return Lead(found.words, tuple(tiles), (*study.missing, *found.notes, *_warnings(study)))


def _degradation_interval(found: Answer) -> str:
    lower = found.metrics.get("roc_auc_degradation_percent_lower")
    upper = found.metrics.get("roc_auc_degradation_percent_upper")
    if lower is None or upper is None:
        return "positive: pruned is worse"
    if lower == upper:
        return "both are the same network"
    return f"95 % interval {_to_cents(lower):+.2f} to {_to_cents(upper):+.2f} %"


def _to_cents(percentage: float) -> float:
    """Two decimals, and no -0.00."""
    return round(percentage, 2) + 0.0


def _warnings(study: Study) -> list[str]:
    """What a reader must know before believing the figures."""
    found = []
    for arm in study.arms:
        if arm.is_optimistic:
            found.append(
                f"`{arm.name}` was evaluated by the tutorial's protocol: early stopping looked at the fold that is "
                "reported, so its scores are optimistic."
            )
        undefined = int(arm.fold_metrics["roc_auc"].isna().sum())
        if undefined:
            found.append(f"{undefined} folds of `{arm.name}` hold out one class only and have no ROC-AUC.")
    found += nuisance_notes(study)
    status = study.selection.get("status")
    if status not in (None, "optimal"):
        found.append(
            f"The selected DAG is not proven to be the smallest (status {status}, gap "
            f"{percent(study.selection.get('gap', float('nan')), 2)}): raise `dag_selection.time_limit`."
        )
    return found
