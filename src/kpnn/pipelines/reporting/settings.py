"""Settings of the `reporting` pipeline."""

from __future__ import annotations

from pydantic import Field

from kpnn.settings_base import Settings


class ReportingSettings(Settings):
    """How arms are compared and the report is written; see `conf/base/parameters_reporting.yml`.

    Attributes:
        title: of the report; empty: it names the outputs.
        margin: differences in ROC-AUC within +- this count as equal; set it before you look.
        top: nodes in the headline figures.
    """

    title: str = ""
    margin: float = Field(0.01, gt=0, lt=0.5)
    top: int = Field(20, ge=1)
