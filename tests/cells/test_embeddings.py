"""Coordinates of the cells are read from `obsm` in every layout that holds it."""

import logging

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest

from kpnn.cells import InMemory, embedding_of, open_expression
from kpnn.errors import CellsError

N = 12
BARCODES = [f"cell{number}" for number in range(N)]
COORDINATES = np.random.default_rng(0).normal(size=(N, 3)).astype(np.float32)
CHOSEN = pd.Index(["cell5", "cell0", "cell11"])


def cells(**obsm):
    matrix, genes = np.ones((N, 2), dtype=np.float32), pd.DataFrame(index=["A", "B"])
    return ad.AnnData(matrix, pd.DataFrame(index=BARCODES), genes, obsm=obsm)


def stored(kind, folder, **obsm):
    adata = cells(**obsm)
    if kind == "memory":
        return InMemory(adata)
    path = folder / f"cells.{kind.removeprefix('old ')}"
    getattr(adata, f"write_{path.suffix[1:]}")(path)
    if kind.startswith("old"):  # anndata before 0.7: one table of all that is known of the cells
        table = np.zeros(N, dtype=[(name, "<f4", np.shape(values)[1:]) for name, values in obsm.items()])
        for name, values in obsm.items():
            table[name] = values
        with h5py.File(path, "a") as file:
            del file["obsm"]
            file["obsm"] = table
    return open_expression(path)


@pytest.mark.parametrize("kind", ["memory", "h5ad", "old h5ad", "zarr"])
def test_the_first_two_coordinates_of_the_cells_that_are_asked_for(kind, tmp_path):
    expression = stored(kind, tmp_path, X_umap=COORDINATES, X_other=-COORDINATES)
    for name, sign in (("auto", 1), ("X_umap", 1), ("X_other", -1)):
        found = embedding_of(expression, name, CHOSEN)
        assert found.name == ("X_umap" if name == "auto" else name)
        np.testing.assert_allclose(found.coordinates, sign * COORDINATES[[5, 0, 11], :2])
    with pytest.raises(CellsError, match="no coordinates X_uma in obsm; did you mean X_umap"):
        embedding_of(expression, "X_uma", CHOSEN)


@pytest.mark.parametrize("kind", ["memory", "h5ad", "zarr"])
def test_a_file_without_a_umap_has_none_unless_it_is_named(kind, tmp_path):
    expression = stored(kind, tmp_path)
    assert embedding_of(expression, "auto", CHOSEN) is None
    with pytest.raises(CellsError, match="no coordinates X_umap"):
        embedding_of(expression, "X_umap", CHOSEN)


def test_a_umap_that_cannot_be_read_is_said_and_stops_nothing(tmp_path, caplog):
    expression = stored("h5ad", tmp_path, X_umap=COORDINATES[:, :1])
    with caplog.at_level(logging.WARNING):
        assert embedding_of(expression, "auto", CHOSEN) is None
    assert "obsm/X_umap has shape (12, 1)" in caplog.text
    with pytest.raises(CellsError, match="no two coordinates"):
        embedding_of(expression, "X_umap", CHOSEN)
