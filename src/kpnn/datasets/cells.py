"""Catalog dataset for cells that are ready for training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py

from kpnn.datasets.base import FileDataset

if TYPE_CHECKING:
    from anndata import AnnData


class AnnDataDataset(FileDataset[Any, Any]):
    """Keeps an AnnData as `.h5ad`.

    Example:
        ```yaml
        pruned.cells_with_results:
          type: kpnn.datasets.cells.AnnDataDataset
          filepath: data/08_reporting/mystudy/pruned/cells_with_results.h5ad
          study: mystudy
        ```
    """

    def __init__(self, *, study: str | None = None, **options: Any):
        """Names the file.

        Args:
            study: name of the study, kept in `uns["kpnn"]["study"]`.
            **options: of every `FileDataset`.
        """
        super().__init__(**options)
        self._study = study

    def _read(self, path: Path) -> AnnData:
        from anndata import read_h5ad

        return read_h5ad(path)

    def _write(self, path: Path, data: AnnData) -> None:
        if self._study is not None:
            data.uns["kpnn"] = {**data.uns.get("kpnn", {}), "study": self._study}
        data.write_h5ad(path)


class MatchedCellsDataset(AnnDataDataset):
    """Keeps an AnnData as `.h5ad`; where `X` is large, it stays on disk."""

    _if_missing = "`kedro run --pipeline data_engineering` writes it"
    _read_later = True

    def __init__(self, *, stream_above_entries: int = 500_000_000, **options: Any):
        """Names the file.

        Args:
            stream_above_entries: with more non-zero entries in `X` (8 bytes each) it is loaded backed by its file, and
                networks are trained on a stream of it.
            **options: of every `FileDataset`.
        """
        super().__init__(**options)
        self._stream_above_entries = stream_above_entries

    def _read(self, path: Path) -> AnnData:
        from anndata import read_h5ad

        with h5py.File(path) as file:
            entries = len(file["X/data"]) if "X/data" in file else 0
        return read_h5ad(path, backed="r" if entries > self._stream_above_entries else None)
