"""The edges of a PKN that a DAG may use: those on a path from an output down to an input."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kpnn.errors import SelectionError, some_names
from kpnn.pkn.dag import Dag
from kpnn.pkn.graph import fewest_edges
from kpnn.pkn.network import Pkn


@dataclass(frozen=True, eq=False)
class PathEdges:
    """Which edges of a PKN lie on a path from an output down to an input, in node codes (positions in `pkn.nodes`).

    Attributes:
        usable: shape (n_edges,), bool.
        is_input, is_output: roles, shape (n_nodes,), bool.
        distance_from_output, distance_to_input: fewest edges, shape (n_nodes,), inf where there is no path.
    """

    usable: np.ndarray
    is_input: np.ndarray
    is_output: np.ndarray
    distance_from_output: np.ndarray
    distance_to_input: np.ndarray


def edges_on_paths(
    pkn: Pkn,
    permitted: np.ndarray | None = None,
    *,
    advice: str = "; drop them with `pkn.pruned()`, or add the missing edges",
) -> PathEdges:
    """Finds the edges on paths from the outputs down to the inputs.

    Args:
        pkn: a PKN in which every input has a path to an output and every output a path to an input.
        permitted: edges that may be used, shape (n_edges,), bool; by default all.
        advice: what the error says behind the names.

    Raises:
        SelectionError: an input or output has no path; they are named.
    """
    is_input, is_output = np.zeros(len(pkn.nodes), dtype=bool), np.zeros(len(pkn.nodes), dtype=bool)
    outputs = node_codes(pkn, pkn.outputs)
    is_input[node_codes(pkn, pkn.inputs)] = True
    is_output[outputs] = True
    usable = ~is_input[pkn.parent_codes]
    if len(pkn.outputs) == 1:
        # Any path through the only output goes round in a circle. Of several, one may lie below another.
        usable &= ~is_output[pkn.child_codes]
    if permitted is not None:
        usable &= permitted
    tails, heads = pkn.parent_codes[usable], pkn.child_codes[usable]
    down = fewest_edges(tails, heads, np.flatnonzero(is_output), len(pkn.nodes))
    up = fewest_edges(heads, tails, np.flatnonzero(is_input), len(pkn.nodes))
    lost_inputs = [pkn.nodes[code] for code in np.flatnonzero(is_input & ~np.isfinite(down))]
    lost_outputs = [pkn.nodes[code] for code in outputs if not np.isfinite(up[code])]
    if lost_inputs:
        raise SelectionError(f"input {some_names(lost_inputs)} has no path up to any output{advice}")
    if lost_outputs:
        raise SelectionError(f"output {some_names(lost_outputs)} has no path down to any input{advice}")
    usable &= np.isfinite(down[pkn.parent_codes] + up[pkn.child_codes])
    return PathEdges(usable, is_input, is_output, down, up)


def dag_of_rows(pkn: Pkn, rows: np.ndarray) -> Dag:
    """The DAG that some edges of a PKN, named by their rows, make.

    Raises:
        PknError: they close a cycle, or an output has none of them.
    """
    return Dag.from_edges(pkn.edges.iloc[np.sort(rows)].reset_index(drop=True), outputs=pkn.outputs)


def node_codes(pkn: Pkn, names: Iterable[str]) -> np.ndarray:
    """Positions of names in `pkn.nodes`."""
    return pd.Index(pkn.nodes).get_indexer(pd.Index(list(names))).astype(np.int64)


def edge_rows(pkn: Pkn, edges: Iterable[tuple[str, str]]) -> np.ndarray:
    """Rows of `pkn.edges` that hold these (parent, child) edges, all of which must be there."""
    pairs = list(edges)
    if not pairs:
        return np.empty(0, dtype=np.int64)
    # One number for each pair, so that all are looked up in one sorted search.
    keys = pkn.parent_codes.astype(np.int64) * len(pkn.nodes) + pkn.child_codes
    parents, children = zip(*pairs, strict=True)
    wanted = node_codes(pkn, parents) * len(pkn.nodes) + node_codes(pkn, children)
    order = np.argsort(keys, kind="stable")
    return order[np.searchsorted(keys[order], wanted)]
