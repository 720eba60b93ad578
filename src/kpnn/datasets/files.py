"""Catalog dataset for a folder of finished files, such as a report's pictures and tables."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset


class FilesDataset(AbstractDataset[dict[str, bytes], Path]):
    """Keeps files in one folder, which is replaced as a whole."""

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None):
        """Names the folder.

        Args:
            filepath: the folder; what an earlier run left in it goes.
            metadata: anything for other tools, such as kedro-viz; not used here.
        """
        self._filepath = filepath
        self.metadata = metadata

    def load(self) -> Path:
        """Returns the folder."""
        return Path(self._filepath)

    def save(self, data: dict[str, bytes]) -> None:
        """Writes the files.

        Args:
            data: content by path within the folder.
        """
        folder = Path(self._filepath)
        partial = folder.with_name(f".{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        for name, content in data.items():
            path = partial / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        shutil.rmtree(folder, ignore_errors=True)
        partial.mkdir(parents=True, exist_ok=True)
        partial.rename(folder)

    def _exists(self) -> bool:
        return Path(self._filepath).is_dir()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath}
