"""The plain baseline that a network's node ranking has to beat: do a node's own genes differ between the classes?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix
from scipy.stats import norm, rankdata

from kpnn.interpretation.trained_fold import expression_for
from kpnn.pkn import Dag
from kpnn.pkn.graph import children_by_parent, reached_names
from kpnn.training.data import LabelledCells

_DRAWS = 2000
"""Random sets of each size: p-values are known in steps of 0.0005."""


def enrichment(dag: Dag, cells: LabelledCells, seed: int) -> pd.DataFrame:
    """Mean absolute t of each hidden node's genes, how far and how rarely it is above that of as many random genes.

    A node's genes are those directly below it, or all genes below it where it has none of its own. No network is asked:
    the baseline knows which genes belong to a node and nothing else.

    Args:
        dag: the network that says which genes are a node's.
        cells: all cells, in memory.
        seed: of the random gene sets.

    Returns:
        `node`, `output`, `enrichment`, `enrichment_z` (the same from ranks of the sizes as normal scores, standard
        normal for genes drawn at random: however far a few genes of the study differ), `enrichment_p`, of the nodes
        that reach the output; NaN where groups leave nothing to compare.
    """
    sizes = np.abs(gene_t_statistics(expression_for(dag, cells, np.arange(len(cells.labels))), cells))
    reach, genes = reaching(dag), _genes_of(dag)
    tables = []
    for output, of_output in zip(dag.outputs, sizes, strict=True):
        nodes = [node for node in dag.hidden if node in reach[output]]
        found = np.array([of_output[genes[node]].mean() for node in nodes])
        at_least = np.zeros(len(nodes))
        numbers = np.array([len(genes[node]) for node in nodes], dtype=int)
        for by_number in _random_means(of_output, np.random.default_rng(seed)):
            at_least += by_number[numbers - 1] >= found - 1e-12
        p_values = np.where(np.isfinite(found), (1 + at_least) / (1 + _DRAWS), np.nan)
        scores = _normal_scores(of_output)
        z = np.array([np.sqrt(len(genes[node])) * scores[genes[node]].mean() for node in nodes])
        columns = {"enrichment": found, "enrichment_z": z, "enrichment_p": p_values}
        tables.append(pd.DataFrame({"node": nodes, "output": output, **columns}))
    return pd.concat(tables, ignore_index=True)


def reaching(dag: Dag) -> dict[str, set[str]]:
    """For each output the nodes with a path to it."""
    children = children_by_parent(dag.edges)
    return {output: reached_names(children, output) for output in dag.outputs}


def gene_t_statistics(expression: csr_matrix, cells: LabelledCells) -> np.ndarray:
    """Student's t of each gene between the classes of each output, shape (n_outputs, n_genes).

    Where groups hold both classes, cells are compared within them (one common variance); where every group is of one
    class, groups are the observations.

    Args:
        expression: cells x genes.
        cells: the same cells, with labels and groups.

    Returns:
        NaN where there are too few observations; 0 for a gene that does not vary.
    """
    labels, groups = cells.labels > 0, cells.groups
    codes = np.zeros(len(labels), dtype=int) if groups is None else pd.factorize(groups)[0]
    return np.stack([_t_of_output(expression, column, codes) for column in labels.T])


def _t_of_output(expression: csr_matrix, positive: np.ndarray, codes: np.ndarray) -> np.ndarray:
    n_positive = np.bincount(codes, positive)
    n = np.bincount(codes).astype(float)
    if len(n) > 1 and ((n_positive == 0) | (n_positive == n)).all():
        means = _sums(expression, codes, len(n)) / n[:, None]
        return _t(means, means**2, (n_positive > 0), np.zeros(len(n), dtype=int))
    squares = csr_matrix((expression.data**2, expression.indices, expression.indptr), shape=expression.shape)
    return _t(expression, squares, positive, codes)


def _t(
    values: csr_matrix | np.ndarray, squares: csr_matrix | np.ndarray, positive: np.ndarray, codes: np.ndarray
) -> np.ndarray:
    n_groups = int(codes.max()) + 1
    cell_of = 2 * codes + positive
    n = np.bincount(cell_of, minlength=2 * n_groups).astype(float)
    sums, square_sums = (_sums(table, cell_of, 2 * n_groups) for table in (values, squares))
    means = np.divide(sums, n[:, None], out=np.zeros_like(sums), where=n[:, None] > 0)
    within = np.maximum(square_sums.sum(axis=0) - (n[:, None] * means**2).sum(axis=0), 0.0)
    without, with_class = n[0::2], n[1::2]
    weights = without * with_class / (without + with_class)  # 0 where a group is of one class
    degrees = n.sum() - (n > 0).sum()
    if degrees < 1 or not weights.any():
        return np.full(sums.shape[1], np.nan)
    difference = weights @ (means[1::2] - means[0::2])
    scale = np.sqrt(within / degrees * weights.sum())
    tiny = 1e-9 * np.sqrt(square_sums.sum(axis=0) + 1e-300)
    return np.divide(difference, scale, out=np.zeros_like(difference), where=scale > tiny)


def _sums(values: csr_matrix | np.ndarray, codes: np.ndarray, n_codes: int) -> np.ndarray:
    """Sum of the rows of each code, shape (n_codes, n_genes)."""
    rows = np.arange(len(codes))
    by_code = csr_matrix((np.ones(len(codes)), (codes, rows)), shape=(n_codes, len(codes)))
    summed = by_code @ values
    return summed.toarray() if hasattr(summed, "toarray") else np.asarray(summed)


def _genes_of(dag: Dag) -> dict[str, np.ndarray]:
    """Positions among the inputs of each hidden node's genes, ascending."""
    # Sorted: a set of names has another order in each process, and sums of floats another last bit, which decides ties.
    children = children_by_parent(dag.edges)
    place = {name: number for number, name in enumerate(dag.inputs)}
    found = {}
    for node in dag.hidden:
        own = [place[child] for child in children[node] if child in place]
        found[node] = np.sort(own or [place[name] for name in reached_names(children, node) if name in place])
    return found


def _normal_scores(sizes: np.ndarray) -> np.ndarray:
    """Sizes by their ranks, as quantiles of the standard normal distribution scaled to its variance; NaN stays.

    In sizes as they are, the few genes that differ most would set the scale for all nodes.
    """
    if not np.isfinite(sizes).all() or np.ptp(sizes) == 0:
        return np.where(np.isfinite(sizes), 0.0, np.nan)
    scores = norm.ppf((rankdata(sizes) - 0.5) / len(sizes))
    return scores / scores.std()


def _random_means(sizes: np.ndarray, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Means of random gene sets, for each draw of every number of genes: the first n of a shuffle are such a set."""
    numbers = np.arange(1, len(sizes) + 1)
    for _ in range(_DRAWS):
        yield np.cumsum(rng.permutation(sizes)) / numbers
