"""Catalog dataset for cells that are ready for training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kpnn.cells.formats.storage.hdf5 import open_hdf5
from kpnn.cells.formats.storage.inspection import take_for_whole
from kpnn.datasets.base import FileDataset
from kpnn.errors import CellsError

if TYPE_CHECKING:
    import h5py
    from anndata import AnnData

    from kpnn.cells.matched import PendingCells


class _Hdf5Dataset(FileDataset[Any, Any]):
    """An HDF5 file, opened with care: some damage ends its reader, or keeps it for ever."""

    def _remember(self, path: Path) -> None:
        take_for_whole(path)

    @contextmanager
    def _opened(self, path: Path) -> Iterator[h5py.File]:
        try:
            with open_hdf5(path) as file:
                yield file
        except CellsError as error:
            raise self._error(f"{error}: {self._if_missing}") from error


class AnnDataDataset(_Hdf5Dataset):
    """Keeps an AnnData as `.h5ad`.

    Examples:
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

        with self._opened(path):
            return read_h5ad(path)

    def _write(self, path: Path, data: AnnData) -> None:
        if self._study is not None:
            data.uns["kpnn"] = {**data.uns.get("kpnn", {}), "study": self._study}
        data.write_h5ad(path)


class MatchedCellsDataset(_Hdf5Dataset):
    """Keeps an AnnData as `.h5ad`; where `X` is large, it stays on disk.

    HDF5 takes a slash for a folder. In the file the column of a class such as `CD4+/CD25 T Reg` is called
    `CD4+%2FCD25 T Reg`; what is loaded has the name that was saved.

    Examples:
        ```yaml
        matched_cells:
          type: kpnn.datasets.cells.MatchedCellsDataset
          filepath: data/03_primary/mystudy/matched_cells.h5ad
          stream_above_entries: 100_000_000
        ```
    """

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

        with self._opened(path) as file:
            entries = len(file["X/data"]) if "X/data" in file else 0
        adata = read_h5ad(path, backed="r" if entries > self._stream_above_entries else None)
        adata.obs.columns = [_with_slashes(name) for name in adata.obs.columns]
        return adata

    def _write(self, path: Path, data: AnnData | PendingCells) -> None:
        from kpnn.cells.matched import PendingCells

        named, in_file = data.obs, data.obs.rename(columns=_without_slashes)
        if isinstance(data, PendingCells):
            replace(data, obs=in_file).write_h5ad(path)
            return
        data.obs = in_file  # a copy would hold the cells twice
        try:
            data.write_h5ad(path)
        finally:
            data.obs = named


def _without_slashes(name: str) -> str:
    return name.replace("%", "%25").replace("/", "%2F") if "/" in name or "%2" in name else name


def _with_slashes(name: str) -> str:
    return name.replace("%2F", "/").replace("%25", "%")
