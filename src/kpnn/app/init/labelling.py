"""Which column says the class of a cell and which its donor, and how many cells and donors each class has."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from kpnn.cells import Expression, names_batches
from kpnn.cells.classes import LabelSettings, are_blank, as_texts
from kpnn.cells.labelling import ClassLabels, label_cells
from kpnn.errors import CellsError, near_names, some_names
from kpnn.pipelines.validation import validated

_MOST_CLASSES = 30
"""Values of a column up to which it is offered as a column of classes."""
_TRUTH = ({"0", "1"}, {"false", "true"})


@dataclass(frozen=True)
class Asked:
    """What the user said about the labels.

    Attributes:
        label: the column that names each cell's class; None: the 0/1 columns of the table.
        classes: values that count, in this order, one text with commas between them; empty: all.
        positive: the value that is 1, all others 0.
        group: the column of donors.
    """

    label: str | None = None
    classes: str = ""
    positive: str | None = None
    group: str | None = None


@dataclass(frozen=True)
class LabelLook:
    """What the labels are.

    Attributes:
        parameters: of `data_engineering`: `label`, `classes`, `positive`, `outputs`, where they say something.
        labels: as data engineering will have them.
        notes: what was seen and decided, for a person.
    """

    parameters: dict[str, Any]
    labels: ClassLabels = field(repr=False)
    notes: tuple[str, ...] = ()

    @property
    def sizes(self) -> dict[str, int]:
        """Cells of each class; of 0/1 columns, the cells that are 1."""
        if self.labels.of_cell is not None:
            return {str(name): int(n) for name, n in self.labels.of_cell.value_counts().sort_index().items()}
        return {name: int(self.labels.table[name].sum()) for name in self.labels.outputs}

    @property
    def groups_of_class(self) -> dict[str, int]:
        """In how many groups each class is; empty without groups."""
        if self.labels.groups is None:
            return {}
        of_cell = self.labels.groups.iloc[:, 0]
        if self.labels.of_cell is not None:
            classes = self.labels.of_cell.reindex(of_cell.index)
            return {name: int(of_cell[(classes == name).to_numpy()].nunique()) for name in self.sizes}
        table = self.labels.table.set_index("barcode")
        return {name: int(of_cell[(table[name] == 1).to_numpy()].nunique()) for name in self.labels.outputs}


def look_at_labels(
    table: pd.DataFrame | None, cells: Expression, asked: Asked, ends: Collection[str] = ()
) -> LabelLook:
    """Finds the classes of the cells.

    Args:
        table: `barcode` and further columns of text; None: the cells' own `obs` has the labels.
        cells: the expression file.
        asked: by the user.
        ends: nodes without parents or without children of the network: of two classes the one of such a name is 1.

    Raises:
        CellsError: a column does not exist, or holds no classes; near names are in the message.
        SettingsError: a value does not exist.
    """
    there = [*(() if table is None else table.columns.drop("barcode")), *cells.cell_columns]
    where = cells.source if table is None else table.attrs.get("source", "the class labels")
    for option, name in (("--label", asked.label), ("--group", asked.group)):
        if name is not None and name not in there:
            advice = near_names(name, there) if there else "it has no columns; name a table with --classes-file"
            if table is not None and _headless(table, cells):
                advice = _headless(table, cells)
            elif table is not None and name in set(table["barcode"]):
                advice = f"{name} is a line of it: turn the table, so that it has a line per cell"
            raise CellsError(f"{option} {name}: no such column in {where}; {advice}")
    if table is not None and asked.label is not None and not {asked.label, asked.group} & set(table.columns):
        advice = _headless(table, cells) or "leave the file out, or name one of its columns"
        raise CellsError(f"--classes-file: {where} has no column {asked.label}, which the cells' own obs has; {advice}")
    columns = _Columns(table, cells, tuple(dict.fromkeys(there)))
    if asked.label is None:
        parameters = _columns_of_truth(table, columns, asked, where)
    else:
        parameters = _parameters_of(_filled(columns[asked.label]), asked, ends)
    labels = label_cells(table, cells, validated(LabelSettings, parameters, "data_engineering"), asked.group)
    return LabelLook(parameters, labels, (labels.rule, *_hint(columns, asked)))


def _headless(table: pd.DataFrame, cells: Expression) -> str:
    """What to do where a table has no header, so that a cell stands in its place; else empty."""
    if table.attrs.get("barcodes") not in set(cells.barcodes):
        return ""
    return "its first line is a cell's: put a line with the names of the columns above it"


def _parameters_of(values: pd.Series, asked: Asked, ends: Collection[str]) -> dict[str, Any]:
    """What data engineering must be told about a column of classes; two classes are made explicit."""
    named = _named_values(asked.classes, set(values))
    if not named and asked.positive is None and _is_truth(values):
        # `1` or `True` would be a poor name of an output: what is true is what the column is called.
        false, true = sorted(values.unique(), key=str.lower)
        classes_of = {str(asked.label): [true], f"not {asked.label}": [false]}
        return {"label": asked.label, "classes": classes_of, "positive": asked.label}
    classes = named or sorted(values.unique())
    positive = asked.positive
    if positive is None and len(classes) == 2:
        in_network = [name for name in classes if name in ends]
        positive = in_network[0] if len(in_network) == 1 else classes[-1]
    parameters: dict[str, Any] = {"label": asked.label}
    if named or (len(classes) == 2 and asked.positive is None):
        parameters["classes"] = classes
    return parameters if positive is None else {**parameters, "positive": positive}


def _named_values(text: str, known: set[str]) -> list[str]:
    """The values that a text with commas between them names; a value may hold commas itself, as `T cell, CD4+`."""
    parts, named = [part.strip() for part in text.split(",")], list[str]()
    while parts:
        ends = (end for end in range(len(parts), 1, -1) if ", ".join(parts[:end]) in known)
        end = next(ends, 1)
        named.append(", ".join(parts[:end]))
        parts = parts[end:]
    return [name for name in named if name]


def _columns_of_truth(table: pd.DataFrame | None, columns: _Columns, asked: Asked, where: str) -> dict[str, Any]:
    """The 0/1 columns of a table are labels; where there are none, a label must be named."""
    mine = [] if table is None else [name for name in table.columns if name not in ("barcode", asked.group)]
    truth = [name for name in mine if _is_truth(_filled(columns[name]))]
    if not truth or asked.classes or asked.positive:
        advice = _candidates(columns) if columns.names else "It has no columns; name a table with --classes-file"
        raise CellsError(f"--label is needed: which column of {where} says the class? {advice}")
    # Where nothing else stands in the table, all columns are labels, which is the default.
    return {} if len(truth) == len(mine) else {"outputs": truth}


@dataclass(frozen=True, eq=False)
class _Columns:
    """The columns of the table of labels and of the cells' `obs`, read when they are asked for."""

    table: pd.DataFrame | None
    cells: Expression
    names: tuple[str, ...]

    def __getitem__(self, name: str) -> pd.Series:
        if self.table is not None and name in self.table:
            return self.table[name]
        return pd.Series(list(self.cells.cell_column(name)), dtype=object)


def _filled(column: pd.Series) -> pd.Series:
    """The texts that say something, by the rule of the labels."""
    texts = as_texts(column)
    return texts[~are_blank(texts)]


def _is_truth(values: pd.Series) -> bool:
    return bool(len(values)) and set(values.str.lower()) in _TRUTH


def _hint(columns: _Columns, asked: Asked) -> Iterable[str]:
    """That there seem to be donors, where none are named."""
    if asked.group is not None:
        return ()
    for name in columns.names:
        if name != asked.label and names_batches(name):
            column = columns[name]
            n_groups = _filled(column).nunique()
            if 2 <= n_groups <= len(column) / 3:
                return (f"column {name} ({n_groups} values) may be the donor: --group {name} keeps its cells together",)
    return ()


def _candidates(columns: _Columns) -> str:
    told = []
    for name in columns.names:
        column = columns[name]
        values = sorted(_filled(column).unique())
        if 2 <= len(values) <= min(_MOST_CLASSES, len(column) / 2):
            told.append(f"{name} ({some_names(values, 3)})")
    return f"Perhaps {some_names(told)}" if told else f"There are {some_names(columns.names)}"
