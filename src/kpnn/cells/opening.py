"""One way to open an expression matrix, whatever its format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kpnn.cells.expression import Expression
from kpnn.cells.tenx_h5 import TenxH5
from kpnn.errors import CellsError


def open_expression(path: str | Path, **options: Any) -> Expression:
    """Opens an expression matrix."""
    if not Path(path).exists():
        raise CellsError(f"{path}: no such file")
    return TenxH5(path, **options)
