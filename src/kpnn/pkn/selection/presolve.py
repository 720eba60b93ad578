"""Presolve of DAG selection: what can be decided from the PKN before any solver sees it.

All reductions keep at least one optimal DAG; all but the last keep every optimal DAG:

- edges that the rules forbid, edges into the only output, and nodes and edges on no path from an output to an
  input (or only on paths longer than the depth limit) can never be used;
- an input with no more parents than its coverage asks for forces all of them, and a forced node with one
  parent forces that;
- inputs with the same parents form one class, and a class is dominated where another, at least as demanding,
  has a subset of its parents: whoever serves the other serves it too;
- cycles exist only inside the strongly connected components, so nothing else needs acyclicity.

Where each input must reach several outputs, a class dominates only classes that must reach the same ones, and a forced
node serves nobody by itself: it may be reached from one of the outputs only.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np

from kpnn.errors import SelectionError, some_names
from kpnn.pkn.graph import strong_components
from kpnn.pkn.network import Pkn
from kpnn.pkn.paths import PathEdges, edge_rows, edges_on_paths, node_codes
from kpnn.pkn.selection.gene_classes import GeneClass, group_inputs, open_classes, settled_classes
from kpnn.pkn.selection.output_reach import OutputReach, demanded_reach
from kpnn.pkn.selection.settings import SelectionRules, arrow


@dataclass(frozen=True)
class PresolveReport:
    """Sizes of the PKN before and after presolve, as the selection reports them."""

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
        must_edges: rows of `pkn.edges` that must be kept, ascending.
        parent, child: node codes of those edges, shape (n_usable,).
        cost: their costs, shape (n_usable,).
        is_input, is_output: roles, shape (n_nodes,), bool.
        is_forced: hidden nodes that every feasible DAG keeps, shape (n_nodes,), bool.
        is_core: usable edges whose child is not an input, shape (n_usable,), bool.
        is_on_cycle: usable edges inside a strongly connected component, shape (n_usable,), bool.
        coverage: parents that each input keeps, shape (n_nodes,), int (0 for other nodes).
        classes: inputs by class; only those whose edges all cost the same and of which none must be kept.
        open_classes: positions in `classes` that forced nodes do not already serve and that are not dominated.
        priced_edges: positions (in `edge_ids`) of the edges of all other inputs.
        reach: pairs of an output and an input that a path must join.
        settled_classes: where such pairs exist, classes that the parents of another class serve in every DAG: position
            in `classes` -> position of the other.
        distance_from_output, distance_to_input: fewest edges, shape (n_nodes,), inf where none.
        report: sizes before and after.
    """

    pkn: Pkn
    rules: SelectionRules
    edge_ids: np.ndarray
    must_edges: np.ndarray
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
    reach: OutputReach
    settled_classes: dict[int, int]
    distance_from_output: np.ndarray
    distance_to_input: np.ndarray
    report: PresolveReport

    @cached_property
    def hidden(self) -> np.ndarray:
        """Node codes of the hidden nodes that have usable edges, ascending."""
        has_edges = np.zeros(len(self.is_input), dtype=bool)
        has_edges[self.parent] = has_edges[self.child] = True
        return np.flatnonzero(has_edges & ~self.is_input & ~self.is_output)

    @cached_property
    def has_input(self) -> np.ndarray:
        """Nodes with a usable edge to an input, shape (n_nodes,), bool."""
        found = np.zeros(len(self.is_input), dtype=bool)
        found[self.parent[~self.is_core]] = True
        return found

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
    # Without the rules first, so that the error tells a PKN with loose ends from rules that cut too much.
    edges_on_paths(pkn)
    paths = edges_on_paths(pkn, _permitted(pkn, rules), advice=" left once the forbidden nodes and edges are gone")
    must_edges = np.sort(edge_rows(pkn, rules.keep_edges))
    edge_ids = np.flatnonzero(_within_depth(pkn, paths, rules.max_depth))
    _require_usable(pkn, rules, must_edges, edge_ids)
    parent, child = pkn.parent_codes[edge_ids], pkn.child_codes[edge_ids]
    cost = pkn.edges["cost"].to_numpy()[edge_ids]
    coverage = _coverage(pkn, rules, paths.is_input, child)
    forced = _forced(_kept_by_rules(pkn, rules, must_edges, paths), parent, child, paths, coverage)
    is_core = ~paths.is_input[child]
    # Inputs have no children, so that cycles can only pass through edges between neurons.
    label = strong_components(parent[is_core], child[is_core], len(pkn.nodes))
    on_cycle = is_core & (label[parent] == label[child])
    has_must_edge = np.zeros(len(pkn.nodes), dtype=bool)
    has_must_edge[pkn.child_codes[must_edges]] = True
    classes, priced = group_inputs((parent, child, cost), is_core, coverage, has_must_edge)
    reach = demanded_reach(pkn, rules, edge_ids, paths.is_input)
    settled = settled_classes(classes, [reach.signature(int(one.genes[0])) for one in classes]) if reach else {}
    still_open = _open_classes(classes, forced | paths.is_output, reach)
    return ReducedPkn(
        pkn=pkn,
        rules=rules,
        edge_ids=edge_ids,
        must_edges=must_edges,
        parent=parent,
        child=child,
        cost=cost,
        is_input=paths.is_input,
        is_output=paths.is_output,
        is_forced=forced,
        is_core=is_core,
        is_on_cycle=on_cycle,
        coverage=coverage,
        classes=classes,
        open_classes=still_open,
        priced_edges=priced,
        reach=reach,
        settled_classes=settled,
        distance_from_output=paths.distance_from_output,
        distance_to_input=paths.distance_to_input,
        report=PresolveReport(
            nodes_before=len(pkn.nodes),
            edges_before=len(pkn.edges),
            inputs=len(pkn.inputs),
            edges_useless=len(pkn.edges) - len(edge_ids),
            nodes_useless=len(pkn.nodes) - len(np.unique(np.concatenate([parent, child]))),
            nodes_forced=int(forced.sum()),
            gene_classes=len(classes),
            gene_classes_open=len(still_open),
            **_component_sizes(label),
            edges_on_cycles=int(on_cycle.sum()),
        ),
    )


def _permitted(pkn: Pkn, rules: SelectionRules) -> np.ndarray:
    """Edges that the rules do not forbid, shape (n_edges,), bool."""
    forbidden_nodes = np.zeros(len(pkn.nodes), dtype=bool)
    forbidden_nodes[node_codes(pkn, rules.forbid_nodes)] = True
    permitted = ~(forbidden_nodes[pkn.parent_codes] | forbidden_nodes[pkn.child_codes])
    permitted[edge_rows(pkn, rules.forbid_edges)] = False
    return permitted


def _within_depth(pkn: Pkn, paths: PathEdges, max_depth: int | None) -> np.ndarray:
    """Usable edges on a path of at most `max_depth` edges, shape (n_edges,), bool."""
    if max_depth is None:
        return paths.usable
    down, up = paths.distance_from_output, paths.distance_to_input
    deep = (paths.is_input & (down > max_depth)) | (paths.is_output & (up > max_depth))
    too_deep = [pkn.nodes[code] for code in np.flatnonzero(deep)]
    if too_deep:
        least = int(max(down[paths.is_input].max(), up[paths.is_output].max()))
        raise SelectionError(
            f"max_depth={max_depth} is impossible: {some_names(too_deep)} needs a longer path "
            f"(the longest of all shortest paths has {least} edges)"
        )
    # The shortest path through an edge: any other through it is longer still.
    return paths.usable & (down[pkn.parent_codes] + 1 + up[pkn.child_codes] <= max_depth)


def _require_usable(pkn: Pkn, rules: SelectionRules, must_edges: np.ndarray, edge_ids: np.ndarray) -> None:
    """Checks that what must be kept is among the usable edges."""
    on_path = np.zeros(len(pkn.nodes), dtype=bool)
    on_path[pkn.parent_codes[edge_ids]] = on_path[pkn.child_codes[edge_ids]] = True
    lost = [pkn.nodes[code] for code in node_codes(pkn, rules.keep_nodes) if not on_path[code]]
    if lost:
        raise SelectionError(
            f"{some_names(lost)} must be kept but lies on no permitted path from an output to an input"
        )
    edges = pkn.edges.iloc[must_edges[~np.isin(must_edges, edge_ids)]]
    unusable = [arrow(edge) for edge in zip(edges["parent"], edges["child"], strict=True)]
    if unusable:
        raise SelectionError(
            f"edge {some_names(unusable)} must be kept but lies on no permitted path from an output to an input"
        )


def _coverage(pkn: Pkn, rules: SelectionRules, is_input: np.ndarray, child: np.ndarray) -> np.ndarray:
    """Parents that each input keeps, shape (n_nodes,); all that it has where these are fewer than asked for."""
    n_parents = np.bincount(child, minlength=len(pkn.nodes))
    coverage = np.where(is_input, np.minimum(n_parents, rules.coverage), 0)
    if rules.max_parents is not None and (coverage > rules.max_parents).any():
        crowded = [pkn.nodes[code] for code in np.flatnonzero(coverage > rules.max_parents)]
        raise SelectionError(
            f"coverage={rules.coverage} contradicts max_parents={rules.max_parents} for {some_names(crowded)}"
        )
    return coverage


def _kept_by_rules(pkn: Pkn, rules: SelectionRules, must_edges: np.ndarray, paths: PathEdges) -> np.ndarray:
    """Hidden nodes that must be kept, or have an edge that must, shape (n_nodes,), bool."""
    kept = np.zeros(len(pkn.nodes), dtype=bool)
    for codes in (node_codes(pkn, rules.keep_nodes), pkn.parent_codes[must_edges], pkn.child_codes[must_edges]):
        kept[codes] = True
    return kept & ~paths.is_input & ~paths.is_output


def _forced(
    forced: np.ndarray, parent: np.ndarray, child: np.ndarray, paths: PathEdges, coverage: np.ndarray
) -> np.ndarray:
    """Adds every hidden parent that an input or a forced node cannot do without, until nothing changes."""
    n_parents = np.bincount(child, minlength=len(forced))
    # Every kept hidden node needs one parent, an input as many as its coverage; one that has no more needs them all.
    needs_all = np.where(paths.is_input, coverage, 1) == n_parents
    forced = forced.copy()
    while True:
        is_kept = paths.is_input[child] | forced[child]
        added = parent[needs_all[child] & is_kept & ~(forced | paths.is_output)[parent]]
        if not len(added):
            return forced
        forced[added] = True


def _open_classes(classes: tuple[GeneClass, ...], is_kept: np.ndarray, reach: OutputReach) -> tuple[int, ...]:
    """Positions of the classes that need a row: see `open_classes`; by the outputs that they must reach, if any."""
    if not reach:
        return open_classes(classes, is_kept)
    alike: dict[bytes, list[int]] = {}
    for position, gene_class in enumerate(classes):
        alike.setdefault(reach.signature(int(gene_class.genes[0])), []).append(position)
    nobody = np.zeros_like(is_kept)
    found = []
    for positions in alike.values():
        found += [positions[i] for i in open_classes(tuple(classes[i] for i in positions), nobody)]
    return tuple(sorted(found))


def _component_sizes(label: np.ndarray) -> dict[str, int]:
    sizes = np.bincount(label)
    real = sizes[sizes > 1]
    return {"strong_components": len(real), "largest_strong_component": int(real.max(initial=1))}
