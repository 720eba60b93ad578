"""Wiring of the `download` pipeline."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node, pipeline

from kpnn.pipelines.download import nodes


def create_pipeline() -> Pipeline:
    """From a study's address to its files and a report of what they hold."""
    return pipeline([node(nodes.download_study, "params:download", "download_report", name="download_study")])
