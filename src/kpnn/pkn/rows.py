"""Parts of a statement: rows that are collected one by one, and the networks that cuts come from."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import csr_array

FREE = -1
"""Column of an arc that costs nothing to use: its capacity is unlimited."""


@dataclass
class Rows:
    """Rows `low <= sum of value * column <= high`, collected one by one."""

    columns: list[np.ndarray] = field(default_factory=list)
    values: list[np.ndarray] = field(default_factory=list)
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)

    def add(self, columns: np.ndarray, values: np.ndarray, low: float, high: float = np.inf) -> None:
        """Adds one row."""
        self.columns.append(np.asarray(columns, dtype=np.int32))
        self.values.append(np.asarray(values, dtype=float))
        self.low.append(low)
        self.high.append(high)

    def extend(self, other: Rows) -> None:
        """Adds all rows of another collection."""
        self.columns += other.columns
        self.values += other.values
        self.low += other.low
        self.high += other.high

    def matrix(self, n_columns: int) -> csr_array:
        """The coefficients, shape (n_rows, n_columns)."""
        indptr = np.concatenate([[0], np.cumsum([len(columns) for columns in self.columns])])
        columns = np.concatenate(self.columns) if self.columns else np.empty(0, dtype=np.int32)
        values = np.concatenate(self.values) if self.values else np.empty(0)
        return csr_array((values, columns, indptr), shape=(len(self), n_columns))

    def __len__(self) -> int:
        return len(self.columns)


@dataclass(frozen=True, eq=False)
class Network:
    """Arcs along which a node must be connected to the source; each arc is a column, or free.

    Attributes:
        n_nodes: number of nodes, among them the source.
        source: node that everything must be reached from.
        tail, head: nodes of each arc.
        column: column whose value is the arc's capacity, or FREE.
        targets: nodes that must be reached.
        target_column: column that says how much of the target is kept, or FREE: all of it.
    """

    n_nodes: int
    source: int
    tail: np.ndarray
    head: np.ndarray
    column: np.ndarray
    targets: np.ndarray
    target_column: np.ndarray
