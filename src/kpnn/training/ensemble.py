"""Predictions for new cells by the mean of the networks that cross-validation trained."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from kpnn.training.orientation import mean_activations, signs_of_network
from kpnn.training.results import cells_by_output

if TYPE_CHECKING:
    import keras
    from anndata import AnnData


@dataclass(frozen=True, eq=False)
class EnsemblePrediction:
    """What the networks say about new cells.

    Attributes:
        probabilities: `barcode`, `output`, `probability` (mean over networks) and `sd` (over networks).
        activations: mean activation over networks and their members, cells x neurons; the index holds the barcodes.
            Hidden neurons are oriented, network by network, so that a higher activation speaks for the output.
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
        networks: trained on the same DAG; each one network or an ensemble.
        batches: cells with transformed expression, genes by name; any number at a time.
        missing_genes: `error`, or `zeros` to take genes that the cells lack as not expressed.

    Raises:
        ModelError: genes are missing or a value is not finite.

    Returns:
        Probabilities, activations and missing genes of all batches together.

    Examples:
        With the networks that `kpnn.training.cross_validation.cross_validate` trained:

        >>> from anndata import AnnData
        >>> from kpnn.nn import load_kpnn
        >>> networks = [load_kpnn(store.model_path(0, fold)) for fold in range(3)]
        >>> new = AnnData(np.array([[5.0, 4.0, 1.0], [0.0, 1.0, 0.0]], dtype=np.float32))
        >>> new.var_names = ["CD69", "IL2", "ACTB"]
        >>> low_and_high = predict_ensemble(networks, [new]).probabilities["probability"].to_numpy()
        >>> bool(low_and_high[0] > low_and_high[1])
        True
    """
    from kpnn.nn import members_of, predict

    members = [member for network in networks for member in members_of(network)]
    signs: list[np.ndarray] = []
    probabilities, activations, missing = [], [], ()
    for cells in batches:
        predicted = [predict(network, cells, missing_genes=missing_genes) for network in networks]
        missing = tuple(predicted[0].attrs.get("missing_genes", ()))
        stacked = np.stack([table.to_numpy(dtype=float) for table in predicted])
        outputs = list(predicted[0].columns)
        probabilities.append(
            pd.DataFrame(
                cells_by_output(cells.obs_names, outputs)
                | {
                    "probability": stacked.mean(axis=0).ravel(),
                    "sd": stacked.std(axis=0, ddof=1).ravel() if len(networks) > 1 else 0.0,
                }
            )
        )
        if not signs:  # the first cells settle it, so that it is the same in every batch
            signs = [signs_of_network(member, cells, missing_genes=missing_genes) for member in members]
        activations.append(mean_activations(members, cells, signs, missing_genes=missing_genes))
    return EnsemblePrediction(pd.concat(probabilities, ignore_index=True), pd.concat(activations), missing)
