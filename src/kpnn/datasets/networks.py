"""Catalog datasets for networks: an edge table in parquet that also says which nodes are inputs and outputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq
from kedro.io import DatasetError
from kedro_datasets._typing import TablePreview

from kpnn.datasets.base import FileDataset
from kpnn.pkn import Dag, Pkn

_ROLES = b"kpnn_roles"


class _NetworkDataset(FileDataset[Any, Any]):
    """Edges as parquet rows; inputs and outputs as JSON in the file's metadata, so that one file says it all."""

    _kind: ClassVar[type[Pkn] | type[Dag]]

    def _read(self, path: Path) -> Pkn | Dag:
        table = pq.read_table(path)
        metadata = (table.schema.metadata or {}).get(_ROLES)
        if metadata is None:
            raise DatasetError(
                f"{self._address}: does not say which nodes are inputs and outputs; something else wrote it"
            )
        roles = json.loads(metadata)
        return self._kind(table.to_pandas(), tuple(roles["inputs"]), tuple(roles["outputs"]))

    def _write(self, path: Path, data: Pkn | Dag) -> None:
        table = pa.Table.from_pandas(data.edges, preserve_index=False)
        roles = json.dumps({"inputs": data.inputs, "outputs": data.outputs}).encode()
        pq.write_table(table.replace_schema_metadata({**(table.schema.metadata or {}), _ROLES: roles}), path)

    def preview(self, nrows: int = 20) -> TablePreview:
        """The first edges, for kedro-viz.

        Args:
            nrows: how many.
        """
        return TablePreview(self.load().edges.head(nrows).to_dict(orient="split"))


class PknDataset(_NetworkDataset):
    """Keeps a `kpnn.pkn.Pkn`.

    Examples:
        ```yaml
        pkn:
          type: kpnn.datasets.networks.PknDataset
          filepath: data/03_primary/mystudy/pkn.parquet
        ```
    """

    _kind = Pkn


class DagDataset(_NetworkDataset):
    """Keeps a `kpnn.pkn.Dag`.

    Examples:
        ```yaml
        pruned_dag:
          type: kpnn.datasets.networks.DagDataset
          filepath: data/04_feature/mystudy/pruned_dag.parquet
        ```
    """

    _kind = Dag
