"""The labels of a study, wherever they are: a table of 0/1 columns or of classes, or the cells' own `obs`."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from kpnn.cells.classes import LabelSettings, are_blank, classes_of
from kpnn.cells.expression import Expression
from kpnn.cells.labels import check_class_labels, checked_barcodes, warn_of_independence
from kpnn.cells.matched import DEPTH
from kpnn.errors import CellsError, SettingsError, near_names, some_names

_log = logging.getLogger(__name__)

_MOST_EXCEPTIONS = 0.1
"""Share of the cells up to which those of no class, or of several, are taken for slips."""

_TAKEN = ("barcode", "_index", DEPTH)
"""Names that tables of cells need for themselves."""


@dataclass(frozen=True, eq=False)
class ClassLabels:
    """Labels that can be used.

    Attributes:
        table: `barcode` and one 0/1 column (int8) per output.
        groups: index the barcodes, one column: the donor or sample of each cell; None where cells are independent.
        source: where the labels come from.
        rule: how they were made, in words.
        one_of_k: whether exactly one of several outputs is 1 in every cell.
        of_cell: the class of each cell as the label names it, index the barcodes; None where labels are 0/1 columns.
        label: the column that names the classes; None where labels are 0/1 columns.

    Examples:
        >>> from anndata import AnnData
        >>> from kpnn.cells import InMemory
        >>> cells = InMemory(AnnData(pd.DataFrame(np.eye(3), ["c1", "c2", "c3"], ["CD69", "IL2", "LCK"])))
        >>> table = pd.DataFrame({"barcode": cells.barcodes, "state": ["rest", "stim", "stim"]})
        >>> labels = label_cells(table, cells, LabelSettings(label="state"))
        >>> labels.outputs, labels.rule
        (['stim'], 'label state: stim is 1, rest is 0')
        >>> labels.named({"stim": "TCR"}).outputs
        ['TCR']
    """

    table: pd.DataFrame
    groups: pd.DataFrame | None
    source: str
    rule: str
    one_of_k: bool = False
    of_cell: pd.Series | None = None
    label: str | None = None

    @property
    def outputs(self) -> list[str]:
        """Names of the label columns."""
        return [name for name in self.table.columns if name != "barcode"]

    def named(self, node_of: Mapping[str, str]) -> ClassLabels:
        """The same labels, each column under the name of its output node.

        Args:
            node_of: label column -> node.

        Raises:
            SettingsError: the column of groups has the name of an output, or a node has one that is taken.
        """
        _refuse_taken(node_of.values(), "the network", "call its node otherwise")
        if self.groups is not None and self.groups.columns[0] in node_of.values():
            raise SettingsError(
                f"cross_validation.group_by: {self.groups.columns[0]} is the name of an output; rename one of them"
            )
        return replace(self, table=self.table.rename(columns=dict(node_of)))


def label_cells(
    table: pd.DataFrame | None, expression: Expression, settings: LabelSettings, group_by: str | None = None
) -> ClassLabels:
    """Finds the labels of a study and checks them.

    Args:
        table: `barcode` and further columns of text, as `read_label_table` gives it; None: the cells' `obs` holds the
            labels.
        expression: where the cells are; its `obs` is asked for columns that the table lacks.
        settings: which columns are labels and what their values mean.
        group_by: a column that says which cells belong together (donor, sample), of the table or of `obs`.

    Returns:
        The labels, which rule made them, and the groups.

    Raises:
        CellsError: a column does not exist, or what it holds cannot be used; see `classes_of`, `check_class_labels`.
        SettingsError: parameters contradict each other or the data, or a class has a name that is taken.

    Examples:
        >>> from anndata import AnnData
        >>> from kpnn.cells import InMemory
        >>> counts = AnnData(pd.DataFrame(np.eye(3), ["c1", "c2", "c3"], ["CD69", "IL2", "LCK"]))
        >>> counts.obs["state"], counts.obs["donor"] = ["rest", "stim", "stim"], ["d1", "d1", "d2"]
        >>> labels = label_cells(None, InMemory(counts), LabelSettings(label="state"), group_by="donor")
        >>> labels.table
          barcode  stim
        0      c1     0
        1      c2     1
        2      c3     1
        >>> labels.groups["donor"].to_list()
        ['d1', 'd1', 'd2']
    """
    roles = {} if table is None else dict(table.attrs.get("columns", {}))
    label = _role(settings.label, "label", roles, table) or roles.get("label")
    if label is None:
        found = _of_columns(table, expression, settings, group_by)
    elif settings.outputs is not None:
        raise SettingsError(
            f"data_engineering.outputs names 0/1 columns, but the catalog's class_labels names {label} as the column "
            "of classes; take out one of them"
        )
    elif _role(group_by, "group", roles, table) == label:
        raise SettingsError(
            f"cross_validation.group_by: {label} is the column of the classes themselves; name the column of donors or "
            "samples, or set it to null"
        )
    else:
        found = _of_classes(table, expression, settings, label)
    return replace(found, groups=_groups(found.table["barcode"], table, expression, group_by, roles))


def _role(name: str | None, role: str, roles: Mapping[str, str], table: pd.DataFrame | None) -> str | None:
    """The column that is meant: `label` and `group` may be said as the catalog calls them."""
    is_role = name == role and role in roles and (table is None or name not in table)
    return roles[role] if is_role else name


def _of_classes(table: pd.DataFrame | None, expression: Expression, settings: LabelSettings, label: str) -> ClassLabels:
    in_table = table is not None and label in table
    if in_table:
        assert table is not None
        source = str(table.attrs.get("source", "class labels"))
        values = pd.Series(table[label].to_numpy(dtype=object), index=table["barcode"].astype(str))
    else:
        source = expression.source
        values = pd.Series(_column(table, expression, label, "data_engineering.label"), index=expression.barcodes)
    classes = classes_of(values, settings, label=label, source=source)
    advice = "give it another in data_engineering.classes, as {NAME: [VALUE]}"
    _refuse_taken(classes.labels.columns, f"{source}: label {label}", advice)
    barcodes = checked_barcodes(classes.labels.index.to_series(), source)
    labels = classes.labels.reset_index(drop=True)
    labels.insert(0, "barcode", barcodes.to_numpy(dtype=object))
    return ClassLabels(labels, None, source, classes.rule, classes.one_of_k, classes.of_cell, label)


def _of_columns(
    table: pd.DataFrame | None, expression: Expression, settings: LabelSettings, group_by: str | None
) -> ClassLabels:
    if table is None:
        source = expression.source
        if settings.outputs is None:
            raise SettingsError(
                f"no class labels: name a file in the catalog's class_labels, or a column of the cells of {source} in "
                f"data_engineering.label; {_there_are(expression)}"
            )
        columns = {name: _column(None, expression, name, "data_engineering.outputs") for name in settings.outputs}
        table = pd.DataFrame({"barcode": expression.barcodes.astype(str), **columns})
    else:
        source = str(table.attrs.get("source", "class labels"))
    group = _role(group_by, "group", table.attrs.get("columns", {}), table)
    checked = check_class_labels(table, source, group_by=group, outputs=settings.outputs)
    labels = checked.drop(columns=[] if group is None else group, errors="ignore")
    _refuse_taken(labels.columns[1:], source, "rename the column")
    rule = f"0/1 columns: {some_names(labels.columns[1:], 12)}"
    return ClassLabels(labels, None, source, rule, _exclude_each_other(labels, settings.one_of_k, source))


def _refuse_taken(outputs: Iterable[str], source: str, advice: str) -> None:
    taken = [name for name in outputs if name in _TAKEN]
    if taken:
        raise SettingsError(
            f"{source}: an output cannot be called {some_names(taken)}: tables of cells need {some_names(_TAKEN)} for "
            f"themselves; {advice}"
        )


def _exclude_each_other(labels: pd.DataFrame, asked: bool | None, source: str) -> bool:
    """Whether each cell is of exactly one of several classes, and that counts.

    Args:
        labels: `barcode` and the 0/1 columns.
        asked: whether it must be so; None: it is where there are three columns or more and no exception.
        source: what to call the table in messages.
    """
    columns = labels.drop(columns="barcode")
    in_how_many = columns.sum(axis=1).to_numpy()
    if asked is False:
        if len(columns.columns) > 2 and (in_how_many == 1).all():
            warn_of_independence(source, list(columns.columns))
        return False
    if len(columns.columns) == 1:
        if asked:
            raise SettingsError("data_engineering.one_of_k needs two classes or more; the labels are one 0/1 column")
        return False
    if (in_how_many == 1).all():
        if asked is None and len(columns.columns) == 2:
            return False
        _log.info("%s: each cell is of exactly one of the classes %s: one of k", source, some_names(columns, 12))
        return True
    said = _exceptions(labels["barcode"].to_numpy(), columns, in_how_many)
    if asked:
        raise CellsError(
            f"{source}: data_engineering.one_of_k needs each cell in exactly one of {some_names(columns, 12)}, but "
            f"{said}; mend the labels, or set one_of_k to null for independent outputs"
        )
    if len(columns.columns) > 2:
        # Few exceptions may be slips; many are what the user means.
        is_rare = (in_how_many != 1).mean() <= _MOST_EXCEPTIONS
        _log.log(
            logging.WARNING if is_rare else logging.INFO,
            "%s: outputs are independent, because of the cells %s%s",
            source,
            said,
            "; mend the labels to have one of k, or set data_engineering.one_of_k to false" if is_rare else "",
        )
    return False


def _exceptions(barcodes: np.ndarray, columns: pd.DataFrame, in_how_many: np.ndarray) -> str:
    """Which cells are in no column and which in several."""
    none, several = np.flatnonzero(in_how_many == 0), np.flatnonzero(in_how_many > 1)
    parts = []
    if len(none):
        parts.append(f"{len(none):,} {'is' if len(none) == 1 else 'are'} in none ({some_names(barcodes[none], 3)})")
    if len(several):
        named = [f"{barcodes[row]}: {' and '.join(columns.columns[columns.iloc[row] > 0])}" for row in several[:3]]
        more = "" if len(several) <= 3 else "; ..."
        parts.append(f"{len(several):,} {'is' if len(several) == 1 else 'are'} in several ({'; '.join(named)}{more})")
    return " and ".join(parts)


def _groups(
    barcodes: pd.Series,
    table: pd.DataFrame | None,
    expression: Expression,
    group_by: str | None,
    roles: Mapping[str, str],
) -> pd.DataFrame | None:
    """The group of each labelled cell."""
    if group_by is None:
        if "group" in roles:
            raise SettingsError(
                f"the catalog's class_labels names {roles['group']} as the column of groups, but "
                f"cross_validation.group_by is not set; set it to {roles['group']}, so that its cells stay together"
            )
        return None
    column = _role(group_by, "group", roles, table)
    assert column is not None
    if table is not None and column in table:
        in_table = pd.Series(table[column].astype(str).to_numpy(), index=table["barcode"].astype(str))
        groups = in_table[~in_table.index.duplicated()].reindex(barcodes, fill_value="").to_numpy(dtype=object)
        is_there = np.ones(len(groups), dtype=bool)
    else:
        texts = np.asarray(_column(table, expression, column, "cross_validation.group_by"), dtype=object)
        at = expression.locate(barcodes)
        is_there = at >= 0
        groups = np.where(is_there, texts[at], "")
    blank = is_there & are_blank(pd.Series(groups, dtype=object).astype(str).str.strip()).to_numpy()
    if blank.any():
        groups[blank] = groups[blank][0]
        _log.warning(
            "cross_validation.group_by: %s of %s labelled cells have no %s and count as one group: %s",
            f"{blank.sum():,}",
            f"{len(blank):,}",
            column,
            some_names(barcodes[blank], 3),
        )
    return pd.DataFrame({group_by: groups}, index=pd.Index(barcodes, name="barcode"))


def _column(table: pd.DataFrame | None, expression: Expression, name: str, parameter: str) -> pd.Index:
    """A column of the cells' `obs` as text."""
    if name in expression.cell_columns:
        return expression.cell_column(name)
    in_table = [] if table is None else [str(column) for column in table.columns if column != "barcode"]
    everywhere = [*in_table, *expression.cell_columns]
    near = f"; {near_names(name, everywhere)}" if everywhere else ""
    labels = "" if table is None else f"the class labels have no column {name}, and "
    raise CellsError(f"{parameter}: {labels}the cells of {expression.source} have no column {name}{near}")


def _there_are(expression: Expression) -> str:
    columns = expression.cell_columns
    return f"they have {some_names(columns, 12)}" if columns else "they have none"
