"""What a user may demand of the selected DAG beyond its being small."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kpnn.errors import SelectionError, some_names
from kpnn.pkn.network import Pkn

Edge = tuple[str, str]


@dataclass(frozen=True)
class SelectionRules:
    """Demands on the selected DAG.

    Attributes:
        keep_nodes: hidden nodes that must be in the DAG.
        forbid_nodes: hidden nodes that must not be in it.
        keep_edges: (parent, child) edges of the PKN that must be in the DAG.
        forbid_edges: (parent, child) edges of the PKN that must not be in it.
        max_depth: most edges on any path of the DAG, or None.
        max_parents: most parents of any node in the DAG, or None.
        coverage: each input keeps this many parents, or all that it has where they are fewer.
    """

    keep_nodes: tuple[str, ...] = ()
    forbid_nodes: tuple[str, ...] = ()
    keep_edges: tuple[Edge, ...] = ()
    forbid_edges: tuple[Edge, ...] = ()
    max_depth: int | None = None
    max_parents: int | None = None
    coverage: int = 1

    def __post_init__(self) -> None:
        for name in ("keep_nodes", "forbid_nodes"):
            object.__setattr__(self, name, tuple(dict.fromkeys(getattr(self, name))))
        for name in ("keep_edges", "forbid_edges"):
            object.__setattr__(self, name, tuple(dict.fromkeys((str(a), str(b)) for a, b in getattr(self, name))))
        for name, least in (("max_depth", 1), ("max_parents", 1), ("coverage", 1)):
            value = getattr(self, name)
            if value is None and name != "coverage":
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise SelectionError(f"{name} must be a whole number of at least {least}, found {value!r}")

    def check(self, pkn: Pkn) -> None:
        """Checks the rules against a PKN and each other.

        Raises:
            SelectionError: a node or edge is unknown, an output or input is listed as a hidden node, or
                something must and must not be kept at once.
        """
        nodes, hidden = set(pkn.nodes), set(pkn.hidden)
        for name in ("keep_nodes", "forbid_nodes"):
            listed = getattr(self, name)
            _reject([node for node in listed if node not in nodes], f"{name}: {{}} not among the nodes of the PKN")
            _reject(
                [node for node in listed if node not in hidden],
                f"{name}: {{}} is an input or output; these are always kept, so only hidden nodes can be listed",
            )
        edges = set(zip(pkn.edges["parent"], pkn.edges["child"], strict=True))
        for name in ("keep_edges", "forbid_edges"):
            _reject(
                [_arrow(edge) for edge in getattr(self, name) if edge not in edges],
                f"{name}: {{}} not among the edges of the PKN",
            )
        _reject(
            [node for node in self.keep_nodes if node in set(self.forbid_nodes)], "{} must be kept and must not be kept"
        )
        _reject(
            [_arrow(edge) for edge in self.keep_edges if edge in set(self.forbid_edges)],
            "edge {} must be kept and must not be kept",
        )
        forbidden = set(self.forbid_nodes)
        _reject(
            [_arrow(edge) for edge in self.keep_edges if forbidden & set(edge)],
            "edge {} must be kept but one of its nodes must not be kept",
        )


def _arrow(edge: Edge) -> str:
    return f"{edge[0]} -> {edge[1]}"


def _reject(found: Iterable[str], message: str) -> None:
    names = list(found)
    if names:
        raise SelectionError(message.format(some_names(names)))
