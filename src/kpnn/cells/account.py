"""The account of what matching did, for a person to read."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

_EXAMPLES = 5


@dataclass(frozen=True)
class Step:
    """One step of the matching.

    Attributes:
        name: what was done.
        cells: cells left after it.
        genes: genes (input nodes) left after it.
        dropped: how many it dropped.
        examples: at most five of those dropped.
    """

    name: str
    cells: int
    genes: int
    dropped: int = 0
    examples: tuple[str, ...] = ()


def dropped_step(name: str, cells: int, genes: int, dropped: pd.Index) -> Step:
    """A step with examples of what it dropped."""
    return Step(name, cells, genes, len(dropped), tuple(str(what) for what in dropped[:_EXAMPLES]))
