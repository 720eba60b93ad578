"""Catalog datasets for what a user brings: expression, class labels, edge lists."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd
from kedro.io import AbstractDataset, DatasetError
from kedro_datasets._typing import TablePreview

from kpnn.cells import Expression, open_expression, read_label_table
from kpnn.datasets.base import FileDataset
from kpnn.errors import KpnnError, near_names, some_names
from kpnn.pkn.readers import read_edges

if TYPE_CHECKING:
    from anndata import AnnData

_log = logging.getLogger(__name__)

_OF_EVERY_FILE = ("version", "credentials", "fs_args", "metadata")


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


class _RawDataset(FileDataset[Any, Any]):
    """A raw file that a user brings."""

    _if_missing: ClassVar[str] = (
        "put your data there, name another file in conf/<study>/catalog.yml, or make the demo's with "
        "`kedro run --pipeline simulate`"
    )

    def _error(self, message: str) -> DatasetError:
        return RawDataError(message)


def _of_file_and_reader(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Splits a catalog entry's options into those of every `FileDataset` and those of the file's reader."""
    of_file = {name: value for name, value in options.items() if name in _OF_EVERY_FILE}
    return of_file, {name: value for name, value in options.items() if name not in of_file}


class ExpressionDataset(_RawDataset):
    """An expression matrix of any format that `kpnn.cells.open_expression` reads; loads a handle, not the values.

    Examples:
        ```yaml
        raw_expression:
          type: kpnn.datasets.raw.ExpressionDataset
          filepath: data/01_raw/mystudy/cells.h5
          genome: GRCh38
        ```
    """

    _read_later = True

    def __init__(self, *, filepath: str, **options: Any):
        """Names the file.

        Args:
            filepath: the file or folder.
            **options: of every `FileDataset`, and what `kpnn.cells.open_expression` takes: `format`, `genome`,
                `values`, `gene_names`...
        """
        of_file, self._options = _of_file_and_reader(options)
        super().__init__(filepath=filepath, **of_file)

    def _read(self, path: Path) -> Expression:
        with _as_raw_data_error():
            return open_expression(str(path), **self._options)

    def _write(self, path: Path, data: AnnData) -> None:
        from kpnn.cells.formats.tenx_h5_writing import write_tenx_h5

        if path.suffix != ".h5":
            raise RawDataError(f"{self._address}: simulated expression is written as 10x .h5 only")
        ids = data.var.get("gene_ids", data.var_names)
        write_tenx_h5(
            str(path),
            data.X.tocsr(),
            data.obs_names,
            data.var_names,
            pd.Index(ids),
            layout=data.uns.get("layout", "features"),
        )

    def _describe(self) -> dict[str, Any]:
        return super()._describe() | self._options


class ScanpyDataset(AbstractDataset[Any, Expression]):
    """Cells that ship with scanpy, by the name of the function in `scanpy.datasets` that gives them.

    Examples:
        ```yaml
        raw_expression:
          type: kpnn.datasets.raw.ScanpyDataset
          name: pbmc68k_reduced
          values: raw
        ```
    """

    def __init__(self, *, name: str, values: str = "X", metadata: dict[str, Any] | None = None):
        """Names the data set.

        Args:
            name: such as `pbmc68k_reduced`.
            values: where the expression is: `X`, `raw`, a layer, or `auto`.
            metadata: anything for other tools, such as kedro-viz; not used here.
        """
        self._name = name
        self._values = values
        self.metadata = metadata

    def load(self) -> Expression:
        """Gives the cells as an expression handle.

        Raises:
            RawDataError: scanpy has no such data set, or its values are not where `values` says.
        """
        import scanpy as sc

        from kpnn.cells.formats.in_memory import InMemory

        function = getattr(sc.datasets, self._name, None)
        if function is None:
            raise RawDataError(f"scanpy.datasets has no {self._name}")
        with _as_raw_data_error():
            return InMemory(function(), values=self._values, source=f"scanpy.datasets.{self._name}()")

    def save(self, data: Any) -> None:  # noqa: ARG002
        """Refuses: scanpy's data are read-only.

        Args:
            data: is not looked at.

        Raises:
            DatasetError: always.
        """
        raise DatasetError("scanpy's data sets are read-only")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"name": self._name, "values": self._values}


class _TextTableDataset(_RawDataset):
    """A table of text whose address travels with it in `DataFrame.attrs["source"]`, so that errors can name it.

    There is none if the file's path is null.
    """

    def __init__(self, *, filepath: str | None, **options: Any):
        """Names the file.

        Args:
            filepath: the file; null for a table that is not used.
            **options: of every `FileDataset`.
        """
        super().__init__(filepath=filepath or "", optional=filepath is None, **options)

    def _exists(self) -> bool:
        return not self.optional and super()._exists()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": None if self.optional else self._address}

    def _write(self, path: Path, data: pd.DataFrame) -> None:
        data.to_csv(path, index=False)

    def _named(self, table: pd.DataFrame) -> pd.DataFrame:
        table.attrs["source"] = self._address
        return table

    def preview(self, nrows: int = 10) -> TablePreview:
        """The first rows, for kedro-viz.

        Args:
            nrows: how many.
        """
        table = self.load()
        return TablePreview({} if table is None else table.head(nrows).to_dict(orient="split"))


class ClassLabelsDataset(_TextTableDataset):
    """Class labels: CSV or TSV, plain or gzipped; none at all if the file's path is null.

    Beside the barcodes there are columns of 0 and 1, one per output, or a column that names each cell's class
    (`data_engineering.label`). All stays the text that it is; what the labels say is checked where they are used.

    Examples:
        ```yaml
        class_labels:
          type: kpnn.datasets.raw.ClassLabelsDataset
          filepath: data/01_raw/mystudy/clusters.csv
          columns: {barcode: cell_id, label: cluster, group: donor}
        ```
    """

    def __init__(self, *, filepath: str | None, columns: dict[str, str] | None = None, **options: Any):
        """Names the file.

        Args:
            filepath: the file; null where the cells' `obs` holds the labels.
            columns: which columns of the file are `barcode`, `label` and `group`; the column of barcodes is by default
                called so, or is the first one.
            **options: of every `FileDataset`.
        """
        super().__init__(filepath=filepath, **options)
        self._columns = columns

    def _read(self, path: Path) -> pd.DataFrame:
        with _as_raw_data_error():
            return self._named(read_label_table(str(path), self._columns))


class EdgeListDataset(_TextTableDataset):
    """Edges or sets of genes in any format that `kpnn.pkn.readers.read_edges` reads; none if the file's path is null.

    Examples:
        ```yaml
        regulon:
          type: kpnn.datasets.raw.EdgeListDataset
          filepath: data/01_raw/mystudy/dorothea.csv
          only: {confidence: [A, B, C]}
          costs: {column: confidence, rule: levels, levels: {A: 1, B: 1.25, C: 1.5}}
        ```
    """

    def __init__(self, *, filepath: str | None, **options: Any):
        """Names the file.

        Args:
            filepath: the file; null for a table that is not used.
            **options: of every `FileDataset`, and what `kpnn.pkn.readers.read_edges` takes: `format`, `columns`,
                `direction`, `only`...
        """
        of_file, self._options = _of_file_and_reader(options)
        super().__init__(filepath=filepath, **of_file)
        known = [name for name in inspect.signature(read_edges).parameters if name != "path"]
        strange = [name for name in self._options if name not in known]
        if strange:
            raise RawDataError(
                f"{filepath}: an edge list has no option {some_names(strange)}; {near_names(strange[0], known)}"
            )

    def _read(self, path: Path) -> pd.DataFrame:
        with _as_raw_data_error():
            edges = self._named(read_edges(str(path), **self._options))
        _log.info("%s", edges.attrs["account"])
        return edges

    def _describe(self) -> dict[str, Any]:
        return super()._describe() | self._options
