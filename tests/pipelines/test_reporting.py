"""The reporting pipeline: what it reads and writes, and how it is named."""

from __future__ import annotations

from kpnn.pipelines.reporting import create_pipeline


def test_reporting_reads_both_arms_and_writes_the_report_and_the_comparison():
    reporting = create_pipeline()
    assert {"full.predictions", "pruned.predictions"} <= reporting.inputs()
    assert {"report", "comparison", "comparison_test", "roc_figure"} <= reporting.all_outputs()
