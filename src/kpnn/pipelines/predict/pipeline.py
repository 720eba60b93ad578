"""Wiring of the `predict` pipeline."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from kpnn.pipelines.arms import ARMS
from kpnn.pipelines.predict import nodes


def create_pipeline() -> Pipeline:
    """From saved networks and new cells to probabilities, node activations and a summary."""
    saved = [
        node(nodes.SavedArm, [f"{arm}.fold_store", f"{arm}.models"], f"{arm}.saved", name=f"find_{arm}") for arm in ARMS
    ]
    return Pipeline(
        [
            *saved,
            node(
                nodes.find_networks,
                ["full.saved", "pruned.saved", "params:predict"],
                "chosen_networks",
                name="find_networks",
            ),
            node(
                nodes.state_preparation,
                ["data_summary", "params:data_engineering"],
                "preparation",
                name="state_preparation",
            ),
            node(
                nodes.predict_new_cells,
                ["new_expression", "chosen_networks", "preparation", "params:predict"],
                ["new_probabilities", "new_activations", "prediction_summary"],
                name="predict_new_cells",
            ),
            node(
                nodes.annotate_new_cells,
                ["new_probabilities", "new_activations", "prediction_summary", "folds"],
                "new_cells_with_results",
                name="annotate_new_cells",
            ),
        ],
        namespace="predict",
        prefix_datasets_with_namespace=False,
    )
