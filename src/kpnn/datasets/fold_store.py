"""Catalog dataset for the folder in which an arm's finished folds are kept while it is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, DatasetError
from kedro.io.core import get_protocol_and_path

from kpnn.training.results import FoldStore


class FoldStoreDataset(AbstractDataset[None, FoldStore]):
    """Hands out a handle on a folder; what is in it is written and read through the handle.

    Examples:
        ```yaml
        full.fold_store:
          type: kpnn.datasets.fold_store.FoldStoreDataset
          filepath: data/06_models/mystudy/full
        ```
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None):
        """Names the folder.

        Args:
            filepath: the folder, made when the first fold is kept.
            metadata: anything for other tools, such as kedro-viz; not used here.

        Raises:
            DatasetError: it is an address elsewhere.
        """
        protocol, path = get_protocol_and_path(filepath)
        if protocol != "file":
            raise DatasetError(f"{filepath}: folds are kept, and taken up again, on a disk of this machine")
        self._filepath = path
        self.metadata = metadata

    def load(self) -> FoldStore:
        """Returns the handle."""
        return FoldStore(Path(self._filepath))

    def save(self, data: None) -> None:  # noqa: ARG002
        """Is not for this dataset: folds are kept through the handle.

        Args:
            data: is not looked at.

        Raises:
            DatasetError: always.
        """
        raise DatasetError("a fold store is written through its handle, not by a node's output")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath}
