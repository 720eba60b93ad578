"""Catalog dataset for what may not be there: a report is made from what is."""

from __future__ import annotations

from typing import Any

from kedro.io import AbstractDataset


class OptionalDataset(AbstractDataset[Any, Any]):
    """Wraps another dataset; loading gives None where that one has nothing on disk."""

    def __init__(self, *, dataset: dict[str, Any], metadata: dict[str, Any] | None = None):
        """Names the dataset.

        Args:
            dataset: `type`, `filepath` and options of the dataset, as a catalog entry has them.
            metadata: anything for other tools, such as kedro-viz; not used here.
        """
        self._dataset = AbstractDataset.from_config("optional", dict(dataset))
        self.metadata = metadata
        if hasattr(self._dataset, "preview"):
            self.preview = self._dataset.preview  # as kedro-viz shows the wrapped one

    def load(self) -> Any:
        """Loads the wrapped dataset, or gives None."""
        return self._dataset.load() if self._dataset.exists() else None

    def save(self, data: Any) -> None:
        """Saves with the wrapped dataset."""
        self._dataset.save(data)

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return self._dataset._describe()
