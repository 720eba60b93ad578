"""Classes of inputs with the same parents, and which of them remain open once nodes are forced.

Thousands of inputs share a few hundred sets of parents. One row for each set is enough, and none where the parents that
serve another set serve this one too: 12,459 genes of the TCR study leave about 150 rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class GeneClass:
    """Inputs that share their parents, their cost and their coverage.

    Attributes:
        genes: node codes of the inputs, ascending.
        parents: node codes of their parents, ascending.
        coverage: parents that each of them keeps.
        cost: cost of each of their edges.
    """

    genes: np.ndarray
    parents: np.ndarray
    coverage: int
    cost: float


def group_inputs(
    edges: tuple[np.ndarray, np.ndarray, np.ndarray],
    is_core: np.ndarray,
    coverage: np.ndarray,
    has_must_edge: np.ndarray,
) -> tuple[tuple[GeneClass, ...], np.ndarray]:
    """Groups inputs by parents, cost and coverage.

    Args:
        edges: parent, child and cost of every usable edge, each of shape (n_usable,).
        is_core: edges between neurons, shape (n_usable,), bool.
        coverage: parents that each input keeps, shape (n_nodes,).
        has_must_edge: nodes with an edge from a parent that must be kept, shape (n_nodes,), bool.

    Returns:
        The classes; and the positions of the edges of inputs that fit in none, because their edges differ in cost or
        one of them must be kept.
    """
    parent, child, cost = edges
    gene_edges = np.flatnonzero(~is_core)
    gene_edges = gene_edges[np.lexsort((parent[gene_edges], child[gene_edges]))]
    genes, starts = np.unique(child[gene_edges], return_index=True)
    ends = np.append(starts[1:], len(gene_edges))
    low = np.minimum.reduceat(cost[gene_edges], starts)
    high = np.maximum.reduceat(cost[gene_edges], starts)
    members: dict[tuple[bytes, float], list[int]] = {}
    parents_of: dict[tuple[bytes, float], np.ndarray] = {}
    priced: list[np.ndarray] = []
    for i, gene in enumerate(genes):
        span = gene_edges[starts[i] : ends[i]]
        if low[i] != high[i] or has_must_edge[gene]:
            priced.append(span)
            continue
        # Inputs with the same parents have the same coverage, which is cut to the number of parents.
        key = (parent[span].tobytes(), float(low[i]))
        members.setdefault(key, []).append(int(gene))
        parents_of.setdefault(key, parent[span])
    classes = tuple(
        GeneClass(np.array(found), parents_of[key], int(coverage[found[0]]), key[1]) for key, found in members.items()
    )
    return classes, np.concatenate(priced) if priced else np.empty(0, dtype=np.int64)


def open_classes(classes: tuple[GeneClass, ...], is_kept: np.ndarray) -> tuple[int, ...]:
    """Positions of the classes that kept nodes do not serve and that no other class dominates.

    Args:
        classes: all classes.
        is_kept: nodes that are kept in any case, shape (n_nodes,), bool.
    """
    demand: dict[tuple[int, ...], tuple[int, int]] = {}
    for position, gene_class in enumerate(classes):
        kept = is_kept[gene_class.parents]
        missing = gene_class.coverage - int(kept.sum())
        if missing > 0:
            choices = tuple(gene_class.parents[~kept].tolist())
            if choices not in demand or demand[choices][0] < missing:
                demand[choices] = (missing, position)
    # Short rows first: only a row with fewer choices can dominate one with more.
    rows = sorted(demand.items(), key=lambda row: (len(row[0]), row[0]))
    # Sets of rows are the bits of whole numbers, so that one operation compares a row with all others.
    served_by: dict[int, int] = {}
    for row, (choices, _) in enumerate(rows):
        for code in choices:
            served_by[code] = served_by.get(code, 0) | (1 << row)
    by_demand: dict[int, int] = {}
    for row, (_, (missing, _)) in enumerate(rows):
        for level in range(1, missing + 1):
            by_demand[level] = by_demand.get(level, 0) | (1 << row)
    dominated = 0
    for row, (choices, (missing, _)) in enumerate(rows):
        if dominated >> row & 1:
            continue
        # Rows that hold all of these choices are at least as easy to serve, if they ask for no more.
        supersets = -1
        for code in choices:
            supersets &= served_by[code]
        supersets &= ~by_demand.get(missing + 1, 0) & ~(1 << row)
        dominated |= supersets
    return tuple(position for row, (_, (_, position)) in enumerate(rows) if not dominated >> row & 1)


def settled_classes(classes: tuple[GeneClass, ...], signatures: list[bytes]) -> dict[int, int]:
    """Classes that need no decision, each with the class that decides for it.

    A class all of whose parents are needed is served by them in every DAG. They serve any class that has them among
    its parents, must reach the same outputs and asks for no more parents, at no further cost.

    Args:
        classes: all classes.
        signatures: the outputs that each must reach.
    """
    needs_all: dict[tuple[int, bytes], list[int]] = {}
    for position, gene_class in enumerate(classes):
        if len(gene_class.parents) == gene_class.coverage:
            needs_all.setdefault((int(gene_class.parents[0]), signatures[position]), []).append(position)
    settled: dict[int, int] = {}
    for position, gene_class in enumerate(classes):
        if len(gene_class.parents) == gene_class.coverage:
            continue
        parents = set(gene_class.parents.tolist())
        for code in gene_class.parents.tolist():
            for other in needs_all.get((code, signatures[position]), ()):
                if classes[other].coverage >= gene_class.coverage and parents.issuperset(classes[other].parents):
                    settled.setdefault(position, other)
    return settled
