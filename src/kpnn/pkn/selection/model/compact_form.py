"""The compact formulation of DAG selection as a mixed-integer linear programme.

Variables: x_v for a usable hidden node v kept. Where the inputs and outputs are such that a cheapest DAG is an
arborescence (one output, every edge into a hidden node at the same cost, no demand that needs edges) nothing else is
needed: the *node form*. Otherwise the *edge form* adds y_a for each usable edge a between neurons, u_(v,C) where
neuron v may need an input of class C for itself, and w_C for edges that this costs beyond the coverage.

Where inputs must reach several outputs, each their own, an input may need more than one parent, so that its edges
have columns: z_(v,C) for all inputs of class C at once, or for each input by itself where what must be kept, or a
tolerance, makes it worth while that inputs of one class differ. The node form is a relaxation then: the paths from k
outputs to one input meet, which takes k - 1 edges beyond one into every kept node.

Rows: every class of inputs is covered, every kept hidden node has a kept parent and a kept child, an edge needs both
ends. Acyclic connection is left to cuts (see `bounds.cuts`): for a node t and a set of nodes S around it that holds no
output, the variables on the arcs into S sum up to at least x_t. For an input t and an output that it must reach, they
sum up to at least 1 around every S that does not hold this output.

The directed cuts are those of the Steiner arborescence problem (Wong 1984, doi:10.1007/BF02612335; their
node-weighted form: Fischetti et al. 2017, doi:10.1007/s12532-016-0111-0).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kpnn.pkn.selection.gene_classes import GeneClass
from kpnn.pkn.selection.implied_demands import implied_demands
from kpnn.pkn.selection.model.flow_network import (
    FlowNetwork,
    InputArcs,
    network_from_inputs,
    network_from_one_output,
    network_from_outputs,
)
from kpnn.pkn.selection.model.formulation import Formulation
from kpnn.pkn.selection.model.rows import NO_COLUMN, LinearRows
from kpnn.pkn.selection.presolve import ReducedPkn


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
            the node form is a relaxation: no DAG costs less than its optimum. Asked for by True, it holds every
            feasible DAG, by default the cheapest ones of each neuron set that is optimal.
    """
    builder = _CompactForm(reduced, not node_form_suffices(reduced) if edge_form is None else edge_form)
    builder.has_single_inputs = bool(edge_form or reduced.rules.keep_nodes or reduced.rules.keep_edges)
    return builder.build()


class _CompactForm:
    """The columns and rows of a compact formulation while they are stated."""

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
        self.has_single_inputs = False
        self.groups: list[tuple[GeneClass, np.ndarray]] = []
        self.always_served = np.zeros(self.n_nodes, dtype=bool)
        self.hidden = reduced.hidden
        self.node_column = np.full(self.n_nodes, NO_COLUMN)
        self.edge_column = np.full(len(reduced.edge_ids), NO_COLUMN)
        self.core = np.flatnonzero(reduced.is_core)
        self.is_joined, self.is_below = implied_demands(reduced.parent, reduced.child, reduced.reach)

    def build(self) -> Formulation:
        reduced = self.reduced
        forced = (reduced.is_forced | self.is_joined.any(axis=0))[self.hidden]
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
        if self.edge_form and reduced.reach:
            self._group_inputs()
        self._cover_inputs()
        self._connect_neurons()
        if self.edge_form:
            if not reduced.reach:
                self._serve_classes()
            self._need_children()
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
            groups=tuple(self.groups),
            has_edge_form=self.edge_form,
            has_single_inputs=self.has_single_inputs,
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

    def _group_inputs(self) -> None:
        """Columns for the edges into inputs: shared by those of a class, unless each must have its own."""
        for position, gene_class in enumerate(self.reduced.classes):
            if self.has_single_inputs:
                groups = [replace(gene_class, genes=gene_class.genes[i : i + 1]) for i in range(len(gene_class.genes))]
            elif position in self.reduced.settled_classes:
                self.constant += gene_class.coverage * gene_class.cost * len(gene_class.genes)
                continue
            else:
                groups = [gene_class]
            for group in groups:
                cost = np.full(len(group.parents), group.cost * len(group.genes))
                self.groups.append((group, self._columns(cost)))

    def _cover_inputs(self) -> None:
        reduced = self.reduced
        if not self.groups:
            # Every input of a class costs the same, whatever parents it gets.
            self.constant += sum(c.coverage * c.cost * len(c.genes) for c in reduced.classes)
            self.constant += self._cost_of_meeting()
            for position in reduced.open_classes:
                gene_class = reduced.classes[position]
                columns, always = self._kept_sum(gene_class.parents)
                self.rows.at_least(columns, gene_class.coverage - always)
        for group, columns in self.groups:
            self.rows.at_least(columns, group.coverage)
            for code, column in zip(group.parents, columns, strict=True):
                self._need_node(column, code)
        for _, edges in grouped_by(reduced.child, reduced.priced_edges):
            self.rows.at_least(self.edge_column[edges], reduced.coverage[reduced.child[edges[0]]])
        self._need_ends(reduced.priced_edges)
        if self.edge_form and reduced.reach:
            self._cover_outputs()

    def _cover_outputs(self) -> None:
        """A node that an output must reach, as inputs and some others, has a parent below this output.

        Cuts would say so as well, one by one; in layered networks, in which most nodes are below one output, these rows
        decide nearly all.
        """
        reduced = self.reduced
        ends = [(int(group.genes[0]), group.parents, columns) for group, columns in self.groups]
        ends += [
            (child, reduced.parent[edges], self.edge_column[edges])
            for edges_into in (reduced.priced_edges, self.core)
            for child, edges in grouped_by(reduced.child, edges_into)
        ]
        stated = []
        for place, (code, parents, columns) in enumerate(ends):
            # With hundreds of outputs most ask the same of a node.
            wanted = np.flatnonzero(self.is_joined[:, code])
            found, firsts = np.unique(self.is_below[np.ix_(wanted, parents)], axis=0, return_index=True)
            stated += [
                (int(wanted[first]), place, columns[below])
                for below, first in zip(found, firsts, strict=True)
                if not below.all()
            ]
        for _, _, columns in sorted(stated, key=lambda row: row[:2]):
            self.rows.at_least(columns, 1.0)

    def _need_ends(self, edges: np.ndarray) -> None:
        """y_a <= x at both ends."""
        for ends in (self.reduced.parent, self.reduced.child):
            for edge in edges:
                self._need_node(self.edge_column[edge], ends[edge])

    def _need_node(self, column: int, code: int) -> None:
        """What the column stands for can be kept only where the node is."""
        node = self.node_column[code]
        if node != NO_COLUMN:
            self.rows.add(np.array([column, node]), np.array([-1.0, 1.0]), 0.0)

    def _cost_of_meeting(self) -> float:
        """Least cost beyond one edge into every kept hidden node and the coverage of every input.

        The kept nodes above an input that reaches k outputs, these among them, have an edge each towards the input. At
        most as many of these edges as the input has parents lead to the input itself, so that the others, which lead to
        hidden nodes or outputs, are at least k less the coverage more than there are hidden nodes. That holds for
        inputs whose cost is that of their coverage; where edges to an input have columns, all that are kept are paid
        for.
        """
        reduced = self.reduced
        if self.edge_form or not reduced.reach:
            return 0.0
        n_outputs = reduced.reach.inputs.sum(axis=0)
        of_classes = np.array([code for each in reduced.classes for code in each.genes], dtype=np.int64)
        if not len(of_classes):
            return 0.0
        most = int((n_outputs - reduced.coverage)[of_classes].max())
        return max(0, most) * float(reduced.cost.min())

    def _connect_neurons(self) -> None:
        """Every kept hidden node has a kept parent and, counting inputs, a kept child."""
        reduced = self.reduced
        parents_of = dict(grouped_by(reduced.child, self.core))
        if self.edge_form:
            self._need_ends(self.core)
            for code in self.hidden.tolist():
                self.rows.needs_one(self.node_column[code], self.edge_column[parents_of[code]])
            return
        children_of = dict(grouped_by(reduced.parent, self.core))
        for code in self.hidden.tolist():
            needed = [reduced.parent[parents_of[code]]]
            if not reduced.has_input[code]:
                needed.append(reduced.child[children_of[code]])
            for codes in needed:
                columns, always = self._kept_sum(codes)
                if not always:
                    self.rows.needs_one(self.node_column[code], columns)

    def _serve_classes(self) -> None:
        """A kept neuron without a kept hidden child needs an input of its own; there may be too few to go round."""
        reduced = self.reduced
        most = reduced.rules.max_parents
        contested = []
        for position, gene_class in enumerate(reduced.classes):
            if gene_class.coverage * len(gene_class.genes) >= len(gene_class.parents):
                # As many edges to inputs as parents: each kept parent can have one.
                self.always_served[gene_class.parents] = True
            else:
                contested.append(position)
        for position in contested:
            gene_class = reduced.classes[position]
            codes = gene_class.parents[~self.always_served[gene_class.parents]]
            if not len(codes):
                continue
            columns = self._columns(np.zeros(len(codes)))
            for code, column in zip(codes, columns, strict=True):
                self.serve.append((int(code), position, int(column)))
                self._need_node(column, code)
            # Edges beyond the coverage cost extra; without a limit an input may have all of its parents.
            widest = len(gene_class.parents) if most is None else min(most, len(gene_class.parents))
            room = len(gene_class.genes) * (widest - gene_class.coverage)
            extra = self._columns(np.array([gene_class.cost]), high=float(room))
            slots = len(gene_class.genes) * gene_class.coverage
            self.rows.add(np.append(columns, extra), np.append(-np.ones(len(columns)), 1.0), -float(slots))

    def _need_children(self) -> None:
        """A kept neuron has a kept child, unless an input is left for it in any case."""
        reduced = self.reduced
        serve_of: dict[int, list[int]] = {}
        for code, column in self._inputs_of_nodes():
            serve_of.setdefault(code, []).append(column)
        children_of = dict(grouped_by(reduced.parent, self.core))
        priced_of = dict(grouped_by(reduced.parent, reduced.priced_edges))
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
                self.rows.at_least(columns, 1.0)
            else:
                self.rows.needs_one(node, columns)

    def _inputs_of_nodes(self) -> list[tuple[int, int]]:
        """(node, column) where a column says that an input is kept for the node."""
        found = [(code, column) for code, _, column in self.serve]
        for group, columns in self.groups:
            found += zip(group.parents.tolist(), columns.tolist(), strict=True)
        return found

    def _limit_parents(self, most: int) -> None:
        edges = np.flatnonzero(self.edge_column != NO_COLUMN)
        for _, into in grouped_by(self.reduced.child, edges):
            if len(into) > most:
                self.rows.add(self.edge_column[into], np.ones(len(into)), -np.inf, float(most))
        for _, columns in self.groups:
            if len(columns) > most:
                self.rows.add(columns, np.ones(len(columns)), -np.inf, float(most))

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
        """Downwards from the outputs and, in edge form, upwards from the inputs where there are cycles."""
        reduced, columns = self.reduced, (self.node_column, self.edge_column)
        # The order variables of a depth limit exclude cycles, but their relaxation is weak: cuts stay.
        has_cycles = not reduced.is_acyclic or reduced.rules.max_depth is not None
        groups = self.groups or [
            (reduced.classes[position], np.full(len(reduced.classes[position].parents), NO_COLUMN))
            for position in reduced.open_classes
        ]
        arcs = InputArcs.of(groups)
        networks = [network_from_one_output(reduced, int(output), *columns, arcs) for output in reduced.reach.outputs]
        if has_cycles or self.edge_form:
            networks.append(network_from_outputs(reduced, *columns))
        if has_cycles and self.edge_form:
            served = np.flatnonzero(self.always_served)
            networks.append(network_from_inputs(reduced, *columns, serve=self._inputs_of_nodes(), always_served=served))
        return tuple(networks)


def grouped_by(keys: np.ndarray, edges: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Groups edges by the node at one end, ascending."""
    if not len(edges):
        return []
    order = edges[np.argsort(keys[edges], kind="stable")]
    values, starts = np.unique(keys[order], return_index=True)
    return list(zip(values.tolist(), np.split(order, starts[1:]), strict=True))
