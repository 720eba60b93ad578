"""What is told about sequencing depth: before biology, whether depth alone tells the classes or the donors apart."""

from __future__ import annotations

import pandas as pd

from kpnn.cells import DepthByClass, depth_warnings
from kpnn.reporting.blocks import Block, table_of
from kpnn.reporting.study import Study


def depth_notes(study: Study) -> list[str]:
    """Warns, with advice, where depth tells the classes apart."""
    found = [DepthByClass(**row) for row in study.data_summary.get("depth") or ()]
    # Where counts were not measured, the values are none: somebody else has scaled them.
    has_counts = any(one.measure == "counts" for one in found)
    scaled = not has_counts or bool((study.data_summary.get("transform") or {}).get("library_size"))
    notes = depth_warnings(found, scaled=scaled, grouped=study.groups is not None)
    return [note[0].upper() + note[1:] + "." for note in notes]


def depth_metrics(study: Study) -> dict[str, float]:
    """`depth_roc_auc` for MLflow: how well depth alone tells an output's classes apart, at best; empty if not known."""
    areas = [float(row["roc_auc"]) for row in study.data_summary.get("depth") or ()]
    return {"depth_roc_auc": max(max(area, 1 - area) for area in areas)} if areas else {}


def depth_blocks(study: Study) -> list[Block]:
    """Depth against the classes, and against the columns of the cells that are known."""
    by_class = pd.DataFrame(study.data_summary.get("depth") or ())
    by_column = pd.DataFrame(study.data_summary.get("depth_by_column") or ())
    if len(by_column):
        by_column = by_column.rename(columns={"explained": "share of variance explained", "n_values": "values"})
    return [
        *table_of(
            by_class,
            "depth",
            "Sequencing depth against the classes: ROC-AUC with which it alone tells them (0.5: not at all). Nodes are "
            "tested beside the counts, where these are known.",
        ),
        *table_of(by_column, "depth_by_column", "Sequencing depth against the cells' columns."),
    ]
