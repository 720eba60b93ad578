"""Which features of a 10x file are genes: newer files hold antibodies, guides and peaks beside them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from kpnn.errors import CellsError, some_names

GENES = "Gene Expression"
"""The type of features that is asked for unless another is named."""


def are_of_type(types: pd.Index, feature_type: str, source: str) -> np.ndarray:
    """Whether each feature is of a type, bool, shape (n_features,).

    Args:
        types: of each feature; one that is empty may be anything.
        feature_type: such as `Gene Expression`.
        source: what to call the file in errors.

    Raises:
        CellsError: no feature is, and the message lists the file's types; or the file says none and one is asked for.
    """
    if feature_type != GENES and not any(types):
        raise CellsError(
            f"{source}: does not say of which type its features are; leave `feature_type: {feature_type}` out"
        )
    found = np.asarray((types == feature_type) | (types == ""))
    if len(types) and not found.any():
        raise CellsError(
            f"{source}: no feature of type {feature_type} (found: {some_names(types.unique())}); say which with "
            "`feature_type:`"
        )
    return found
