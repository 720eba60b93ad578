"""What kind of numbers a matrix holds: counts, normalized counts, their logarithms, or scaled values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

Kind = Literal["counts", "normalized", "logarithms", "scaled", "nothing"]

FEW_WHOLE = 0.01
"""Share of whole numbers above which values are counts, estimated ones too; normalized values are whole by chance."""

_MOST_BY_ROUNDING = (0.3, 0.03)
"""Largest share of whole numbers among values that were rounded to one and to two decimals: a tenth, a hundredth."""

# log1p of ten million; counts per ten thousand or per million go beyond it in some gene of some cell.
LARGEST_LOGARITHM = 16.2

_BEST_FIRST: tuple[Kind, ...] = ("counts", "normalized", "logarithms")


def kind_of(values: np.ndarray) -> Kind:
    """Tells what kind of numbers these are.

    Args:
        values: some values of a matrix, of any shape; zeros and values that are not finite are ignored.
    """
    flat = np.asarray(values).ravel()
    told = flat[np.isfinite(flat) & (flat != 0)]
    if not len(told):
        return "nothing"
    if (told < 0).any():
        return "scaled"
    if are_counts(told):
        return "counts"
    return "logarithms" if told.max() < LARGEST_LOGARITHM else "normalized"


def are_counts(values: np.ndarray) -> bool:
    """Whether enough of some values other than zero are whole numbers: more than rounding makes so by chance."""
    share = float((values == np.rint(values)).mean())
    if not FEW_WHOLE < share < _MOST_BY_ROUNDING[0]:
        return share > FEW_WHOLE
    for decimals, most in enumerate(_MOST_BY_ROUNDING, 1):
        tenths = values.astype(np.float64) * 10**decimals
        if np.allclose(tenths, np.rint(tenths), rtol=0, atol=1e-3):
            return share > most
    return True


def most_like_counts(kinds: Mapping[str, Kind]) -> str:
    """The matrix to take of several: counts, else what was normalized, else logarithms; `X` where nothing can be used.

    Of several of one kind, `X` goes before a layer that is called counts, that before `raw`, that before the others.

    Args:
        kinds: name of each matrix (`X`, `raw`, layers) -> what it holds.
    """

    def place(name: str) -> int:
        return {"X": 0, "raw": 2}.get(name, 1 if "count" in name.lower() else 3)

    for wanted in _BEST_FIRST:
        found = [name for name, kind in kinds.items() if kind == wanted]
        if found:
            return min(found, key=place)
    return "X" if "X" in kinds else next(iter(kinds), "X")


def choice_in_words(kinds: Mapping[str, Kind], chosen: str) -> str:
    """Says which matrix was chosen, and which ones were not."""
    others = ", ".join(f"{name} ({kind})" for name, kind in kinds.items() if name != chosen)
    return f"values: auto takes {chosen} ({kinds.get(chosen, 'nothing')})" + (f" and not {others}" if others else "")
