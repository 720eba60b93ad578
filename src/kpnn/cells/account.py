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

    Examples:
        >>> from anndata import AnnData
        >>> from kpnn.cells import InMemory, match
        >>> counts = AnnData(pd.DataFrame([[3.0, 0.0], [1.0, 5.0]], ["c1", "c2"], ["CD69", "IL2"]))
        >>> labels = pd.DataFrame({"barcode": ["c1", "c2"], "TCR": [0, 1]})
        >>> for step in match(InMemory(counts), labels, ["CD69", "LCK"]).steps:
        ...     print(step.name, step.cells, step.genes, step.examples)
        in the expression file 2 2 ()
        labelled cells 2 2 ()
        columns of genes in the network 2 1 ('LCK',)
        repeated genes joined (max) 2 1 ()
        genes seen in at least 1 cell 2 1 ()
    """

    name: str
    cells: int
    genes: int
    dropped: int = 0
    examples: tuple[str, ...] = ()


def dropped_step(name: str, cells: int, genes: int, dropped: pd.Index) -> Step:
    """A step with examples of what it dropped."""
    return Step(name, cells, genes, len(dropped), tuple(str(what) for what in dropped[:_EXAMPLES]))
