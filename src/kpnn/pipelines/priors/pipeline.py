"""Wiring of the `priors` pipeline."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node, pipeline

from kpnn.pipelines.priors import nodes


def create_pipeline() -> Pipeline:
    """From public addresses to network files, a report of what they hold, and their licences."""
    return pipeline([node(nodes.fetch_priors, "params:priors", "priors_report", name="fetch_priors")])
