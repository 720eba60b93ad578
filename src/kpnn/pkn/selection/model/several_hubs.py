"""DAGs with more than one hub: what they satisfy, stated without edges.

As in `model.hub_form` every output must be reached by every input, and all edges cost the same. In a DAG of which
nothing can be left out, call a node full if all outputs lead to it. Whatever hangs on a full node is full, so that
full nodes with a full parent have no other one; full nodes without one are the hubs, inputs among them. All that leads
to a hub is not full, so that a hub has two parents or more, and no hub leads to another. The paths from k outputs to
one of them, the main hub, meet in k - 1 edges beyond one into each node; each further hub takes at least one more.

Variables: x_v for a hidden node kept, either above the hubs (a_v) or full (b_v); r_v for the main hub, s_v for another;
for a class of inputs t_C where its inputs are hubs, r_C where one of these is the main one. Above the main hub lies a
tree of paths from all outputs, of which the least size is known (`model.output_trees`).

What is stated is what all such DAGs satisfy. Where it has no solution, there is none; a solution need not be a DAG.
"""

from __future__ import annotations

import numpy as np

from kpnn.pkn.selection.model.compact_form import grouped_by
from kpnn.pkn.selection.model.flow_network import Arcs, FlowNetwork
from kpnn.pkn.selection.model.formulation import Formulation
from kpnn.pkn.selection.model.output_trees import fewest_nodes_above
from kpnn.pkn.selection.model.rows import NO_COLUMN, LinearRows
from kpnn.pkn.selection.presolve import ReducedPkn

_NOTHING = np.empty(0, dtype=np.int64)


def formulate_several_hubs(reduced: ReducedPkn) -> Formulation:
    """States what DAGs with two hubs or more satisfy; only where `hub_form_applies`."""
    return _SeveralHubsForm(reduced).build()


class _SeveralHubsForm:
    """The columns and rows of DAGs with several hubs while they are stated."""

    def __init__(self, reduced: ReducedPkn) -> None:
        self.reduced = reduced
        self.outputs = reduced.reach.outputs
        self.n_nodes = len(reduced.pkn.nodes)
        self.hidden = reduced.hidden
        self.n_columns = 0
        self.rows = LinearRows()
        self.kept, self.above, self.full, self.main, self.other = (self._columns(self.hidden) for _ in range(5))
        self.classes = list(reduced.open_classes)
        self.parents_of_class = {place: reduced.classes[place].parents for place in self.classes}
        # An input with one parent is reached from all outputs through it, and so is no hub.
        self.hub_classes = [place for place in self.classes if len(self.parents_of_class[place]) > 1]
        self.class_hubs = dict(zip(self.hub_classes, self._new(len(self.hub_classes)).tolist(), strict=True))
        self.class_main = dict(zip(self.hub_classes, self._new(len(self.hub_classes)).tolist(), strict=True))
        core = np.flatnonzero(reduced.is_core)
        self.core_parent, self.core_child = reduced.parent[core], reduced.child[core]
        self.parents = {code: reduced.parent[edges] for code, edges in grouped_by(reduced.child, core)}
        self.children = {code: reduced.child[edges] for code, edges in grouped_by(reduced.parent, core)}
        self.leads_to = self._parents_of_hub_inputs()
        self.hubs_below: dict[int, list[int]] = {}
        for place, codes in self.leads_to.items():
            for code in codes.tolist():
                self.hubs_below.setdefault(code, []).append(self.class_hubs[place])

    def build(self) -> Formulation:
        reduced, hidden = self.reduced, self.hidden
        for code in hidden.tolist():
            self._state_node(code)
        for output in self.outputs.tolist():
            self.rows.at_least(self._leads_on(output), 1.0)
        for place in self.classes:
            self._state_class(place)
        mains = np.concatenate([self.main[hidden], np.array(list(self.class_main.values()), dtype=np.int64)])
        self.rows.add(mains, np.ones(len(mains)), 1.0, 1.0)
        # Where no input is a hub, a hidden node is one beside the main one.
        hubs = np.concatenate([self.other[hidden], np.array(list(self.class_hubs.values()), dtype=np.int64)])
        self.rows.at_least(hubs, 1.0)
        impossible = self._state_trees()
        high = np.ones(self.n_columns)
        high[impossible] = 0.0
        unit = float(reduced.cost[0])
        cost, low = np.zeros(self.n_columns), np.zeros(self.n_columns)
        cost[self.kept[hidden]] = unit
        cost[self.other[hidden]] = unit
        for place in self.hub_classes:
            cost[self.class_hubs[place]] = unit * len(reduced.classes[place].genes)
            cost[self.class_main[place]] = -unit
        # All outputs lead to what every DAG keeps, as the only way to some input.
        low[self.full[hidden]] = low[self.kept[hidden]] = reduced.is_forced[hidden]
        return Formulation(
            reduced=reduced,
            cost=cost,
            constant=unit * (len(reduced.pkn.inputs) + len(self.outputs) - 1),
            low=low,
            high=high,
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

    def _of(self, kinds: list[np.ndarray], codes: np.ndarray) -> np.ndarray:
        """The columns that nodes have of these kinds."""
        found = np.concatenate([kind[codes] for kind in kinds])
        return found[found != NO_COLUMN]

    def _parents_of_hub_inputs(self) -> dict[int, np.ndarray]:
        """By class: parents of inputs that can only be hubs where the inputs of the class are.

        A class that is left out has all parents of one that is not: no parent of it is full, no parent of that one is.
        """
        reduced = self.reduced
        parents = {place: set(self.parents_of_class[place].tolist()) for place in self.hub_classes}
        by_parent: dict[int, list[int]] = {}
        for place in self.hub_classes:
            by_parent.setdefault(min(parents[place]), []).append(place)
        found = {place: set(codes) for place, codes in parents.items()}
        for place in set(range(len(reduced.classes))) - set(self.classes):
            names = set(reduced.classes[place].parents.tolist())
            for first in sorted(names):
                for owner in by_parent.get(first, ()):
                    if parents[owner] <= names:
                        found[owner] |= names
        return {place: np.array(sorted(codes), dtype=np.int64) for place, codes in found.items()}

    def _leads_on(self, code: int) -> np.ndarray:
        """Columns of what a node that is not full leads to: nodes of its kind, and hubs."""
        children = self.children.get(code, _NOTHING)
        inputs = np.array(self.hubs_below.get(code, []), dtype=np.int64)
        return np.concatenate([self._of([self.above, self.main, self.other], children), inputs])

    def _state_node(self, code: int) -> None:
        x, a, b, r, s = (kind[code] for kind in (self.kept, self.above, self.full, self.main, self.other))
        parents, children = self.parents.get(code, _NOTHING), self.children.get(code, _NOTHING)
        self.rows.add(np.array([x, a, b]), np.array([1.0, -1.0, -1.0]), 0.0, 0.0)
        self.rows.add(np.array([b, r, s]), np.array([1.0, -1.0, -1.0]), 0.0)
        self.rows.needs_one(b, np.append(self._of([self.full], parents), [r, s]))
        if not self.reduced.has_input[code]:
            # A child below is no hub.
            below, hubs = self._of([self.full], children), self._of([self.main, self.other], children)
            values = np.concatenate([np.ones(len(below)), -np.ones(len(hubs) + 1)])
            self.rows.add(np.concatenate([below, hubs, [b]]), values, 0.0)
        self.rows.needs_one(a, self._leads_on(code))
        if not self.reduced.is_output[parents].any():
            self.rows.needs_one(a, self._of([self.above], parents))
        self._need_two_parents(parents, [r, s])

    def _need_two_parents(self, parents: np.ndarray, columns: list[int]) -> None:
        """A hub has two parents that are not full."""
        above = self._of([self.above], parents)
        n_outputs = int(self.reduced.is_output[parents].sum())
        values = np.append(np.ones(len(above)), np.full(len(columns), -2.0))
        self.rows.add(np.append(above, columns), values, -float(n_outputs))

    def _state_class(self, place: int) -> None:
        parents = self.parents_of_class[place]
        full = self._of([self.full], parents)
        if place not in self.class_hubs:
            self.rows.at_least(full, 1.0)
            return
        hubs = self.class_hubs[place]
        self.rows.at_least(np.append(full, hubs), 1.0)
        for column in full.tolist():
            # One edge from a full parent is cheaper than two.
            self.rows.add(np.array([column, hubs]), -np.ones(2), -1.0)
        self.rows.needs_one(self.class_main[place], np.array([hubs]))
        self._need_two_parents(parents, [hubs])

    def _state_trees(self) -> np.ndarray:
        """No fewer nodes lie above the main hub than a tree of paths from all outputs takes.

        Of all hubs the main one is one above which this tree is largest.

        Returns:
            Columns of hubs above which there is no such tree.
        """
        fewest, hidden = fewest_nodes_above(self.reduced), self.hidden
        inputs = [int(self.reduced.classes[place].genes[0]) for place in self.hub_classes]
        of_classes = (np.array(list(found.values()), dtype=np.int64) for found in (self.class_main, self.class_hubs))
        main, hubs = (
            np.append(kind[hidden], columns) for kind, columns in zip((self.main, self.other), of_classes, strict=True)
        )
        sizes = np.append(fewest[hidden], fewest[inputs])
        is_possible = np.isfinite(sizes)
        above = self.above[hidden]
        values = np.append(np.ones(len(above)), -sizes[is_possible])
        self.rows.add(np.append(above, main[is_possible]), values, 0.0)
        larger = _NOTHING
        for size in np.unique(sizes[is_possible])[::-1]:
            # The main hub is one of at least this size.
            is_so, column = sizes == size, self._new(1)
            found = np.concatenate([main[is_so], larger])
            self.rows.add(np.append(found, column), np.append(np.ones(len(found)), -1.0), 0.0, 0.0)
            for hub in hubs[is_so].tolist():
                self.rows.needs_one(hub, column)
            larger = column
        return np.append(main[~is_possible], hubs[~is_possible])

    def _networks(self) -> tuple[FlowNetwork, ...]:
        """From the hubs down to the inputs; up to the outputs and to what is kept above; from each output to hubs."""
        hubs = [self._down_from(output) for output in self.outputs.tolist()]
        return (self._below(), self._up_to_outputs(), self._up_to_nodes(), *hubs)

    def _below(self) -> FlowNetwork:
        """From the hubs, v' after v; an input is reached through its parents, or is a hub itself."""
        n, hidden, source = self.n_nodes, self.hidden, 2 * self.n_nodes
        is_way = ~self.reduced.is_output[self.core_parent]
        arcs = Arcs()
        for kind in (self.main, self.other):
            arcs.add(np.full(len(hidden), source), hidden, kind[hidden])
        arcs.add(hidden, n + hidden, self.full[hidden])
        arcs.add(n + self.core_parent[is_way], self.core_child[is_way])
        for node, place in enumerate(self.classes, start=source + 1):
            parents = self.parents_of_class[place]
            arcs.add_into(node, n + parents[~self.reduced.is_output[parents]])
            if place in self.class_hubs:
                arcs.add(np.array([source]), np.array([node]), np.array([self.class_hubs[place]]))
        ends = source + 1 + np.arange(len(self.classes))
        return arcs.network(source + 1 + len(ends), source, (ends, None), (hidden, self.full[hidden]))

    def _up_to_outputs(self) -> FlowNetwork:
        starts = [(self.main[self.hidden], self.class_main, self.parents_of_class)]
        return self._up(starts, (self.outputs, None))

    def _up_to_nodes(self) -> FlowNetwork:
        starts = [(self.main[self.hidden], {}, {}), (self.other[self.hidden], self.class_hubs, self.leads_to)]
        return self._up(starts, (self.hidden, self.above[self.hidden]))

    def _up(
        self,
        starts: list[tuple[np.ndarray, dict[int, int], dict[int, np.ndarray]]],
        targets: tuple[np.ndarray, np.ndarray | None],
    ) -> FlowNetwork:
        """Against the edges; v' follows v on the way, and v'' stands for v as a hub."""
        n, hidden, source = self.n_nodes, self.hidden, 3 * self.n_nodes
        arcs, node = Arcs(), source
        for columns, of_classes, parents_of in starts:
            arcs.add(np.full(len(hidden), source), 2 * n + hidden, columns)
            for place, column in of_classes.items():
                node += 1
                arcs.add(np.array([source]), np.array([node]), np.array([column]))
                arcs.add(np.full(len(parents_of[place]), node), parents_of[place])
        arcs.add(2 * n + self.core_child, self.core_parent)
        arcs.add(hidden, n + hidden, self.above[hidden])
        arcs.add(n + self.core_child, self.core_parent)
        return arcs.network(node + 1, source, targets)

    def _down_from(self, output: int) -> FlowNetwork:
        """From one output to every hub but the main one, which has all outputs above it already."""
        n, hidden, is_output = self.n_nodes, self.hidden, self.reduced.is_output
        is_way = ~is_output[self.core_parent] | (self.core_parent == output)
        arcs = Arcs()
        arcs.add(hidden, n + hidden, self.above[hidden])
        arcs.add(n + self.core_parent[is_way], self.core_child[is_way])
        for node, place in enumerate(self.hub_classes, start=2 * n):
            parents = self.parents_of_class[place]
            arcs.add_into(node, n + parents[~is_output[parents] | (parents == output)])
        inputs = 2 * n + np.arange(len(self.hub_classes)), np.array(list(self.class_hubs.values()), dtype=np.int64)
        return arcs.network(2 * n + len(self.hub_classes), n + output, (hidden, self.other[hidden]), inputs)
