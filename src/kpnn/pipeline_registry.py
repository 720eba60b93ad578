"""The project's pipelines by name."""

from __future__ import annotations

from kedro.pipeline import Pipeline

from kpnn.pipelines import dag_pruning, data_engineering, download, modelling, predict, priors, reporting, simulate

STUDY = ("data_engineering", "dag_pruning", "modelling", "reporting")
"""What `kedro run` runs, in order."""


def register_pipelines() -> dict[str, Pipeline]:
    """Returns the pipelines that `kedro run --pipeline NAME` knows; `__default__` is the whole study.

    Every node has its pipeline's name as a tag, by which kedro-viz can show the study part by part.
    """
    made = {
        "data_engineering": data_engineering.create_pipeline(),
        "dag_pruning": dag_pruning.create_pipeline(),
        "modelling": modelling.create_pipeline(),
        "reporting": reporting.create_pipeline(),
        "simulate": simulate.create_pipeline(),
        "download": download.create_pipeline(),
        "priors": priors.create_pipeline(),
        "predict": predict.create_pipeline(),
    }
    tagged = {name: Pipeline(part.nodes, tags=name) for name, part in made.items()}
    return {**tagged, "__default__": sum((tagged[name] for name in STUDY), start=Pipeline([]))}
