"""Wiring of the `simulate` pipeline."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node, pipeline

from kpnn.pipelines.simulate import nodes


def create_pipeline() -> Pipeline:
    """From parameters to the demo's raw files and their truth."""
    return pipeline(
        [
            node(
                nodes.simulate_study,
                "params:simulate",
                ["simulated_expression", "simulated_class_labels", "simulated_edges", "truth"],
                name="simulate_study",
            )
        ]
    )
