"""Which class cells of a class are taken for, where classes exclude each other."""

from __future__ import annotations

import numpy as np
import pandas as pd

from kpnn.evaluation.metrics import called


def by_cell(predictions: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities of held-out cells, both of shape (n_rows, n_outputs), a row per cell, fold and repeat.

    Args:
        predictions: as for `confusion_matrix`.

    Returns:
        Labels 0 and 1, and predicted probabilities.

    Examples:
        >>> import pandas as pd
        >>> predictions = pd.DataFrame({"repeat": 0, "fold": 0, "barcode": ["c1", "c1", "c2", "c2", "c3", "c3"]})
        >>> predictions = predictions.assign(output=["B", "T"] * 3, label=[1, 0, 1, 0, 0, 1])
        >>> predictions["probability"] = [0.9, 0.1, 0.3, 0.7, 0.2, 0.8]
        >>> labels, probabilities = by_cell(predictions)
        >>> labels.tolist(), probabilities.tolist()
        ([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], [[0.9, 0.1], [0.3, 0.7], [0.2, 0.8]])
    """
    outputs = list(dict.fromkeys(predictions["output"]))
    cells = predictions.groupby(["repeat", "fold", "barcode", "output"], sort=True)[["label", "probability"]]
    wide = cells.mean().unstack("output")
    return wide["label"][outputs].to_numpy(), wide["probability"][outputs].to_numpy()


def confusion_matrix(predictions: pd.DataFrame) -> pd.DataFrame:
    """How often cells of each class are called each class: the most probable one in the fold that held them out.

    Args:
        predictions: out-of-fold: `repeat`, `fold`, `barcode`, `output`, `label`, `probability`; every cell with all
            outputs, once per repeat.

    Returns:
        Counts, int: the index holds the classes that cells are of, the columns what they are called, both in the order
        of the outputs. A cell counts once per repeat.

    Examples:
        >>> import pandas as pd
        >>> predictions = pd.DataFrame({"repeat": 0, "fold": 0, "barcode": ["c1", "c1", "c2", "c2", "c3", "c3"]})
        >>> predictions = predictions.assign(output=["B", "T"] * 3, label=[1, 0, 1, 0, 0, 1])
        >>> predictions["probability"] = [0.9, 0.1, 0.3, 0.7, 0.2, 0.8]
        >>> confusion_matrix(predictions).loc["B"].to_dict()  # two cells are of B, one of them is called T
        {'B': 1, 'T': 1}
    """
    outputs = list(dict.fromkeys(predictions["output"]))
    labels, probabilities = by_cell(predictions)
    counts = labels.T.astype(int) @ called(probabilities, one_of_k=True)
    return pd.DataFrame(counts, index=pd.Index(outputs, name="class"), columns=pd.Index(outputs, name="called"))


def top_confusions(matrix: pd.DataFrame, most: int = 5) -> pd.DataFrame:
    """The pairs of classes that are confused most often.

    Args:
        matrix: what `confusion_matrix` returned.
        most: number of pairs.

    Returns:
        `class`, `called` (what cells of the class are taken for), `n_cells` (how many are) and `share` (of the class's
        cells), the largest number first; only pairs that occur.

    Examples:
        >>> import pandas as pd
        >>> matrix = pd.DataFrame([[8, 2], [0, 9]], index=["B", "T"], columns=["B", "T"])
        >>> top_confusions(matrix).to_dict("records")
        [{'class': 'B', 'called': 'T', 'n_cells': 2, 'share': 0.2}]
    """
    counts = matrix.to_numpy()
    rows, columns = np.nonzero(counts * (1 - np.eye(len(counts), dtype=int)))
    table = pd.DataFrame(
        {
            "class": matrix.index.to_numpy()[rows],
            "called": matrix.columns.to_numpy()[columns],
            "n_cells": counts[rows, columns],
            "share": counts[rows, columns] / counts.sum(axis=1)[rows],
        }
    )
    return table.sort_values(["n_cells", "share"], ascending=False, kind="stable", ignore_index=True).head(most)
