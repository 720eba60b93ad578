"""Which outputs each node must be reached by in every DAG: what inputs must reach through one parent alone.

Where only one of an input's parents is below an output that the input must reach, that edge is kept and the parent must
be reached by the output in turn. In layered networks with many outputs this decides nearly all edges.
"""

from __future__ import annotations

import numpy as np

from kpnn.pkn.graph import reached_from_each
from kpnn.pkn.selection.output_reach import OutputReach, bits_of_nodes


def implied_demands(parent: np.ndarray, child: np.ndarray, reach: OutputReach) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of an output and a node that every DAG joins, and that the usable edges join.

    Args:
        parent: node codes of the usable edges, shape (n_usable,).
        child: the same.
        reach: the pairs of an output and an input.

    Returns:
        Whether each DAG joins the pair, shape (n_outputs, n_nodes), bool; an output is not joined to itself. And
        whether there is a path at all, of the same shape.
    """
    n_outputs, n_nodes = reach.inputs.shape
    if not reach:
        return reach.inputs, reach.inputs
    is_below = reached_from_each(parent, child, reach.outputs, n_nodes)
    below, wanted = bits_of_nodes(is_below), bits_of_nodes(reach.inputs)
    outputs = set(reach.outputs.tolist())
    parents_of: dict[int, list[int]] = {}
    for above, node in zip(parent.tolist(), child.tolist(), strict=True):
        parents_of.setdefault(node, []).append(above)
    waiting = np.flatnonzero(reach.inputs.any(axis=0)).tolist()
    while waiting:
        node = waiting.pop()
        once = several = 0
        for above in parents_of[node]:
            several |= once & below[above]
            once |= below[above]
        through_one = wanted[node] & once & ~several
        for above in parents_of[node]:
            added = through_one & below[above] & ~wanted[above]
            if added and above not in outputs:
                wanted[above] |= added
                waiting.append(above)
    joined = np.frombuffer(b"".join(bits.to_bytes(-(-n_outputs // 8), "little") for bits in wanted), dtype=np.uint8)
    found = np.unpackbits(joined.reshape(n_nodes, -1), axis=1, count=n_outputs, bitorder="little")
    return found.T.astype(bool), is_below
