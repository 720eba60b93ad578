"""What is kept of a running pipeline: what its results were made from, and whether what it reads is current."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from pydantic import BaseModel

from kpnn.app.currency import Finding, findings
from kpnn.app.ledger import Ledger, is_raw, path_of, record_of

CHAIN = ("matched_cells", "folds", "pkn", "full_dag", "pruned_dag", "rival_dags", "full.models", "pruned.models")
"""The results that tell, in this order, what a study's answer was made from."""


class ResultKeeper:
    """Writes down what the results of a running pipeline were made from, and compares what it reads."""

    def __init__(
        self, pipeline: Pipeline, catalog: CatalogProtocol, ledger: Ledger, settings: Mapping[str, BaseModel]
    ) -> None:
        """Takes what runs.

        Args:
            pipeline: what runs.
            catalog: where its datasets lie.
            ledger: of the study.
            settings: group -> settings of this run.
        """
        self.catalog = catalog
        self.begun: dict[str, float] = {}
        self._pipeline, self._ledger, self._settings = pipeline, ledger, settings
        self._kept: set[str] = set()

    def stale_inputs(self) -> list[Finding]:
        """Why what the pipeline reads, other than raw data, is not what the study as configured now would give."""
        read = (name for name in sorted(self._pipeline.inputs()) if not is_raw(self.catalog, name))
        paths = (path_of(self.catalog, name) for name in read if not name.startswith("params:"))
        return findings([self._ledger.key(path) for path in paths if path is not None], self._ledger, self._settings)

    def keep(self, name: str, node: Node) -> None:
        """Writes down what a result was made from; nothing for raw data and for what is only in memory.

        Args:
            name: the result's dataset.
            node: that made it.
        """
        path = path_of(self.catalog, name)
        if path is None or is_raw(self.catalog, name):
            return
        record = record_of(
            name, node, pipeline=self._pipeline, catalog=self.catalog, ledger=self._ledger, settings=self._settings
        )
        seconds = round(time.time() - self.begun.get(node.name, time.time()), 1)
        self._ledger.add(self._ledger.key(path), replace(record, seconds=seconds))
        self._kept.add(name)

    def keep_all(self) -> None:
        """Writes down what is not yet: results of nodes that ran in other processes."""
        for node in self._pipeline.nodes:
            for name in node.outputs:
                if name not in self._kept and self.catalog.exists(name):
                    self.keep(name, node)

    def contents(self) -> dict[str, str]:
        """SHA-256 of the results in the chain that the pipeline reads or has written so far, by dataset."""
        named = self._pipeline.inputs() | self._kept
        records = {record.dataset: record.content for record in self._ledger.records.values()}
        return {name: digest for name in CHAIN if name in named and (digest := records.get(name))}
