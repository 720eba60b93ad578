"""What nodes of pipelines hand each other in memory."""

from __future__ import annotations

from typing import Any, Self


class HandedOn:
    """Base of frozen dataclasses that travel between nodes: they do not change, so that Kedro need not copy them."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self
