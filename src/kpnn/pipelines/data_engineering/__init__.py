"""From raw files to matched cells, a pruned PKN, the full DAG and the folds."""

from kpnn.pipelines.data_engineering.pipeline import create_pipeline

__all__ = ["create_pipeline"]
