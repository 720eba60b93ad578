"""Does sequencing depth alone tell the classes apart? Then a network can learn it and call it biology."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from kpnn.cells.matched import Matched, StreamedMatch

_log = logging.getLogger(__name__)

TELLS_CLASSES = 0.65
"""ROC-AUC, of either class, from which depth is warned of."""


@dataclass(frozen=True)
class DepthByClass:
    """How well one number per cell tells an output's classes.

    Attributes:
        output: the label column.
        measure: `counts` (sum over all genes of the file) or `detected genes` (of the network).
        roc_auc: above 0.5 where cells of class 1 have more.
        median_1: median over cells of class 1.
        median_0: median over cells of class 0.
    """

    output: str
    measure: str
    roc_auc: float
    median_1: float
    median_0: float

    @property
    def tells_classes(self) -> bool:
        """Whether that is enough for a network to learn."""
        return max(self.roc_auc, 1 - self.roc_auc) >= TELLS_CLASSES


def depth_by_class(cells: Matched | StreamedMatch) -> tuple[DepthByClass, ...]:
    """Measures how well counts and detected genes tell the classes of each output.

    Args:
        cells: before anything is done to their counts. Sums are left out where the values are no counts, detected genes
            where the cells stay on disk.

    Returns:
        One measurement for each output and each of counts and detected genes that could be had.
    """
    measures: dict[str, np.ndarray] = {}
    if cells.origin.has_counts and not cells.origin.is_logged:
        measures["counts"] = cells.totals
    if isinstance(cells, Matched):
        measures["detected genes"] = np.diff(cells.counts.indptr)
    return tuple(
        _measured(str(output), labels > 0, measure, values)
        for output, labels in cells.labels.items()
        for measure, values in measures.items()
    )


def _measured(output: str, positive: pd.Series, measure: str, values: np.ndarray) -> DepthByClass:
    is_positive = positive.to_numpy()
    medians = (float(np.median(values[of_class])) for of_class in (is_positive, ~is_positive))
    return DepthByClass(output, measure, float(roc_auc_score(is_positive, values)), *medians)


def warn_of_depth(found: Sequence[DepthByClass], *, scaled: bool, grouped: bool) -> None:
    """Warns, with advice, where depth tells the classes apart.

    Args:
        found: what `depth_by_class` returned.
        scaled: whether counts are scaled to one sum per cell.
        grouped: whether donors or samples are kept together.
    """
    advice = [] if scaled else ["set data_engineering.library_size to median"]
    advice += [] if grouped else ["name the donor or sample in cross_validation.group_by"]
    advice += ["compare cells of equal depth before you believe a node"]
    for one in found:
        if one.tells_classes:
            _log.warning(
                "%s alone predict %s with ROC-AUC %.2f (median %s in class 1, %s in class 0): a network can learn "
                "depth instead of biology; %s",
                one.measure,
                one.output,
                max(one.roc_auc, 1 - one.roc_auc),
                f"{one.median_1:,.0f}",
                f"{one.median_0:,.0f}",
                ", ".join(advice),
            )
