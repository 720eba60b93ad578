"""What reading a network kept and what it dropped, for the log and the run's data summary."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from kpnn.errors import some_names

_MOST_EXAMPLES = 3
"""Edges named of those that are left out for one reason."""


@dataclass(frozen=True)
class Dropped:
    """Edges that were left out for one reason.

    Attributes:
        reason: why, as in "3 edges: to themselves".
        edges: how many.
        examples: some of them.
    """

    reason: str
    edges: int
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        shown = f" ({', '.join(self.examples)})" if self.examples else ""
        return f"{self.edges:,} {self.reason}{shown}"


@dataclass(frozen=True)
class ReadAccount:
    """What a file said, and what of it is used.

    Attributes:
        source: the file.
        format: what it was read as.
        read: edges that it states.
        kept: pairs of parent and child that are left; none is joined to itself and each is counted once.
        parents: nodes with children. children: nodes with parents.
        positive: kept pairs whose sign is 1. negative: whose sign is -1; those of the others is unknown.
        dropped: what is not used, in the order in which it was left out.
        notes: what else was done.
    """

    source: str
    format: str
    read: int
    kept: int
    parents: int
    children: int
    positive: int = 0
    negative: int = 0
    dropped: tuple[Dropped, ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [
            f"{self.source}: {self.read:,} edges read as {self.format}, {self.kept:,} kept, "
            f"from {self.parents:,} parents to {self.children:,} children "
            f"({self.positive:,} positive, {self.negative:,} negative)"
        ]
        if self.dropped:
            parts.append("left out: " + ", ".join(map(str, self.dropped)))
        return "; ".join([*parts, *self.notes])


def examples_of(pairs: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """The first few edges, as messages show them.

    Args:
        pairs: parent and child of each edge.
    """
    return tuple(f"{parent} -> {child}" for parent, child in islice(pairs, _MOST_EXAMPLES))


def few_of(names: Sequence[object]) -> str:
    """The first few names and how many more there are, in one string."""
    return some_names(names, _MOST_EXAMPLES)
