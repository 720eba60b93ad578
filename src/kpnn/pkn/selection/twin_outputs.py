"""Outputs with the same children, such as classes above all roots of a pathway database: one of them stands for all.

Where every input must reach each of k such outputs, a cheapest DAG gives all of them the same children: each by itself
reaches all inputs, so that the children of the one whose edges cost least would do for the others, and what then hangs
on nothing could go. So one output is enough whose edges cost k times as much, and the others get its children.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kpnn.pkn.dag import Dag
from kpnn.pkn.network import Pkn
from kpnn.pkn.paths import edge_rows
from kpnn.pkn.selection.settings import SelectionRules


@dataclass(frozen=True, eq=False)
class TwinOutputs:
    """A PKN in which one output of each group stands for all of it.

    Attributes:
        pkn: the PKN as given.
        merged: the same with the first output of each group alone, whose edges cost as much as those of all.
        others: first output of a group -> the others.
    """

    pkn: Pkn
    merged: Pkn
    others: dict[str, tuple[str, ...]]

    def rows_of(self, rows: np.ndarray) -> np.ndarray:
        """Rows of `pkn.edges` for rows of `merged.edges`: what one output of a group has, all of it have."""
        edges = self.merged.edges.iloc[rows]
        pairs = [
            (output, child)
            for parent, child in zip(edges["parent"], edges["child"], strict=True)
            for output in (parent, *self.others.get(parent, ()))
        ]
        return np.sort(edge_rows(self.pkn, pairs))

    def merged_dag(self, dag: Dag) -> Dag | None:
        """A DAG of the PKN without the outputs that others stand for; None where their children differ there."""
        children = dag.edges.groupby("parent")["child"].agg(frozenset)
        if any(children[first] != children[name] for first, names in self.others.items() for name in names):
            return None
        gone = {name for names in self.others.values() for name in names}
        edges = dag.edges[~dag.edges["parent"].isin(gone)].reset_index(drop=True)
        return Dag.from_edges(edges, outputs=self.merged.outputs)


def merge_twin_outputs(pkn: Pkn, rules: SelectionRules) -> TwinOutputs | None:
    """Merges outputs with the same children at the same costs, where no demand tells them apart.

    Their hidden children must have no further parents, so that all edges into a hidden node still cost the same.

    Returns:
        None where there is nothing to merge.
    """
    if not rules.demands_every_output(pkn) or rules.keep_nodes or rules.keep_edges or rules.forbid_edges:
        return None
    if rules.max_parents is not None or rules.coverage > 1 or set(pkn.outputs) & set(pkn.edges["child"]):
        return None
    parents_of = pkn.edges.groupby("child")["parent"].agg(frozenset)
    groups: dict[tuple[tuple[str, float], ...], list[str]] = {}
    by_parent = pkn.edges[pkn.edges["parent"].isin(pkn.outputs)].groupby("parent")
    for output in pkn.outputs:
        edges = by_parent.get_group(output)
        groups.setdefault(tuple(sorted(zip(edges["child"], edges["cost"], strict=True))), []).append(output)
    inputs = set(pkn.inputs)
    others = {
        names[0]: tuple(names[1:])
        for children, names in groups.items()
        if len(names) > 1 and all(child in inputs or parents_of[child] <= set(names) for child, _ in children)
    }
    if not others:
        return None
    gone = {name for names in others.values() for name in names}
    table = pkn.edges[~pkn.edges["parent"].isin(gone)].reset_index(drop=True)
    times = table["parent"].map({first: 1 + len(names) for first, names in others.items()}).fillna(1)
    table["cost"] = table["cost"] * times
    left = tuple(name for name in pkn.outputs if name not in gone)
    return TwinOutputs(pkn, Pkn(table, pkn.inputs, left), others)
