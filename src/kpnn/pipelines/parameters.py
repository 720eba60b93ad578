"""The parameters of all pipelines: which groups there are, and all of them as typed settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from kpnn.cells.folds import FoldSettings
from kpnn.errors import SettingsError, near_names
from kpnn.interpretation import InterpretationSettings
from kpnn.pipelines.dag_pruning.settings import DagSelectionSettings
from kpnn.pipelines.data_engineering.settings import DataEngineeringSettings
from kpnn.pipelines.download.settings import DownloadSettings
from kpnn.pipelines.predict.settings import PredictSettings
from kpnn.pipelines.priors.settings import PriorsSettings
from kpnn.pipelines.reporting.settings import ReportingSettings
from kpnn.pipelines.simulate.settings import SimulationSettings
from kpnn.pipelines.validation import validated
from kpnn.settings_base import of_kind
from kpnn.tracking.settings import ServerSettings
from kpnn.training.controls import ControlSettings
from kpnn.training.settings import EvaluationSettings

GROUPS: dict[str, type[BaseModel]] = {
    "cross_validation": FoldSettings,
    "simulate": SimulationSettings,
    "download": DownloadSettings,
    "priors": PriorsSettings,
    "data_engineering": DataEngineeringSettings,
    "dag_selection": DagSelectionSettings,
    "modelling": EvaluationSettings,
    "controls": ControlSettings,
    "interpretation": InterpretationSettings,
    "reporting": ReportingSettings,
    "predict": PredictSettings,
    "tracking": ServerSettings,
}
"""Every group that `conf/<env>/parameters*.yml` may hold, and what it is."""

ALLOW_STALE = "allow_stale"
"""The one parameter that is not a group: show results although they were not made by what is configured now."""


def all_settings(parameters: Mapping[str, Any]) -> dict[str, BaseModel]:
    """Turns all parameters into typed settings, whichever pipeline is to run.

    Args:
        parameters: group -> what the YAML files and `--params` say about it; what they leave out is at its default.

    Returns:
        Group -> settings, for all of `GROUPS`. Those of `modelling` know how input nodes are named.

    Raises:
        SettingsError: a group or a parameter is unknown, or has a value that makes no sense; all of them are named.
    """
    known = [*GROUPS, ALLOW_STALE]
    problems = [f"{name}: no such group; {near_names(name, known)}" for name in parameters if name not in known]
    if not isinstance(parameters.get(ALLOW_STALE, False), bool):
        problems.append(f"{ALLOW_STALE}: must be true or false, found {parameters[ALLOW_STALE]!r}")
    settings: dict[str, BaseModel] = {}
    for name, model in GROUPS.items():
        try:
            settings[name] = validated(model, parameters.get(name), name)
        except SettingsError as error:
            problems += str(error).splitlines()
    if "gene_suffix" in _within(_within(parameters, "modelling"), "network"):
        problems.append("modelling.network.gene_suffix: is taken from data_engineering.input_suffix; set it there")
    if len(problems) > 1:
        raise SettingsError("\n  ".join(["parameters that make no sense:", *problems]))
    if problems:
        raise SettingsError(problems[0])
    suffix = of_kind(settings, DataEngineeringSettings).input_suffix
    return {**settings, "modelling": of_kind(settings, EvaluationSettings).with_gene_suffix(suffix)}


def _within(parameters: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = parameters.get(name)
    return found if isinstance(found, Mapping) else {}
