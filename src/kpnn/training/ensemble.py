"""Predictions for new cells by the mean of the networks that cross-validation trained."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    import keras
    from anndata import AnnData


@dataclass(frozen=True, eq=False)
class EnsemblePrediction:
    """What the networks say of new cells.

    Attributes:
        probabilities: `barcode`, `output`, `probability` (mean over networks) and `sd` (over networks).
        activations: mean activation over networks, cells x neurons; the index holds the barcodes.
        missing_genes: genes of the networks that the cells lack, taken as not expressed.
    """

    probabilities: pd.DataFrame
    activations: pd.DataFrame
    missing_genes: tuple[str, ...]


def predict_ensemble(
    networks: Sequence[keras.Model], batches: Iterable[AnnData], *, missing_genes: str = "error"
) -> EnsemblePrediction:
    """Predicts new cells, batch by batch.

    Args:
        networks: trained on the same DAG.
        batches: cells with transformed expression, genes by name; any number at a time.
        missing_genes: `error`, or `zeros` to take genes that the cells lack as not expressed.

    Raises:
        ModelError: genes are missing or a value is not finite.
    """
    from kpnn.nn import dag_of, node_activations, predict

    neurons = list(dag_of(networks[0]).neurons)
    probabilities, activations, missing = [], [], ()
    for cells in batches:
        predicted = [predict(network, cells, missing_genes=missing_genes) for network in networks]
        missing = tuple(predicted[0].attrs.get("missing_genes", ()))
        stacked = np.stack([table.to_numpy(dtype=float) for table in predicted])
        outputs = list(predicted[0].columns)
        probabilities.append(
            pd.DataFrame(
                {
                    "barcode": np.repeat(cells.obs_names.to_numpy(dtype=object), len(outputs)),
                    "output": outputs * cells.n_obs,
                    "probability": stacked.mean(axis=0).ravel(),
                    "sd": stacked.std(axis=0, ddof=1).ravel() if len(networks) > 1 else 0.0,
                }
            )
        )
        found = [node_activations(network, cells, neurons, missing_genes=missing_genes) for network in networks]
        activations.append(sum(found[1:], start=found[0]) / len(found))
    return EnsemblePrediction(pd.concat(probabilities, ignore_index=True), pd.concat(activations), missing)
