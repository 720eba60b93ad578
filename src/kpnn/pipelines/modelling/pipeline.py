"""Wiring of the `modelling` pipeline."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from kpnn.pipelines.arms import ARMS, for_arm
from kpnn.pipelines.evaluation import create_evaluation
from kpnn.pipelines.modelling import controls, nodes
from kpnn.training.controls import baseline_arms


def create_arm(arm: str, dag: str) -> Pipeline:
    """Cross-validates one arm, in a namespace of its name."""
    template = [
        node(
            for_arm(nodes.cross_validate_arm, arm),
            ["dag", "evaluation", "fold_store"],
            [*nodes.ArmOutputs._fields],
            name="cross_validate",
        )
    ]
    return Pipeline(template, namespace=arm, inputs={"dag": dag, "evaluation": "evaluation"})


def create_controls() -> Pipeline:
    """Cross-validates the controls and baselines that are switched on, in the namespace `controls`."""
    template = [
        node(
            controls.list_controls,
            ["pruned_dag", "rival_dags", "pruned.fold_metrics", "params:controls"],
            "arms",
            name="list_controls",
        ),
        node(baseline_arms, ["params:controls", "pruned_dag", "pkn"], "baselines", name="list_baselines"),
        node(
            controls.cross_validate_controls,
            ["arms", "baselines", "evaluation", "fold_store"],
            ["predictions", "member_predictions", "fold_metrics", "summary"],
            name="cross_validate",
        ),
    ]
    return Pipeline(
        template,
        namespace="controls",
        inputs={name: name for name in ("pkn", "pruned_dag", "rival_dags", "pruned.fold_metrics", "evaluation")},
        parameters={"params:controls": "params:controls"},
    )


def create_pipeline() -> Pipeline:
    """From DAGs, cells and folds to models, out-of-fold predictions, metrics, trials and learning curves per arm."""
    arms = (create_arm(arm, dag) for arm, dag in ARMS.items())
    return sum(arms, start=create_evaluation() + create_controls())
