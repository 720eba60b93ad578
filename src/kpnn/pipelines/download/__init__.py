"""A published study's files, fetched, checked and locked."""

from kpnn.pipelines.download.pipeline import create_pipeline

__all__ = ["create_pipeline"]
