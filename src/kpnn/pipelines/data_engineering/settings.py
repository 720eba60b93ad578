"""Settings of the `data_engineering` pipeline."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kpnn.cells import CountLimits, Transform
from kpnn.settings_base import Settings


class DataEngineeringSettings(Settings):
    """How raw files become cells for training; see `conf/base/parameters_data_engineering.yml`."""

    input_suffix: str = "_gene"
    outputs: tuple[str, ...] | None = None
    receptors: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    repeated_genes: Literal["max", "sum"] = "max"
    log1p: bool = True
    library_size: float | None = Field(default=None, gt=0)
    min_counts_per_cell: float = Field(default=0.0, ge=0)
    min_cells_per_gene: int = Field(default=1, ge=0)
    control_inputs: bool = False
    control_seed: int = Field(default=42, ge=0)
    in_memory_cells: int = Field(default=200_000, ge=0)

    @property
    def transform(self) -> Transform:
        """What is done to counts."""
        return Transform(self.library_size, self.log1p)

    @property
    def limits(self) -> CountLimits:
        """Which cells and genes have enough counts."""
        return CountLimits(self.min_counts_per_cell, self.min_cells_per_gene)
