"""Catalog dataset for cells that are ready for training."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import h5py
from kedro.io import AbstractDataset, DatasetError

from kpnn.files import written_whole

if TYPE_CHECKING:
    from anndata import AnnData


class MatchedCellsDataset(AbstractDataset[Any, Any]):
    """Keeps an AnnData as `.h5ad`; where `X` is large, it stays on disk."""

    def __init__(
        self, *, filepath: str, stream_above_entries: int = 500_000_000, metadata: dict[str, Any] | None = None
    ):
        """Names the file.

        Args:
            filepath: where the file lies; relative paths are relative to the project.
            stream_above_entries: with more non-zero entries in `X` (8 bytes each) it is loaded backed by its file, and
                networks are trained on a stream of it.
            metadata: anything for other tools, such as kedro-viz; not used here.
        """
        self._filepath = PurePosixPath(filepath)
        self._stream_above_entries = stream_above_entries
        self.metadata = metadata

    def load(self) -> AnnData:
        """Reads the cells."""
        from anndata import read_h5ad

        if not Path(self._filepath).is_file():
            raise DatasetError(f"{self._filepath}: no such file; `kedro run --pipeline data_engineering` writes it")
        with h5py.File(str(self._filepath)) as file:
            entries = len(file["X/data"]) if "X/data" in file else 0
        return read_h5ad(str(self._filepath), backed="r" if entries > self._stream_above_entries else None)

    def save(self, data: AnnData) -> None:
        """Writes the cells; the file appears only when it is complete."""
        with written_whole(str(self._filepath)) as partial:
            data.write_h5ad(partial)

    def _exists(self) -> bool:
        return Path(self._filepath).is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
