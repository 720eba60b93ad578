"""The project's pipelines by name."""

from __future__ import annotations

from kedro.pipeline import Pipeline

from kpnn.pipelines import dag_pruning, data_engineering, download, modelling, predict, priors, reporting, simulate


def register_pipelines() -> dict[str, Pipeline]:
    """Returns the pipelines that `kedro run --pipeline NAME` knows; `__default__` is the whole study."""
    study = {
        "data_engineering": data_engineering.create_pipeline(),
        "dag_pruning": dag_pruning.create_pipeline(),
        "modelling": modelling.create_pipeline(),
        "reporting": reporting.create_pipeline(),
    }
    return {
        **study,
        "simulate": simulate.create_pipeline(),
        "download": download.create_pipeline(),
        "priors": priors.create_pipeline(),
        "predict": predict.create_pipeline(),
        "__default__": sum(study.values(), start=Pipeline([])),
    }
