"""The demo's raw data, with a planted truth."""

from kpnn.pipelines.simulate.pipeline import create_pipeline

__all__ = ["create_pipeline"]
