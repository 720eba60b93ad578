"""How well arms predict, how sure that is, and how they compare: arrays and tables in, numbers out."""

from kpnn.evaluation.comparison import Comparison, OutputDifference, Verdict, compare, holm, verdict_in_words
from kpnn.evaluation.confusions import by_cell, confusion_matrix, top_confusions
from kpnn.evaluation.intervals import Interval, difference_interval, interval
from kpnn.evaluation.metrics import METRICS, are_exclusive, calibration, metrics_of, score
from kpnn.evaluation.scores import ArmScores

__all__ = [
    "METRICS",
    "ArmScores",
    "Comparison",
    "Interval",
    "OutputDifference",
    "Verdict",
    "are_exclusive",
    "by_cell",
    "calibration",
    "compare",
    "confusion_matrix",
    "difference_interval",
    "holm",
    "interval",
    "metrics_of",
    "score",
    "top_confusions",
    "verdict_in_words",
]
