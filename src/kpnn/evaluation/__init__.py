"""How well arms predict, how sure that is, and how they compare: arrays and tables in, numbers out."""

from kpnn.evaluation.comparison import Comparison, OutputDifference, Verdict, compare, holm, verdict_in_words
from kpnn.evaluation.intervals import Interval, difference_interval, interval
from kpnn.evaluation.metrics import METRICS, calibration, score
from kpnn.evaluation.scores import ArmScores

__all__ = [
    "METRICS",
    "ArmScores",
    "Comparison",
    "Interval",
    "OutputDifference",
    "Verdict",
    "calibration",
    "compare",
    "difference_interval",
    "holm",
    "interval",
    "score",
    "verdict_in_words",
]
