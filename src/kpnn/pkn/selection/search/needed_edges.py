"""Which edges along an order are needed where inputs must reach outputs of their own: demands handed upwards.

From the inputs upwards, each node knows which outputs it must be reached by, and asks as few of its parents as suffice
for them, first those that most can be asked for. Along a feasible DAG that leaves out what is spare; along all edges
of an order it makes a DAG in one go, whatever the number of outputs.
"""

from __future__ import annotations

import numpy as np

from kpnn.pkn.selection.output_reach import bits_of_nodes
from kpnn.pkn.selection.presolve import ReducedPkn


def needed_edges(reduced: ReducedPkn, edges: np.ndarray, rank: np.ndarray) -> np.ndarray | None:
    """Edges among some that suffice for all inputs to reach their outputs; None where even all of them do not.

    Sets of outputs are the bits of whole numbers. It knows nothing of limits on depth or parents, or of nodes and edges
    that must be kept.

    Args:
        reduced: the presolved PKN.
        edges: positions (in `edge_ids`) of the edges, all of which run down the ranks.
        rank: of each node, shape (n_nodes,).
    """
    into: dict[int, list[tuple[int, int]]] = {}
    ends = reduced.parent[edges].tolist(), reduced.child[edges].tolist()
    for edge, above, below in zip(edges.tolist(), *ends, strict=True):
        into.setdefault(below, []).append((above, edge))
    downwards = np.argsort(rank, kind="stable").tolist()
    own = {code: 1 << place for place, code in enumerate(reduced.reach.outputs.tolist())}
    reached_by: dict[int, int] = {}
    for node in downwards:
        found = own.get(node, 0)
        for above, _ in into.get(node, ()):
            found |= reached_by[above]
        reached_by[node] = found
    wanted = bits_of_nodes(reduced.reach.inputs)
    cost: list[float] = reduced.cost.tolist()
    kept: list[int] = []
    for node in reversed(downwards):
        left, choices = wanted[node] & ~own.get(node, 0), into.get(node, [])
        if left & ~reached_by[node]:
            return None
        n_kept, n_least = len(kept), int(reduced.coverage[node])
        while left or len(kept) - n_kept < n_least:

            def worth(choice: tuple[int, int], left: int = left) -> tuple[float, bool, int, int]:
                above, edge = choice
                share = (reached_by[above] & left).bit_count() / cost[edge]
                return share, wanted[above] > 0, (wanted[above] & left).bit_count(), -above

            choices = [choice for choice in choices if reached_by[choice[0]]]
            if not choices:
                return None
            above, edge = best = max(choices, key=worth)
            choices.remove(best)
            kept.append(edge)
            asked = reached_by[above] & left
            if not asked and not wanted[above]:
                asked = reached_by[above] & -reached_by[above]  # one of them, whichever
            wanted[above] |= asked
            left &= ~reached_by[above]
    return np.sort(np.array(kept, dtype=np.int64))
