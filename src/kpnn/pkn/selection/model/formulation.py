"""The compact formulation of DAG selection as a mixed-integer linear programme.

Variables: x_v for a usable hidden node v kept. Where the inputs and outputs are such that a cheapest DAG is an
arborescence (one output, every edge into a hidden node at the same cost, no demand that needs edges) nothing else is
needed: the *node form*. Otherwise the *edge form* adds y_a for each usable edge a between neurons, u_(v,C) where
neuron v may need an input of class C for itself, and w_C for edges that this costs beyond the coverage.

Rows: every class of inputs is covered, every kept hidden node has a kept parent and a kept child, an edge needs both
ends. Acyclic connection is left to cuts (see `bounds.cuts`): for a node t and a set of nodes S around it that holds no
output, the variables on the arcs into S sum up to at least x_t.

The directed cuts are those of the Steiner arborescence problem (Wong 1984, doi:10.1007/BF02612335; their
node-weighted form: Fischetti et al. 2017, doi:10.1007/s12532-016-0111-0).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kpnn.pkn.selection.model.flow_network import FlowNetwork, network_from_inputs, network_from_outputs
from kpnn.pkn.selection.model.rows import NO_COLUMN, LinearRows
from kpnn.pkn.selection.presolve import ReducedPkn


@dataclass(frozen=True, eq=False)
class Formulation:
    """A mixed-integer linear programme and the networks that its cuts come from.

    Attributes:
        reduced: the presolved PKN that it is about.
        cost: objective coefficients, shape (n_columns,).
        constant: cost of what is kept in any case.
        low, high: bounds, shape (n_columns,).
        is_integer: shape (n_columns,), bool.
        rows: the rows, without cuts.
        networks: where cuts are separated; none where the rows alone are exact.
        node_column: column of each node's x, shape (n_nodes,); NO_COLUMN for other nodes.
        edge_column: column of each usable edge's y, shape (n_usable,); NO_COLUMN where it has none.
        serve: (node, class, column) of each u.
        has_edge_form: the edges between neurons are variables of their own.
    """

    reduced: ReducedPkn
    cost: np.ndarray
    constant: float
    low: np.ndarray
    high: np.ndarray
    is_integer: np.ndarray
    rows: LinearRows
    networks: tuple[FlowNetwork, ...]
    node_column: np.ndarray
    edge_column: np.ndarray
    serve: tuple[tuple[int, int, int], ...]
    has_edge_form: bool

    @property
    def n_columns(self) -> int:
        """Number of variables."""
        return len(self.cost)

    @property
    def has_whole_costs(self) -> bool:
        """Every solution costs a whole number."""
        return bool((self.cost == np.round(self.cost)).all()) and self.constant == round(self.constant)


def node_form_suffices(reduced: ReducedPkn) -> bool:
    """Whether a cheapest DAG is an arborescence whose cost is known from its nodes alone."""
    rules = reduced.rules
    if len(reduced.pkn.outputs) > 1 or rules.keep_nodes or rules.keep_edges:
        return False
    if rules.max_depth is not None or rules.max_parents is not None:
        return False
    core = np.flatnonzero(reduced.is_core)
    if not len(core):
        return True
    n_nodes = len(reduced.pkn.nodes)
    low, high = np.full(n_nodes, np.inf), np.zeros(n_nodes)
    np.minimum.at(low, reduced.child[core], reduced.cost[core])
    np.maximum.at(high, reduced.child[core], reduced.cost[core])
    return bool((low[high > 0] == high[high > 0]).all())


def formulate(reduced: ReducedPkn, *, edge_form: bool | None = None) -> Formulation:
    """Formulates DAG selection on a presolved PKN.

    Args:
        reduced: the presolved PKN.
        edge_form: whether edges between neurons are variables; by default only where they must be. Where they must,
            the node form is a relaxation: no DAG costs less than its optimum.
    """
    return _Builder(reduced, not node_form_suffices(reduced) if edge_form is None else edge_form).build()


class _Builder:
    def __init__(self, reduced: ReducedPkn, edge_form: bool) -> None:
        self.reduced = reduced
        self.edge_form = edge_form
        self.n_nodes = len(reduced.pkn.nodes)
        self.rows = LinearRows()
        self.cost: list[np.ndarray] = []
        self.low: list[np.ndarray] = []
        self.high: list[np.ndarray] = []
        self.integer: list[np.ndarray] = []
        self.n_columns = 0
        self.constant = 0.0
        self.serve: list[tuple[int, int, int]] = []
        on_path = np.zeros(self.n_nodes, dtype=bool)
        on_path[reduced.parent] = on_path[reduced.child] = True
        self.hidden = np.flatnonzero(on_path & ~reduced.is_input & ~reduced.is_output)
        self.node_column = np.full(self.n_nodes, NO_COLUMN)
        self.edge_column = np.full(len(reduced.edge_ids), NO_COLUMN)
        self.core = np.flatnonzero(reduced.is_core)

    def build(self) -> Formulation:
        reduced = self.reduced
        forced = reduced.is_forced[self.hidden]
        self.node_column[self.hidden] = self._columns(np.zeros(len(forced)), low=forced.astype(float))
        must = np.isin(reduced.edge_ids, reduced.must_edges)
        if self.edge_form:
            self.edge_column[self.core] = self._columns(reduced.cost[self.core], low=must[self.core].astype(float))
        else:
            # Where parents differ in cost (no node form suffices then) the least keeps it a relaxation.
            node_cost = np.full(self.n_nodes, np.inf)
            np.minimum.at(node_cost, reduced.child[self.core], reduced.cost[self.core])
            self.cost[0] = node_cost[self.hidden]
        priced = reduced.priced_edges
        if len(priced):
            self.edge_column[priced] = self._columns(reduced.cost[priced], low=must[priced].astype(float))
        self._cover_inputs()
        self._connect_neurons()
        if self.edge_form:
            self._serve_classes()
            if reduced.rules.max_parents is not None:
                self._limit_parents(reduced.rules.max_parents)
            if reduced.rules.max_depth is not None:
                self._limit_depth(reduced.rules.max_depth)
        return Formulation(
            reduced=reduced,
            cost=np.concatenate(self.cost),
            constant=self.constant,
            low=np.concatenate(self.low),
            high=np.concatenate(self.high),
            is_integer=np.concatenate(self.integer),
            rows=self.rows,
            networks=self._networks(),
            node_column=self.node_column,
            edge_column=self.edge_column,
            serve=tuple(self.serve),
            has_edge_form=self.edge_form,
        )

    def _columns(
        self, cost: np.ndarray, *, low: np.ndarray | None = None, high: float = 1.0, integer: bool = True
    ) -> np.ndarray:
        n = len(cost)
        self.cost.append(np.asarray(cost, dtype=float))
        self.low.append(np.zeros(n) if low is None else low)
        self.high.append(np.full(n, high))
        self.integer.append(np.full(n, integer))
        self.n_columns += n
        return np.arange(self.n_columns - n, self.n_columns)

    def _kept_sum(self, codes: np.ndarray) -> tuple[np.ndarray, int]:
        """Columns of nodes, and how many of them are outputs, which are always kept."""
        columns = self.node_column[codes]
        return columns[columns != NO_COLUMN], int((columns == NO_COLUMN).sum())

    def _cover_inputs(self) -> None:
        reduced = self.reduced
        # Every input of a class costs the same, whatever parents it gets.
        self.constant += sum(c.coverage * c.cost * len(c.genes) for c in reduced.classes)
        for position in reduced.open_classes:
            gene_class = reduced.classes[position]
            columns, always = self._kept_sum(gene_class.parents)
            self.rows.add(columns, np.ones(len(columns)), gene_class.coverage - always)
        for _, edges in _grouped_by(reduced.child, reduced.priced_edges):
            columns = self.edge_column[edges]
            self.rows.add(columns, np.ones(len(columns)), reduced.coverage[reduced.child[edges[0]]])
        self._need_ends(reduced.priced_edges)

    def _need_ends(self, edges: np.ndarray) -> None:
        """y_a <= x at both ends."""
        for ends in (self.reduced.parent, self.reduced.child):
            for edge in edges:
                node = self.node_column[ends[edge]]
                if node != NO_COLUMN:
                    self.rows.add(np.array([self.edge_column[edge], node]), np.array([-1.0, 1.0]), 0.0)

    def _connect_neurons(self) -> None:
        """Every kept hidden node has a kept parent and, counting inputs, a kept child."""
        reduced = self.reduced
        ones = np.ones
        parents_of = dict(_grouped_by(reduced.child, self.core))
        if self.edge_form:
            self._need_ends(self.core)
            for code in self.hidden.tolist():
                columns = self.edge_column[parents_of[code]]
                self.rows.add(np.append(columns, self.node_column[code]), np.append(ones(len(columns)), -1.0), 0.0)
            return
        has_input = np.zeros(self.n_nodes, dtype=bool)
        has_input[reduced.parent[~reduced.is_core]] = True
        children_of = dict(_grouped_by(reduced.parent, self.core))
        for code in self.hidden.tolist():
            columns, always = self._kept_sum(reduced.parent[parents_of[code]])
            if not always:
                self.rows.add(np.append(columns, self.node_column[code]), np.append(ones(len(columns)), -1.0), 0.0)
            if not has_input[code]:
                columns, _ = self._kept_sum(reduced.child[children_of[code]])
                self.rows.add(np.append(columns, self.node_column[code]), np.append(ones(len(columns)), -1.0), 0.0)

    def _serve_classes(self) -> None:
        """A kept neuron without a kept hidden child needs an input of its own; there may be too few to go round."""
        reduced = self.reduced
        most = reduced.rules.max_parents
        self.always_served = np.zeros(self.n_nodes, dtype=bool)
        contested = []
        for position, gene_class in enumerate(reduced.classes):
            if gene_class.coverage * len(gene_class.genes) >= len(gene_class.parents):
                # As many edges to inputs as parents: each kept parent can have one.
                self.always_served[gene_class.parents] = True
            else:
                contested.append(position)
        serve_of: dict[int, list[int]] = {}
        for position in contested:
            gene_class = reduced.classes[position]
            codes = gene_class.parents[~self.always_served[gene_class.parents]]
            if not len(codes):
                continue
            columns = self._columns(np.zeros(len(codes)))
            for code, column in zip(codes, columns, strict=True):
                self.serve.append((int(code), position, int(column)))
                serve_of.setdefault(int(code), []).append(int(column))
                if self.node_column[code] != NO_COLUMN:
                    self.rows.add(np.array([column, self.node_column[code]]), np.array([-1.0, 1.0]), 0.0)
            # Edges beyond the coverage cost extra; without a limit an input may have all of its parents.
            widest = len(gene_class.parents) if most is None else min(most, len(gene_class.parents))
            room = len(gene_class.genes) * (widest - gene_class.coverage)
            extra = self._columns(np.array([gene_class.cost]), high=float(room))
            slots = len(gene_class.genes) * gene_class.coverage
            self.rows.add(np.append(columns, extra), np.append(-np.ones(len(columns)), 1.0), -float(slots))
        children_of = dict(_grouped_by(reduced.parent, self.core))
        priced_of = dict(_grouped_by(reduced.parent, reduced.priced_edges))
        nothing = np.empty(0, dtype=np.int64)
        neurons = np.concatenate([self.hidden, np.flatnonzero(reduced.is_output)])
        for code in neurons[~self.always_served[neurons]].tolist():
            columns = np.concatenate(
                [
                    self.edge_column[children_of.get(code, nothing)],
                    self.edge_column[priced_of.get(code, nothing)],
                    np.array(serve_of.get(int(code), []), dtype=np.int64),
                ]
            )
            node = self.node_column[code]
            if node == NO_COLUMN:
                self.rows.add(columns, np.ones(len(columns)), 1.0)
            else:
                self.rows.add(np.append(columns, node), np.append(np.ones(len(columns)), -1.0), 0.0)

    def _limit_parents(self, most: int) -> None:
        edges = np.flatnonzero(self.edge_column != NO_COLUMN)
        for _, into in _grouped_by(self.reduced.child, edges):
            if len(into) > most:
                self.rows.add(self.edge_column[into], np.ones(len(into)), -np.inf, float(most))

    def _limit_depth(self, most: int) -> None:
        """Order variables (Miller, Tucker and Zemlin 1960): a child lies at least one level below its parent."""
        reduced = self.reduced
        neurons = np.concatenate([self.hidden, np.flatnonzero(reduced.is_output)])
        down, up = reduced.distance_from_output[neurons], reduced.distance_to_input[neurons]
        level = np.full(self.n_nodes, NO_COLUMN)
        level[neurons] = self._columns(np.zeros(len(neurons)), low=down, integer=False)
        self.high[-1] = most - up
        lowest, highest = np.zeros(self.n_nodes), np.zeros(self.n_nodes)
        lowest[neurons], highest[neurons] = down, most - up
        for edge in self.core:
            above, below = reduced.parent[edge], reduced.child[edge]
            # Switched off where the edge is not kept; the least such constant keeps the relaxation strong.
            slack = highest[above] + 1 - lowest[below]
            if slack > 0:
                columns = np.array([level[below], level[above], self.edge_column[edge]])
                self.rows.add(columns, np.array([1.0, -1.0, -slack]), 1.0 - slack)

    def _networks(self) -> tuple[FlowNetwork, ...]:
        """Downwards from the outputs and, in edge form, upwards from the inputs; only where there are cycles."""
        reduced, columns = self.reduced, (self.node_column, self.edge_column)
        # The order variables of a depth limit exclude cycles, but their relaxation is weak: cuts stay.
        has_cycles = not reduced.is_acyclic or reduced.rules.max_depth is not None
        networks = []
        if has_cycles or self.edge_form:
            networks.append(network_from_outputs(reduced, *columns))
        if has_cycles and self.edge_form:
            served = np.flatnonzero(self.always_served)
            networks.append(network_from_inputs(reduced, *columns, serve=self.serve, always_served=served))
        return tuple(networks)


def _grouped_by(keys: np.ndarray, edges: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Groups edges by the node at one end, ascending."""
    if not len(edges):
        return []
    order = edges[np.argsort(keys[edges], kind="stable")]
    values, starts = np.unique(keys[order], return_index=True)
    return list(zip(values.tolist(), np.split(order, starts[1:]), strict=True))
