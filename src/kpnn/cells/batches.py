"""Does the donor, sample or batch alone tell the classes apart? Then a network can learn it and call it biology."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from kpnn.cells.classes import are_blank
from kpnn.cells.depth import TELLS_CLASSES
from kpnn.cells.expression import Expression
from kpnn.cells.labelling import ClassLabels
from kpnn.errors import CellsError

_NAMES = ("donor", "patient", "individual", "subject", "sample", "replicate", "batch", "mouse")
_CELLS_PER_VALUE = 3
"""Cells that a value has on average at least: a column of more values names cells, not batches."""
_ENOUGH = 3
"""Values that each class must be in for `cross_validation.group_by`."""
_MOST_TOLD = 3
"""Outputs that one warning names."""


@dataclass(frozen=True)
class BatchByClass:
    """How well a column such as the donor tells an output's classes.

    Attributes:
        column: of the cells.
        output: the label column.
        roc_auc: with which the share of class 1 among half of the cells of a value tells the class of the other half;
            around 0.5 where the column has nothing to do with the class.
        n_values: number of the column's values.
        n_of_class: values that the class with fewer of them is in.
        is_nested: whether all cells of one value are of one class.
        is_kept_together: whether cells of one value are on one side of every split.

    Examples:
        >>> donor = BatchByClass("donor", "TCR", 0.9, 12, 5, is_nested=True, is_kept_together=False)
        >>> donor.tells_classes
        True
    """

    column: str
    output: str
    roc_auc: float
    n_values: int
    n_of_class: int
    is_nested: bool
    is_kept_together: bool

    @property
    def tells_classes(self) -> bool:
        """Whether that is enough for a network to learn, and nothing is done about it."""
        return self.roc_auc >= TELLS_CLASSES and not self.is_kept_together


def names_batches(column: str) -> bool:
    """Whether a column holds donors, samples or batches, as far as its name tells.

    Args:
        column: its name.

    Returns:
        True of names that hold donor, sample, batch or the like.

    Examples:
        >>> names_batches("Donor_ID"), names_batches("cell_type")
        (True, False)
    """
    return any(word in column.lower() for word in _NAMES)


def batch_columns(table: pd.DataFrame | None, expression: Expression, labels: ClassLabels) -> pd.DataFrame:
    """Reads the columns that hold donors, samples or batches: those of such a name, and the groups.

    Args:
        table: `barcode` and the columns of the class labels' file; None: there is none.
        expression: where the cells are; a column of its `obs` that cannot be read is left out.
        labels: of these cells.

    Returns:
        Text, index the barcodes of the labelled cells; blank is not known.

    Examples:
        >>> from anndata import AnnData
        >>> from kpnn.cells import InMemory, LabelSettings, label_cells
        >>> counts = AnnData(pd.DataFrame(np.eye(3), ["c1", "c2", "c3"], ["CD69", "IL2", "LCK"]))
        >>> counts.obs["state"], counts.obs["patient"] = ["rest", "stim", "stim"], ["p1", "p1", "p2"]
        >>> labels = label_cells(None, InMemory(counts), LabelSettings(label="state"))
        >>> batch_columns(None, InMemory(counts), labels)["patient"].to_list()
        ['p1', 'p1', 'p2']
    """
    index = pd.Index(labels.table["barcode"].astype(str), name="barcode")
    found = {} if labels.groups is None else {name: column.reindex(index) for name, column in labels.groups.items()}
    used = {"barcode", labels.label, *labels.outputs, *found}
    mine = [] if table is None else [name for name in table.columns if names_batches(str(name)) and name not in used]
    for name in mine:
        assert table is not None
        by_cell = pd.Series(table[name].to_numpy(dtype=object), index=table["barcode"].astype(str))
        found[name] = by_cell[~by_cell.index.duplicated()].reindex(index)
    theirs = [name for name in expression.cell_columns if names_batches(name) and name not in {*used, *mine}]
    at = expression.locate(index) if theirs else np.zeros(0, dtype=int)
    for name in theirs:
        try:
            texts = np.asarray(expression.cell_column(name), dtype=object)
        except CellsError:
            continue
        found[name] = pd.Series(np.where(at >= 0, texts[at], ""), index=index)
    columns = {str(name): values.fillna("").astype(str).str.strip() for name, values in found.items()}
    return pd.DataFrame({name: values.mask(are_blank(values), "") for name, values in columns.items()}, index=index)


def batches_by_class(
    labels: pd.DataFrame, columns: pd.DataFrame, group_by: str | None = None
) -> tuple[BatchByClass, ...]:
    """Measures how well each column of donors, samples or batches tells the classes of each output.

    Args:
        labels: 0/1, index the barcodes, one column per output.
        columns: as `batch_columns` gives them.
        group_by: the column whose cells stay together in every split.

    Returns:
        One measurement for each column and output; none of a column with one value, or with about as many as cells.

    Examples:
        >>> cells = [f"c{number}" for number in range(12)]
        >>> labels = pd.DataFrame({"TCR": [0, 1] * 6}, index=cells)
        >>> donors = pd.DataFrame({"donor": ["d1", "d2"] * 6}, index=cells)
        >>> [donor] = batches_by_class(labels, donors)
        >>> donor.roc_auc, donor.is_nested
        (1.0, True)
    """
    found = []
    columns = columns.reindex(labels.index, fill_value="")
    groups = None if group_by is None else columns[group_by]
    for name, column in columns.items():
        is_known = (column != "").to_numpy()
        values, codes = np.unique(column.to_numpy(dtype=str)[is_known], return_inverse=True)
        if not 2 <= len(values) <= is_known.sum() / _CELLS_PER_VALUE:
            continue
        # Samples of one donor stay together where donors do.
        together = groups is not None and bool((groups[is_known].groupby(codes).nunique() == 1).all())
        for output, classes in labels.items():
            positive = classes.to_numpy()[is_known] > 0
            area = _roc_auc(codes, positive)
            if np.isfinite(area):
                in_values = [len(np.unique(codes[of_class])) for of_class in (positive, ~positive)]
                is_nested = sum(in_values) == len(values)
                found.append(
                    BatchByClass(str(name), str(output), area, len(values), min(in_values), is_nested, together)
                )
    return tuple(found)


def _roc_auc(codes: np.ndarray, positive: np.ndarray) -> float:
    """ROC-AUC of the class shares of one half of the cells in the other half, mean of both; NaN without two classes.

    In the cells that shares are taken from, any column of many values would tell the classes.

    Args:
        codes: number of each cell's value, shape (n_cells,).
        positive: whether each cell is of class 1, shape (n_cells,).
    """
    in_first = np.random.default_rng(0).permutation(len(codes)) % 2 == 0
    areas = []
    for own in (in_first, ~in_first):
        n_cells = np.bincount(codes[~own], minlength=codes.max() + 1)
        n_positive = np.bincount(codes[~own], positive[~own], minlength=codes.max() + 1)
        share = np.where(n_cells > 0, n_positive / np.maximum(n_cells, 1), positive[~own].mean())
        if len(np.unique(positive[own])) == 2:
            areas.append(float(roc_auc_score(positive[own], share[codes[own]])))
    return float(np.mean(areas)) if areas else float("nan")


def batch_warnings(found: Sequence[BatchByClass]) -> tuple[str, ...]:
    """What is said, with advice, where donor, sample or batch tells the classes apart.

    Args:
        found: what `batches_by_class` returned.

    Returns:
        One sentence for each column that tells the classes of some output, the clearest three named.

    Examples:
        >>> donor = BatchByClass("donor", "TCR", 0.9, 12, 5, is_nested=True, is_kept_together=False)
        >>> print(batch_warnings([donor])[0].partition(":")[0])
        column donor (12 values) alone predicts TCR with ROC-AUC 0.90
    """
    sentences = []
    for column in dict.fromkeys(one.column for one in found):
        telling = [one for one in found if one.column == column and one.tells_classes]
        if not telling:
            continue
        telling.sort(key=lambda one: -one.roc_auc)
        told = ", ".join(f"{one.output} with ROC-AUC {one.roc_auc:.2f}" for one in telling[:_MOST_TOLD])
        more = f" and {len(telling) - _MOST_TOLD} more outputs" if len(telling) > _MOST_TOLD else ""
        sentences.append(
            f"column {column} ({telling[0].n_values} values) alone predicts {told}{more}: a network can learn which "
            f"{column} a cell is of instead of biology; {_advice(column, telling)}"
        )
    return tuple(sentences)


def _advice(column: str, telling: Sequence[BatchByClass]) -> str:
    fewest = min(one.n_of_class for one in telling)
    if fewest >= _ENOUGH:
        return (
            f"set cross_validation.group_by to {column}: its cells then stay together, and nodes are tested within or "
            "between its values"
        )
    if any(one.is_nested for one in telling):
        return (
            f"one class is in {fewest} of its values only and the others are of one class each, so that nothing that "
            "is computed from these cells tells the one from the other"
        )
    return (
        f"one class is in {fewest} of its values, too few for cross_validation.group_by; data_engineering.describe_by: "
        f"[{column}] shows what the nodes do within each"
    )
