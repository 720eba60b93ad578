"""From a column that names each cell's class to 0/1 labels."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import pandas as pd
from pydantic import Field, field_validator, model_validator

from kpnn.cells.labels import spelt_alike, warn_of_independence
from kpnn.errors import CellsError, SettingsError, near_names, some_names
from kpnn.settings_base import Settings

_log = logging.getLogger(__name__)

_BLANK = frozenset({"", "nan", "na", "n/a", "<na>", "null"})
"""Values that say that nobody knows the class, in lower case; `none` is a treatment as often as not."""

_TRUTH_WORDS = {"True": ("true", "yes", "on", "1"), "False": ("false", "no", "off", "0")}
"""YAML takes `yes` and `no` for truth values; how they may be spelt in the data."""

_FEW_CLASSES = 20
"""Up to so many values a column may name classes, however few cells there are."""
OTHER = "other"


class LabelSettings(Settings):
    """Which columns are labels and what their values mean.

    Attributes:
        outputs: the 0/1 columns that are labels, in this order; None: all.
        label: a column that names each cell's class, of the table of labels or of the cells' `obs`; None: labels are
            0/1 columns.
        classes: the values of `label` that count, in this order, or the classes with the values that each is made of;
            None: all that occur.
        positive: the class that is 1 where all others are 0, which makes one output.
        rest: what becomes of cells with other values than those of `classes`: `drop`, or one more class, `other`.
        one_of_k: whether classes exclude each other; None: the labels tell.

    Examples:
        >>> settings = LabelSettings(label="cell_type", classes={"T": ["CD4", "CD8"], "B": ["B"]}, positive="T")
        >>> settings.values_of_class
        {'T': ('CD4', 'CD8'), 'B': ('B',)}
    """

    outputs: tuple[str, ...] | None = None
    label: str | None = Field(None, min_length=1)
    classes: tuple[str, ...] | dict[str, tuple[str, ...]] | None = None
    positive: str | None = None
    rest: Literal["drop", "other"] = "drop"
    one_of_k: bool | None = None

    @field_validator("classes", mode="before")
    @classmethod
    def _as_texts(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            of_class = {_text(name): members for name, members in value.items()}
            return {
                name: [_text(one) for one in (members if isinstance(members, list | tuple) else [members])]
                for name, members in of_class.items()
            }
        return [_text(one) for one in value] if isinstance(value, list | tuple) else value

    @field_validator("positive", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        return value if value is None else _text(value)

    @model_validator(mode="after")
    def _make_sense_together(self) -> Self:
        if self.label is None:
            for name in ("classes", "positive"):
                if getattr(self, name) is not None:
                    raise ValueError(f"{name} are values of `label`, the column that names each cell's class: set it")
        elif self.outputs is not None:
            raise ValueError("outputs names 0/1 columns and label a column of classes: set one of them to null")
        if self.rest == "other" and self.classes is None:
            raise ValueError("rest: other needs `classes`: without them there is no other value")
        if self.classes is not None and not self.classes:
            raise ValueError("classes is empty; null means all values of `label`")
        if self.positive is not None and self.one_of_k:
            raise ValueError("positive makes one output, one_of_k one for each class: set one of them to null")
        classes = self.classes or ()
        listed = [one for values in classes.values() for one in values] if isinstance(classes, dict) else list(classes)
        twice = sorted({value for value in listed if listed.count(value) > 1})
        if twice:
            raise ValueError(f"classes: {some_names(twice)} occurs more than once")
        return self

    @property
    def values_of_class(self) -> dict[str, tuple[str, ...]]:
        """The values that each named class is made of; empty where no classes are named."""
        if self.classes is None:
            return {}
        return dict(self.classes) if isinstance(self.classes, dict) else {name: (name,) for name in self.classes}


@dataclass(frozen=True, eq=False)
class Classes:
    """The classes that a column names, as 0/1 labels.

    Attributes:
        labels: int8, index the barcodes, one column per output.
        of_cell: the class of each labelled cell, index the barcodes.
        one_of_k: whether exactly one of several outputs is 1 in every cell.
        rule: how they were made, in words.
    """

    labels: pd.DataFrame
    of_cell: pd.Series
    one_of_k: bool
    rule: str


def classes_of(values: pd.Series, settings: LabelSettings, *, label: str, source: str) -> Classes:
    """Makes 0/1 labels of the classes that a column names.

    Args:
        values: the column as text, index the barcodes. Blank: unlabelled, and left out.
        settings: which values count and what they mean.
        label: name of the column.
        source: what to call its table in errors.

    Raises:
        CellsError: no cell is labelled, values differ only by case or blanks, or there are not two classes or more
            (or far too many).
        SettingsError: a named class or value is not among the values.
    """
    where = f"{source}: label {label}"
    texts = as_texts(values)
    asked = {value for members in settings.values_of_class.values() for value in members} | {settings.positive}
    known = texts[~are_blank(texts) | texts.isin(asked)]
    if known.empty:
        raise CellsError(f"{where}: is blank in all {len(texts):,} cells")
    if len(known) < len(texts):
        _log.info("%s: %s of %s cells are not labelled", where, f"{len(texts) - len(known):,}", f"{len(texts):,}")
    sizes = known.value_counts()
    _refuse_spellings(sizes, where)
    of_cell, names = _grouped(known, sizes, settings, where)
    if settings.positive is None and settings.classes is None:
        _refuse_numbers(sizes, len(known), where)
    if len(names) < 2:
        n_others = len(known) - len(of_cell)
        left = (
            f"; {n_others:,} cells are left out because data_engineering.classes names this class only: `positive: "
            f"{names[0]}` without classes sets it against all others"
        )
        raise CellsError(
            f"{where}: all {len(of_cell):,} cells are of one class, {names[0]}; a network needs two to tell apart"
            f"{left if n_others else ''}"
        )
    positive = _positive(names, settings, where)
    if positive is None:
        labels = pd.DataFrame({name: (of_cell == name).astype("int8") for name in names})
        exclusive = settings.one_of_k is not False
        if not exclusive:
            warn_of_independence(where, names)
        _log.info("%s: %d classes%s", where, len(names), ", of which each cell has one" if exclusive else "")
        kind = "which exclude each other" if exclusive else "each by itself"
        rule = f"label {label}: {len(names)} classes, {kind}: {some_names(names, 12)}"
        return Classes(labels, of_cell, exclusive, rule)
    others = [name for name in names if name != positive]
    rule = f"label {label}: {positive} is 1, {some_names(others, 12)} {'is' if len(others) == 1 else 'are'} 0"
    return Classes(pd.DataFrame({positive: (of_cell == positive).astype("int8")}), of_cell, False, rule)


def _positive(names: list[str], settings: LabelSettings, where: str) -> str | None:
    """The class that is 1 where there is one output; None where each class has an output."""
    if settings.positive is not None:
        found = _spelt_as(settings.positive, names)
        if found is None:
            raise SettingsError(
                f"data_engineering.positive: {settings.positive} is none of the classes ({where}); "
                f"{near_names(settings.positive, names)}"
            )
        return found
    if len(names) > 2 or settings.one_of_k:
        return None
    # One class that is named beside all the rest is what is asked for; else the later of two, as 1 comes after 0.
    is_beside_rest = settings.rest == "other" and len(settings.values_of_class) == 1
    positive, other = names if is_beside_rest else reversed(names)
    _log.info("%s: %s is 1 and %s is 0; data_engineering.positive: %s swaps them", where, positive, other, other)
    return positive


def _grouped(known: pd.Series, sizes: pd.Series, settings: LabelSettings, where: str) -> tuple[pd.Series, list[str]]:
    """The class of each cell that has one, and the classes in their order."""
    if settings.classes is None:
        return known, sorted(sizes.index)
    class_of, absent = {}, []
    for name, members in settings.values_of_class.items():
        for value in members:
            found = _spelt_as(value, sizes.index)
            if found is None:
                absent.append(value)
            else:
                class_of[found] = found if (value,) == members and value == name else name
    if absent:
        raise SettingsError(
            f"data_engineering.classes: no cell has {some_names(absent)} ({where}); "
            f"{near_names(absent[0], sizes.index)}"
        )
    names = list(dict.fromkeys(class_of.values()))
    left = sizes[~sizes.index.isin(class_of)]
    if left.empty:
        return known.map(class_of), names
    said = some_names([f"{value} ({count:,})" for value, count in left.items()])
    if settings.rest == "other":
        _log.info("%s: %s cells are of class %s: %s", where, f"{left.sum():,}", OTHER, said)
        return known.map(class_of).fillna(OTHER), list(dict.fromkeys([*names, OTHER]))
    _log.info("%s: %s cells of other values are left out: %s", where, f"{left.sum():,}", said)
    return known[known.isin(class_of)].map(class_of), names


def _spelt_as(value: str, known: Iterable[str]) -> str | None:
    """A value as the data spell it; None where they do not have it."""
    names = list(known)
    if value in names:
        return value
    alike = [name for name in names if name.lower() in _TRUTH_WORDS.get(value, ())]
    return alike[0] if len(alike) == 1 else None


def as_texts(values: pd.Series) -> pd.Series:
    """A column as the texts that classes are told by; whole numbers that a missing entry made into fractions are whole.

    Args:
        values: of any type.
    """
    texts = values.astype(str).str.strip()
    given = texts[~are_blank(texts)]
    if len(given) and given.str.fullmatch(r"-?\d+\.0").all():
        return texts.str.removesuffix(".0")
    return texts


def are_blank(texts: pd.Series) -> pd.Series:
    """Which texts stand for nothing known: the one rule for classes and for groups.

    Args:
        texts: without blanks around them.
    """
    return texts.str.lower().isin(_BLANK)


def _refuse_spellings(sizes: pd.Series, where: str) -> None:
    alike = spelt_alike(list(sizes.index))
    if alike:
        counted = " and ".join(f"{value!r} ({sizes[value]:,} cells)" for value in alike)
        raise CellsError(f"{where}: {counted} differ only by case or blanks; make them one value")


def _refuse_numbers(sizes: pd.Series, n_cells: int, where: str) -> None:
    if len(sizes) > max(_FEW_CLASSES, n_cells / 10):
        raise CellsError(
            f"{where}: {len(sizes):,} values in {n_cells:,} cells ({some_names(sizes.index, 3)}) are not classes; name "
            "another column, or those that count in data_engineering.classes"
        )


def _text(value: Any) -> str:
    """A value of YAML as a table would spell it."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()
