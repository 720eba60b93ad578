"""Catalog dataset for cells that are ready for training."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from kedro.io import AbstractDataset, DatasetError

from kpnn.files import written_whole

if TYPE_CHECKING:
    from anndata import AnnData


class MatchedCellsDataset(AbstractDataset[Any, Any]):
    """Keeps an AnnData as `.h5ad`."""

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None):
        """Names the file.

        Args:
            filepath: where the file lies; relative paths are relative to the project.
            metadata: anything for other tools, such as kedro-viz; not used here.
        """
        self._filepath = PurePosixPath(filepath)
        self.metadata = metadata

    def load(self) -> AnnData:
        """Reads the cells."""
        from anndata import read_h5ad

        if not Path(self._filepath).is_file():
            raise DatasetError(f"{self._filepath}: no such file; `kedro run --pipeline data_engineering` writes it")
        return read_h5ad(str(self._filepath))

    def save(self, data: AnnData) -> None:
        """Writes the cells; the file appears only when it is complete."""
        with written_whole(str(self._filepath)) as partial:
            data.write_h5ad(partial)

    def _exists(self) -> bool:
        return Path(self._filepath).is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
