"""The largest acyclic part of a PKN as an integer programme: which edges go, so that no cycle is left.

Variables: y_e for an edge between neurons kept, x_v for a hidden node kept. Rows: an edge needs both ends, a kept
hidden node an edge from above and one down (or an input), each input a kept parent, each output an edge down. Of every
cycle one edge goes: these rows are found where a solution violates them (Baharev, Schichl, Neumaier and Achterberg
2021, doi:10.1145/3446429), on the relaxation first, then on integer solutions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from kpnn.pkn.largest_dag.orders import CyclicEdges
from kpnn.pkn.paths import PathEdges
from kpnn.pkn.selection.model.programme import Programme
from kpnn.pkn.selection.model.rows import NO_COLUMN, LinearRows

_LEAST_VIOLATION = 0.01
"""Cycles that are violated by less move the bound too little to be worth a row."""
_LENGTH_PRICE = 1e-5
"""Of cycles that are violated alike the shortest is cut off, which cuts off most."""
_MOST_CUTS = 2_000
"""Cycles cut off in one round."""
_SOURCES_AT_ONCE = 400
"""Nodes from which distances are held at the same time, so that memory stays small."""


@dataclass(frozen=True, eq=False)
class LargestDagProgramme(Programme):
    """The programme of one PKN; its cost is the number of edges kept, counted below 0.

    Attributes:
        edges: edges between neurons.
        n_genes: input nodes below each node, shape (n_nodes,).
        edge_column: column of each edge's y, shape (n_edges,).
        node_column: column of each node's x, shape (n_nodes,); NO_COLUMN for inputs and outputs.
        n_always: edges that every solution keeps, because an input hangs on an output itself.
    """

    edges: CyclicEdges
    n_genes: np.ndarray
    edge_column: np.ndarray
    node_column: np.ndarray
    n_always: int

    def kept(self, x: np.ndarray) -> np.ndarray:
        """How much of each edge between neurons is kept, shape (n_edges,)."""
        return x[self.edge_column]

    def solution(self, is_kept: np.ndarray, is_node_kept: np.ndarray) -> np.ndarray:
        """Values of the columns.

        Args:
            is_kept: edges between neurons, shape (n_edges,), bool.
            is_node_kept: shape (n_nodes,), bool.
        """
        x = np.zeros(self.n_columns)
        x[self.edge_column] = is_kept
        hidden = self.node_column != NO_COLUMN
        x[self.node_column[hidden]] = is_node_kept[hidden]
        return x


def state_programme(paths: PathEdges, parent: np.ndarray, child: np.ndarray) -> LargestDagProgramme:
    """States the programme, without the rows of the cycles.

    Args:
        paths: roles of the nodes.
        parent: upper end of each usable edge, shape (n_usable,).
        child: lower end of each, shape (n_usable,).
    """
    n_nodes = len(paths.is_input)
    is_core = ~paths.is_input[child]
    hidden_mask = ~paths.is_input & ~paths.is_output
    on_path = np.zeros(n_nodes, dtype=bool)
    on_path[parent] = on_path[child] = True
    n_genes = np.bincount(parent[~is_core], minlength=n_nodes)
    core_parent, core_child = parent[is_core], child[is_core]
    needs_child = on_path & (n_genes == 0) & ~paths.is_input
    edges = CyclicEdges.of(n_nodes, core_parent, core_child, hidden_mask & on_path, needs_child)
    n_edges = len(core_parent)
    hidden = np.flatnonzero(hidden_mask & on_path)
    node_column = np.full(n_nodes, NO_COLUMN)
    node_column[hidden] = n_edges + np.arange(len(hidden))
    edge_column = np.arange(n_edges)
    rows = LinearRows()
    for ends in (core_parent, core_child):
        for edge, node in enumerate(node_column[ends].tolist()):
            if node != NO_COLUMN:
                rows.add(np.array([node, edge]), np.array([1.0, -1.0]), 0.0)
    for code in hidden.tolist():
        into, out_of = edge_column[core_child == code], edge_column[core_parent == code]
        rows.needs_one(node_column[code], into)
        if not n_genes[code]:
            rows.needs_one(node_column[code], out_of)
    for code in np.flatnonzero(paths.is_output & (n_genes == 0)).tolist():
        rows.at_least(edge_column[core_parent == code], 1.0)
    gene_parent, gene = parent[~is_core], child[~is_core]
    for code in np.unique(gene).tolist():
        columns = node_column[gene_parent[gene == code]]
        if (columns != NO_COLUMN).all():
            rows.at_least(columns, 1.0)
    n_columns = n_edges + len(hidden)
    cost = np.full(n_columns, -1.0)
    cost[node_column[hidden]] = -n_genes[hidden].astype(float)
    return LargestDagProgramme(
        edges=edges,
        n_genes=n_genes,
        edge_column=edge_column,
        node_column=node_column,
        cost=cost,
        low=np.zeros(n_columns),
        high=np.ones(n_columns),
        is_integer=np.ones(n_columns, dtype=bool),
        rows=rows,
        n_always=int(n_genes[paths.is_output].sum()),
    )


def cycle_rows(programme: LargestDagProgramme, x: np.ndarray) -> LinearRows:
    """Rows of cycles of which x keeps too much: for each edge the most violated, of those the most violated first."""
    edges = programme.edges
    loss = np.clip(1.0 - programme.kept(x), 0.0, 1.0)
    inside = np.flatnonzero(edges.is_on_cycle & (loss < 1.0 - _LEAST_VIOLATION))
    rows = LinearRows()
    if not len(inside):
        return rows
    tails, heads = edges.parent[inside], edges.child[inside]
    price = loss[inside] + _LENGTH_PRICE
    graph = csr_array((price, (tails, heads)), shape=(edges.n_nodes, edges.n_nodes))
    edge_of = dict(zip(zip(tails.tolist(), heads.tolist(), strict=True), inside.tolist(), strict=True))
    found: dict[tuple[int, ...], float] = {}
    starts = np.unique(heads)
    for first in range(0, len(starts), _SOURCES_AT_ONCE):
        sources = starts[first : first + _SOURCES_AT_ONCE]
        distance, before = dijkstra(graph, indices=sources, return_predecessors=True, limit=1.0)
        row_of = np.full(edges.n_nodes, -1)
        row_of[sources] = np.arange(len(sources))
        closing = np.flatnonzero(row_of[heads] >= 0)
        total = distance[row_of[heads[closing]], tails[closing]] + price[closing]
        for place in closing[total < 1.0 - _LEAST_VIOLATION].tolist():
            head, node = int(heads[place]), int(tails[place])
            cycle = [int(inside[place])]
            while node != head:
                above = int(before[row_of[head], node])
                cycle.append(edge_of[above, node])
                node = above
            key = tuple(sorted(cycle))
            found[key] = float(loss[cycle].sum())
    by_loss = sorted(found.items(), key=lambda one: (one[1] + _LENGTH_PRICE * len(one[0]), one[0]))
    for members, _ in by_loss[:_MOST_CUTS]:
        columns = programme.edge_column[np.array(members)]
        rows.add(columns, np.ones(len(columns)), -np.inf, len(columns) - 1.0)
    return rows
