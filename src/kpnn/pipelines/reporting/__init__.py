"""From both arms' results to the comparison, the figures, the report and the study's run in MLflow."""

from kpnn.pipelines.reporting.pipeline import create_pipeline

__all__ = ["create_pipeline"]
