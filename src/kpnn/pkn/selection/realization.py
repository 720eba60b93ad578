"""From the neurons that a solution keeps to the edges of a DAG: which kept parent each node is tied to."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np

from kpnn.pkn.dag import Dag
from kpnn.pkn.graph import fewest_edges, reached_from_each
from kpnn.pkn.paths import edge_rows
from kpnn.pkn.selection.even_spread import spread_evenly
from kpnn.pkn.selection.model.formulation import Formulation
from kpnn.pkn.selection.model.rows import NO_COLUMN
from kpnn.pkn.selection.presolve import ReducedPkn


def support_of(reduced: ReducedPkn) -> np.ndarray:
    """Number of PKN edges to inputs of every node, shape (n_nodes,)."""
    return np.bincount(reduced.parent[~reduced.is_core], minlength=len(reduced.pkn.nodes))


def name_hash(seed: int, *names: str) -> int:
    """A number below 2**48 that depends on the names and the seed alone, not on any order."""
    text = "\t".join((str(seed), *names)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=6).digest(), "big")


def realize_edges(
    formulation: Formulation, x: np.ndarray, tie_break: str, seed: int, *, base: Dag | None = None
) -> np.ndarray:
    """Turns a feasible solution of the formulation into rows of `pkn.edges`.

    Args:
        formulation: the formulation.
        x: values of its columns.
        tie_break: `support`: the parent with most PKN edges to inputs; `balanced`: inputs spread evenly over
            the kept parents; `random`: by seed. Ties go to the first name.
        seed: for `random`.
        base: a DAG among the kept nodes whose edges are all kept.
    """
    reduced = formulation.reduced
    is_base = _edges_of(reduced, base)
    kept = reduced.is_output.copy()
    hidden = formulation.node_column != NO_COLUMN
    kept[hidden] = x[formulation.node_column[hidden]] > 0.5
    has_column = formulation.edge_column != NO_COLUMN
    chosen = np.zeros(len(reduced.edge_ids), dtype=bool)
    chosen[has_column] = x[formulation.edge_column[has_column]] > 0.5
    prefer = _preference(reduced, tie_break, seed)
    if not formulation.has_edge_form and formulation.hub is None:
        chosen[_tree_edges(reduced, kept, np.flatnonzero(reduced.is_output), is_base, prefer)] = True
    chosen |= is_base
    if formulation.hub is not None:
        chosen[_hub_edges(formulation, x, prefer)] = True
        below = np.zeros_like(kept)
        below[hidden] = x[formulation.hub.below[hidden]] > 0.5
        choices = [
            (gene, gene_class.parents[below[gene_class.parents]].tolist(), 1)
            for gene_class in reduced.classes
            for gene in gene_class.genes.tolist()
        ]
        chosen[_positions(reduced, _chosen_pairs(choices, [], prefer, tie_break))] = True
    elif formulation.groups:
        pairs = _shared_pairs(formulation, x, kept, chosen, prefer, tie_break)
        chosen[_positions(reduced, pairs)] = True
    elif not reduced.reach:
        served = [(code, position) for code, position, column in formulation.serve if x[column] > 0.5]
        chosen[_positions(reduced, _input_pairs(formulation, kept, chosen, served, prefer, tie_break))] = True
    if reduced.settled_classes or not formulation.has_edge_form:
        _drop_idle(reduced, chosen)
    return reduced.edge_ids[chosen]


def _tree_edges(
    reduced: ReducedPkn,
    kept: np.ndarray,
    sources: np.ndarray,
    is_base: np.ndarray,
    prefer: Callable[[int, int], tuple[int, int]],
) -> np.ndarray:
    """Positions (in `edge_ids`) of one edge into each kept hidden node: from the preferred parent one level above.

    Levels are counted among the kept nodes from the sources, so that no cycle arises. A node that the base has
    edges into needs none.
    """
    usable = np.flatnonzero(reduced.is_core & kept[reduced.parent] & kept[reduced.child])
    parent, child = reduced.parent[usable], reduced.child[usable]
    level = fewest_edges(parent, child, sources, len(reduced.pkn.nodes))
    is_tree = level[parent] + 1 == level[child]
    is_tree &= ~np.isin(child, reduced.child[is_base & reduced.is_core])
    ranked = sorted(
        usable[is_tree].tolist(),
        key=lambda edge: (reduced.child[edge], *prefer(int(reduced.parent[edge]), int(reduced.child[edge]))),
    )
    edges = np.array(ranked, dtype=np.int64)
    _, first = np.unique(reduced.child[edges], return_index=True)
    return edges[first]


def _hub_edges(formulation: Formulation, x: np.ndarray, prefer: Callable[[int, int], tuple[int, int]]) -> np.ndarray:
    """Positions (in `edge_ids`) of a tree from the hub down to the kept nodes and of a path from each output to it."""
    reduced, columns = formulation.reduced, formulation.hub
    assert columns is not None
    hidden = np.flatnonzero(columns.kept != NO_COLUMN)
    above, below = reduced.is_output.copy(), np.zeros(len(columns.kept), dtype=bool)
    above[hidden], below[hidden] = x[columns.above[hidden]] > 0.5, x[columns.below[hidden]] > 0.5
    hub = hidden[x[columns.hub[hidden]] > 0.5]
    tree = _tree_edges(reduced, below, hub, np.zeros(len(reduced.edge_ids), dtype=bool), prefer)
    ends = above.copy()
    ends[hub] = True
    usable = np.flatnonzero(reduced.is_core & above[reduced.parent] & ends[reduced.child])
    parent, child = reduced.parent[usable], reduced.child[usable]
    level = fewest_edges(child, parent, hub, len(above))
    down: dict[int, list[int]] = {}
    for edge in usable[level[child] + 1 == level[parent]].tolist():
        down.setdefault(int(reduced.parent[edge]), []).append(edge)
    found = set()
    for node in reduced.reach.outputs.tolist():
        while node != hub[0]:
            edge = min(down[node], key=lambda edge: prefer(int(reduced.child[edge]), int(reduced.parent[edge])))
            found.add(edge)
            node = int(reduced.child[edge])
    return np.concatenate([tree, np.array(sorted(found), dtype=np.int64)])


def columns_of_edges(formulation: Formulation, rows: np.ndarray) -> np.ndarray:
    """Values of the columns of an edge form without depth limit, for a DAG.

    Args:
        formulation: a formulation in which every edge between neurons has a column.
        rows: the DAG's rows of `pkn.edges`.
    """
    reduced = formulation.reduced
    x = np.zeros(formulation.n_columns)
    is_kept = np.isin(reduced.edge_ids, rows)
    pairs = set(zip(reduced.parent[is_kept].tolist(), reduced.child[is_kept].tolist(), strict=True))
    for parent, child, column in formulation.column_edges:
        if (parent, child) in pairs:
            x[column] = 1.0
    for ends in (reduced.parent[is_kept], reduced.child[is_kept]):
        nodes = formulation.node_column[ends]
        x[nodes[nodes != NO_COLUMN]] = 1.0
    return x


def _drop_idle(reduced: ReducedPkn, chosen: np.ndarray) -> None:
    """Takes out hidden nodes that feed nothing; a solution that is not optimal may keep such."""
    while True:
        busy = reduced.is_input.copy()
        busy[reduced.parent[chosen]] = True
        idle = chosen & ~busy[reduced.child]
        if not idle.any():
            return
        chosen &= ~idle


def _edges_of(reduced: ReducedPkn, base: Dag | None) -> np.ndarray:
    """Which usable edges a DAG has, shape (n_usable,), bool."""
    if base is None:
        return np.zeros(len(reduced.edge_ids), dtype=bool)
    kept = edge_rows(reduced.pkn, zip(base.edges["parent"], base.edges["child"], strict=True))
    return np.isin(reduced.edge_ids, kept)


def _preference(reduced: ReducedPkn, tie_break: str, seed: int) -> Callable[[int, int], tuple[int, int]]:
    """Sort key of a parent for a child; the smallest is chosen."""
    names = reduced.pkn.nodes
    if tie_break == "random":
        return lambda parent, child: (name_hash(seed, names[parent], names[child]), int(parent))
    support = support_of(reduced)
    return lambda parent, _: (-int(support[parent]), int(parent))


def _positions(reduced: ReducedPkn, pairs: list[tuple[int, int]]) -> np.ndarray:
    """Positions (in `edge_ids`) of (parent, child) edges in node codes."""
    n_nodes = len(reduced.pkn.nodes)
    key = reduced.parent.astype(np.int64) * n_nodes + reduced.child
    wanted = np.array([parent * n_nodes + child for parent, child in pairs], dtype=np.int64)
    order = np.argsort(key)
    return order[np.searchsorted(key[order], wanted)]


def _shared_pairs(
    formulation: Formulation,
    x: np.ndarray,
    kept: np.ndarray,
    chosen: np.ndarray,
    prefer: Callable[[int, int], tuple[int, int]],
    tie_break: str,
) -> list[tuple[int, int]]:
    """(parent, input) edges where inputs must reach outputs of their own.

    An input for which one parent is enough may be tied to any kept parent that all of these outputs reach.

    Args:
        formulation: the formulation.
        x: values of its columns.
        kept: nodes, shape (n_nodes,), bool.
        chosen: edges chosen so far, among them all between neurons, shape (n_usable,), bool.
        prefer: sort key of a parent for a child.
        tie_break: see `realize_edges`.
    """
    reduced, reach = formulation.reduced, formulation.reduced.reach
    core = chosen & reduced.is_core
    is_below = reached_from_each(reduced.parent[core], reduced.child[core], reach.outputs, len(kept))
    parents_of = {
        int(gene): group.parents[x[columns] > 0.5] for group, columns in formulation.groups for gene in group.genes
    }
    pairs: list[tuple[int, int]] = []
    open_choices: list[tuple[int, list[int], int]] = []
    for position, gene_class in enumerate(reduced.classes):
        server = reduced.classes[reduced.settled_classes.get(position, position)]
        wanted = reach.inputs[:, gene_class.genes[0]]
        serves_all = kept[gene_class.parents] & (is_below[:, gene_class.parents] | ~wanted[:, None]).all(axis=0)
        for gene in gene_class.genes.tolist():
            parents = parents_of.get(gene)
            if parents is None:
                parents = server.parents
            if len(parents) == 1 and serves_all.any() and not formulation.has_single_inputs:
                open_choices.append((gene, gene_class.parents[serves_all].tolist(), 1))
            else:
                pairs += [(code, gene) for code in parents.tolist()]
    return pairs + _chosen_pairs(open_choices, pairs, prefer, tie_break)


def _chosen_pairs(
    open_choices: list[tuple[int, list[int], int]],
    pairs: list[tuple[int, int]],
    prefer: Callable[[int, int], tuple[int, int]],
    tie_break: str,
) -> list[tuple[int, int]]:
    """(parent, input) edges by the tie-break rule, from (input, parents that it may have, how many it lacks)."""
    if tie_break == "balanced":
        return spread_evenly(open_choices, pairs)
    return [
        (code, gene)
        for gene, others, missing in open_choices
        for code in sorted(others, key=lambda code: prefer(code, gene))[:missing]
    ]


def _input_pairs(
    formulation: Formulation,
    kept: np.ndarray,
    chosen: np.ndarray,
    served: list[tuple[int, int]],
    prefer: Callable[[int, int], tuple[int, int]],
    tie_break: str,
) -> list[tuple[int, int]]:
    """(parent, input) edges from kept neurons to the inputs of all classes.

    Inputs first go to the neurons that need one for themselves, so that no kept neuron is left without a child; what an
    input then lacks is chosen by the tie-break rule.

    Args:
        formulation: the formulation.
        kept: nodes, shape (n_nodes,), bool.
        chosen: edges chosen so far, shape (n_usable,), bool.
        served: (neuron, class) pairs: an input of the class must be kept for the neuron.
        prefer: sort key of a parent for a child.
        tie_break: see `realize_edges`.
    """
    reduced = formulation.reduced
    pairs: list[tuple[int, int]] = []
    busy = np.zeros(len(reduced.pkn.nodes), dtype=bool)
    busy[reduced.parent[chosen]] = True
    needy: dict[int, list[int]] = {}
    # In node form every kept neuron is needed by some input or child, whatever parents are chosen.
    spreads = formulation.has_edge_form
    for code, position in served:
        if kept[code] and not busy[code]:
            busy[code] = True
            needy.setdefault(position, []).append(code)
    fed_by: dict[int, list[int]] = {}
    for edge in np.flatnonzero(chosen & ~reduced.is_core):
        fed_by.setdefault(int(reduced.child[edge]), []).append(int(reduced.parent[edge]))
    # (input, parents that it may have, how many of them it lacks)
    open_choices: list[tuple[int, list[int], int]] = []
    for position, gene_class in enumerate(reduced.classes):
        parents = gene_class.parents[kept[gene_class.parents]].tolist()
        own = needy.get(position, [])
        if spreads and gene_class.coverage * len(gene_class.genes) >= len(gene_class.parents):
            # Inputs enough for every kept parent: those that have no child yet get one first.
            own = own + [code for code in parents if not busy[code] and code not in own]
            busy[own] = True
        for rank, gene in enumerate(gene_class.genes.tolist()):
            # Neurons take turns; where there are more of them than inputs, the first input also serves the next.
            first = own[rank :: len(gene_class.genes)]
            first += [code for code in fed_by.get(gene, ()) if code not in first]
            pairs += [(code, gene) for code in first]
            others = [code for code in parents if code not in first]
            missing = gene_class.coverage - len(first)
            if missing >= len(others):
                pairs += [(code, gene) for code in others]
            elif missing > 0:
                open_choices.append((gene, others, missing))
    return pairs + _chosen_pairs(open_choices, pairs, prefer, tie_break)
