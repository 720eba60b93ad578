"""Does a node's activity, as the networks use it, differ between the classes in cells that they never saw?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import norm, rankdata

from kpnn.interpretation import between_groups
from kpnn.interpretation.between_groups import FoldOfGroups, compare_groups
from kpnn.interpretation.dependent_folds import p_values

_STRATA, _CELLS_PER_STRATUM = 5, 4
"""Most strata of depth, and cells of the rarer class that each has on average: fewer would tell little."""
_DEGREE, _CELLS_PER_TERM = 3, 10
"""Of the polynomial in depth, and the cells that each of its terms asks for."""
_SMALLEST_P = 1e-300
"""Below it no p-value is turned into z, which would be infinite."""
_POWER = 0.8
"""Share of studies in which the smallest visible effect would be found."""


@dataclass(frozen=True, eq=False)
class HeldOutEvidence:
    """What the held-out cells of one fold say about the neurons of its network, for one output.

    Attributes:
        activations: shape (n_cells, n_neurons).
        gradient: mean change of the output's probability per change of each neuron, shape (n_neurons,).
        labels: 0/1, shape (n_cells,).
        groups: name or number of each cell's donor or sample, shape (n_cells,); None: cells are independent.
        repeat: of cross-validation.
        depth: sum of each cell's counts, shape (n_cells,); None: not known.

    Examples:
        >>> activations = np.array([[0.1, 0.5], [0.2, 0.1], [0.8, 0.4], [0.9, 0.3]])
        >>> evidence = HeldOutEvidence(activations, gradient=np.array([0.3, 0.1]), labels=np.array([0, 0, 1, 1]))
        >>> evidence.difference.round(2).tolist()
        [0.7, 0.05]
    """

    activations: np.ndarray
    gradient: np.ndarray
    labels: np.ndarray
    groups: np.ndarray | None = None
    repeat: int = 0
    depth: np.ndarray | None = None

    @property
    def difference(self) -> np.ndarray:
        """Mean activation in class 1 less that in class 0, shape (n_neurons,); 0 where there is one class only."""
        positive = self.labels > 0
        if positive.all() or not positive.any():
            return np.zeros(self.activations.shape[1])
        return self.activations[positive].mean(axis=0) - self.activations[~positive].mean(axis=0)


def together(members: Sequence[HeldOutEvidence]) -> HeldOutEvidence:
    """The evidence of several networks on the same cells as that of one.

    Its activations are the means over networks of each cell's rank by gradient times activation, from 0 to 1: in that
    product a neuron speaks for the output whichever sign it has in a network. As ranks, networks count alike. In the
    units of the product the few that make most of a neuron would decide, and where it tells nothing that is chance.

    Args:
        members: of the networks of one fold, for one output.
    """
    if len(members) == 1:
        return members[0]
    n_cells = len(members[0].labels)
    ranks = np.mean([rankdata(_used(one), axis=0) / (n_cells + 1) for one in members], axis=0)
    return replace(members[0], activations=ranks, gradient=np.ones(ranks.shape[1]))


def _used(evidence: HeldOutEvidence) -> np.ndarray:
    """Gradient times activation of each neuron in each cell, scaled to at most 1 in size; cells x neurons.

    Sums in another order differ in the last digits: what is equal must count as equal.
    """
    used = evidence.activations * evidence.gradient
    largest = np.abs(used).max(axis=0, initial=0.0)
    return np.round(np.divide(used, largest, out=np.zeros_like(used), where=largest > 0), 10)


def contribution(evidence: HeldOutEvidence) -> np.ndarray:
    """How much higher each neuron makes the prediction in class 1 than in class 0, shape (n_neurons,).

    That is its gradient times the difference of its mean activation between the classes: positive where the network's
    use of the neuron is right in cells that it has not seen.
    """
    return evidence.gradient * evidence.difference


@dataclass(frozen=True, eq=False)
class ActivityTest:
    """Whether neurons' activities differ between the classes in unseen cells, as the networks use them.

    Attributes:
        z: standard normal where a neuron and the class have nothing to do with each other, shape (n_neurons,).
        p_value: one-sided, shape (n_neurons,).
        by_fold: z of every fold by itself, shape (n_folds, n_neurons).
        roc_auc: with which the activity tells the classes of unseen cells apart, adjusted for depth and within groups,
            mean over folds, shape (n_neurons,); NaN where no fold can compare classes.
        z_per_roc_auc: how much z grows, on average, per unit of ROC-AUC above 0.5; 0 where nothing can be compared.
        degrees: of freedom, where groups of one class each are the observations and `z_per_roc_auc` is t's, near 0.5.

    Examples:
        >>> labels = np.array([0, 1] * 30)
        >>> activations = np.column_stack([np.arange(60.0) + 20 * labels])
        >>> tested = activity_test([HeldOutEvidence(activations, np.array([0.3]), labels)] * 5)
        >>> tested.roc_auc.round(2), tested.p_value < 0.01
        (array([0.79]), array([ True]))
        >>> round(tested.smallest_visible(n_nodes=1, level=0.05), 2), round(tested.smallest_visible(100, 0.05), 2)
        (0.62, 0.7)
    """

    z: np.ndarray
    p_value: np.ndarray
    by_fold: np.ndarray
    roc_auc: np.ndarray
    z_per_roc_auc: float
    degrees: float = np.inf

    def smallest_visible(self, n_nodes: int, level: float) -> float:
        """The ROC-AUC that a single node's activity would need to be found in four studies of five.

        Args:
            n_nodes: how many are tested together.
            level: false discovery rate; a node that differs alone must pass this over the number of nodes.

        Returns:
            From 0.5 to 1; NaN where no ROC-AUC would be enough.
        """
        of_one = level / max(n_nodes, 1)
        if self.z_per_roc_auc and np.isfinite(self.degrees):
            return between_groups.smallest_visible(self.degrees, self.z_per_roc_auc, of_one, _POWER)
        needed = norm.isf(of_one) + norm.isf(1 - _POWER)
        smallest = 0.5 + needed / self.z_per_roc_auc if self.z_per_roc_auc else np.inf
        return float(smallest) if smallest <= 1 else float("nan")


def activity_test(folds: Sequence[HeldOutEvidence], n_genes: np.ndarray | None = None) -> ActivityTest:
    """Tests every neuron's activity in cells that its networks never saw.

    In each fold, cells are ranked by the neuron's activity, the way round that the network uses it (of several: see
    `together`). The rank sum of class 1 is standardized by its exact mean and variance over all permutations of the
    labels (Wilcoxon 1945; within groups: van Elteren 1960). Where every group is of one class, groups are the
    observations: those of one fold exchange it as wholes, those of several are compared over all folds (see
    `between_groups.compare_groups`).

    Where the cells' depth is known, what it explains of the activity is taken off first; cells exchange their classes
    only with cells of about their depth (Hodges & Lehmann 1962: aligned ranks). However counts are scaled, detection
    and variance go with depth, and where one class is sequenced deeper every node would seem to differ.

    The z of K folds are added up. They are not independent: each fold's networks learned, from the other folds' labels,
    which way round and on which genes a neuron speaks. For contrasts d_f of independent folds and networks that learn
    the direction sum(d_g, g != f), the sum is a degenerate U-statistic, every pair of folds counts twice in it and its
    variance is 2K, not K. So it is divided by sqrt(2K), which holds the level from one direction (a neuron that can
    only be turned round) to hundreds; with few it has a lighter tail (see `dependent_folds.p_values`). Repeats saw the
    same cells; their z are averaged.

    Args:
        folds: evidence of every fold, the neurons in the same order.
        n_genes: number of genes below each neuron, directly or through others, shape (n_neurons,); None: not known.

    Returns:
        z and p of every neuron and output.

    Examples:
        >>> labels = np.array([0, 1] * 6)
        >>> activations = np.column_stack([np.arange(12.0) + 9 * labels, np.arange(12.0)])
        >>> fold = HeldOutEvidence(activations, gradient=np.array([0.3, -0.1]), labels=labels)
        >>> tested = activity_test([fold, fold, fold])
        >>> tested.z.round(2), tested.roc_auc.round(2)
        (array([ 3.44, -0.59]), array([0.99, 0.42]))
        >>> tested.p_value < 0.01
        array([ True, False])
    """
    found = [_test(fold) for fold in folds]
    by_fold = np.stack([one.z for one in found])
    n_neurons, repeats = by_fold.shape[1], np.array([fold.repeat for fold in folds])
    of_repeats = []
    for repeat in np.unique(repeats):
        places = [place for place in np.flatnonzero(repeats == repeat).tolist() if found[place].compared]
        compared = [found[place] for place in places]
        if len(places) > 1 and all(one.between is not None for one in compared):
            of_repeat, by_fold[places] = _between_groups(compared)
            of_repeats.append(of_repeat)
        elif places:
            of_repeats.append(_over_folds(compared, n_genes))
    if not of_repeats:
        return ActivityTest(np.zeros(n_neurons), np.ones(n_neurons), by_fold, np.full(n_neurons, np.nan), 0.0)
    z, as_normal = (np.mean([getattr(one, name) for one in of_repeats], axis=0) for name in ("z", "as_normal"))
    return ActivityTest(
        z=z,
        p_value=np.where((by_fold == 0).all(axis=0), 1.0, norm.sf(as_normal)),
        by_fold=by_fold,
        roc_auc=np.mean([one.roc_auc for one in found if one.compared], axis=0),
        z_per_roc_auc=float(np.mean([one.z_per_roc_auc for one in of_repeats])),
        degrees=min(one.degrees for one in of_repeats),
    )


@dataclass(frozen=True, eq=False)
class _OfRepeat:
    """What all folds of a repeat say together, shape (n_neurons,).

    Attributes:
        z: how far from nothing.
        as_normal: what is as surprising in a standard normal, z less half the step between its values considered.
        z_per_roc_auc: growth of z per unit of ROC-AUC.
        degrees: of freedom.
    """

    z: np.ndarray
    as_normal: np.ndarray
    z_per_roc_auc: float
    degrees: float = np.inf


def _over_folds(found: Sequence[_FoldTest], n_genes: np.ndarray | None) -> _OfRepeat:
    n_folds = len(found)
    scale = np.sqrt(n_folds * (2.0 if n_folds > 1 else 1.0))
    z = sum(one.z for one in found) / scale
    half_step = np.mean([one.half_step for one in found], axis=0) / scale
    corrected = z - half_step
    as_normal = corrected
    if n_folds > 1:
        by_chance = p_values(corrected, n_folds, n_genes)
        as_normal = np.where(corrected > 0, norm.isf(np.maximum(by_chance, _SMALLEST_P)), corrected)
    return _OfRepeat(z, as_normal, sum(one.z_per_roc_auc for one in found) / scale)


def _between_groups(found: Sequence[_FoldTest]) -> tuple[_OfRepeat, np.ndarray]:
    """Also z of each fold by itself, shape (n_folds, n_neurons)."""
    groups, by_cells = zip(*(one.between for one in found if one.between is not None), strict=True)
    tested = compare_groups(groups, np.stack(by_cells))
    return _OfRepeat(tested.z, tested.z, tested.z_per_roc_auc, tested.degrees), tested.by_fold


@dataclass(frozen=True, eq=False)
class _FoldTest:
    """A fold's z of every neuron, half the step between neighbouring z, and ROC-AUC, each of shape (n_neurons,).

    Attributes:
        z_per_roc_auc: growth of z per unit of ROC-AUC.
        compared: whether there are classes to compare.
        between: where every group is of one class, its groups by the ranks of their cells (so all folds have one
            scale), and z if its cells were independent; else None.
    """

    z: np.ndarray
    half_step: np.ndarray
    roc_auc: np.ndarray
    z_per_roc_auc: float
    compared: bool
    between: tuple[FoldOfGroups, np.ndarray] | None = None


def _test(fold: HeldOutEvidence) -> _FoldTest:
    """Compares the classes of one fold, within its groups or, where each of these is of one class, between them."""
    used, positive = _beside_depth(fold), fold.labels > 0
    n_neurons = used.shape[1]
    if fold.groups is None:
        return _rank_test([_block(used, positive, fold.depth)], n_neurons)
    _, first, group_of = np.unique(fold.groups, return_index=True, return_inverse=True)
    of_groups = [group_of == group for group in range(len(first))]
    if (fold.labels != fold.labels[first[group_of]]).any():
        depths = (None if fold.depth is None else fold.depth[own] for own in of_groups)
        blocks = (_block(used[own], positive[own], depth) for own, depth in zip(of_groups, depths, strict=True))
        return _rank_test(blocks, n_neurons)
    # Ranked once, for both questions that are put to the cells: how groups differ, and how sure they could be.
    by_cells = _block(used, positive, fold.depth)
    ranks = by_cells.ranks / (len(group_of) + 1)
    groups = FoldOfGroups(_means(ranks, of_groups), positive[first])
    between_means = _rank_test([_block(_means(used, of_groups), positive[first], None)], n_neurons)
    return replace(between_means, between=(groups, _rank_test([by_cells], n_neurons).z))


def _means(values: np.ndarray, of_groups: Sequence[np.ndarray]) -> np.ndarray:
    """Means over the cells of each group, shape (n_groups, n_neurons); what is equal stays equal."""
    return np.round(np.stack([values[own].mean(axis=0) for own in of_groups]), 10)


def _rank_test(blocks: Iterable[_Block], n_neurons: int) -> _FoldTest:
    above, variance, areas = np.zeros((3, n_neurons))
    smallest_step, n_pairs, shift, spread = np.inf, 0, 0.0, 0.0
    for block in blocks:
        n, n_positive = len(block.positive), int(block.positive.sum())
        step = 1 / (n + 1)
        ranks = step * block.ranks
        areas += ranks[block.positive].sum(axis=0) / step - n_positive * (n_positive + 1) / 2
        n_pairs += n_positive * (n - n_positive)
        if n_positive in (0, n):
            continue
        smallest_step = min(smallest_step, step)
        for stratum in np.unique(block.strata):
            of_stratum, positive = ranks[block.strata == stratum], block.positive[block.strata == stratum]
            m, m_positive = len(positive), int(positive.sum())
            if m_positive in (0, m):
                continue
            weight = m_positive * (m - m_positive) / m
            above += of_stratum[positive].sum(axis=0) - m_positive * of_stratum.mean(axis=0)
            variance += weight * of_stratum.var(axis=0, ddof=1)
            shift, spread = shift + weight * n * step, spread + weight * step**2 * n * (n + 1) / 12
    known = variance > 1e-12
    sd = np.sqrt(np.where(known, variance, 1.0))
    compared = spread > 0
    return _FoldTest(
        z=np.where(known, above / sd, 0.0),
        half_step=np.where(known, smallest_step / 2 / sd, 0.0) if compared else np.zeros(len(sd)),
        roc_auc=areas / n_pairs if n_pairs else np.full(len(sd), np.nan),
        z_per_roc_auc=shift / np.sqrt(spread) if compared else 0.0,
        compared=compared,
    )


def _beside_depth(fold: HeldOutEvidence) -> np.ndarray:
    """What neurons are used for in each cell, without what depth explains of it where that is known."""
    used = _used(fold)
    return used if fold.depth is None else np.round(adjusted_for_depth(used, fold.depth), 10)


def adjusted_for_depth(values: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """What a smooth function of depth leaves unexplained: residuals of values on a polynomial in the rank of depth.

    No class is looked at, so exchanging classes among cells of equal depth stays exact.

    Args:
        values: shape (n_cells, n_columns).
        depth: sum of each cell's counts, shape (n_cells,).
    """
    degree = min(_DEGREE, len(depth) // _CELLS_PER_TERM)
    terms = np.vander(rankdata(depth) / (len(depth) + 1) - 0.5, degree + 1)
    return values - terms @ np.linalg.lstsq(terms, values, rcond=None)[0]


@dataclass(frozen=True, eq=False)
class _Block:
    """Observations that are ranked together, of which those in the same stratum exchange their classes.

    Attributes:
        ranks: of each neuron's values, from 1, shape (n, n_neurons).
        positive: whether each is of class 1, shape (n,).
        strata: shape (n,).
    """

    ranks: np.ndarray
    positive: np.ndarray
    strata: np.ndarray


def _block(values: np.ndarray, positive: np.ndarray, depth: np.ndarray | None) -> _Block:
    return _Block(rankdata(values, axis=0), positive, _depth_strata(positive, depth))


def _depth_strata(positive: np.ndarray, depth: np.ndarray | None) -> np.ndarray:
    """Strata of as many cells each by depth, as many strata as the rarer class has cells for; one where not known."""
    n = len(positive)
    rarer = min(int(positive.sum()), n - int(positive.sum()))
    n_strata = min(_STRATA, rarer // _CELLS_PER_STRATUM)
    strata = np.zeros(n, dtype=int)
    if depth is not None and n_strata > 1:
        strata[np.argsort(depth, kind="stable")] = np.arange(n) * n_strata // n
    return strata
