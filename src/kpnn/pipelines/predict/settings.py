"""Settings of the `predict` pipeline."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kpnn.settings_base import Settings


class PredictSettings(Settings):
    """How new cells are predicted; see `conf/base/parameters_predict.yml`.

    Attributes:
        arm: whose networks predict.
        missing_genes: what a gene is that the new file lacks: an error, or (`zeros`) not expressed; then it is listed.
        cells_at_once: how many cells are read and predicted together.
    """

    arm: Literal["full", "pruned"] = "pruned"
    missing_genes: Literal["error", "zeros"] = "error"
    cells_at_once: int = Field(10_000, ge=1)
