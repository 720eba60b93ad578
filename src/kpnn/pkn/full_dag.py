"""The DAG for the `full` arm: all of an acyclic PKN, or the shortest paths of a cyclic one."""

from __future__ import annotations

import numpy as np

from kpnn.pkn.dag import Dag
from kpnn.pkn.network import Pkn
from kpnn.pkn.presolve import presolve


def shortest_path_dag(pkn: Pkn) -> Dag:
    """Makes a DAG of a PKN: as it is where it has no cycle, else the edges on shortest paths from the outputs.

    As Fortelny and Bock (2020, doi:10.1186/s13059-020-02100-5) did: an edge stays where it leads from breadth-first
    level k to level k + 1 and on to an input. Every input survives, with its parents of the highest level.

    Args:
        pkn: a PKN in which each input and output lies on a path (`pkn.pruned()` sees to that).

    Raises:
        SelectionError: an input has no path up to an output, or an output none down to an input.
        PknError: with several outputs, an output lies on no shortest path to any input.
    """
    reduced = presolve(pkn)
    rows = reduced.edge_ids
    if not reduced.is_acyclic:
        level = reduced.distance_from_output
        rows = rows[level[reduced.parent] + 1 == level[reduced.child]]
    edges = pkn.edges.iloc[np.sort(rows)].reset_index(drop=True)
    return Dag.from_edges(Pkn(edges, pkn.inputs, pkn.outputs).pruned().edges, outputs=pkn.outputs)
