"""Lanes: a DAG in which no neuron need pass on all that an output learns from.

A neuron tells its parents one number a cell. Where every path from the inputs to k outputs leads through one neuron,
all outputs are functions of that number, which puts the classes in a row: of three or more those in the middle are told
from their neighbours only, whether or not they exclude each other. The smallest DAG that keeps all inputs of several
outputs is mostly of that kind, because a further path is a further edge.

A DAG has w lanes where each output can be sent one unit from each of its inputs, along the edges, such that no other
neuron passes on more than 1 / w of them. By Menger's theorem whatever separates inputs from an output then has at least
w neurons, none of which stands for more than its share.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra, maximum_flow

from kpnn.pkn.dag import Dag
from kpnn.pkn.full_dag import has_cycles, ranks_around
from kpnn.pkn.graph import reachable
from kpnn.pkn.network import Pkn
from kpnn.pkn.paths import edge_rows, edges_on_paths, node_codes

_MOST_LANES = 3
_MOST_STARTS = 3
"""Outputs that are tried as the first; the cheapest DAG is taken."""
_MANY_EDGES = 100_000
"""Edges times outputs beyond which one start must do."""
_MUCH_WORK = 20_000_000
"""Added edges times outputs times kept edges beyond which added edges that are not needed stay: some half minute."""
_MUCH = 10**6
"""A capacity that no flow reaches, below the largest that scipy takes."""


def widened_dag(
    pkn: Pkn, dag: Dag, lanes: int, *, forbid_nodes: Iterable[str] = (), forbid_edges: Iterable[tuple[str, str]] = ()
) -> Dag:
    """Adds edges to a DAG until it has this many lanes, or as many as the PKN.

    Of a PKN with cycles those edges count that run down one order, as in `extended_dag`. Paths are added one by one,
    those first that cost least; then, unless that would take minutes, edges that turn out not to be needed are taken
    out again. So none of the edges that were added can be left out; others may be fewer.

    Args:
        pkn: the PKN that the DAG was selected from.
        dag: the DAG; all of its edges stay.
        lanes: an output's neurons share its inputs out among at least so many.
        forbid_nodes: nodes that must not be added.
        forbid_edges: (parent, child) edges that must not be added.

    Returns:
        A DAG that holds all edges of `dag`.

    Examples:
        >>> import pandas as pd
        >>> from kpnn.pkn import select_dag
        >>> pairs = [(a, b) for a in ("O", "P") for b in "AB"] + [(a, b) for a in "AB" for b in ("g", "h")]
        >>> pkn = Pkn.from_edges(pd.DataFrame(pairs, columns=["parent", "child"]))
        >>> smallest = select_dag(pkn).dag
        >>> len(smallest.edges), len(widened_dag(pkn, smallest, 2).edges)
        (4, 7)
    """
    if lanes == 1:
        return dag
    network = _Network.of(pkn, dag, _permitted(pkn, set(forbid_nodes), set(forbid_edges)))
    demands = [network.demand_of(output, lanes) for output in node_codes(pkn, pkn.outputs).tolist()]
    # What the first output gets the others share, so that it matters which that is.
    n_starts = min(len(demands), _MOST_STARTS if len(network.rows) * len(demands) <= _MANY_EDGES else 1)
    found = [network.widened(demands[first:] + demands[:first]) for first in range(n_starts)]
    kept = min(found, key=lambda edges: float(network.cost[edges].sum()))
    edges = pkn.edges.iloc[np.sort(network.rows[kept])].reset_index(drop=True)
    return Dag.from_edges(edges, outputs=dag.outputs)


def lanes_of_classes(n_outputs: int, *, exclusive: bool = True) -> int:
    """How many lanes a DAG needs to tell its outputs apart, where nobody says how many.

    Args:
        n_outputs: number of outputs.
        exclusive: whether they are classes that exclude each other, so that of two one number a cell tells all.

    Returns:
        As many as there are outputs, one less of exclusive classes, as so many numbers are their probabilities; at most
        3, as more cost edges and brought nothing that could be measured.

    Examples:
        >>> [lanes_of_classes(n) for n in (2, 3, 8)]
        [1, 2, 3]
        >>> [lanes_of_classes(n, exclusive=False) for n in (1, 2, 8)]
        [1, 2, 3]
    """
    return min(max(1, n_outputs - exclusive), _MOST_LANES)


def _permitted(pkn: Pkn, nodes: set[str], edges: set[tuple[str, str]]) -> np.ndarray:
    """Edges of a PKN that are not forbidden, shape (n_edges,), bool."""
    pairs = zip(pkn.edges["parent"], pkn.edges["child"], strict=True)
    return np.array([pair not in edges and not nodes.intersection(pair) for pair in pairs], dtype=bool)


@dataclass(frozen=True)
class _Demand:
    """What one output is to be sent.

    Attributes:
        output: its node code.
        inputs: node codes of the inputs that it reaches.
        most: how many of them one neuron may pass on.
    """

    output: int
    inputs: np.ndarray
    most: int


@dataclass(frozen=True, eq=False)
class _Network:
    """The edges of a PKN that run down one order.

    Attributes:
        rows: their rows in `pkn.edges`, shape (n_edges,).
        parent, child: node codes, shape (n_edges,).
        cost: shape (n_edges,).
        base: edges of the DAG that is widened, shape (n_edges,), bool.
        is_input: shape (n_nodes,), bool.
        outputs: node codes.
    """

    rows: np.ndarray
    parent: np.ndarray
    child: np.ndarray
    cost: np.ndarray
    base: np.ndarray
    is_input: np.ndarray
    outputs: np.ndarray

    @classmethod
    def of(cls, pkn: Pkn, dag: Dag, permitted: np.ndarray) -> _Network:
        paths = edges_on_paths(pkn)
        is_base = np.zeros(len(pkn.edges), dtype=bool)
        is_base[edge_rows(pkn, zip(dag.edges["parent"], dag.edges["child"], strict=True))] = True
        may = paths.usable & permitted
        if has_cycles(pkn, np.flatnonzero(may)):
            rank = ranks_around(pkn, paths, dag)
            may &= rank[pkn.parent_codes] < rank[pkn.child_codes]
        rows = np.flatnonzero(is_base | may)
        return cls(
            rows,
            pkn.parent_codes[rows].astype(np.int64),
            pkn.child_codes[rows].astype(np.int64),
            pkn.edges["cost"].to_numpy()[rows],
            is_base[rows],
            paths.is_input,
            node_codes(pkn, pkn.outputs),
        )

    @property
    def n_nodes(self) -> int:
        return len(self.is_input)

    def demand_of(self, output: int, lanes: int) -> _Demand:
        """All inputs below an output in the DAG; what one neuron must pass on in any case is no more than that."""
        below = reachable(self.parent[self.base], self.child[self.base], np.array([output]), self.n_nodes)
        inputs = np.flatnonzero(below & self.is_input)
        all_edges = np.ones(len(self.rows), dtype=bool)
        low, high = -(-len(inputs) // lanes), len(inputs)
        while low < high:
            middle = (low + high) // 2
            if self.sent(_Demand(output, inputs, middle), all_edges)[0] == len(inputs):
                high = middle
            else:
                low = middle + 1
        return _Demand(output, inputs, low)

    def sent(self, demand: _Demand, kept: np.ndarray, *, offers_more: bool = False) -> tuple[int, csr_array, csr_array]:
        """How many inputs can be sent to an output along some edges, with the capacities and the flow that does it.

        Args:
            demand: the output.
            kept: the edges, shape (n_edges,), bool.
            offers_more: neurons that these edges leave out have capacities as well.
        """
        capacity = self._capacities(demand, kept, offers_more)
        result = maximum_flow(capacity, 2 * self.n_nodes, demand.output, method="dinic")
        return int(result.flow_value), capacity, result.flow

    def _capacities(self, demand: _Demand, kept: np.ndarray, offers_more: bool) -> csr_array:
        """The graph of flows upwards: v is reached at v and left at v + n_nodes; the last node sends."""
        n, inputs = self.n_nodes, demand.inputs
        neurons = np.flatnonzero(~self.is_input) if offers_more else np.unique(self.parent[kept])
        neurons = neurons[neurons != demand.output]
        from_input = self.is_input[self.child[kept]]
        tails = [np.full(len(inputs), 2 * n), neurons, self.child[kept] + np.where(from_input, 0, n)]
        heads = [inputs, neurons + n, self.parent[kept]]
        capacities = [np.ones(len(inputs)), np.full(len(neurons), demand.most), np.full(int(kept.sum()), _MUCH)]
        arcs = (np.concatenate(tails), np.concatenate(heads))
        return csr_array((np.concatenate(capacities).astype(np.int32), arcs), shape=(2 * n + 1, 2 * n + 1))

    def widened(self, demands: list[_Demand]) -> np.ndarray:
        """The DAG's edges with those that meet demands, in this order, shape (n_edges,), bool."""
        kept = self.base.copy()
        for demand in demands:
            self._serve(demand, kept)
        if int((kept & ~self.base).sum()) * len(demands) * int(kept.sum()) <= _MUCH_WORK:
            self._drop_needless(demands, kept)
        return kept

    def _serve(self, demand: _Demand, kept: np.ndarray) -> None:
        """Adds edges to `kept` until all inputs can be sent to the output.

        Each time the path is added that takes the cheapest further edges, from what has been sent so far to the output.
        Edges between neurons come first: one of them helps many inputs, an edge to an input that input alone.
        """
        is_core = ~self.is_input[self.child]
        while True:
            n_sent, capacity, flow = self.sent(demand, kept, offers_more=True)
            if n_sent == len(demand.inputs):
                return
            left = capacity - flow
            left.data[left.data < 0] = 0
            left.eliminate_zeros()
            more = self._cheapest_path(left, demand.output, ~kept & is_core)
            if more is None:
                more = self._cheapest_path(left, demand.output, ~kept)
            assert more is not None  # the demand can be met along all edges
            kept[more] = True

    def _cheapest_path(self, left: csr_array, output: int, offered: np.ndarray) -> np.ndarray | None:
        """The offered edges on a path to the output along which more can be sent; None where there is no path."""
        n, places = self.n_nodes, np.flatnonzero(offered)
        open_arcs = left.tocoo()
        tails = self.child[places] + np.where(self.is_input[self.child[places]], 0, n)
        keys = np.concatenate([open_arcs.row, tails]) * (2 * n + 1) + np.concatenate(
            [open_arcs.col, self.parent[places]]
        )
        # Arcs that are there already cost next to nothing, and zero would be no arc.
        prices = np.concatenate([np.full(len(open_arcs.row), 1e-9), self.cost[places]])
        edge = np.concatenate([np.full(len(open_arcs.row), -1), places])
        order = np.lexsort((prices, keys))
        keys, first = np.unique(keys[order], return_index=True)
        chosen = order[first]
        graph = csr_array((prices[chosen], (keys // (2 * n + 1), keys % (2 * n + 1))), shape=left.shape)
        distance, before = dijkstra(graph, indices=2 * n, return_predecessors=True)
        if not np.isfinite(distance[output]):
            return None
        edge_of = dict(zip(keys.tolist(), edge[chosen].tolist(), strict=True))
        found, node = [], output
        while node != 2 * n:
            found.append(edge_of[int(before[node]) * (2 * n + 1) + node])
            node = int(before[node])
        return np.array([one for one in found if one >= 0], dtype=np.int64)

    def _drop_needless(self, demands: list[_Demand], kept: np.ndarray) -> None:
        """Takes out added edges, the dearest first, without which all demands are met."""
        added = np.flatnonzero(kept & ~self.base)
        for place in added[np.argsort(-self.cost[added], kind="stable")].tolist():
            if not kept[place]:
                continue
            without = kept.copy()
            without[place] = False
            without &= self._on_paths(without)
            if all(self.sent(demand, without)[0] == len(demand.inputs) for demand in demands):
                kept[:] = without

    def _on_paths(self, kept: np.ndarray) -> np.ndarray:
        """Edges that lie on a path from an output to an input, shape (n_edges,), bool."""
        parent, child = self.parent[kept], self.child[kept]
        below = reachable(parent, child, self.outputs, self.n_nodes)
        above = reachable(child, parent, np.flatnonzero(self.is_input), self.n_nodes)
        return below[self.parent] & above[self.child]
