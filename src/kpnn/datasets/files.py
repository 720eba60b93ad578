"""Catalog dataset for a folder of finished files, such as a report's pictures and tables."""

from __future__ import annotations

from pathlib import Path

from kpnn.datasets.base import FileDataset


class FilesDataset(FileDataset[dict[str, bytes], Path]):
    """Keeps files, by their path within one folder, which is replaced as a whole; loads the folder's own path.

    Examples:
        ```yaml
        my_pictures:
          type: kpnn.datasets.files.FilesDataset
          filepath: data/08_reporting/mystudy/my_pictures
        ```
    """

    _read_later = True

    def _read(self, path: Path) -> Path:
        return path

    def _write(self, path: Path, data: dict[str, bytes]) -> None:
        path.mkdir()
        for name, content in data.items():
            place = path / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
