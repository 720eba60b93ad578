"""Class probabilities and node activations of new cells, by the networks of an earlier run."""

from kpnn.pipelines.predict.pipeline import create_pipeline

__all__ = ["create_pipeline"]
