"""What is told before biology: whether depth, donor or batch alone tells the classes apart."""

from __future__ import annotations

import pandas as pd

from kpnn.cells import BatchByClass, DepthByClass, batch_warnings, depth_warnings
from kpnn.reporting.blocks import Block, table_of
from kpnn.reporting.study import Study


def nuisance_notes(study: Study) -> list[str]:
    """Warns, with advice, where depth, donor or batch tells the classes apart."""
    found = [DepthByClass(**row) for row in study.data_summary.get("depth") or ()]
    # Where counts were not measured, the values are none: somebody else has scaled them.
    has_counts = any(one.measure == "counts" for one in found)
    scaled = not has_counts or bool((study.data_summary.get("transform") or {}).get("library_size"))
    batches = [BatchByClass(**row) for row in study.data_summary.get("batches") or ()]
    notes = (*depth_warnings(found, scaled=scaled, grouped=study.groups is not None), *batch_warnings(batches))
    return [note[0].upper() + note[1:] + "." for note in notes]


def nuisance_metrics(study: Study) -> dict[str, float]:
    """For MLflow: how well depth alone, and donor or batch alone, tell an output's classes apart, at best.

    Returns:
        `depth_roc_auc` and `batch_roc_auc`, as far as they are known.
    """
    found = {}
    for name, measured in (("depth_roc_auc", "depth"), ("batch_roc_auc", "batches")):
        areas = [float(row["roc_auc"]) for row in study.data_summary.get(measured) or ()]
        if areas:
            found[name] = max(max(area, 1 - area) for area in areas)
    return found


def nuisance_blocks(study: Study) -> list[Block]:
    """Depth against the classes and the columns of the cells that are known, and donors and batches against classes."""
    by_class = pd.DataFrame(study.data_summary.get("depth") or ())
    by_column = pd.DataFrame(study.data_summary.get("depth_by_column") or ())
    if len(by_column):
        by_column = by_column.rename(columns={"explained": "share of variance explained", "n_values": "values"})
    batches = pd.DataFrame(study.data_summary.get("batches") or ())
    if len(batches):
        batches = batches.rename(columns={"n_values": "values", "n_of_class": "values of the rarer class"})
    return [
        *table_of(
            by_class,
            "depth",
            "Sequencing depth against the classes: ROC-AUC with which it alone tells them (0.5: not at all). Nodes are "
            "tested beside the counts, where these are known.",
        ),
        *table_of(by_column, "depth_by_column", "Sequencing depth against the cells' columns."),
        *table_of(
            batches,
            "batches",
            "Donors, samples and batches against the classes: ROC-AUC with which the shares of classes in one half of "
            "the cells tell those of the other half (0.5: not at all), in how many values the rarer class is, and "
            "whether cells of one value are kept together.",
        ),
    ]
