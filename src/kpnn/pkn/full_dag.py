"""The DAG for the `full` arm: all of an acyclic PKN, or the shortest paths of a cyclic one."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from kpnn.pkn.dag import Dag
from kpnn.pkn.graph import (
    children_by_parent,
    longest_paths,
    parents_by_child,
    ranks_by_place,
    reachable,
    strong_components,
)
from kpnn.pkn.network import Pkn
from kpnn.pkn.paths import PathEdges, dag_of_rows, edges_on_paths, node_codes


def shortest_path_dag(pkn: Pkn) -> Dag:
    """Makes a DAG of a PKN: as it is where it has no cycle, else the edges on shortest paths from the outputs.

    As Fortelny and Bock (2020, doi:10.1186/s13059-020-02100-5) did: an edge stays where it leads from breadth-first
    level k to level k + 1 and on to an input. Every input survives, with its parents of the highest level. With several
    outputs one may have no such edge; it gets a shortest path to a node of the DAG. Then each gets the paths that take
    the fewest further edges to inputs that it has in the PKN alone, as far as one order of the nodes allows.

    Args:
        pkn: a PKN in which each input and output lies on a path (`pkn.pruned()` sees to that).

    Returns:
        The DAG, with all inputs and outputs of the PKN.

    Raises:
        SelectionError: an input has no path up to an output, or an output none down to an input.

    Examples:
        >>> import pandas as pd
        >>> from kpnn.pkn import Pkn
        >>> edges = pd.DataFrame({"parent": ["R", "A", "B", "B"], "child": ["A", "B", "A", "g"]})
        >>> len(shortest_path_dag(Pkn.from_edges(edges)).edges)  # without B -> A
        3
    """
    paths = edges_on_paths(pkn)
    rows = np.flatnonzero(paths.usable)
    if has_cycles(pkn, rows):
        level = paths.distance_from_output
        falls = level[pkn.parent_codes[rows]] + 1 == level[pkn.child_codes[rows]]
        rows = _with_all_outputs(pkn, paths, rows[falls])
        if len(pkn.outputs) > 1:
            rows = _with_all_inputs(pkn, paths, rows)
    return dag_of_rows(pkn, rows)


def has_cycles(pkn: Pkn, rows: np.ndarray) -> bool:
    """Whether some of a PKN's edges, named by their rows, close a cycle."""
    label = strong_components(pkn.parent_codes[rows], pkn.child_codes[rows], len(pkn.nodes))
    return bool((label[pkn.parent_codes[rows]] == label[pkn.child_codes[rows]]).any())


def _with_all_outputs(pkn: Pkn, paths: PathEdges, rows: np.ndarray) -> np.ndarray:
    """Drops edges that lead to no input, then adds a shortest path down for every output that this cuts off.

    The path leads over nodes that are not in the DAG until it meets one that is, so that no cycle can arise.
    """
    parent, child = pkn.parent_codes[rows], pkn.child_codes[rows]
    in_dag = reachable(child, parent, np.flatnonzero(paths.is_input), len(pkn.nodes))
    kept = rows[in_dag[child]].tolist()
    children: dict[int, list[tuple[int, int]]] = {}
    for row in np.flatnonzero(paths.usable).tolist():
        children.setdefault(int(pkn.parent_codes[row]), []).append((int(pkn.child_codes[row]), row))
    for output in node_codes(pkn, pkn.outputs).tolist():
        came: dict[int, tuple[int, int]] = {}
        queue = [] if in_dag[output] else [output]
        for node in queue:
            goal = next(((below, row) for below, row in children.get(node, ()) if in_dag[below]), None)
            if goal is not None:
                kept.append(goal[1])
                in_dag[node] = True
                while node != output:
                    node, row = came[node]
                    kept.append(row)
                    in_dag[node] = True
                break
            for below, row in children.get(node, ()):
                if below not in came and below != output:
                    came[below] = (node, row)
                    queue.append(below)
    return np.array(kept, dtype=np.int64)


def _with_all_inputs(pkn: Pkn, paths: PathEdges, rows: np.ndarray) -> np.ndarray:
    """Adds paths from each output down to the inputs that it reaches in the PKN and not along these edges.

    Levels are counted from the nearest output, so that what lies nearer to another one is lost to an output. Paths run
    down one order of all nodes: no cycle can arise.
    """
    usable, n_nodes = np.flatnonzero(paths.usable), len(pkn.nodes)
    rank = ranks_around(pkn, paths, dag_of_rows(pkn, rows))
    offered = usable[rank[pkn.parent_codes[usable]] < rank[pkn.child_codes[usable]]]
    parent, child = pkn.parent_codes[offered], pkn.child_codes[offered]
    row_of = dict(zip(zip(parent.tolist(), child.tolist(), strict=True), offered.tolist(), strict=True))
    kept = np.zeros(len(pkn.edges), dtype=bool)
    kept[rows] = True
    for output in node_codes(pkn, pkn.outputs).tolist():
        # Next to nothing for an edge that is there: zero would be no edge.
        price = csr_array((np.where(kept[offered], 1e-6, 1.0), (parent, child)), shape=(n_nodes, n_nodes))
        distance, before = dijkstra(price, indices=output, return_predecessors=True)
        waiting = np.flatnonzero(paths.is_input & np.isfinite(distance)).tolist()
        seen = {output}
        for node in waiting:
            while node not in seen:
                seen.add(node)
                kept[row_of[int(before[node]), node]] = True
                node = int(before[node])
    return np.flatnonzero(kept)


def induced_dag(pkn: Pkn, dag: Dag) -> Dag:
    """Adds to a DAG every edge that the PKN has among its nodes, as long as no cycle arises.

    Edges that run down the DAG's levels come in together; the others one by one, in the order of their names, if their
    child does not lead back to their parent. The result is maximal: any further edge would close a cycle.

    Args:
        pkn: the PKN that the DAG was selected from.
        dag: the DAG.

    Returns:
        A DAG on the same nodes that holds all edges of `dag`.

    Examples:
        >>> import pandas as pd
        >>> from kpnn.pkn import Pkn, select_dag
        >>> edges = pd.DataFrame({"parent": ["R", "R", "A", "B", "A"], "child": ["A", "B", "g1", "g1", "B"]})
        >>> pkn = Pkn.from_edges(edges)
        >>> dag = select_dag(pkn, keep_nodes=["A", "B"]).dag
        >>> len(dag.edges), len(induced_dag(pkn, dag).edges)
        (3, 5)
    """
    level = {name: number for number, names in enumerate(dag.levels) for name in names}
    parents, children = pkn.edges["parent"], pkn.edges["child"]
    inside = parents.isin(level.keys()) & children.isin(level.keys())
    if len(pkn.outputs) == 1:
        inside &= ~children.isin(pkn.outputs)
    # Edges that run down the levels close no cycle with each other.
    falls = inside & (parents.map(level) > children.map(level))
    below = _descendants(pkn.edges[falls], dag)
    bit = {name: 1 << number for number, name in enumerate(sorted(level))}
    added = []
    for row in pkn.edges.index[inside & ~falls]:
        parent, child = parents.at[row], children.at[row]
        if below[child] & bit[parent] or child == parent:
            continue
        added.append(row)
        # Whoever leads to the parent now leads to the child, and to all that lies below it.
        gained = below[child] | bit[child]
        for name, reach in below.items():
            if name == parent or reach & bit[parent]:
                below[name] = reach | gained
    rows = sorted([*pkn.edges.index[falls], *added])
    return Dag.from_edges(pkn.edges.loc[rows].reset_index(drop=True), outputs=dag.outputs)


def extended_dag(pkn: Pkn, dag: Dag) -> Dag:
    """Extends a DAG by nearly all of the PKN: every edge that runs down one order of all nodes.

    Nodes of the DAG are ordered by the longest path from an output, the others stand half a step below their
    breadth-first level; ties are broken by name. An acyclic PKN is kept whole.

    Args:
        pkn: the PKN that the DAG was selected from.
        dag: the DAG.

    Returns:
        A DAG that holds all edges of `dag`.

    Examples:
        >>> import pandas as pd
        >>> from kpnn.pkn import Pkn, select_dag
        >>> edges = pd.DataFrame({"parent": ["R", "R", "A", "B", "A", "B"], "child": ["A", "B", "B", "A", "g", "g"]})
        >>> pkn = Pkn.from_edges(edges)
        >>> dag = select_dag(pkn).dag
        >>> len(pkn.edges), len(dag.edges), len(extended_dag(pkn, dag).edges)  # all but one edge of the cycle
        (6, 2, 5)
    """
    paths = edges_on_paths(pkn)
    rows = np.flatnonzero(paths.usable)
    if has_cycles(pkn, rows):
        rank = ranks_around(pkn, paths, dag)
        rows = rows[rank[pkn.parent_codes[rows]] < rank[pkn.child_codes[rows]]]
    edges = pkn.edges.iloc[np.sort(rows)].reset_index(drop=True)
    return Dag.from_edges(Pkn(edges, pkn.inputs, pkn.outputs).pruned().edges, outputs=pkn.outputs)


def ranks_around(pkn: Pkn, paths: PathEdges, dag: Dag) -> np.ndarray:
    """Ranks of all nodes of a PKN, shape (n_nodes,), down which every edge of a DAG runs.

    Args:
        pkn: the PKN that the DAG was selected from.
        paths: of the PKN.
        dag: the DAG; its nodes are ordered by the longest path from an output, the others stand half a step below their
            breadth-first level; ties are broken by name.
    """
    depth = longest_paths(parents_by_child(dag.edges))
    place = np.array(
        [depth.get(name, level + 0.5) for name, level in zip(pkn.nodes, paths.distance_from_output, strict=True)],
        dtype=float,
    )
    # Inputs have no children: below everything they may keep all of their parents.
    place[paths.is_input] = np.inf
    return ranks_by_place(place)


def _descendants(edges: pd.DataFrame, dag: Dag) -> dict[str, int]:
    """The nodes below each node, as bits of a whole number; the bits follow the nodes' names."""
    names = [name for level in dag.levels for name in level]
    bit = {name: 1 << number for number, name in enumerate(sorted(names))}
    children = children_by_parent(edges)
    below: dict[str, int] = {}
    for name in names:
        below[name] = 0
        for child in children.get(name, ()):
            below[name] |= below[child] | bit[child]
    return below
