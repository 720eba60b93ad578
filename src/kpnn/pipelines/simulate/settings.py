"""Settings of the `simulate` pipeline."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, model_validator

from kpnn.errors import SettingsError
from kpnn.settings_base import Settings
from kpnn.simulation import Dressing, Scenario, check_sizes


class SimulationSettings(Settings):
    """What to simulate; see `conf/base/parameters_simulate.yml`.

    Attributes:
        scenario: what is planted where: `single` (one of 101 hidden nodes), `redundant` (two above the same genes),
            `uneven` (nodes from one to hundreds of genes), `deep` (four levels down), `cyclic` (feedback among
            kinases), `tcr_like` (shapes and file of the TCR study) or `null` (nothing).
        n_cells: labelled cells, half of them of class 1.
        n_unlabelled: cells of the file that no label names.
        fold_change: ratio of a predictive gene's mean counts between the classes.
        seed: everything is drawn from it.
        file: how the file's genes differ from the network's.
        network: sizes of the network other than the scenario's own, such as `{n_genes: 500}`; a size that the scenario
            does not have is an error that lists those that it has.
    """

    scenario: Scenario = "cyclic"
    n_cells: int = Field(default=3000, ge=4, le=10_000_000)
    n_unlabelled: int = Field(default=0, ge=0, le=10_000_000)
    fold_change: float = Field(default=2.0, gt=1, le=1000)
    seed: int = Field(default=42, ge=0)
    file: Dressing = Dressing()
    network: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _has_these_sizes(self) -> Self:
        try:
            check_sizes(self.scenario, self.network)
        except SettingsError as error:
            raise ValueError(f"network: {error}") from None
        return self
