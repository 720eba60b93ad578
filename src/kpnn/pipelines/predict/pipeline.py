"""Wiring of the `predict` pipeline."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from kpnn.pipelines.predict import nodes


def create_pipeline() -> Pipeline:
    """From saved networks and new cells to probabilities, node activations and a summary."""
    return Pipeline(
        [
            node(
                nodes.predict_new_cells,
                inputs={
                    "new_expression": "new_expression",
                    "full_store": "full.fold_store",
                    "full_models": "full.models",
                    "pruned_store": "pruned.fold_store",
                    "pruned_models": "pruned.models",
                    "predict": "params:predict",
                    "data_engineering": "params:data_engineering",
                },
                outputs=["new_probabilities", "new_activations", "prediction_summary"],
                name="predict_new_cells",
            )
        ]
    )
