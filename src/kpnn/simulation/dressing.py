"""What real files have besides the genes that a network knows: others, repeated names, genes that are missing."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from pydantic import Field

from kpnn.settings_base import Settings


class Dressing(Settings):
    """How a simulated file differs from the network's genes.

    Attributes:
        n_foreign: genes in the file that the network does not know.
        n_repeated: genes whose name occurs twice in the file; the second column holds a part of the counts.
        n_unmeasured: genes of the network, none of them predictive, that the file does not have.

    Examples:
        >>> from kpnn.simulation import simulate
        >>> dressing = Dressing(n_foreign=4, n_unmeasured=2)
        >>> data = simulate("single", n_cells=20, n_nodes=5, genes_per_node=3, dressing=dressing)
        >>> data.counts.shape  # 15 genes in the network: two are not measured, four others are
        (20, 17)
    """

    n_foreign: int = Field(default=0, ge=0, le=1_000_000)
    n_repeated: int = Field(default=0, ge=0, le=1_000_000)
    n_unmeasured: int = Field(default=0, ge=0, le=1_000_000)


def dress(
    rng: np.random.Generator, counts: sp.csr_matrix, symbols: list[str], predictive: np.ndarray, dressing: Dressing
) -> tuple[sp.csr_matrix, list[str]]:
    """Adds and removes gene columns.

    Args:
        rng: draws which and what.
        counts: cells x genes.
        symbols: names of the genes.
        predictive: which genes carry the signal and stay, shape (genes,), bool.
        dressing: how many of what.

    Returns:
        The counts and names of the file's columns, in random order.
    """
    others = np.flatnonzero(~predictive)
    removed = rng.choice(others, size=min(dressing.n_unmeasured, max(0, len(others) - 1)), replace=False)
    kept = np.setdiff1d(np.arange(len(symbols)), removed)
    repeated = rng.choice(kept, size=min(dressing.n_repeated, len(kept)), replace=False)
    part = counts[:, repeated].copy()
    part.data = rng.binomial(part.data, 0.4).astype(part.data.dtype)
    part.eliminate_zeros()
    foreign = sp.csr_matrix(rng.poisson(0.5, (counts.shape[0], dressing.n_foreign)).astype(counts.dtype))
    names = [*(symbols[n] for n in kept), *(symbols[n] for n in repeated)]
    names += [f"OTHER{number:04d}" for number in range(dressing.n_foreign)]
    columns = sp.hstack([counts[:, kept], part, foreign], format="csc")
    order = rng.permutation(len(names))
    return columns[:, order].tocsr(), [names[n] for n in order]
