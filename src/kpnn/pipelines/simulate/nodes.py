"""Nodes of the `simulate` pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from kpnn.pipelines.simulate.settings import SimulationSettings
from kpnn.simulation import simulate

if TYPE_CHECKING:
    from anndata import AnnData


def simulate_study(settings: SimulationSettings) -> tuple[AnnData, pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Draws expression, class labels and edges, and says what was planted."""
    study = simulate(
        settings.scenario,
        n_cells=settings.n_cells,
        fold_change=settings.fold_change,
        seed=settings.seed,
        n_unlabelled=settings.n_unlabelled,
        dressing=settings.file,
        **settings.network,
    )
    return study.to_anndata(), study.labels, study.edges, study.truth.as_dict()
