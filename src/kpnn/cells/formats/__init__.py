"""One way to open an expression matrix, whatever its format."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args

from kpnn.cells.expression import Expression, Repair
from kpnn.cells.formats.anndata_file import AnnDataFile
from kpnn.cells.formats.tenx_h5 import TenxH5
from kpnn.cells.formats.tenx_mtx import TenxMtx
from kpnn.cells.formats.text_matrix import TextMatrix
from kpnn.errors import CellsError, some_names

Format = Literal["tenx_h5", "tenx_mtx", "h5ad", "zarr", "table"]

_OPEN: dict[str, Callable[..., Expression]] = {
    "tenx_h5": TenxH5,
    "tenx_mtx": TenxMtx,
    "h5ad": AnnDataFile,
    "zarr": AnnDataFile,
    "table": TextMatrix,
}


_ADVICE = {
    (
        ".mtx",
        ".mtx.gz",
    ): "name the folder that holds it with barcodes.tsv and features.tsv (or genes.tsv), not the file",
    (".rds", ".rdata", ".h5seurat"): "is R's; write it as .h5ad, or as a 10x .mtx folder",
    (".h5mu",): "is MuData; save the modality that holds expression as .h5ad (`mdata['rna'].write_h5ad`)",
    (".loom",): "is a loom file; save it as .h5ad (`anndata.io.read_loom`)",
    (".zip", ".tar", ".tar.gz", ".tgz"): "is an archive; unpack it first and name what is in it",
    (".bz2", ".xz", ".zst", ".gzip", ".7z"): "is packed in a way that is not read; unpack it first, or pack it as .gz",
    (".parquet", ".feather", ".npz", ".npy"): "is not read; write it as .h5ad, or as CSV with names of genes and cells",
    (".xlsx", ".xls"): "is a workbook; save the sheet as CSV",
}
"""What people bring that is not read, by the end of its name, and what to do."""


def open_expression(
    path: str | Path,
    *,
    format: Format | None = None,
    fill: float | None = None,
    floor: float | None = None,
    **options: Any,
) -> Expression:
    """Opens an expression matrix for reading; nothing but names is read yet.

    A process of its own looks into an HDF5 file first: some damage would crash this one, or keep it for ever. That
    takes a third of a second, once for a file that has not changed.

    Args:
        path: the file or folder.
        format: `tenx_h5`, `tenx_mtx` (a folder), `h5ad`, `zarr` (a folder) or `table` (CSV or TSV); by default
            told by the name.
        fill: what missing values are taken for; by default they are an error.
        floor: what negative values are taken for; by default they are an error.
        **options: what the format's class takes: `gene_names` (all); `genome`, `feature_type` (10x);
            `values`, `id_column` (`h5ad`, `zarr`); `orientation`, `separator` (`table`).

    Returns:
        A handle; `read(barcodes=..., genes=...)` reads values.

    Raises:
        CellsError: there is no such file, it is of no known format, an option does not belong to the
            format, or the file is damaged.

    Examples:
        >>> import pandas as pd
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     table = Path(folder) / "counts.csv"
        ...     pd.DataFrame([[3, 0], [1, 5]], ["c1", "c2"], ["CD69", "IL2"]).to_csv(table)
        ...     expression = open_expression(table, orientation="cells_by_genes")
        ...     expression.read(genes=["IL2"]).to_df()
            IL2
        c1  0.0
        c2  5.0
    """
    place = Path(path)
    if not place.exists():
        raise CellsError(f"{path}: no such file")
    chosen = format or _format_of(place)
    if chosen not in _OPEN:
        raise CellsError(f"{path}: no format {chosen} (there are {', '.join(get_args(Format))})")
    known = set(inspect.signature(_OPEN[chosen]).parameters) - {"path"}
    strange = sorted(set(options) - known)
    if strange:
        raise CellsError(
            f"{path}: format {chosen} has no option {', '.join(strange)} (it has "
            f"{', '.join(sorted({*known, 'fill', 'floor'}))})"
        )
    handle = _OPEN[chosen](path, **options)
    handle.repair = Repair(fill, floor)
    return handle


def _format_of(path: Path) -> str:
    name = path.name.lower().removesuffix(".gz")
    if path.is_dir():
        if name.endswith(".zarr") or (path / ".zgroup").exists() or (path / "zarr.json").exists():
            return "zarr"
        if any(path.glob("*.mtx*")):
            return "tenx_mtx"
        matrices = [found.parent for depth in ("*", "*/*") for found in path.glob(f"{depth}/*.mtx*")]
        files = [found for depth in (".", "*") for end in ("zarr", "h5*") for found in path.glob(f"{depth}/*.{end}")]
        inside = sorted({one.relative_to(path).as_posix() for one in (*matrices, *files)})
        advice = f"; name one of what it holds: {some_names(inside)}" if inside else ""
        raise CellsError(f"{path}: is a folder with neither a matrix.mtx nor a Zarr store in it{advice}")
    for ending, found in ((".h5", "tenx_h5"), (".hdf5", "tenx_h5"), (".h5ad", "h5ad")):
        if name.endswith(ending):
            return found
    if name.endswith((".csv", ".tsv", ".txt", ".tab")):
        return "table"
    for endings, advice in _ADVICE.items():
        if path.name.lower().endswith(endings):
            raise CellsError(f"{path}: {advice}")
    raise CellsError(
        f"{path}: no known ending (.h5, .h5ad, .zarr, .csv, .tsv, .txt, the last three also .gz, or a folder with "
        f"matrix.mtx); say `format:` in the catalog"
    )
