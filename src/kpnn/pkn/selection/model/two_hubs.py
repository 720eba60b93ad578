"""DAGs in which one edge more than necessary leads into nodes where paths meet: a statement without edges.

As in `model.hub_form` every output must be reached by every input, and all edges cost the same. A DAG of which nothing
can be left out, in which the paths from k outputs meet in k further edges, one more than a hub needs, has just this
shape. Nodes that all outputs lead to have one parent of that kind, but for two hubs that have none. Each hub alone has
k outputs above it, which takes k - 1 of the further edges; so the two share all but their own, each has two parents,
and above one hub lies a tree of paths, which falls apart into two without it: the outputs are shared out into two
parts, the paths from each part meet in a tree that ends in a gathering node (or in the part's only output), and each
hub has one parent on the paths down from either gathering node. Inputs can be hubs.

What is stated is what all such DAGs satisfy. Where it has no solution, there is none; a solution need not be a DAG.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kpnn.pkn.selection.model.compact_form import grouped_by
from kpnn.pkn.selection.model.flow_network import FlowNetwork
from kpnn.pkn.selection.model.formulation import Formulation
from kpnn.pkn.selection.model.rows import NO_COLUMN, LinearRows
from kpnn.pkn.selection.presolve import ReducedPkn

_PARTS = (0, 1)
_HUBS = 2


def formulate_two_hubs(reduced: ReducedPkn, is_open: np.ndarray) -> Formulation:
    """States what DAGs with two hubs satisfy; only where `hub_form_applies`.

    Args:
        reduced: the presolved PKN.
        is_open: hidden nodes that may be kept, shape (n_nodes,), bool.
    """
    return _Builder(reduced, is_open).build()


class _Builder:
    def __init__(self, reduced: ReducedPkn, is_open: np.ndarray) -> None:
        self.reduced = reduced
        self.outputs = reduced.reach.outputs
        self.hidden = np.flatnonzero(is_open & ~reduced.is_input & ~reduced.is_output)
        self.n_nodes = len(reduced.pkn.nodes)
        self.n_columns = 0
        self.rows = LinearRows()
        self.kept = self._columns(self.hidden)
        # By part: outputs in it, nodes on the tree of paths, the gathering node, nodes on the paths down from it.
        self.of_part = [self._columns(self.outputs) for _ in _PARTS]
        self.above = [self._columns(self.hidden) for _ in _PARTS]
        self.gathers = [self._columns(np.concatenate([self.hidden, self.outputs])) for _ in _PARTS]
        self.down = [self._columns(self.hidden) for _ in _PARTS]
        self.hub, self.below = self._columns(self.hidden), self._columns(self.hidden)
        # At most two inputs are hubs: a class of more has one that hangs below a hub in any case.
        self.small = [position for position, one in enumerate(reduced.classes) if len(one.genes) <= _HUBS]
        self.input_hub = dict(zip(self.small, self._new(len(self.small)).tolist(), strict=True))
        core = np.flatnonzero(reduced.is_core)
        self.parents = {code: reduced.parent[edges] for code, edges in grouped_by(reduced.child, core)}
        self.children = {code: reduced.child[edges] for code, edges in grouped_by(reduced.parent, core)}
        self.hubs_below: dict[int, list[int]] = {}
        for position, column in self.input_hub.items():
            for code in reduced.classes[position].parents.tolist():
                self.hubs_below.setdefault(code, []).append(column)

    def build(self) -> Formulation:
        reduced, hidden = self.reduced, self.hidden
        for code in hidden.tolist():
            self._state_node(code)
        for output in self.outputs.tolist():
            self._state_output(output)
        for part in _PARTS:
            self._sum(self.gathers[part][np.concatenate([hidden, self.outputs])], 1.0, 1.0)
        # The parts are alike: the first output is in the first one.
        self._sum(self.of_part[0][self.outputs[:1]], 1.0, 1.0)
        of_inputs = np.array(list(self.input_hub.values()), dtype=np.int64)
        self._sum(np.concatenate([self.hub[hidden], of_inputs]), _HUBS, _HUBS)
        for position, one in enumerate(reduced.classes):
            found = self._of([self.below, self.hub], one.parents)
            values = np.ones(len(found))
            if position in self.input_hub:
                column, share = self.input_hub[position], 1.0 / len(one.genes)
                for part in _PARTS:
                    above = self._gathered(part, one.parents)
                    self.rows.add(np.append(above, column), np.append(np.ones(len(above)), -share), 0.0)
                found, values = np.append(found, column), np.append(values, share)
            self.rows.add(found, values, 1.0)
        unit = float(reduced.cost[0])
        cost, low = np.zeros(self.n_columns), np.zeros(self.n_columns)
        cost[self.kept[hidden]] = unit
        low[self.kept[hidden]] = reduced.is_forced[hidden]
        return Formulation(
            reduced=reduced,
            cost=cost,
            constant=unit * (len(reduced.pkn.inputs) + len(self.outputs)),
            low=low,
            high=self._high(),
            is_integer=np.ones(self.n_columns, dtype=bool),
            rows=self.rows,
            networks=self._networks(),
            node_column=self.kept,
            edge_column=np.full(len(reduced.edge_ids), NO_COLUMN),
            serve=(),
            groups=(),
            has_edge_form=False,
            has_single_inputs=False,
        )

    def _new(self, n: int) -> np.ndarray:
        self.n_columns += n
        return np.arange(self.n_columns - n, self.n_columns)

    def _columns(self, codes: np.ndarray) -> np.ndarray:
        """One new column for each of these nodes, shape (n_nodes,); NO_COLUMN for all others."""
        found = np.full(self.n_nodes, NO_COLUMN)
        found[codes] = self._new(len(codes))
        return found

    def _high(self) -> np.ndarray:
        high = np.ones(self.n_columns)
        for position, column in self.input_hub.items():
            high[column] = len(self.reduced.classes[position].genes)
        return high

    def _of(self, kinds: list[np.ndarray], codes: np.ndarray) -> np.ndarray:
        """The columns that nodes have of these kinds."""
        found = np.concatenate([kind[codes] for kind in kinds])
        return found[found != NO_COLUMN]

    def _gathered(self, part: int, codes: np.ndarray) -> np.ndarray:
        return self._of([self.gathers[part], self.down[part]], codes)

    def _sum(self, columns: np.ndarray, low: float, high: float = np.inf) -> None:
        self.rows.add(columns, np.ones(len(columns)), low, high)

    def _one_of(self, found: np.ndarray, column: int) -> None:
        """A kept column needs one of those found."""
        self.rows.add(np.append(found, column), np.append(np.ones(len(found)), -1.0), 0.0)

    def _state_node(self, code: int) -> None:
        """A node is kept in one place, and has a parent and a child there or in the next."""
        nothing = np.empty(0, dtype=np.int64)
        parents, children = self.parents[code], self.children.get(code, nothing)
        places = [*self.above, *self.gathers, *self.down, self.hub, self.below]
        columns = np.array([place[code] for place in places])
        self.rows.add(np.append(columns, self.kept[code]), np.append(np.ones(len(columns)), -1.0), 0.0, 0.0)
        to_hubs = np.append(self._of([self.hub], children), np.array(self.hubs_below.get(code, []), dtype=np.int64))
        for part in _PARTS:
            from_above = self._of([self.above[part], self.of_part[part]], parents)
            self._one_of(from_above, self.above[part][code])
            self._one_of(from_above, self.gathers[part][code])
            self._one_of(self._of([self.above[part], self.gathers[part]], children), self.above[part][code])
            self._one_of(self._gathered(part, parents), self.down[part][code])
            towards_hubs = np.concatenate([self._of([self.down[part]], children), to_hubs])
            self._one_of(towards_hubs, self.down[part][code])
            self._one_of(towards_hubs, self.gathers[part][code])
            self._one_of(self._gathered(part, parents), self.hub[code])
        self._one_of(self._of([self.hub, self.below], parents), self.below[code])

    def _state_output(self, output: int) -> None:
        """An output is in one part, and leads on there; where it gathers it is the only one."""
        self._sum(np.array([side[output] for side in self.of_part]), 1.0, 1.0)
        children = self.children.get(output, np.empty(0, dtype=np.int64))
        for part in _PARTS:
            leads_on = self._of([self.above[part], self.gathers[part]], children)
            gathers = self.gathers[part][output]
            self._one_of(np.append(leads_on, gathers), self.of_part[part][output])
            self._one_of(np.array([self.of_part[part][output]]), gathers)
            others = self.outputs[self.outputs != output]
            for other in self.of_part[part][others].tolist():
                self.rows.add(np.array([gathers, other]), np.ones(2), -np.inf, 1.0)

    def _networks(self) -> tuple[FlowNetwork, ...]:
        """From the hubs down to the inputs; in each part down to the hubs, and up to its outputs."""
        reduced, hubs = self.reduced, self._targets(self.hub)
        inputs = []
        for position, one in enumerate(reduced.classes):
            itself = self.input_hub.get(position, NO_COLUMN)
            inputs.append(_Leaf(one.parents, NO_COLUMN, itself))
        found = [self._network((self.hub, self.below), self._targets(self.below), inputs)]
        single = [position for position in self.small if len(reduced.classes[position].genes) == 1]
        hub_inputs = [_Leaf(reduced.classes[one].parents, self.input_hub[one], NO_COLUMN) for one in single]
        for part in _PARTS:
            ways = (self.gathers[part], self.down[part])
            found.append(self._network(ways, hubs + self._targets(self.down[part]), hub_inputs))
            # An output that gathers is there from the beginning.
            ends = [(self.n_nodes + output, column) for output, column in self._targets(self.of_part[part])]
            ways = (self.gathers[part], self.above[part])
            found.append(self._network(ways, ends + self._targets(self.above[part]), [], is_upward=True))
        return tuple(found)

    @staticmethod
    def _targets(columns: np.ndarray) -> list[tuple[int, int]]:
        """(node, column) of the nodes that have one."""
        codes = np.flatnonzero(columns != NO_COLUMN)
        return list(zip(codes.tolist(), columns[codes].tolist(), strict=True))

    def _network(
        self,
        ways: tuple[np.ndarray, np.ndarray],
        targets: list[tuple[int, int]],
        leaves: list[_Leaf],
        *,
        is_upward: bool = False,
    ) -> FlowNetwork:
        """From starting nodes along nodes of one kind; v' follows v, and a start is v' from the beginning.

        Args:
            ways: columns of the starting nodes, and of those that may be passed, each of shape (n_nodes,).
            targets: nodes to reach, each with the column that says how far.
            leaves: inputs to reach.
            is_upward: against the edges.
        """
        reduced, n = self.reduced, self.n_nodes
        starts, through = ways
        is_open = (self.kept != NO_COLUMN) | reduced.is_output
        core = np.flatnonzero(reduced.is_core & is_open[reduced.parent] & is_open[reduced.child])
        tail, head = reduced.parent[core], reduced.child[core]
        if is_upward:
            tail, head = head, tail
        first, passed = np.flatnonzero(starts != NO_COLUMN), np.flatnonzero(through != NO_COLUMN)
        outputs = self.outputs
        tails = [np.full(len(first), 2 * n), passed, outputs, n + tail]
        heads = [n + first, n + passed, n + outputs, head]
        arcs = [starts[first], through[passed], np.full(len(outputs) + len(core), NO_COLUMN)]
        for place, leaf in enumerate(leaves):
            parents = leaf.parents[is_open[leaf.parents]]
            itself = np.array([leaf.itself] if leaf.itself != NO_COLUMN else [], dtype=np.int64)
            tails += [n + parents, np.full(len(itself), 2 * n)]
            heads += [np.full(len(parents) + len(itself), 2 * n + 1 + place)]
            arcs += [np.full(len(parents), NO_COLUMN), itself]
        ends = [*targets, *((2 * n + 1 + place, leaf.wanted) for place, leaf in enumerate(leaves))]
        return FlowNetwork(
            n_nodes=2 * n + 1 + len(leaves),
            source=2 * n,
            tail=np.concatenate(tails),
            head=np.concatenate(heads),
            column=np.concatenate(arcs),
            targets=np.array([node for node, _ in ends], dtype=np.int64),
            target_column=np.array([column for _, column in ends], dtype=np.int64),
        )


class _Leaf(NamedTuple):
    """Inputs of a class, as networks see them.

    Attributes:
        parents: node codes of their parents.
        wanted: column that says whether they must be reached, or NO_COLUMN: in any case.
        itself: column of the inputs as hubs, which need not be reached, or NO_COLUMN.
    """

    parents: np.ndarray
    wanted: int
    itself: int
