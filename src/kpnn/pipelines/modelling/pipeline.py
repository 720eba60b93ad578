"""Wiring of the `modelling` pipeline."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from kpnn.pipelines.modelling import nodes

ARMS = {"full": "full_dag", "pruned": "pruned_dag"}
"""Name of each arm and the dataset of its DAG."""


def create_arm(arm: str, dag: str) -> Pipeline:
    """Cross-validates one arm, in a namespace of its name.

    Args:
        arm: name of the arm.
        dag: dataset of its DAG.
    """
    template = Pipeline(
        [
            node(
                nodes.cross_validation_of(arm),
                inputs={
                    "dag": "dag",
                    "matched_cells": "matched_cells",
                    "folds": "folds",
                    "store": "fold_store",
                    "modelling": "params:modelling",
                    "cross_validation": "params:cross_validation",
                    "gene_suffix": "params:data_engineering.input_suffix",
                },
                outputs=["models", "predictions", "fold_metrics", "trials", "learning_curves", "summary"],
                name="cross_validate",
            )
        ]
    )
    return Pipeline(
        template,
        namespace=arm,
        inputs={"dag": dag, "matched_cells": "matched_cells", "folds": "folds"},
        parameters={
            "params:modelling": "params:modelling",
            "params:cross_validation": "params:cross_validation",
            "params:data_engineering.input_suffix": "params:data_engineering.input_suffix",
        },
    )


def create_pipeline() -> Pipeline:
    """From DAGs, cells and folds to models, out-of-fold predictions, metrics, trials and learning curves per arm."""
    return sum((create_arm(arm, dag) for arm, dag in ARMS.items()), start=Pipeline([]))
