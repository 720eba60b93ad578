"""Where the report draws the cells: coordinates that their file has, or a UMAP that scanpy computes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from kpnn.cells import UMAP, Embedding, Expression, Matched, PendingCells, StreamedMatch, embedding_of
from kpnn.errors import SettingsError
from kpnn.pipelines.data_engineering.settings import COMPUTED

if TYPE_CHECKING:
    from anndata import AnnData

_COMPONENTS = 50
"""Principal components whose neighbours a UMAP is of, scanpy's default."""


def read_embedding(expression: Expression, cells: Matched | StreamedMatch, embedding: str | None) -> Embedding | None:
    """The coordinates that the file has; None where none are wanted, there are none, or they are to be computed.

    Raises:
        CellsError: the file lacks the coordinates that were asked for.
        SettingsError: they are to be computed of cells that are not in memory.
    """
    if embedding == COMPUTED and isinstance(cells, StreamedMatch):
        raise SettingsError(
            f"data_engineering.embedding: {COMPUTED} needs the cells in memory; set in_memory_cells higher, or name "
            "coordinates that the file has"
        )
    if embedding in (None, COMPUTED):
        return None
    return embedding_of(expression, str(embedding), cells.labels.index)


def with_embedding(
    cells: AnnData | PendingCells, embedding: Embedding | None, *, compute: bool
) -> AnnData | PendingCells:
    """The cells with their coordinates in `obsm`, the first and only entry there.

    Args:
        cells: as training wants them.
        embedding: the coordinates.
        compute: whether a UMAP is computed where there are none.
    """
    if embedding is None and compute and not isinstance(cells, PendingCells):
        embedding = _umap(cells)
    if embedding is None:
        return cells
    if isinstance(cells, PendingCells):
        return replace(cells, obsm={embedding.name: embedding.coordinates})
    cells.obsm[embedding.name] = embedding.coordinates
    return cells


def _umap(cells: AnnData) -> Embedding:
    """A UMAP with scanpy's defaults, of the transformed expression of the network's genes."""
    import scanpy as sc
    from anndata import AnnData

    few = AnnData(cells.X.copy())
    n_components = min(_COMPONENTS, min(few.shape) - 1)
    if n_components > 1:
        sc.pp.pca(few, n_comps=n_components, random_state=0)
    used = "X_pca" if n_components > 1 else "X"  # of two genes there is nothing to reduce
    sc.pp.neighbors(few, n_neighbors=min(15, few.n_obs - 1), use_rep=used, random_state=0)
    sc.tl.umap(few, random_state=0)
    return Embedding(UMAP, few.obsm[UMAP].astype(float))
