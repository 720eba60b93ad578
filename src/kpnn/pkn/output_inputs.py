"""Which inputs lie below each output and neuron of a network, and through which neurons: what these can learn from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import or_

import numpy as np
import pandas as pd

from kpnn.pkn.dag import Dag
from kpnn.pkn.graph import children_by_parent, reached_from_each
from kpnn.pkn.network import Pkn


def inputs_per_output(network: Pkn | Dag) -> dict[str, int]:
    """Number of inputs that each output is reached by.

    Args:
        network: a PKN or a DAG.

    Returns:
        By output, in their order.

    Examples:
        >>> import pandas as pd
        >>> from kpnn.pkn import Pkn
        >>> edges = [("CD4", "LCK"), ("CD8", "LCK"), ("CD8", "RUNX3"), ("LCK", "CD69_gene"), ("RUNX3", "CD8A_gene")]
        >>> inputs_per_output(Pkn.from_edges(pd.DataFrame(edges, columns=["parent", "child"])))
        {'CD4': 1, 'CD8': 2}
    """
    nodes = pd.Index(network.nodes)
    parents, children = (nodes.get_indexer(network.edges[end]) for end in ("parent", "child"))
    is_input = np.zeros(len(nodes), dtype=bool)
    is_input[nodes.get_indexer(list(network.inputs))] = True
    outputs = nodes.get_indexer(list(network.outputs))
    counts = (reached_from_each(parents, children, outputs, len(nodes)) & is_input).sum(axis=1)
    return dict(zip(network.outputs, counts.tolist(), strict=True))


def inputs_below(dag: Dag) -> dict[str, int]:
    """Number of inputs that each neuron is reached by, directly or through others.

    Args:
        dag: a DAG.

    Returns:
        By neuron, in the order of `dag.neurons`.

    Examples:
        >>> import pandas as pd
        >>> edges = pd.DataFrame({"parent": ["R", "R", "A", "A", "B"], "child": ["A", "B", "g1", "g2", "g2"]})
        >>> inputs_below(Dag.from_edges(edges))
        {'A': 2, 'B': 1, 'R': 2}
    """
    children = children_by_parent(dag.edges)
    below = {name: 1 << place for place, name in enumerate(dag.inputs)}  # a set of inputs as the bits of a number
    for level in dag.levels[1:]:
        below |= {node: reduce(or_, (below[child] for child in children[node])) for node in level}
    return {node: below[node].bit_count() for node in dag.neurons}


@dataclass(frozen=True)
class Funnel:
    """A hidden neuron that outputs read their inputs through.

    Attributes:
        node: its name.
        outputs: outputs that reach an input through it alone.
        share: of all pairs of an output and an input below it, how many it alone joins.

    Examples:
        >>> import pandas as pd
        >>> from kpnn.pkn import Dag, narrowest_funnel
        >>> edges = [("R", "A"), ("R", "B"), ("A", "g1"), ("A", "g2"), ("A", "g3"), ("B", "g4")]
        >>> narrowest_funnel(Dag.from_edges(pd.DataFrame(edges, columns=["parent", "child"])))
        Funnel(node='A', outputs=('R',), share=0.75)
    """

    node: str
    outputs: tuple[str, ...]
    share: float


def narrowest_funnel(dag: Dag) -> Funnel | None:
    """The hidden neuron that joins most pairs of an output and an input which nothing else joins.

    It tells its parents one number per cell, however many inputs are below it and outputs above.

    Args:
        dag: a DAG with hidden neurons; None is returned where it has none, or where no pair hangs on one of them.

    Returns:
        The neuron with what it joins, or None.

    Examples:
        >>> import pandas as pd
        >>> from kpnn.pkn import Dag
        >>> edges = pd.DataFrame({"parent": ["R", "R", "A", "A", "B"], "child": ["A", "B", "g1", "g2", "g2"]})
        >>> narrowest_funnel(Dag.from_edges(edges)).node  # g1 is below A alone, g2 below both
        'A'
        >>> narrowest_funnel(Dag.from_edges(edges[edges["child"] != "g1"])) is None
        True
    """
    nodes = pd.Index(dag.nodes)
    parents, children = (nodes.get_indexer(dag.edges[end]) for end in ("parent", "child"))
    outputs, inputs = (nodes.get_indexer(list(names)) for names in (dag.outputs, dag.inputs))
    whole = _joined(parents, children, outputs, inputs, len(nodes))
    found: list[Funnel] = []
    for node in nodes.get_indexer(list(dag.hidden)):
        kept = (parents != node) & (children != node)
        lost = whole & ~_joined(parents[kept], children[kept], outputs, inputs, len(nodes))
        if lost.any():
            above = tuple(name for name, some in zip(dag.outputs, lost.any(axis=1), strict=True) if some)
            found.append(Funnel(str(nodes[node]), above, float(lost.sum() / whole.sum())))
    return max(found, key=lambda one: one.share, default=None)


def _joined(
    parents: np.ndarray, children: np.ndarray, outputs: np.ndarray, inputs: np.ndarray, n_nodes: int
) -> np.ndarray:
    """Which inputs each output is reached by, shape (n_outputs, n_inputs), bool."""
    return reached_from_each(parents, children, outputs, n_nodes)[:, inputs]
