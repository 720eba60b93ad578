"""How alike two rankings of nodes are: across folds, seeds, DAGs and arms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import spearmanr


@dataclass(frozen=True)
class Agreement:
    """Mean agreement of pairs of rankings.

    Attributes:
        rank_correlation: Spearman's, of absolute weights over the nodes that both have; NaN where fewer than three.
        top_overlap: share of the k largest that both have among theirs.
        chance_overlap: the share that two random rankings of as many nodes would have.
        k: how many were compared at most.
        n_pairs: pairs that shared at least one node.
        n_shared: median number of nodes that a pair shared.

    Examples:
        >>> first, second = pd.Series({"A": 3.0, "B": 2.0, "C": 1.0}), pd.Series({"A": 2.0, "B": -3.0, "C": 1.0})
        >>> found = agreement({"fold 0": first, "fold 1": second}, k=2)
        >>> found.rank_correlation, found.top_overlap, round(found.chance_overlap, 2)
        (0.5, 1.0, 0.67)
    """

    rank_correlation: float
    top_overlap: float
    chance_overlap: float
    k: int
    n_pairs: int
    n_shared: int


def agreement(rankings: Mapping[str, pd.Series], k: int = 10) -> Agreement:
    """Compares every pair of rankings.

    Args:
        rankings: name -> weight by node; they may have different nodes.
        k: size of the top.

    Returns:
        Mean rank correlation and overlap of the tops over all pairs.

    Examples:
        >>> import pandas as pd
        >>> first = pd.Series({"A": 3.0, "B": 2.0, "C": 1.0})
        >>> round(float(agreement({"fold 0": first, "fold 1": first * 2}, k=1).rank_correlation), 3)
        1.0
    """
    return _mean([pair(rankings[a], rankings[b], k) for a, b in combinations(rankings, 2)], k)


def pair(first: pd.Series, second: pd.Series, k: int = 10) -> tuple[float, float, float, int]:
    """Rank correlation, overlap of the top, the overlap that chance gives, and number of shared nodes of two rankings.

    Args:
        first: weight by node; ranked by absolute value.
        second: the same.
        k: size of the top; all shared nodes where they are fewer.
    """
    shared = first.index.intersection(second.index)
    a, b = first.loc[shared].abs(), second.loc[shared].abs()
    if not len(shared):
        return float("nan"), float("nan"), float("nan"), 0
    top = min(k, len(shared))
    both = set(a.nlargest(top).index) & set(b.nlargest(top).index)
    varied = len(shared) > 2 and a.nunique() > 1 and b.nunique() > 1
    correlation = float(spearmanr(a, b).statistic) if varied else float("nan")
    return correlation, len(both) / top, top / len(shared), len(shared)


def _mean(pairs: list[tuple[float, float, float, int]], k: int) -> Agreement:
    usable = [found for found in pairs if found[3] > 0]
    if not usable:
        return Agreement(float("nan"), float("nan"), float("nan"), k, 0, 0)
    correlations = np.array([found[0] for found in usable])
    known = correlations[np.isfinite(correlations)]
    return Agreement(
        float(known.mean()) if len(known) else float("nan"),
        float(np.mean([found[1] for found in usable])),
        float(np.mean([found[2] for found in usable])),
        k,
        len(usable),
        int(np.median([found[3] for found in usable])),
    )
