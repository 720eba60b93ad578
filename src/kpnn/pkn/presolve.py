"""Presolve of DAG selection: what can be decided from the PKN before any solver sees it.

All reductions keep at least one optimal DAG; all but the last keep every optimal DAG:

- edges that the rules forbid, edges into the only output, and nodes and edges on no path from an output to an
  input (or only on paths longer than the depth limit) can never be used;
- an input with no more parents than its coverage asks for forces all of them, and a forced node with one
  parent forces that;
- inputs with the same parents form one class, and a class is dominated where another, at least as demanding,
  has a subset of its parents: whoever serves the other serves it too;
- cycles exist only inside the strongly connected components, so nothing else needs acyclicity.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, dijkstra

from kpnn.errors import SelectionError, some_names
from kpnn.pkn.network import Pkn
from kpnn.pkn.selection.settings import SelectionRules


@dataclass(frozen=True)
class GeneClass:
    """Inputs that share their parents, their cost and their coverage.

    Attributes:
        genes: node codes of the inputs, ascending.
        parents: node codes of their parents, ascending.
        coverage: parents that each of them keeps.
        cost: cost of each of their edges.
    """

    genes: np.ndarray
    parents: np.ndarray
    coverage: int
    cost: float


@dataclass(frozen=True)
class PresolveReport:
    """Sizes of the PKN before and after presolve."""

    nodes_before: int
    edges_before: int
    inputs: int
    edges_useless: int
    nodes_useless: int
    nodes_forced: int
    gene_classes: int
    gene_classes_open: int
    strong_components: int
    largest_strong_component: int
    edges_on_cycles: int

    def as_dict(self) -> dict[str, int]:
        """The fields by name."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class ReducedPkn:
    """A PKN after presolve, in node codes (positions in `pkn.nodes`).

    Attributes:
        pkn: the PKN as given.
        rules: the demands on the DAG.
        edge_ids: rows of `pkn.edges` that may be used, ascending.
        parent, child: node codes of those edges, shape (n_usable,).
        cost: their costs, shape (n_usable,).
        is_input, is_output: roles, shape (n_nodes,), bool.
        is_forced: hidden nodes that every feasible DAG keeps, shape (n_nodes,), bool.
        is_core: usable edges whose child is no input, shape (n_usable,), bool.
        is_on_cycle: usable edges inside a strongly connected component, shape (n_usable,), bool.
        coverage: parents that each input keeps, shape (n_nodes,), int (0 for other nodes).
        classes: inputs by class; only those whose edges all cost the same and of which none must be kept.
        open_classes: positions in `classes` that forced nodes do not already serve and that are not dominated.
        priced_edges: positions (in `edge_ids`) of the edges of all other inputs.
        distance_from_output, distance_to_input: fewest edges, shape (n_nodes,), inf where none.
        report: sizes before and after.
    """

    pkn: Pkn
    rules: SelectionRules
    edge_ids: np.ndarray
    parent: np.ndarray
    child: np.ndarray
    cost: np.ndarray
    is_input: np.ndarray
    is_output: np.ndarray
    is_forced: np.ndarray
    is_core: np.ndarray
    is_on_cycle: np.ndarray
    coverage: np.ndarray
    classes: tuple[GeneClass, ...]
    open_classes: tuple[int, ...]
    priced_edges: np.ndarray
    distance_from_output: np.ndarray
    distance_to_input: np.ndarray
    report: PresolveReport

    @property
    def is_acyclic(self) -> bool:
        """No cycle is left among the usable edges."""
        return not self.is_on_cycle.any()


def presolve(pkn: Pkn, rules: SelectionRules | None = None) -> ReducedPkn:
    """Decides all that can be decided before solving.

    Args:
        pkn: a PKN in which every input has a path to an output and every output a path to an input.
        rules: the demands on the DAG; by default none.

    Raises:
        SelectionError: the rules make no sense for this PKN, or no DAG can satisfy them; the message
            names the inputs, outputs or nodes that lost their path.
    """
    rules = rules or SelectionRules()
    rules.check(pkn)
    n_nodes = len(pkn.nodes)
    is_input, is_output = _roles(pkn)
    usable = np.ones(len(pkn.edges), dtype=bool)
    usable &= ~is_input[pkn.parent_codes]
    if len(pkn.outputs) == 1:
        usable &= ~is_output[pkn.child_codes]
    down, up = _distances(pkn, usable, is_input, is_output)
    _require_paths(pkn, down, up, "; drop them with `pkn.pruned()`, or add the missing edges")
    usable &= _permitted(pkn, rules)
    down, up = _distances(pkn, usable, is_input, is_output)
    _require_paths(pkn, down, up, " left once the forbidden nodes and edges are gone")
    length = down[pkn.parent_codes] + 1 + up[pkn.child_codes]
    if rules.max_depth is not None:
        deep = (is_input & (down > rules.max_depth)) | (is_output & (up > rules.max_depth))
        too_deep = [pkn.nodes[code] for code in np.flatnonzero(deep)]
        if too_deep:
            raise SelectionError(
                f"max_depth={rules.max_depth} is impossible: {some_names(too_deep)} needs a longer path "
                f"(the longest of all shortest paths has {int(max(down[is_input].max(), up[is_output].max()))} edges)"
            )
        usable &= length <= rules.max_depth
    usable &= np.isfinite(length)
    edge_ids = np.flatnonzero(usable)
    parent, child = pkn.parent_codes[edge_ids], pkn.child_codes[edge_ids]
    cost = pkn.edges["cost"].to_numpy()[edge_ids]
    kept = node_codes(pkn, rules.keep_nodes)
    must_edges = _must_edges(pkn, rules)
    _require_usable(pkn, kept, must_edges, parent, child, usable)
    n_parents = np.bincount(child, minlength=n_nodes)
    coverage = np.where(is_input, np.minimum(n_parents, rules.coverage), 0)
    if rules.max_parents is not None and (coverage > rules.max_parents).any():
        crowded = [pkn.nodes[code] for code in np.flatnonzero(coverage > rules.max_parents)]
        raise SelectionError(
            f"coverage={rules.coverage} contradicts max_parents={rules.max_parents} for {some_names(crowded)}"
        )
    forced = np.zeros(n_nodes, dtype=bool)
    forced[kept] = True
    forced[pkn.parent_codes[must_edges]] = True
    forced[pkn.child_codes[must_edges]] = True
    forced = _force(forced & ~is_input & ~is_output, parent, child, is_input, is_output, coverage)
    is_core = ~is_input[child]
    on_cycle, n_components, largest = _cycles(parent, child, is_core, n_nodes)
    classes, priced = _gene_classes(parent, child, cost, is_core, coverage, pkn, must_edges)
    open_classes = _open_classes(classes, forced | is_output)
    used = np.zeros(n_nodes, dtype=bool)
    used[parent] = used[child] = True
    report = PresolveReport(
        nodes_before=n_nodes,
        edges_before=len(pkn.edges),
        inputs=len(pkn.inputs),
        edges_useless=len(pkn.edges) - len(edge_ids),
        nodes_useless=int(n_nodes - used.sum()),
        nodes_forced=int(forced.sum()),
        gene_classes=len(classes),
        gene_classes_open=len(open_classes),
        strong_components=n_components,
        largest_strong_component=largest,
        edges_on_cycles=int(on_cycle.sum()),
    )
    return ReducedPkn(
        pkn=pkn,
        rules=rules,
        edge_ids=edge_ids,
        parent=parent,
        child=child,
        cost=cost,
        is_input=is_input,
        is_output=is_output,
        is_forced=forced,
        is_core=is_core,
        is_on_cycle=on_cycle,
        coverage=coverage,
        classes=classes,
        open_classes=open_classes,
        priced_edges=priced,
        distance_from_output=down,
        distance_to_input=up,
        report=report,
    )


def _roles(pkn: Pkn) -> tuple[np.ndarray, np.ndarray]:
    is_input, is_output = np.zeros(len(pkn.nodes), dtype=bool), np.zeros(len(pkn.nodes), dtype=bool)
    is_input[node_codes(pkn, pkn.inputs)] = True
    is_output[node_codes(pkn, pkn.outputs)] = True
    return is_input, is_output


def node_codes(pkn: Pkn, names: tuple[str, ...]) -> np.ndarray:
    """Positions of names in `pkn.nodes`."""
    return pd.Index(pkn.nodes).get_indexer(pd.Index(names)).astype(np.int64)


def _permitted(pkn: Pkn, rules: SelectionRules) -> np.ndarray:
    forbidden_nodes = np.zeros(len(pkn.nodes), dtype=bool)
    forbidden_nodes[node_codes(pkn, rules.forbid_nodes)] = True
    permitted = ~(forbidden_nodes[pkn.parent_codes] | forbidden_nodes[pkn.child_codes])
    permitted[_edge_rows(pkn, rules.forbid_edges)] = False
    return permitted


def _edge_rows(pkn: Pkn, edges: tuple[tuple[str, str], ...]) -> np.ndarray:
    if not edges:
        return np.empty(0, dtype=np.int64)
    keys = pkn.parent_codes.astype(np.int64) * len(pkn.nodes) + pkn.child_codes
    parents, children = zip(*edges, strict=True)
    wanted = node_codes(pkn, parents) * len(pkn.nodes) + node_codes(pkn, children)
    order = np.argsort(keys, kind="stable")
    return order[np.searchsorted(keys[order], wanted)]


def _must_edges(pkn: Pkn, rules: SelectionRules) -> np.ndarray:
    return np.sort(_edge_rows(pkn, rules.keep_edges))


def _distances(
    pkn: Pkn, usable: np.ndarray, is_input: np.ndarray, is_output: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Fewest edges from any output, and to any input, for every node."""
    tails, heads = pkn.parent_codes[usable], pkn.child_codes[usable]
    return (
        levels_below(tails, heads, np.flatnonzero(is_output), len(pkn.nodes)),
        levels_below(heads, tails, np.flatnonzero(is_input), len(pkn.nodes)),
    )


def levels_below(tails: np.ndarray, heads: np.ndarray, starts: np.ndarray, n_nodes: int) -> np.ndarray:
    """Fewest edges from any start to every node along tail -> head, shape (n_nodes,); inf where there is no path."""
    graph = csr_array((np.ones(len(tails)), (tails, heads)), shape=(n_nodes, n_nodes))
    return dijkstra(graph, indices=starts, unweighted=True, min_only=True)


def _require_paths(pkn: Pkn, down: np.ndarray, up: np.ndarray, what_to_do: str) -> None:
    inputs, outputs = node_codes(pkn, pkn.inputs), node_codes(pkn, pkn.outputs)
    lost_inputs = [pkn.nodes[code] for code in inputs[~np.isfinite(down[inputs])]]
    lost_outputs = [pkn.nodes[code] for code in outputs[~np.isfinite(up[outputs])]]
    if lost_inputs:
        raise SelectionError(f"input {some_names(lost_inputs)} has no path up to any output{what_to_do}")
    if lost_outputs:
        raise SelectionError(f"output {some_names(lost_outputs)} has no path down to any input{what_to_do}")


def _require_usable(
    pkn: Pkn, kept: np.ndarray, must_edges: np.ndarray, parent: np.ndarray, child: np.ndarray, usable: np.ndarray
) -> None:
    on_path = np.zeros(len(pkn.nodes), dtype=bool)
    on_path[parent] = on_path[child] = True
    lost = [pkn.nodes[code] for code in kept if not on_path[code]]
    if lost:
        raise SelectionError(
            f"{some_names(lost)} must be kept but lies on no permitted path from an output to an input"
        )
    edges = pkn.edges
    unusable = [f"{edges['parent'].iat[row]} -> {edges['child'].iat[row]}" for row in must_edges if not usable[row]]
    if unusable:
        raise SelectionError(
            f"edge {some_names(unusable)} must be kept but lies on no permitted path from an output to an input"
        )


def _force(
    forced: np.ndarray,
    parent: np.ndarray,
    child: np.ndarray,
    is_input: np.ndarray,
    is_output: np.ndarray,
    coverage: np.ndarray,
) -> np.ndarray:
    """Adds every hidden parent that an input or a forced node cannot do without, until nothing changes."""
    n_parents = np.bincount(child, minlength=len(forced))
    needs_all = np.where(is_input, coverage, 1) == n_parents
    forced = forced.copy()
    while True:
        added = parent[needs_all[child] & (is_input[child] | forced[child]) & ~(forced | is_output)[parent]]
        if not len(added):
            return forced
        forced[added] = True


def _cycles(parent: np.ndarray, child: np.ndarray, is_core: np.ndarray, n_nodes: int) -> tuple[np.ndarray, int, int]:
    tails, heads = parent[is_core], child[is_core]
    graph = csr_array((np.ones(len(tails), dtype=np.int8), (tails, heads)), shape=(n_nodes, n_nodes))
    _, label = connected_components(graph, directed=True, connection="strong")
    sizes = np.bincount(label)
    real = sizes[sizes > 1]
    return is_core & (label[parent] == label[child]), len(real), int(real.max(initial=1))


def _gene_classes(
    parent: np.ndarray,
    child: np.ndarray,
    cost: np.ndarray,
    is_core: np.ndarray,
    coverage: np.ndarray,
    pkn: Pkn,
    must_edges: np.ndarray,
) -> tuple[tuple[GeneClass, ...], np.ndarray]:
    """Groups inputs by parents; returns the classes, and the positions of the edges of inputs that fit in none."""
    gene_edges = np.flatnonzero(~is_core)
    gene_edges = gene_edges[np.lexsort((parent[gene_edges], child[gene_edges]))]
    genes, starts = np.unique(child[gene_edges], return_index=True)
    ends = np.append(starts[1:], len(gene_edges))
    low = np.minimum.reduceat(cost[gene_edges], starts)
    high = np.maximum.reduceat(cost[gene_edges], starts)
    has_must_edge = np.isin(genes, pkn.child_codes[must_edges])
    members: dict[tuple[bytes, float], list[int]] = {}
    parents_of: dict[tuple[bytes, float], np.ndarray] = {}
    priced: list[np.ndarray] = []
    for i, gene in enumerate(genes):
        span = gene_edges[starts[i] : ends[i]]
        if low[i] != high[i] or has_must_edge[i]:
            priced.append(span)
            continue
        key = (parent[span].tobytes(), float(low[i]))
        members.setdefault(key, []).append(int(gene))
        parents_of.setdefault(key, parent[span])
    classes = tuple(
        GeneClass(np.array(found), parents_of[key], int(coverage[found[0]]), key[1]) for key, found in members.items()
    )
    return classes, np.concatenate(priced) if priced else np.empty(0, dtype=np.int64)


def _open_classes(classes: tuple[GeneClass, ...], is_kept: np.ndarray) -> tuple[int, ...]:
    """Classes that kept nodes do not serve and that no other class dominates."""
    demand: dict[tuple[int, ...], tuple[int, int]] = {}
    for position, gene_class in enumerate(classes):
        kept = is_kept[gene_class.parents]
        missing = gene_class.coverage - int(kept.sum())
        if missing > 0:
            choices = tuple(gene_class.parents[~kept].tolist())
            if choices not in demand or demand[choices][0] < missing:
                demand[choices] = (missing, position)
    rows = sorted(demand.items(), key=lambda row: (len(row[0]), row[0]))
    served_by: dict[int, int] = {}
    for row, (choices, _) in enumerate(rows):
        for code in choices:
            served_by[code] = served_by.get(code, 0) | (1 << row)
    by_demand: dict[int, int] = {}
    for row, (_, (missing, _)) in enumerate(rows):
        for level in range(1, missing + 1):
            by_demand[level] = by_demand.get(level, 0) | (1 << row)
    dominated = 0
    for row, (choices, (missing, _)) in enumerate(rows):
        if dominated >> row & 1:
            continue
        # Bit sets: rows that hold all of these choices are at least as easy to serve, if they ask for no more.
        supersets = -1
        for code in choices:
            supersets &= served_by[code]
        supersets &= ~by_demand.get(missing + 1, 0) & ~(1 << row)
        dominated |= supersets
    return tuple(position for row, (_, (_, position)) in enumerate(rows) if not dominated >> row & 1)
