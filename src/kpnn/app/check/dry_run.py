"""Data engineering of a study in memory: everything that can be wrong with raw files is found here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from anndata import AnnData
from kedro.config import MissingConfigException
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from pydantic import BaseModel

from kpnn.app.hooks import check_inputs
from kpnn.app.messages import collected_warnings
from kpnn.app.preflight import RunPlan, problems
from kpnn.errors import SettingsError
from kpnn.pipelines import data_engineering
from kpnn.pipelines.evaluation import settle_inner_folds, state_evaluation
from kpnn.pipelines.parameters import all_settings
from kpnn.pkn import Dag, Pkn
from kpnn.settings import CONFIG_LOADER_ARGS
from kpnn.studies import StudyConfigLoader


@dataclass(frozen=True, eq=False)
class DryRun:
    """What data engineering makes of a study's raw files.

    Attributes:
        study: its name.
        settings: of all pipelines, by group.
        summary: as `data_summary.json` has it.
        pkn: pruned to measured genes.
        full_dag: of the arm `full`.
        folds: `repeat`, `fold`, `barcode`.
        warnings: what a run will warn of.
    """

    study: str
    settings: dict[str, BaseModel]
    summary: dict[str, Any]
    pkn: Pkn
    full_dag: Dag
    folds: pd.DataFrame
    warnings: tuple[str, ...]


def dry_run(conf: Path, env: str | None) -> DryRun:
    """Runs data engineering of a study from its files to memory; nothing is written.

    Args:
        conf: the project's folder `conf`; paths in it are relative to the working directory, the project's.
        env: the environment or environments of the study; None: the demo.

    Raises:
        KpnnError: whatever a run would end with before it trains.
    """
    config = StudyConfigLoader(str(conf), env, **CONFIG_LOADER_ARGS)
    settings = all_settings(config["parameters"])
    pipeline = data_engineering.create_pipeline()
    raw = {name for name in pipeline.inputs() if not name.startswith("params:")}
    catalog = _catalog(config, settings, raw, pipeline.outputs())
    check_inputs(pipeline, catalog)
    entries = {name: config["catalog"][name] for name in raw}
    _look_ahead(settings, {name: Path(entry["filepath"]) for name, entry in entries.items() if entry.get("filepath")})
    with collected_warnings() as found:
        made = {name: output.load() for name, output in SequentialRunner().run(pipeline, catalog).items()}
        _look_at_inner_folds(made, settings)
    return DryRun(
        str(config["globals"]["study"]),
        settings,
        made["data_summary"],
        made["pkn"],
        made["full_dag"],
        made["folds"],
        tuple(dict.fromkeys(found)),
    )


def _look_at_inner_folds(made: dict[str, Any], settings: dict[str, Any]) -> None:
    """Warns where a model will have fewer networks.

    Raises:
        SettingsError: the training cells of a fold cannot be split once more.
    """
    if isinstance(made["matched_cells"], AnnData):  # else they are to stay on disk, where nothing is written now
        evaluation = state_evaluation(
            made["matched_cells"], made["folds"], settings["modelling"], settings["cross_validation"]
        )
        settle_inner_folds(evaluation, made["full_dag"])


def _look_ahead(settings: dict[str, BaseModel], raw: dict[str, Path]) -> None:
    """Raises SettingsError where a whole run would end for want of disk, memory, a solver, a database, or the like."""
    plan = RunPlan((Path("data", "06_models"),), raw, trains=True, searches=True, selects=True, settings=settings)
    found = problems(plan)
    if found:
        raise SettingsError("\n  ".join([f"before the first node, {len(found)} to mend:", *found]))


def _catalog(config: StudyConfigLoader, settings: dict[str, BaseModel], raw: set[str], made: set[str]) -> DataCatalog:
    """The raw files as the study's catalog has them; what is made of them is kept in memory."""
    try:
        credentials = config["credentials"]
    except MissingConfigException:
        credentials = {}
    catalog = DataCatalog.from_config({name: config["catalog"][name] for name in raw}, credentials)
    for name, group in settings.items():
        catalog[f"params:{name}"] = MemoryDataset(group, copy_mode="assign")
    for name in made:
        catalog[name] = MemoryDataset(copy_mode="assign")
    return catalog
