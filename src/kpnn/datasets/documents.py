"""Catalog datasets for what is one document: JSON, text, an interactive figure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import plotly.io as pio
from kedro_datasets._typing import JSONPreview, PlotlyPreview

from kpnn.datasets.base import FileDataset


class JSONDataset(FileDataset[Any, Any]):
    """Keeps whatever JSON can express.

    Examples:
        ```yaml
        note:
          type: kpnn.datasets.documents.JSONDataset
          filepath: data/08_reporting/mystudy/note.json
        ```
    """

    def _read(self, path: Path) -> Any:
        return json.loads(path.read_text(encoding="utf-8"))

    def _write(self, path: Path, data: Any) -> None:
        path.write_text(json.dumps(data, indent=2), encoding="utf-8")

    def preview(self) -> JSONPreview:
        """The document, for kedro-viz."""
        return JSONPreview(json.dumps(self.load()))


class TextDataset(FileDataset[str, str]):
    """Keeps a text, such as the report's page.

    Examples:
        ```yaml
        note:
          type: kpnn.datasets.documents.TextDataset
          filepath: data/08_reporting/mystudy/note.html
        ```
    """

    def _read(self, path: Path) -> str:
        return path.read_text(encoding="utf-8")

    def _write(self, path: Path, data: str) -> None:
        path.write_text(data, encoding="utf-8")


class PlotlyDataset(FileDataset[go.Figure, go.Figure]):
    """Keeps a plotly figure, which kedro-viz draws.

    Examples:
        ```yaml
        my_figure:
          type: kpnn.datasets.documents.PlotlyDataset
          filepath: data/08_reporting/mystudy/my_figure.json
        ```
    """

    def _read(self, path: Path) -> go.Figure:
        return pio.from_json(path.read_text(encoding="utf-8"))

    def _write(self, path: Path, data: go.Figure) -> None:
        path.write_text(data.to_json(), encoding="utf-8")

    def preview(self) -> PlotlyPreview:
        """The figure, for kedro-viz."""
        return PlotlyPreview(json.loads(self.load().to_json()))
