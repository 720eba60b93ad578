"""Catalog datasets for networks: an edge table in parquet that also says which nodes are inputs and outputs."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from kedro.io import AbstractDataset, DatasetError
from kedro_datasets._typing import TablePreview

from kpnn.pkn import Dag, Pkn

_ROLES = b"kpnn_roles"


class _NetworkDataset(AbstractDataset[Any, Any]):
    """Edges as parquet rows; inputs and outputs as JSON in the file's metadata, so that one file says it all."""

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None):
        """Names the file.

        Args:
            filepath: where the parquet file lies; relative paths are relative to the project.
            metadata: anything for other tools, such as kedro-viz; not used here.
        """
        self._filepath = PurePosixPath(filepath)
        self.metadata = metadata

    def _write(self, edges: pd.DataFrame, roles: dict[str, tuple[str, ...]]) -> None:
        table = pa.Table.from_pandas(edges, preserve_index=False)
        named = table.replace_schema_metadata({**(table.schema.metadata or {}), _ROLES: json.dumps(roles).encode()})
        path = Path(self._filepath)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        pq.write_table(named, partial)
        partial.replace(path)

    def _read(self) -> tuple[pd.DataFrame, dict[str, list[str]]]:
        table = pq.read_table(str(self._filepath))
        roles = (table.schema.metadata or {}).get(_ROLES)
        if roles is None:
            raise DatasetError(f"{self._filepath}: written by something else: it does not say its inputs and outputs")
        return table.to_pandas(), json.loads(roles)

    def _exists(self) -> bool:
        return Path(self._filepath).is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}

    def preview(self, nrows: int = 20) -> TablePreview:
        """The first edges, for kedro-viz."""
        edges, _ = self._read()
        return TablePreview(edges.head(nrows).to_dict(orient="split"))


class PknDataset(_NetworkDataset):
    """Keeps a `kpnn.pkn.Pkn`."""

    def load(self) -> Pkn:
        """Reads the PKN."""
        edges, roles = self._read()
        return Pkn(edges, tuple(roles["inputs"]), tuple(roles["outputs"]))

    def save(self, data: Pkn) -> None:
        """Writes the PKN."""
        self._write(data.edges, {"inputs": data.inputs, "outputs": data.outputs})


class DagDataset(_NetworkDataset):
    """Keeps a `kpnn.pkn.Dag`."""

    def load(self) -> Dag:
        """Reads the DAG."""
        edges, roles = self._read()
        return Dag(edges, tuple(roles["inputs"]), tuple(roles["outputs"]))

    def save(self, data: Dag) -> None:
        """Writes the DAG."""
        self._write(data.edges, {"inputs": data.inputs, "outputs": data.outputs})
