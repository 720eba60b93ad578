"""Catalog dataset for tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from kedro_datasets._typing import TablePreview

from kpnn.datasets.base import FileDataset

NAME_COLUMNS = ("node", "output", "parent", "child", "neuron", "gene", "barcode", "arm")
"""Columns of a table for people that hold names, be they `1`, `007` or `NA`."""


class TableDataset(FileDataset[pd.DataFrame, pd.DataFrame]):
    """Keeps a DataFrame as `.parquet`, with all of its types, or as `.csv` for people, without its index.

    Examples:
        ```yaml
        my_table:
          type: kpnn.datasets.tables.TableDataset
          filepath: s3://bucket/mystudy/my_table.parquet
          versioned: true
        ```
    """

    def __init__(self, **options: Any):
        """Names the file.

        Args:
            **options: of every `FileDataset`; the name in `filepath` ends in .parquet or .csv.

        Raises:
            ValueError: the name says neither.
        """
        super().__init__(**options)
        if self._filepath.suffix not in (".parquet", ".csv"):
            raise ValueError(f"{self._filepath}: a table is kept as .parquet or .csv")

    def _read(self, path: Path) -> pd.DataFrame:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        # What is not there is written as nothing: a class `1` must not come back as a number, nor a gene `NA` as none.
        return pd.read_csv(path, dtype=dict.fromkeys(NAME_COLUMNS, str), keep_default_na=False, na_values=[""])

    def _write(self, path: Path, data: pd.DataFrame) -> None:
        if path.suffix == ".parquet":
            data.to_parquet(path)
        else:
            data.to_csv(path, index=False)

    def preview(self, nrows: int = 10) -> TablePreview:
        """The first rows, for kedro-viz.

        Args:
            nrows: how many.
        """
        return TablePreview(self.load().head(nrows).to_dict(orient="split"))
