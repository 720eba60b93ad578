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

_MOST_TOLD = 3
"""Outputs that one warning names."""
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

    Examples:
        >>> DepthByClass("TCR", "counts", roc_auc=0.3, median_1=900, median_0=1500).tells_classes
        True
        >>> DepthByClass("TCR", "counts", roc_auc=0.55, median_1=1600, median_0=1500).tells_classes
        False
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


@dataclass(frozen=True)
class DepthByColumn:
    """How much of the differences in depth between cells a column such as the donor explains.

    Attributes:
        column: of the cells.
        measure: as in `DepthByClass`.
        explained: share of the variance of log(1 + measure) that lies between the column's values, from 0 to 1; as much
            as (values - 1) / (cells - 1) is chance.
        n_values: number of the column's values.
    """

    column: str
    measure: str
    explained: float
    n_values: int


def depth_by_class(cells: Matched | StreamedMatch) -> tuple[DepthByClass, ...]:
    """Measures how well counts and detected genes tell the classes of each output.

    Args:
        cells: before anything is done to their counts. Sums are left out where values are not counts, detected genes
            where the cells stay on disk.

    Returns:
        One measurement for each output and each of counts and detected genes that could be had.

    Examples:
        >>> from anndata import AnnData
        >>> from kpnn.cells import InMemory, match
        >>> counts = pd.DataFrame([[3.0, 0.0], [1.0, 5.0], [9.0, 2.0]], ["c1", "c2", "c3"], ["CD69", "IL2"])
        >>> labels = pd.DataFrame({"barcode": ["c1", "c2", "c3"], "TCR": [0, 1, 1]})
        >>> for one in depth_by_class(match(InMemory(AnnData(counts)), labels, counts.columns)):
        ...     print(one)
        DepthByClass(output='TCR', measure='counts', roc_auc=1.0, median_1=8.5, median_0=3.0)
        DepthByClass(output='TCR', measure='detected genes', roc_auc=1.0, median_1=2.0, median_0=1.0)
    """
    return tuple(
        _measured(str(output), labels > 0, measure, values)
        for output, labels in cells.labels.items()
        for measure, values in _measures(cells).items()
    )


def depth_by_column(cells: Matched | StreamedMatch, columns: pd.DataFrame | None) -> tuple[DepthByColumn, ...]:
    """Measures how much of depth each column of the cells explains.

    Args:
        cells: as for `depth_by_class`.
        columns: such as donor or sample, index the barcodes; None: there are none.

    Returns:
        One measurement for each column and each of counts and detected genes that could be had.

    Examples:
        >>> from anndata import AnnData
        >>> from kpnn.cells import InMemory, match
        >>> counts = AnnData(pd.DataFrame([[3.0], [9.0], [90.0], [30.0]], ["c1", "c2", "c3", "c4"], ["CD69"]))
        >>> labels = pd.DataFrame({"barcode": counts.obs_names, "TCR": [0, 1, 0, 1]})
        >>> donors = pd.DataFrame({"donor": ["d1", "d1", "d2", "d2"]}, index=counts.obs_names)
        >>> of_counts, _ = depth_by_column(match(InMemory(counts), labels, ["CD69"]), donors)
        >>> of_counts.measure, round(of_counts.explained, 2)
        ('counts', 0.82)
    """
    if columns is None:
        return ()
    found = []
    for name, column in columns.reindex(cells.labels.index).items():
        for measure, values in _measures(cells).items():
            logs = pd.Series(np.log1p(values), index=cells.labels.index, dtype=float)
            between = (logs.groupby(column.astype(str)).transform("mean") - logs.mean()).pow(2).sum()
            total = (logs - logs.mean()).pow(2).sum()
            explained = float(between / total) if total > 0 else 0.0
            found.append(DepthByColumn(str(name), measure, explained, int(column.nunique())))
    return tuple(found)


def _measures(cells: Matched | StreamedMatch) -> dict[str, np.ndarray]:
    measures: dict[str, np.ndarray] = {}
    if cells.origin.has_counts and not cells.origin.is_logged:
        measures["counts"] = cells.totals
    if cells.detected_genes is not None:
        measures["detected genes"] = cells.detected_genes
    return measures


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

    Examples:
        >>> import sys
        >>> handler = logging.StreamHandler(sys.stdout)
        >>> logging.getLogger("kpnn").addHandler(handler)
        >>> found = [DepthByClass("TCR", "counts", roc_auc=0.81, median_1=4200, median_0=1500)]
        >>> warn_of_depth(found, scaled=True, grouped=True)  # doctest: +ELLIPSIS
        counts alone predict TCR with ROC-AUC 0.81 (median 4,200 in class 1, 1,500 in class 0)...
        >>> logging.getLogger("kpnn").removeHandler(handler)
    """
    for sentence in depth_warnings(found, scaled=scaled, grouped=grouped):
        _log.warning("%s", sentence)


def depth_warnings(found: Sequence[DepthByClass], *, scaled: bool, grouped: bool) -> tuple[str, ...]:
    """What is said, with advice, where depth tells the classes apart.

    Args:
        found: what `depth_by_class` returned.
        scaled: whether counts are scaled to one sum per cell.
        grouped: whether donors or samples are kept together.

    Returns:
        One sentence for each measure that tells the classes of some output, the clearest three named.

    Examples:
        >>> found = [DepthByClass("TCR", "counts", roc_auc=0.81, median_1=4200, median_0=1500)]
        >>> for part in depth_warnings(found, scaled=False, grouped=True)[0].split("; "):
        ...     print(part.split(": ")[0])
        counts alone predict TCR with ROC-AUC 0.81 (median 4,200 in class 1, 1,500 in class 0)
        set data_engineering.library_size to median, compare cells of equal depth before you believe a node
        >>> depth_warnings([DepthByClass("TCR", "counts", 0.55, 1600, 1500)], scaled=False, grouped=True)
        ()
    """
    advice = [] if scaled else ["set data_engineering.library_size to median"]
    advice += [] if grouped else ["name the donor or sample in cross_validation.group_by"]
    advice += ["compare cells of equal depth before you believe a node"]
    sentences = []
    for measure in dict.fromkeys(one.measure for one in found):
        telling = sorted((one for one in found if one.measure == measure and one.tells_classes), key=_separation)
        told = ", ".join(
            f"{one.output} with ROC-AUC {-_separation(one):.2f} (median {one.median_1:,.0f} in class 1, "
            f"{one.median_0:,.0f} in class 0)"
            for one in telling[:_MOST_TOLD]
        )
        more = f" and {len(telling) - _MOST_TOLD} more outputs" if len(telling) > _MOST_TOLD else ""
        if telling:
            sentences.append(
                f"{measure} alone predict {told}{more}: a network can learn depth instead of biology; "
                + ", ".join(advice)
            )
    return tuple(sentences)


def _separation(one: DepthByClass) -> float:
    """The ROC-AUC, whichever class is deeper, negative: the clearest first."""
    return -max(one.roc_auc, 1 - one.roc_auc)
