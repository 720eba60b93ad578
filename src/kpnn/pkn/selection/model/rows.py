"""Rows of a formulation, collected one by one."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import csr_array

NO_COLUMN = -1
"""In place of a column: what has none is decided already, or costs nothing to use."""


@dataclass
class LinearRows:
    """Rows `low <= sum of value * column <= high`, collected one by one."""

    columns: list[np.ndarray] = field(default_factory=list)
    values: list[np.ndarray] = field(default_factory=list)
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)

    @classmethod
    def joined(cls, *parts: LinearRows) -> LinearRows:
        """A new collection of all rows of others."""
        rows = cls()
        for part in parts:
            rows.extend(part)
        return rows

    def add(self, columns: np.ndarray, values: np.ndarray, low: float, high: float = np.inf) -> None:
        """Adds one row."""
        self.columns.append(np.asarray(columns, dtype=np.int32))
        self.values.append(np.asarray(values, dtype=float))
        self.low.append(low)
        self.high.append(high)

    def at_least(self, columns: np.ndarray, least: float) -> None:
        """Adds the row that these columns add up to at least so much."""
        self.add(columns, np.ones(len(columns)), least)

    def needs_one(self, column: int, others: np.ndarray) -> None:
        """Adds the row that a column needs one of the others."""
        self.add(np.append(others, column), np.append(np.ones(len(others)), -1.0), 0.0)

    def extend(self, other: LinearRows) -> None:
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
