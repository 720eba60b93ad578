"""Wiring of the `modelling` pipeline."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from kpnn.pipelines.modelling import controls, nodes

ARMS = {"full": "full_dag", "pruned": "pruned_dag"}
"""Name of each arm and the dataset of its DAG."""

_SETTINGS = {
    "modelling": "params:modelling",
    "cross_validation": "params:cross_validation",
    "gene_suffix": "params:data_engineering.input_suffix",
}


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
                    **_SETTINGS,
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
        parameters={name: name for name in _SETTINGS.values()},
    )


def create_controls() -> Pipeline:
    """Cross-validates the controls and baselines that are switched on, in the namespace `controls`."""
    template = Pipeline(
        [
            node(
                controls.draw_dags,
                inputs=["pkn", "pruned_dag", "params:controls", "params:dag_selection"],
                outputs="dags",
                name="draw_dags",
            ),
            node(
                controls.cross_validate_controls,
                inputs={
                    "pruned_dag": "pruned_dag",
                    "dags": "dags",
                    "matched_cells": "matched_cells",
                    "folds": "folds",
                    "store": "fold_store",
                    "controls": "params:controls",
                    **_SETTINGS,
                },
                outputs=["predictions", "fold_metrics", "summary"],
                name="cross_validate",
            ),
        ]
    )
    return Pipeline(
        template,
        namespace="controls",
        inputs={name: name for name in ("pkn", "pruned_dag", "matched_cells", "folds")},
        parameters={name: name for name in ("params:controls", "params:dag_selection", *_SETTINGS.values())},
    )


def create_pipeline() -> Pipeline:
    """From DAGs, cells and folds to models, out-of-fold predictions, metrics, trials and learning curves per arm."""
    return sum((create_arm(arm, dag) for arm, dag in ARMS.items()), start=create_controls())
