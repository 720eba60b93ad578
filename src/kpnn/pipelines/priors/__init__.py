"""Public prior knowledge, fetched, checked and locked."""

from kpnn.pipelines.priors.pipeline import create_pipeline

__all__ = ["create_pipeline"]
