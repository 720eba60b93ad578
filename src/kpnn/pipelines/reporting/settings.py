"""Settings of the `reporting` pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from kpnn.interpretation import Extent


class ReportingSettings(BaseModel):
    """How arms are compared and the report is written; see `conf/base/parameters_reporting.yml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = ""
    margin: float = Field(0.01, gt=0, lt=0.5)
    top: int = Field(20, ge=1)


class InterpretationSettings(BaseModel):
    """How much is trained again to tell what node weights mean; see `conf/base/parameters_reporting.yml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    control_inputs: int = Field(1, ge=0)
    permuted_labels: int = Field(1, ge=0)
    seeds: int = Field(4, ge=0)
    alternative_dags: int = Field(8, ge=0)
    permutations: int = Field(10_000, ge=100)
    seed: int = Field(42, ge=0)
    top: int = Field(10, ge=1)

    def extent(self) -> Extent:
        """The same as the library takes it."""
        from kpnn.interpretation import Extent

        return Extent(**self.model_dump())
