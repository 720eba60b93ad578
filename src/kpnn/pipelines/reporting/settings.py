"""Settings of the `reporting` pipeline."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ReportingSettings(BaseModel):
    """How arms are compared and the report is written; see `conf/base/parameters_reporting.yml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = ""
    margin: float = Field(0.01, gt=0, lt=0.5)
    n_bootstrap: int = Field(1000, ge=10)
    top: int = Field(20, ge=1)
