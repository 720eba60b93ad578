"""Catalog datasets for what a user brings: expression, class labels, edge lists."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pandas as pd
from kedro.io import AbstractDataset, DatasetError

from kpnn.cells import Expression, open_expression
from kpnn.errors import CellsError, KpnnError
from kpnn.files import written_whole
from kpnn.pkn.readers import Direction, EdgeFormat, Undirected, read_edges
from kpnn.text_tables import read_string_table

if TYPE_CHECKING:
    from anndata import AnnData


class RawDataError(KpnnError, DatasetError):
    """A raw file cannot be used; both the project's and Kedro's error, so that Kedro shows it as it is."""


@contextmanager
def _as_raw_data_error() -> Iterator[None]:
    try:
        yield
    except RawDataError:
        raise
    except KpnnError as error:
        raise RawDataError(str(error)) from error


class _RawDataset(AbstractDataset[Any, Any]):
    def __init__(self, filepath: str, metadata: dict[str, Any] | None):
        self._filepath = PurePosixPath(filepath)
        self.metadata = metadata

    def _exists(self) -> bool:
        return Path(self._filepath).exists()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}

    def _require(self) -> None:
        if not Path(self._filepath).exists():
            raise RawDataError(
                f"{self._filepath}: no such file. Put your data there, name another file in conf/local/catalog.yml, "
                f"or make the demo's with `kedro run --pipeline simulate`"
            )


class ExpressionDataset(_RawDataset):
    """An expression matrix of any format that `kpnn.cells.open_expression` reads; loads a handle, not the values.

    Example:
        ```yaml
        raw_expression:
          type: kpnn.datasets.raw.ExpressionDataset
          filepath: data/01_raw/cells.h5
          genome: GRCh38
        ```
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None, **options: Any):
        """Names the file.

        Args:
            filepath: the file or folder; relative paths are relative to the project.
            metadata: anything for other tools, such as kedro-viz; not used here.
            **options: what `kpnn.cells.open_expression` takes: `format`, `genome`, `values`, `gene_names`...
        """
        super().__init__(filepath, metadata)
        self._options = options

    def load(self) -> Expression:
        """Opens the matrix."""
        self._require()
        with _as_raw_data_error():
            return open_expression(str(self._filepath), **self._options)

    def save(self, data: AnnData) -> None:
        """Writes counts as a 10x `.h5` file."""
        from kpnn.cells.formats.tenx_h5_writing import write_tenx_h5

        if self._filepath.suffix != ".h5":
            raise RawDataError(f"{self._filepath}: simulated expression is written as 10x .h5 only")
        ids = data.var.get("gene_ids", data.var_names)
        write_tenx_h5(
            str(self._filepath),
            data.X.tocsr(),
            data.obs_names,
            data.var_names,
            pd.Index(ids),
            layout=data.uns.get("layout", "features"),
        )

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), **self._options}


class ScanpyDataset(AbstractDataset[Any, Expression]):
    """Cells that ship with scanpy, by the name of the function in `scanpy.datasets` that gives them."""

    def __init__(self, *, name: str, values: str = "X", metadata: dict[str, Any] | None = None):
        """Names the data set.

        Args:
            name: such as `pbmc68k_reduced`.
            values: where the expression is: `X`, `raw` or a layer.
            metadata: anything for other tools, such as kedro-viz; not used here.
        """
        self._name = name
        self._values = values
        self.metadata = metadata

    def load(self) -> Expression:
        """Gives the cells as an expression handle."""
        import scanpy as sc

        from kpnn.cells.formats.in_memory import InMemory

        function = getattr(sc.datasets, self._name, None)
        if function is None:
            raise RawDataError(f"scanpy.datasets has no {self._name}")
        with _as_raw_data_error():
            return InMemory(function(), values=self._values, source=f"scanpy.datasets.{self._name}()")

    def save(self, data: Any) -> None:  # noqa: ARG002
        """Refuses: scanpy's data are read-only."""
        raise DatasetError("scanpy's data sets are read-only")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"name": self._name, "values": self._values}


class _TableDataset(_RawDataset):
    """A table of text whose path travels with it in `DataFrame.attrs["source"]`, so that errors can name it."""

    def save(self, data: pd.DataFrame) -> None:
        """Writes CSV; the file appears only when it is complete."""
        with written_whole(str(self._filepath)) as partial:
            data.to_csv(partial, index=False)

    def preview(self, nrows: int = 10) -> dict[str, Any]:
        """The first rows, for kedro-viz."""
        table = self.load()
        return {} if table is None else table.head(nrows).to_dict(orient="split")


class ClassLabelsDataset(_TableDataset):
    """Class labels: CSV or TSV with a column `barcode` and one column of 0 and 1 per output.

    What the labels say is checked where they are used.
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None):
        """Names the file.

        Args:
            filepath: the file, plain or gzipped.
            metadata: anything for other tools, such as kedro-viz; not used here.
        """
        super().__init__(filepath, metadata)

    def load(self) -> pd.DataFrame:
        """Reads the table; every cell stays the text that it is."""
        self._require()
        with _as_raw_data_error():
            table = read_string_table(str(self._filepath), CellsError, needs=["barcode"])
        table.attrs["source"] = str(self._filepath)
        return table


class EdgeListDataset(_TableDataset):
    """Edges in any format that `kpnn.pkn.readers.read_edges` reads; none at all if the file's path is null.

    Example:
        ```yaml
        regulon:
          type: kpnn.datasets.raw.EdgeListDataset
          filepath: data/01_raw/collectri.csv
          columns: {parent: source, child: target, sign: weight}
        ```
    """

    def __init__(
        self,
        *,
        filepath: str | None,
        format: EdgeFormat | None = None,
        columns: dict[str, str | int] | None = None,
        direction: Direction = "parent_to_child",
        undirected: Undirected = "error",
        metadata: dict[str, Any] | None = None,
    ):
        """Names the file.

        Args:
            filepath: the file; null for a table that is not used.
            format: `table`, `sif`, `graphml` or `corneto`; by default told by the name.
            columns: names (or, of a table without a header, numbers) of the columns `parent`, `child`, `sign`, `cost`,
                `stimulation`, `inhibition`, `directed`; of a graph, the attributes `sign`, `cost`, `directed`.
            direction: `parent_to_child` or `child_to_parent`.
            undirected: what to do with edges without a direction: `error` or `drop`.
            metadata: anything for other tools, such as kedro-viz; not used here.
        """
        super().__init__(filepath or "", metadata)
        self._is_used = filepath is not None
        self._format = format
        self._columns = columns
        self._direction = direction
        self._undirected = undirected

    def load(self) -> pd.DataFrame | None:
        """Reads the edges."""
        if not self._is_used:
            return None
        self._require()
        with _as_raw_data_error():
            table = read_edges(
                str(self._filepath),
                format=self._format,
                columns=self._columns,
                direction=self._direction,
                undirected=self._undirected,
            )
        table.attrs["source"] = str(self._filepath)
        return table

    def _exists(self) -> bool:
        return not self._is_used or super()._exists()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath) if self._is_used else None}
