"""Which of several optimal solutions is taken, whatever order the solver finds them in."""

from __future__ import annotations

import numpy as np

from kpnn.pkn.selection.exactness.within_cost import SolutionsWithinCost
from kpnn.pkn.selection.model.rows import LinearRows
from kpnn.pkn.selection.realization import name_hash, support_of
from kpnn.pkn.selection.search.state import SearchState

_HASH_RANGE = 1 << 16
"""Draws are whole numbers up to this."""
_MOST_TIES = 20
"""Node sets with equal draws that are compared; more is all but impossible, as draws go up to 65,536 a node."""
_LEVELS = 64
"""Steps of support between parents, few enough for sums that stay exact in a solver's arithmetic."""


def preferred_solution(
    optimal: SolutionsWithinCost, search: SearchState, tie_break: str, seed: int
) -> tuple[np.ndarray, bool]:
    """The optimum that a tie-break rule prefers, and whether it is the only node set that satisfies the rule so well.

    `support` and `balanced` keep the nodes with most PKN edges to inputs; what is still open then (with `random`: all)
    is decided by the least sum of numbers drawn from the names (and, for `random`, the seed).
    """
    formulation, reduced = search.formulation, search.formulation.reduced
    assert search.best is not None
    best, extra = search.best, LinearRows()
    columns, codes = optimal.node_columns, optimal.node_codes
    if tie_break != "random" and len(columns):
        support = np.zeros(formulation.n_columns)
        support[columns] = -support_of(reduced)[codes]
        found = optimal.cheapest(support, start=best)
        if found.x is None or not found.is_proven:
            return best, False
        best = found.x
        extra.add(columns, support[columns], -np.inf, float(np.round(support @ best)) + 0.1)
    salt = seed if tie_break == "random" else 0
    draw = np.zeros(formulation.n_columns)
    names = reduced.pkn.nodes
    draw[columns] = [1 + name_hash(salt, names[code]) % _HASH_RANGE for code in codes]
    best, is_unique = _least_draw(optimal, best, draw, extra)
    if is_unique and (formulation.column_edges or formulation.hub is not None):
        best = _least_edges(optimal, best, formulation.n_columns, search, salt, tie_break)
    return best, is_unique


def _least_draw(
    optimal: SolutionsWithinCost, best: np.ndarray, draw: np.ndarray, extra: LinearRows
) -> tuple[np.ndarray, bool]:
    """The solution with the least draw; among equal draws the first node set in the order of names."""
    columns = optimal.node_columns
    found = optimal.cheapest(draw, extra, start=best)
    if found.x is None or not found.is_proven:
        return best, False
    tied = [found.x]
    others = LinearRows.joined(extra)
    others.add(columns, draw[columns], -np.inf, float(np.round(draw @ found.x)) + 0.1)
    while len(tied) < _MOST_TIES:
        others.extend(optimal.other_node_set(tied[-1]))
        other = optimal.cheapest(np.zeros(len(draw)), others)
        if other.x is None:
            return max(tied, key=lambda x: tuple(np.round(x[columns]))), other.is_proven
        tied.append(other.x)
    return tied[0], False


def _least_edges(
    optimal: SolutionsWithinCost, best: np.ndarray, n_columns: int, search: SearchState, salt: int, tie_break: str
) -> np.ndarray:
    """Decides the edges that are variables, for the nodes already chosen, by support and names."""
    formulation, reduced = search.formulation, search.formulation.reduced
    names = reduced.pkn.nodes
    fixed = LinearRows()
    for column in optimal.node_columns:
        value = float(np.round(best[column]))
        fixed.add(np.array([column]), np.ones(1), value, value)
    support = support_of(reduced)
    level = np.zeros(len(names), dtype=np.int64)
    if tie_break != "random" and support.max() > 0:
        level = np.round((_LEVELS - 1) * (1.0 - support / support.max())).astype(np.int64)
    draw = np.zeros(n_columns)
    for parent, child, column in formulation.column_edges:
        drawn = 1 + name_hash(salt, names[parent], names[child]) % _HASH_RANGE
        draw[column] = level[parent] * _HASH_RANGE / 4 + drawn // 4
    if formulation.hub is not None:
        for place, node_columns in (("above", formulation.hub.above), ("hub", formulation.hub.hub)):
            draw[node_columns[optimal.node_codes]] = [
                1 + name_hash(salt, place, names[code]) % _HASH_RANGE for code in optimal.node_codes
            ]
    for code, position, column in formulation.serve:
        gene = reduced.classes[position].genes[0]
        draw[column] = 1 + name_hash(salt, names[code], names[gene]) % 1024
    found = optimal.cheapest(np.round(draw), fixed, start=best)
    return best if found.x is None else found.x
