"""From the neurons that a solution keeps to the edges of a DAG: which kept parent each node is tied to."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np

from kpnn.pkn.dag import Dag
from kpnn.pkn.presolve import ReducedPkn, levels_below
from kpnn.pkn.rows import FREE
from kpnn.pkn.statement import Statement


def support_of(reduced: ReducedPkn) -> np.ndarray:
    """Number of PKN edges to inputs of every node, shape (n_nodes,)."""
    return np.bincount(reduced.parent[~reduced.is_core], minlength=len(reduced.pkn.nodes))


def name_hash(seed: int, *names: str) -> int:
    """A number below 2**48 that depends on the names and the seed alone, not on any order."""
    text = "\t".join((str(seed), *names)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=6).digest(), "big")


def realise(statement: Statement, x: np.ndarray, tie_break: str, seed: int, *, base: Dag | None = None) -> np.ndarray:
    """Turns a feasible solution of the statement into rows of `pkn.edges`.

    Args:
        statement: the statement.
        x: values of its columns.
        tie_break: `support`: the parent with most PKN edges to inputs; `balanced`: inputs spread evenly over
            the kept parents; `random`: by seed. Ties go to the first name.
        seed: for `random`.
        base: a DAG among the kept nodes whose edges are all kept.
    """
    reduced = statement.reduced
    is_base = _edges_of(reduced, base)
    n_nodes = len(reduced.pkn.nodes)
    kept = reduced.is_output.copy()
    hidden = statement.node_column != FREE
    kept[hidden] = x[statement.node_column[hidden]] > 0.5
    has_column = statement.edge_column != FREE
    chosen = np.zeros(len(reduced.edge_ids), dtype=bool)
    chosen[has_column] = x[statement.edge_column[has_column]] > 0.5
    prefer = _preference(reduced, tie_break, seed)
    if not statement.has_edge_form:
        usable = np.flatnonzero(reduced.is_core & kept[reduced.parent] & kept[reduced.child])
        level = levels_below(reduced.parent[usable], reduced.child[usable], np.flatnonzero(reduced.is_output), n_nodes)
        is_tree = level[reduced.parent[usable]] + 1 == level[reduced.child[usable]]
        is_tree &= ~np.isin(reduced.child[usable], reduced.child[is_base & reduced.is_core])
        tree = usable[is_tree]
        order = sorted(
            tree.tolist(), key=lambda e: (reduced.child[e], *prefer(int(reduced.parent[e]), int(reduced.child[e])))
        )
        _, first = np.unique(reduced.child[np.array(order, dtype=np.int64)], return_index=True)
        chosen[np.array(order, dtype=np.int64)[first]] = True
    served = [(code, position) for code, position, column in statement.serve if x[column] > 0.5]
    chosen |= is_base
    chosen[_input_edges(statement, kept, chosen, served, prefer, tie_break)] = True
    if not statement.has_edge_form:
        _drop_idle(reduced, chosen)
    return reduced.edge_ids[chosen]


def _drop_idle(reduced: ReducedPkn, chosen: np.ndarray) -> None:
    """Takes out hidden nodes that feed no one, which a solution that is not optimal may keep."""
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
    kept = set(zip(base.edges["parent"], base.edges["child"], strict=True))
    edges = reduced.pkn.edges.iloc[reduced.edge_ids]
    return np.array([pair in kept for pair in zip(edges["parent"], edges["child"], strict=True)], dtype=bool)


def _preference(reduced: ReducedPkn, tie_break: str, seed: int) -> Callable[[int, int], tuple[int, int]]:
    """Sort key of a parent for a child; the smallest is chosen."""
    names = reduced.pkn.nodes
    if tie_break == "random":
        return lambda parent, child: (name_hash(seed, names[parent], names[child]), int(parent))
    support = support_of(reduced)
    return lambda parent, _: (-int(support[parent]), int(parent))


def _input_edges(
    statement: Statement,
    kept: np.ndarray,
    chosen: np.ndarray,
    served: list[tuple[int, int]],
    prefer: Callable[[int, int], tuple[int, int]],
    tie_break: str,
) -> np.ndarray:
    """Positions (in `edge_ids`) of the edges from kept neurons to the inputs of all classes."""
    reduced = statement.reduced
    n_nodes = len(reduced.pkn.nodes)
    key = reduced.parent.astype(np.int64) * n_nodes + reduced.child
    pairs: list[tuple[int, int]] = []
    busy = np.zeros(n_nodes, dtype=bool)
    busy[reduced.parent[chosen]] = True
    needy: dict[int, list[int]] = {}
    # In node form every kept neuron is needed by some input or child, whatever parents are chosen.
    spreads = statement.has_edge_form
    for code, position in served:
        if kept[code] and not busy[code]:
            busy[code] = True
            needy.setdefault(position, []).append(code)
    fed_by: dict[int, list[int]] = {}
    for edge in np.flatnonzero(chosen & ~reduced.is_core):
        fed_by.setdefault(int(reduced.child[edge]), []).append(int(reduced.parent[edge]))
    open_choices: list[tuple[int, list[int], int]] = []
    for position, gene_class in enumerate(reduced.classes):
        parents = gene_class.parents[kept[gene_class.parents]].tolist()
        own = needy.get(position, [])
        if spreads and gene_class.coverage * len(gene_class.genes) >= len(gene_class.parents):
            # Inputs enough for every kept parent: those that have no child yet get one first.
            own = own + [code for code in parents if not busy[code] and code not in own]
            busy[own] = True
        for rank, gene in enumerate(gene_class.genes.tolist()):
            first = own[rank :: len(gene_class.genes)]
            first += [code for code in fed_by.get(gene, ()) if code not in first]
            pairs += [(code, gene) for code in first]
            others = [code for code in parents if code not in first]
            missing = gene_class.coverage - len(first)
            if missing >= len(others):
                pairs += [(code, gene) for code in others]
            elif missing > 0:
                open_choices.append((gene, others, missing))
    if tie_break == "balanced":
        pairs += spread_evenly(open_choices, pairs)
    else:
        for gene, others, missing in open_choices:
            pairs += [(code, gene) for code in sorted(others, key=lambda code: prefer(code, gene))[:missing]]
    wanted = np.array([parent * n_nodes + child for parent, child in pairs], dtype=np.int64)
    order = np.argsort(key)
    return order[np.searchsorted(key[order], wanted)]


def spread_evenly(choices: list[tuple[int, list[int], int]], fixed: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Assigns inputs to parents so that the sum of squared loads is least.

    Greedy first, then loads move along cost-reducing paths until there is none, which is optimal for such
    semi-matchings (Harvey et al. 2006, doi:10.1016/j.jalgor.2004.04.003).

    Args:
        choices: (input, possible parents, how many of them to take).
        fixed: (parent, input) edges that are there already.

    Returns:
        (parent, input) edges.
    """
    load: dict[int, int] = {}
    for parent, _ in fixed:
        load[parent] = load.get(parent, 0) + 1
    options = {gene: others for gene, others, _ in choices}
    taken: dict[int, set[int]] = {}
    of: dict[int, set[int]] = {}
    for gene, others, missing in sorted(choices, key=lambda choice: (len(choice[1]), choice[0])):
        best = sorted(others, key=lambda code: (load.get(code, 0), code))[:missing]
        taken[gene] = set(best)
        for code in best:
            load[code] = load.get(code, 0) + 1
            of.setdefault(code, set()).add(gene)
    settled: set[int] = set()
    for start in sorted(load, key=lambda code: (-load[code], code)):
        while start not in settled:
            path = _lighter(start, load, options, taken, of)
            if path is None:
                settled.add(start)
                break
            for giver, gene, receiver in path:
                taken[gene].remove(giver)
                of[giver].remove(gene)
                taken[gene].add(receiver)
                of.setdefault(receiver, set()).add(gene)
            load[start] -= 1
            load[path[-1][2]] = load.get(path[-1][2], 0) + 1
    return [(parent, gene) for gene in sorted(taken) for parent in sorted(taken[gene])]


def _lighter(
    start: int,
    load: dict[int, int],
    options: dict[int, list[int]],
    taken: dict[int, set[int]],
    of: dict[int, set[int]],
) -> list[tuple[int, int, int]] | None:
    """A chain of moves (giver, input, receiver) from `start` to a parent with a load at least two smaller."""
    came: dict[int, tuple[int, int]] = {start: (-1, -1)}
    queue = [start]
    for giver in queue:
        for gene in sorted(of.get(giver, ())):
            for receiver in options[gene]:
                if receiver in came or receiver in taken[gene]:
                    continue
                came[receiver] = (giver, gene)
                if load.get(receiver, 0) <= load[start] - 2:
                    path = []
                    while receiver != start:
                        giver_of, gene_of = came[receiver]
                        path.append((giver_of, gene_of, receiver))
                        receiver = giver_of
                    return path[::-1]
                queue.append(receiver)
    return None
