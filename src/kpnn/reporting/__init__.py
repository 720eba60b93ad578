"""Figures, tables and the one-file report of a study; knows neither Kedro nor MLflow."""

from kpnn.reporting.comparing import Answer, answer, comparison_table, sizes_table
from kpnn.reporting.report import Report, write_report
from kpnn.reporting.study import ArmTables, Control, Interpretation, Study

__all__ = [
    "Answer",
    "ArmTables",
    "Control",
    "Interpretation",
    "Report",
    "Study",
    "answer",
    "comparison_table",
    "sizes_table",
    "write_report",
]
