"""Which inputs lie below each output of a network: what that output can learn from."""

from __future__ import annotations

import numpy as np
import pandas as pd

from kpnn.pkn.dag import Dag
from kpnn.pkn.graph import reachable
from kpnn.pkn.network import Pkn


def inputs_per_output(network: Pkn | Dag) -> dict[str, int]:
    """Number of inputs that each output is reached by.

    Args:
        network: a PKN or a DAG.

    Returns:
        By output, in their order.
    """
    nodes = pd.Index(network.nodes)
    parents, children = (nodes.get_indexer(network.edges[end]) for end in ("parent", "child"))
    is_input = np.zeros(len(nodes), dtype=bool)
    is_input[nodes.get_indexer(list(network.inputs))] = True
    found = {}
    for output in network.outputs:
        below = reachable(parents, children, nodes.get_indexer([output]), len(nodes))
        found[output] = int((below & is_input).sum())
    return found
