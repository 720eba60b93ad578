"""How many nodes it takes at least to gather all outputs above a node: Steiner trees, exact where outputs are few.

The paths from k outputs down to a node hold a tree that ends in it. The fewest hidden nodes of such a tree are found
for all nodes at once by dynamic programming over sets of outputs (Dreyfus and Wagner 1971, doi:10.1002/net.3230010302).
Ten outputs above a thousand nodes take a tenth of a second, where the relaxation of the same trees stays a tenth below.
"""

from __future__ import annotations

import numpy as np

from kpnn.pkn.selection.presolve import ReducedPkn

_MOST_OUTPUTS = 10
"""Outputs in one programme; of more, some are left out, and what the others need is a bound still."""
_MOST_PROGRAMMES = 3
"""Programmes in all: what further outputs need is seldom more, and hundreds would take longer than the search."""
_MOST_VALUES = 20_000_000
"""Sets of outputs times nodes in one programme."""
_NONE = np.int16(16_000)
"""In place of a number of nodes: no tree. Two of them still fit."""


def fewest_nodes_above(reduced: ReducedPkn) -> np.ndarray:
    """The fewest hidden nodes above each node on paths that lead to it from all outputs, itself not counted.

    Nodes that every DAG keeps are passed by none of these paths: where each input must be reached by every output, all
    outputs lead to such a node already.

    Args:
        reduced: a presolved PKN in which no edge leads into an output.

    Returns:
        Shape (n_nodes,), inf where no such paths exist.
    """
    n_nodes, outputs = len(reduced.pkn.nodes), reduced.reach.outputs
    most = min(_MOST_OUTPUTS, int(np.log2(max(2.0, _MOST_VALUES / n_nodes))))
    found = np.zeros(n_nodes)
    for first in range(0, len(outputs), most)[:_MOST_PROGRAMMES]:
        found = np.maximum(found, _fewest_above(reduced, outputs[first : first + most]))
    return found


def _fewest_above(reduced: ReducedPkn, outputs: np.ndarray) -> np.ndarray:
    n_nodes, n_sets = len(reduced.pkn.nodes), 2 ** len(outputs)
    order = np.argsort(reduced.child, kind="stable")
    parent, child = reduced.parent[order], reduced.child[order]
    is_passed = ~(reduced.is_output | reduced.is_forced)[parent]
    steps = _Steps(parent[is_passed], child[is_passed])
    fewest = np.full((n_sets, n_nodes), _NONE, dtype=np.int16)
    sizes = np.array([members.bit_count() for members in range(n_sets)])
    for size in range(1, len(outputs) + 1):
        sets = np.flatnonzero(sizes == size)
        if size == 1:
            for place, output in enumerate(outputs.tolist()):
                fewest[2**place, child[parent == output]] = 0
        for members in sets.tolist():
            # Two trees that end in the same node are one: each pair of parts once.
            part = (members - 1) & members
            while 2 * part > members:
                np.minimum(fewest[members], fewest[part] + fewest[members ^ part], out=fewest[members])
                part = (part - 1) & members
        fewest[sets] = steps.extend(fewest[sets])
    whole = fewest[-1].astype(float)
    whole[whole >= _NONE] = np.inf
    return whole


class _Steps:
    """Edges along which a tree is extended by the node that it ended in, grouped by where it ends then."""

    def __init__(self, parent: np.ndarray, child: np.ndarray) -> None:
        self._parent = parent
        self._child, self._first = np.unique(child, return_index=True)

    def extend(self, fewest: np.ndarray) -> np.ndarray:
        """Adds nodes one by one until no tree becomes smaller; shape (n_sets, n_nodes)."""
        while len(self._parent):
            longer = np.minimum.reduceat(fewest[:, self._parent] + np.int16(1), self._first, axis=1)
            better = np.minimum(fewest[:, self._child], longer)
            if (better == fewest[:, self._child]).all():
                break
            fewest[:, self._child] = better
        return fewest
