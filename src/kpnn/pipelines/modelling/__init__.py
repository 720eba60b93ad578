"""Trains and scores the arms: the same modular pipeline in a namespace of each."""

from kpnn.pipelines.modelling.pipeline import create_pipeline

__all__ = ["create_pipeline"]
