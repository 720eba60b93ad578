"""From the PKN to the selected DAG, its proof, its alternatives and what it saves."""

from kpnn.pipelines.dag_pruning.pipeline import create_pipeline

__all__ = ["create_pipeline"]
