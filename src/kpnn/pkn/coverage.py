"""How much of what was measured a network knows, and how much of the network was measured."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Coverage:
    """How a network's genes and an assay's meet.

    Attributes:
        network_genes: genes that the network has input nodes for.
        measured_genes: genes of the assay; a repeated name counts once.
        common: genes of both.
    """

    network_genes: int
    measured_genes: int
    common: int

    @classmethod
    def of(cls, network: Iterable[str], measured: Iterable[str]) -> Coverage:
        """Counts genes of a network and of an assay by name."""
        known, there = set(network), set(measured)
        return cls(len(known), len(there), len(known & there))

    @property
    def network_share(self) -> float:
        """Share of the network's genes that are measured."""
        return self.common / self.network_genes if self.network_genes else 0.0

    @property
    def measured_share(self) -> float:
        """Share of the measured genes that the network knows."""
        return self.common / self.measured_genes if self.measured_genes else 0.0

    def __str__(self) -> str:
        return (
            f"{self.common:,} of the network's {self.network_genes:,} genes are measured ({self.network_share:.0%}); "
            f"the network knows {self.measured_share:.0%} of the {self.measured_genes:,} measured genes"
        )
