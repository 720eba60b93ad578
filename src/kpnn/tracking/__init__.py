"""What becomes a run, a parameter, a metric and an artifact in MLflow; the only room that knows MLflow."""

from kpnn.tracking.runs import ArmTracker, log_study, register_best_arm
from kpnn.tracking.serving import Served

__all__ = ["ArmTracker", "Served", "log_study", "register_best_arm"]
