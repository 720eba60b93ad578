"""Settings of the `simulate` pipeline."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from kpnn.simulation.scenarios import Scenario


class SimulationSettings(BaseModel):
    """What to simulate; see `conf/base/parameters_simulate.yml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scenario: Scenario = "cyclic"
    n_cells: int = Field(default=800, ge=4)
    n_unlabelled: int = Field(default=0, ge=0)
    fold_change: float = Field(default=2.0, gt=1)
    seed: int = Field(default=42, ge=0)
    network: dict[str, Any] = Field(default_factory=dict)
