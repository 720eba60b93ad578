"""The project's errors: every one says what was found, where, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class KpnnError(Exception):
    """Base of all errors that a user of kpnn can cause and mend."""


class PknError(KpnnError):
    """The prior knowledge network, or a DAG made from it, is not usable as it is."""


class UndirectedError(PknError):
    """Edges have no direction, and nothing says what is to become of them."""


class SelectionError(KpnnError):
    """DAG selection cannot be stated, solved or verified."""


class CellsError(KpnnError):
    """Expression, labels or folds are not usable as they are."""


class GenomeError(CellsError):
    """A file holds several genomes, or not the one that is asked for."""


class NoMatrixError(CellsError):
    """A file does not hold the matrix that is asked for."""


class ModelError(KpnnError):
    """A network cannot be built, trained, loaded or applied to these cells."""


class SettingsError(KpnnError):
    """A parameter has a value that makes no sense."""


class DiskFullError(KpnnError):
    """A file cannot be written, since nothing is left of the disk or of the user's share of it."""


def some_names(names: Iterable[object], most: int = 5) -> str:
    """Lists at most `most` names, then says how many more there are.

    Examples:
        >>> some_names("abcdefg")
        'a, b, c, d, e and 2 more'
    """
    listed = [str(name) for name in names]
    shown = ", ".join(listed[:most])
    return shown if len(listed) <= most else f"{shown} and {len(listed) - most} more"


def near_names(name: str, known: Iterable[str]) -> str:
    """Advice to whoever misspelt a name: the nearest existing one, else some of them.

    Args:
        name: as it was written.
        known: the existing names.
    """
    names = [str(one) for one in known]
    by_lower = {one.lower(): one for one in reversed(names)}
    near = get_close_matches(name, names, n=1)
    near = near or [by_lower[one] for one in get_close_matches(name.lower(), by_lower, n=1)]
    return f"did you mean {near[0]}?" if near else f"there are {some_names(names, 12)}"
