"""DAGs in which all outputs lead into one node, the hub, and the hub to all inputs: a formulation without edges.

Where every output must be reached by every input and all edges cost the same, a DAG costs one for each input and kept
hidden node, and one for each further edge into a node. The paths from k outputs to an input meet in at least k - 1
further edges. Where a DAG has just k - 1 of them, all of these lead into ancestors of each of the inputs, of which
there are two or more; the lowest such ancestor is the same for all of them, the hub: whatever is kept lies either on
a tree of paths from the outputs down to it or on a tree of paths from it down to the inputs. So:

- a DAG with a hub that costs what the node form's bound says is a cheapest one, and all cheapest ones have a hub;
- one that costs 1 more is a cheapest one as well, as any DAG without a hub costs at least that much.

Variables: x_v for a hidden node kept, either above the hub (a_v) or not (b_v), and h_v for the hub itself. Nodes above
the hub lie on no path below it, so that no cycle can arise, whichever edges are chosen. The least size of the tree
above each node is known beforehand (`model.output_trees`); with many outputs its relaxation falls short of that by far.
"""

from __future__ import annotations

import numpy as np

from kpnn.pkn.selection.model.compact_form import grouped_by
from kpnn.pkn.selection.model.flow_network import Arcs, FlowNetwork
from kpnn.pkn.selection.model.formulation import Formulation, HubColumns
from kpnn.pkn.selection.model.output_trees import fewest_nodes_above
from kpnn.pkn.selection.model.rows import NO_COLUMN, LinearRows
from kpnn.pkn.selection.presolve import ReducedPkn


def hub_form_applies(reduced: ReducedPkn) -> bool:
    """Whether cheapest DAGs are likely to have a hub and are known by their nodes if so."""
    rules, reach = reduced.rules, reduced.reach
    if not reach or len(reduced.pkn.inputs) < 2 or rules.keep_nodes or rules.keep_edges or rules.coverage > 1:
        return False
    if rules.max_depth is not None or rules.max_parents is not None:
        return False
    is_same_cost = reduced.cost.min() == reduced.cost.max()
    return bool(is_same_cost and reach.inputs[:, reduced.is_input].all() and not reduced.is_output[reduced.child].any())


def formulate_hub(reduced: ReducedPkn) -> Formulation:
    """Formulates the search for a cheapest DAG with a hub; only where `hub_form_applies`."""
    n_nodes, hidden = len(reduced.pkn.nodes), reduced.hidden
    unit = float(reduced.cost[0])
    kept, above, below, hub = (np.full(n_nodes, NO_COLUMN) for _ in range(4))
    for place, column in enumerate((kept, above, below, hub)):
        column[hidden] = place * len(hidden) + np.arange(len(hidden))
    columns = HubColumns(kept, above, below, hub)
    cost, low = np.zeros(4 * len(hidden)), np.zeros(4 * len(hidden))
    cost[: len(hidden)] = unit
    # All outputs lead to what every DAG keeps, as the only way to some input.
    low[columns.below[hidden]] = low[: len(hidden)] = reduced.is_forced[hidden]
    rows, high = _rows(reduced, columns), np.ones(4 * len(hidden))
    sizes = fewest_nodes_above(reduced)[hidden]
    is_possible = np.isfinite(sizes)
    high[columns.hub[hidden[~is_possible]]] = 0.0
    tree = np.concatenate([columns.above[hidden], columns.hub[hidden[is_possible]]])
    rows.add(tree, np.concatenate([np.ones(len(hidden)), -sizes[is_possible]]), 0.0)
    return Formulation(
        reduced=reduced,
        cost=cost,
        constant=unit * (len(reduced.pkn.inputs) + len(reduced.reach.outputs) - 1),
        low=low,
        high=high,
        is_integer=np.ones(4 * len(hidden), dtype=bool),
        rows=rows,
        networks=(_network_below(reduced, columns), _network_above(reduced, columns)),
        node_column=kept,
        edge_column=np.full(len(reduced.edge_ids), NO_COLUMN),
        serve=(),
        groups=(),
        hub=columns,
        has_edge_form=False,
        has_single_inputs=False,
    )


def _rows(reduced: ReducedPkn, columns: HubColumns) -> LinearRows:
    rows, hidden = LinearRows(), reduced.hidden
    core = np.flatnonzero(reduced.is_core)
    parents_of, children_of = dict(grouped_by(reduced.child, core)), dict(grouped_by(reduced.parent, core))
    nothing = np.empty(0, dtype=np.int64)
    rows.add(columns.hub[hidden], np.ones(len(hidden)), 1.0, 1.0)
    for code in hidden.tolist():
        parents = reduced.parent[parents_of[code]]
        children = reduced.child[children_of.get(code, nothing)]
        hidden_parents = parents[~reduced.is_output[parents]]
        x, a, b, h = (column[code] for column in (columns.kept, columns.above, columns.below, columns.hub))
        # Above the hub or below it, never both: what is below leads to nothing above, so that no cycle can close.
        rows.add(np.array([x, a, b]), np.array([1.0, -1.0, -1.0]), 0.0, 0.0)
        # The hub is the root of the tree below; all others there have a parent in it, and feed something.
        rows.needs_one(h, np.array([b]))
        rows.needs_one(b, np.append(columns.below[hidden_parents], h))
        if not reduced.has_input[code]:
            rows.needs_one(b, columns.below[children])
        # What stands above leads to the hub, and comes from an output; a node right below an output does so anyway.
        rows.needs_one(a, np.concatenate([columns.above[children], columns.hub[children]]))
        if len(hidden_parents) == len(parents):
            rows.needs_one(a, columns.above[hidden_parents])
    for output in reduced.reach.outputs.tolist():
        children = reduced.child[children_of.get(output, nothing)]
        rows.at_least(np.concatenate([columns.above[children], columns.hub[children]]), 1.0)
    for position in reduced.open_classes:
        found = columns.below[reduced.classes[position].parents]
        rows.at_least(found[found != NO_COLUMN], 1.0)
    return rows


def _network_below(reduced: ReducedPkn, columns: HubColumns) -> FlowNetwork:
    """From the hub down to the inputs and to all that is kept below; v' follows v."""
    n, hidden = len(columns.kept), reduced.hidden
    core = np.flatnonzero(reduced.is_core & ~reduced.is_output[reduced.parent])
    classes = 2 * n + 1 + np.arange(len(reduced.open_classes))
    arcs = Arcs()
    arcs.add(np.full(len(hidden), 2 * n), hidden, columns.hub[hidden])
    arcs.add(hidden, n + hidden, columns.below[hidden])
    arcs.add(n + reduced.parent[core], reduced.child[core])
    for node, position in zip(classes, reduced.open_classes, strict=True):
        parents = reduced.classes[position].parents
        arcs.add_into(node, n + parents[~reduced.is_output[parents]])
    return arcs.network(2 * n + 1 + len(classes), 2 * n, (classes, None), (hidden, columns.below[hidden]))


def _network_above(reduced: ReducedPkn, columns: HubColumns) -> FlowNetwork:
    """From the hub up to the outputs and to all that is kept above, against the edges; v'' stands for v as the hub."""
    n, hidden = len(columns.kept), reduced.hidden
    core = np.flatnonzero(reduced.is_core)
    child, parent = reduced.child[core], reduced.parent[core]
    arcs = Arcs()
    arcs.add(np.full(len(hidden), 3 * n), 2 * n + hidden, columns.hub[hidden])
    arcs.add(2 * n + child, parent)
    arcs.add(hidden, n + hidden, columns.above[hidden])
    arcs.add(n + child, parent)
    return arcs.network(3 * n + 1, 3 * n, (reduced.reach.outputs, None), (hidden, columns.above[hidden]))
