"""The project's errors: every one says what was found, where, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable


class KpnnError(Exception):
    """Base of all errors that a user of kpnn can cause and mend."""


class PknError(KpnnError):
    """The prior knowledge network, or a DAG made from it, is not usable as it is."""


class SelectionError(KpnnError):
    """DAG selection cannot be stated, solved or verified."""


class CellsError(KpnnError):
    """Expression, labels or folds are not usable as they are."""


class ModelError(KpnnError):
    """A network cannot be built, trained, loaded or applied to these cells."""


class SettingsError(KpnnError):
    """A parameter has a value that makes no sense."""


def some_names(names: Iterable[object], most: int = 5) -> str:
    """Lists at most `most` names, then says how many more there are.

    Example:
        >>> some_names("abcdefg")
        'a, b, c, d, e and 2 more'
    """
    listed = [str(name) for name in names]
    shown = ", ".join(listed[:most])
    return shown if len(listed) <= most else f"{shown} and {len(listed) - most} more"
