"""PKNs to and from CORNETO's and networkx's graphs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import networkx as nx
import pandas as pd

from kpnn.errors import PknError, some_names
from kpnn.pkn.network import Pkn


def to_networkx(pkn: Pkn) -> nx.DiGraph:
    """Edges parent -> child with `sign` and `cost`; nodes with `role`: input, hidden or output.

    Args:
        pkn: the PKN.

    Returns:
        A directed graph, its nodes in the order of `pkn.nodes`.

    Examples:
        >>> import pandas as pd
        >>> from kpnn.pkn import Pkn
        >>> pkn = Pkn.from_edges(pd.DataFrame({"parent": ["R", "A"], "child": ["A", "g"]}))
        >>> to_networkx(pkn).nodes["g"]["role"]
        'input'
    """
    graph = nx.DiGraph()
    for role, names in (("input", pkn.inputs), ("hidden", pkn.hidden), ("output", pkn.outputs)):
        graph.add_nodes_from(names, role=role)
    columns = (pkn.edges[name] for name in ("parent", "child", "sign", "cost"))
    graph.add_edges_from(
        (parent, child, {"sign": int(sign), "cost": float(cost)})
        for parent, child, sign, cost in zip(*columns, strict=True)
    )
    return graph


def from_networkx(
    graph: nx.DiGraph, *, inputs: Iterable[str] | None = None, outputs: Iterable[str] | None = None
) -> Pkn:
    """Reads edges parent -> child, optionally with `sign` and `cost`.

    Args:
        graph: a directed graph with node names.
        inputs: the input nodes; by default the nodes with the role `input`, else all leaves.
        outputs: the output nodes; by default the nodes with the role `output`, else all roots.

    Returns:
        The PKN.

    Raises:
        PknError: the graph or an edge (`directed` or `is_directed` is false) is undirected, or it makes no PKN.

    Examples:
        >>> import networkx as nx
        >>> from_networkx(nx.DiGraph([("R", "A"), ("A", "g")])).inputs
        ('g',)
    """
    if not graph.is_directed():
        raise PknError("networkx graph: undirected; a PKN needs edges from parent to child")
    rows = [
        (str(parent), str(child), data.get("sign", 0), data.get("cost", 1.0))
        for parent, child, data in graph.edges(data=True)
    ]
    _refuse_undirected(
        [
            (str(parent), str(child))
            for parent, child, data in graph.edges(data=True)
            if not data.get("is_directed", data.get("directed", True))
        ],
        "networkx graph",
    )
    table = pd.DataFrame(rows, columns=["parent", "child", "sign", "cost"])
    roles = {str(node): role for node, role in graph.nodes(data="role") if role is not None}
    if inputs is None:
        inputs = [node for node, role in roles.items() if role == "input"] or None
    if outputs is None:
        outputs = [node for node, role in roles.items() if role == "output"] or None
    return Pkn.from_edges(table, inputs=inputs, outputs=outputs, source="networkx graph")


def to_corneto(pkn: Pkn) -> Any:
    """A `corneto.Graph` in computing direction, child -> parent.

    Each input has an edge from nowhere and each output one to nowhere, so that flow can pass; these come last, inputs
    first, after the edges in the order of `pkn.edges`. The sign is the attribute `interaction`, the cost `cost`.

    Args:
        pkn: the PKN.

    Returns:
        A `corneto.Graph`.

    Examples:
        >>> import pandas as pd
        >>> from kpnn.pkn import Pkn
        >>> pkn = Pkn.from_edges(pd.DataFrame({"parent": ["R", "A"], "child": ["A", "g"]}))
        >>> [(sorted(sources), sorted(targets)) for sources, targets in to_corneto(pkn).E]
        [(['g'], ['A']), (['A'], ['R']), ([], ['g']), (['R'], [])]
    """
    import corneto as cn

    graph = cn.Graph()
    columns = (pkn.edges[name] for name in ("parent", "child", "sign", "cost"))
    for parent, child, sign, cost in zip(*columns, strict=True):
        graph.add_edge(child, parent, interaction=int(sign), cost=float(cost))
    for name in pkn.inputs:
        graph.add_edge((), name)
    for name in pkn.outputs:
        graph.add_edge(name, ())
    return graph


def from_corneto(graph: Any, *, inputs: Iterable[str] | None = None, outputs: Iterable[str] | None = None) -> Pkn:
    """Reads a `corneto.Graph` in computing direction, child -> parent.

    Args:
        graph: edges with one source and one target; edges from or to nowhere mark inputs and outputs.
        inputs: the input nodes; by default those with an edge from nowhere, else all leaves.
        outputs: the output nodes; by default those with an edge to nowhere, else all roots.

    Returns:
        The PKN, edges parent -> child.

    Raises:
        PknError: a hyperedge or an undirected edge, or the graph makes no PKN.

    Examples:
        >>> import corneto as cn
        >>> graph = cn.Graph()
        >>> _ = graph.add_edge("g", "A", interaction=-1)
        >>> _ = graph.add_edge("A", "R")
        >>> pkn = from_corneto(graph)
        >>> pkn.outputs, pkn.edges["sign"].tolist()
        (('R',), [-1, 0])
    """
    rows, entries, exits, undirected = [], [], [], []
    for position, (sources, targets) in enumerate(graph.E):
        if len(sources) > 1 or len(targets) > 1:
            raise PknError(f"corneto graph: edge {position} joins more than two nodes; a PKN has none of these")
        if sources and targets:
            attributes = graph.get_attr_edge(position)
            if attributes.get("__edge_type", "directed") != "directed":
                undirected.append((str(next(iter(targets))), str(next(iter(sources)))))
            rows.append(
                (
                    str(next(iter(targets))),
                    str(next(iter(sources))),
                    attributes.get("interaction", 0),
                    attributes.get("cost", 1.0),
                )
            )
        elif targets:
            entries.append(str(next(iter(targets))))
        elif sources:
            exits.append(str(next(iter(sources))))
    _refuse_undirected(undirected, "corneto graph")
    table = pd.DataFrame(rows, columns=["parent", "child", "sign", "cost"])
    return Pkn.from_edges(
        table,
        inputs=(entries or None) if inputs is None else inputs,
        outputs=(exits or None) if outputs is None else outputs,
        source="corneto graph",
    )


def _refuse_undirected(pairs: list[tuple[str, str]], source: str) -> None:
    if pairs:
        named = some_names([f"{one} and {other}" for one, other in pairs], 3)
        raise PknError(f"{source}: {len(pairs):,} edges are undirected ({named}); a PKN needs directions")
