"""Settings of the `data_engineering` pipeline."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal

import numpy as np
from pydantic import Field, ValidationInfo, field_validator

from kpnn.cells import CountLimits, LabelSettings, LibrarySize, Matched, StreamedMatch, Transform, settled_library_size
from kpnn.errors import SettingsError
from kpnn.pkn.largest_dag.search import TIME_LIMIT

COMPUTED = "compute"
"""Says in the place of a name in `obsm` that a UMAP of the study's cells is to be computed."""


class DataEngineeringSettings(LabelSettings):
    """How raw files become cells for training; see `conf/base/parameters_data_engineering.yml`."""

    input_suffix: str = "_gene"
    output_nodes: dict[str, str] = Field(default_factory=dict)
    new_roots: bool = False
    receptors: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    repeated_genes: Literal["max", "sum"] = "max"
    log1p: bool = Transform.log1p
    library_size: LibrarySize = "median"
    min_counts_per_cell: float = CountLimits.min_counts_per_cell
    min_cells_per_gene: int = CountLimits.min_cells_per_gene
    describe_by: tuple[str, ...] = ()
    embedding: str | None = "auto"
    full_dag: Literal["shortest_paths", "most_edges"] = "shortest_paths"
    full_dag_time_limit: float = Field(default=TIME_LIMIT, gt=0)
    control_inputs: bool = False
    control_seed: int = Field(default=42, ge=0)
    in_memory_cells: int = Field(default=200_000, ge=0)

    @field_validator("library_size")
    @classmethod
    def _is_a_library_size(cls, value: LibrarySize) -> LibrarySize:
        if value is None or value == "median":
            return value
        if isinstance(value, str) or not (np.isfinite(value) and value > 0):
            raise ValueError("must be a number above 0, median (of the study's own cells), or null (not scaled)")
        return value

    @field_validator("min_counts_per_cell", "min_cells_per_gene")
    @classmethod
    def _is_a_limit(cls, value: float, info: ValidationInfo) -> float:
        try:
            CountLimits(**{str(info.field_name): value})  # type: ignore[arg-type]
        except SettingsError as error:
            raise ValueError(str(error)) from None
        return value

    @field_validator("embedding")
    @classmethod
    def _can_be_computed(cls, value: str | None) -> str | None:
        missing = [name for name in ("scanpy", "umap") if value == COMPUTED and find_spec(name) is None]
        if missing:
            raise ValueError(f"a UMAP is computed by scanpy: pip install 'kpnn[project]' ({missing[0]} is not there)")
        return value

    def transform_of(self, cells: Matched | StreamedMatch) -> Transform:
        """What is done to the counts of these cells."""
        origin = cells.origin
        size = settled_library_size(
            self.library_size,
            cells.totals,
            has_counts=origin.has_counts and not origin.is_logged,
            source=origin.source,
        )
        return Transform(size, self.log1p)

    @property
    def limits(self) -> CountLimits:
        """Which cells and genes have enough counts."""
        return CountLimits(self.min_counts_per_cell, self.min_cells_per_gene)
