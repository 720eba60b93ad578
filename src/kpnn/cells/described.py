"""What else a file knows about its cells: cell type, batch, donor, and their places in a UMAP."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kpnn.cells.expression import Expression
from kpnn.errors import CellsError

UMAP = "X_umap"
"""Where scanpy puts a UMAP in `obsm`."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Embedding:
    """Where cells stand in two dimensions.

    Attributes:
        name: in `obsm`.
        coordinates: shape (n_cells, 2).

    Examples:
        >>> from anndata import AnnData
        >>> from kpnn.cells import InMemory
        >>> places = {"X_umap": np.array([[0.5, 1.0], [2.0, 3.0]])}
        >>> cells = AnnData(np.eye(2), obs=pd.DataFrame(index=["c1", "c2"]), obsm=places)
        >>> found = embedding_of(InMemory(cells), "auto", pd.Index(["c2"]))
        >>> found.name, found.coordinates.tolist()
        ('X_umap', [[2.0, 3.0]])
    """

    name: str
    coordinates: np.ndarray


def described_cells(expression: Expression, columns: Sequence[str], barcodes: pd.Index) -> pd.DataFrame:
    """Reads columns of the cells.

    Args:
        expression: an opened file that holds them, as AnnData does in `obs`.
        columns: their names.
        barcodes: of which cells.

    Returns:
        Text, index the barcodes, a column for each name; missing is empty.

    Raises:
        CellsError: there is no such column, or no such cell.

    Examples:
        >>> from anndata import AnnData
        >>> from kpnn.cells import InMemory
        >>> known = pd.DataFrame({"donor": [1, 2], "state": ["rest", "stim"]}, index=["c1", "c2"])
        >>> cells = InMemory(AnnData(np.eye(2), obs=known))
        >>> described_cells(cells, ["donor", "state"], pd.Index(["c2", "c1"]))
           donor state
        c2     2  stim
        c1     1  rest
    """
    rows = expression.locate(barcodes) if len(columns) else np.zeros(0, dtype=int)
    return pd.DataFrame({name: expression.cell_column(name)[rows].to_numpy() for name in columns}, index=barcodes)


def embedding_of(expression: Expression, name: str, barcodes: pd.Index) -> Embedding | None:
    """Reads coordinates of the cells.

    Args:
        expression: an opened file that holds them, as AnnData does in `obsm`.
        name: in `obsm`; `auto`: a UMAP where the file has one that can be read.
        barcodes: of which cells.

    Returns:
        Coordinates in the order of the barcodes; None where `auto` finds none.

    Raises:
        CellsError: there are no such coordinates, or no such cell.

    Examples:
        >>> from anndata import AnnData
        >>> from kpnn.cells import InMemory
        >>> places = {"X_pca": np.array([[4.0, 1.0, 9.0], [2.0, 3.0, 9.0]])}
        >>> cells = InMemory(AnnData(np.eye(2), obs=pd.DataFrame(index=["c1", "c2"]), obsm=places))
        >>> embedding_of(cells, "X_pca", pd.Index(["c2", "c1"])).coordinates.tolist()
        [[2.0, 3.0], [4.0, 1.0]]
        >>> embedding_of(cells, "auto", pd.Index(["c2", "c1"])) is None  # there is no UMAP
        True
    """
    if name != "auto":
        return Embedding(name, expression.embedding(name)[expression.locate(barcodes)])
    if UMAP not in expression.embeddings:
        return None
    try:
        return Embedding(UMAP, expression.embedding(UMAP)[expression.locate(barcodes)])
    except CellsError as error:
        _log.warning("%s; the report is without it", error)
        return None
