"""A formulation of DAG selection as a mixed-integer linear programme: its columns, its rows, what they stand for."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from kpnn.pkn.selection.gene_classes import GeneClass
from kpnn.pkn.selection.model.flow_network import FlowNetwork
from kpnn.pkn.selection.model.programme import Programme
from kpnn.pkn.selection.model.rows import NO_COLUMN, LinearRows
from kpnn.pkn.selection.presolve import ReducedPkn


@dataclass(frozen=True, eq=False)
class HubColumns:
    """Columns of each node in a formulation with a hub, each of shape (n_nodes,); NO_COLUMN for other nodes.

    Attributes:
        kept: the node is kept.
        above: it is kept above the hub.
        below: it is kept and not above the hub.
        hub: it is the hub.
    """

    kept: np.ndarray
    above: np.ndarray
    below: np.ndarray
    hub: np.ndarray


@dataclass(frozen=True, eq=False)
class Formulation(Programme):
    """DAG selection as a mixed-integer linear programme, and the networks that its cuts come from.

    Attributes:
        reduced: the presolved PKN that it is about.
        constant: cost of what is kept in any case.
        networks: where cuts are separated; none where the rows alone are exact.
        node_column: column of each node's x, shape (n_nodes,); NO_COLUMN for other nodes.
        edge_column: column of each usable edge's y, shape (n_usable,); NO_COLUMN where it has none.
        serve: (node, class, column) of each u.
        groups: inputs that share z, with the columns of the edges from each of their parents.
        has_edge_form: the edges between neurons are variables of their own.
        has_single_inputs: in `groups` every input stands by itself.
        hub: see `model.hub_form`; None for every other formulation.
    """

    reduced: ReducedPkn
    constant: float
    networks: tuple[FlowNetwork, ...]
    node_column: np.ndarray
    edge_column: np.ndarray
    serve: tuple[tuple[int, int, int], ...]
    groups: tuple[tuple[GeneClass, np.ndarray], ...]
    has_edge_form: bool
    has_single_inputs: bool
    hub: HubColumns | None = None

    @property
    def column_edges(self) -> list[tuple[int, int, int]]:
        """Parent, child and column of every edge that has a column; of edges that share one, the first."""
        reduced = self.reduced
        edges = np.flatnonzero(self.edge_column != NO_COLUMN)
        found = list(
            zip(
                reduced.parent[edges].tolist(),
                reduced.child[edges].tolist(),
                self.edge_column[edges].tolist(),
                strict=True,
            )
        )
        for group, columns in self.groups:
            gene = int(group.genes[0])
            found += [
                (code, gene, column) for code, column in zip(group.parents.tolist(), columns.tolist(), strict=True)
            ]
        return found

    @property
    def least_cost(self) -> float:
        """What any solution costs at least, the constant not included, before anything is solved.

        Columns cost what their bounds say, and every group of inputs its coverage.
        """
        least = float(self.cost @ np.where(self.cost < 0, self.high, self.low))
        return least + sum(
            group.coverage * float(self.cost[columns].min(initial=np.inf)) for group, columns in self.groups
        )

    @property
    def has_whole_costs(self) -> bool:
        """Every solution costs a whole number."""
        return bool((self.cost == np.round(self.cost)).all()) and self.constant == round(self.constant)


def without_barred_columns(formulation: Formulation) -> Formulation:
    """The same formulation without the columns whose upper bound is 0; only where no column is for `serve`."""
    assert not formulation.serve
    left = formulation.high > 0
    new = np.where(left, np.cumsum(left) - 1, NO_COLUMN)

    def renumbered(columns: np.ndarray) -> np.ndarray:
        return np.where(columns == NO_COLUMN, NO_COLUMN, new[columns])

    rows, old = LinearRows(), formulation.rows
    for columns, values, low, high in zip(old.columns, old.values, old.low, old.high, strict=True):
        stays = left[columns]
        columns, values = new[columns[stays]], values[stays]
        if len(columns) == 1 and values[0] > 0 and low <= 0 and not np.isfinite(high):
            continue  # says no more than that the column is not negative
        if len(columns) or low > 0 or high < 0:
            rows.add(columns, values, low, high)
    networks = []
    for net in formulation.networks:
        is_open = (net.column == NO_COLUMN) | left[net.column]
        is_target = (net.target_column == NO_COLUMN) | left[net.target_column]
        networks.append(
            replace(
                net,
                tail=net.tail[is_open],
                head=net.head[is_open],
                column=renumbered(net.column[is_open]),
                targets=net.targets[is_target],
                target_column=renumbered(net.target_column[is_target]),
            )
        )
    groups = [
        (replace(group, parents=group.parents[left[columns]]), new[columns[left[columns]]])
        for group, columns in formulation.groups
    ]
    return replace(
        formulation,
        cost=formulation.cost[left],
        low=formulation.low[left],
        high=formulation.high[left],
        is_integer=formulation.is_integer[left],
        rows=rows,
        networks=tuple(networks),
        node_column=renumbered(formulation.node_column),
        edge_column=renumbered(formulation.edge_column),
        groups=tuple(groups),
    )
