"""Hooks into Kedro's life cycle."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import Any

from kedro.config import MissingConfigException
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from pydantic import BaseModel

from kpnn.errors import KpnnError, some_names
from kpnn.tracking.runs import SERVER_ERRORS

with warnings.catch_warnings(record=True):
    # On import MLflow warns, past every filter, of a model class in kedro-mlflow that is not used here.
    from kedro_mlflow.framework.hooks.mlflow_hook import MlflowHook

_log = logging.getLogger(__name__)

_WRITTEN_BY = {
    "raw data": "put your files there, name them in conf/<env>/catalog.yml, or make the demo's with "
    "`kedro run --pipeline simulate`",
    "intermediate data": "run the pipeline that writes it first, or the whole study with `kedro run`",
}


class ForgivingMlflowHook(MlflowHook):
    """kedro-mlflow's hook, except that a tracking server that fails in mid-run does not end the run.

    Results are on disk before they are logged, and `kedro run --pipeline reporting` logs them again.
    """

    @hook_impl
    def before_node_run(self, node: Node, catalog: CatalogProtocol, inputs: dict[str, Any], is_async: bool) -> None:
        """Logs the node's parameters, if the server takes them."""
        # All parameters at once are those of every group again, under longer names; settings are logged one by one.
        named = {
            name: value.model_dump(mode="json") if isinstance(value, BaseModel) else value
            for name, value in inputs.items()
            if name != "parameters"
        }
        self._try(super().before_node_run, node=node, catalog=catalog, inputs=named, is_async=is_async)

    @hook_impl
    def after_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Closes the run, if the server takes it."""
        self._try(super().after_pipeline_run, run_params=run_params, pipeline=pipeline, catalog=catalog)

    @hook_impl
    def on_pipeline_error(
        self, error: Exception, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol
    ) -> None:
        """Closes the run as failed; whatever goes wrong with that must not hide the error that ended the run."""
        try:
            super().on_pipeline_error(error=error, run_params=run_params, pipeline=pipeline, catalog=catalog)
        except Exception as second:
            _log.debug("MLflow's run could not be closed: %s", second)

    def _try(self, method: Callable[..., None], **arguments: Any) -> None:
        try:
            method(**arguments)
        except SERVER_ERRORS as error:
            _log.warning("MLflow's server fails (%s); the run goes on without it", str(error).splitlines()[0])
            self._is_mlflow_enabled = False  # asking again would wait for the server at every node
            self.run_id = None


class SettingsHook:
    """Checks all parameters of all pipelines before anything is opened, and hands nodes typed settings."""

    def __init__(self) -> None:
        self._parameters: dict[str, Any] = {}
        self._settings: dict[str, BaseModel] = {}

    @hook_impl(tryfirst=True)
    def after_context_created(self, context: KedroContext) -> None:
        """Checks the parameters, before MLflow's database is opened.

        Raises:
            SettingsError: naming every parameter that makes no sense.
        """
        from kpnn.pipelines.parameters import all_settings

        try:
            self._parameters = context.config_loader["parameters"]
        except MissingConfigException:
            self._parameters = {}
        self._settings = all_settings(self._parameters)

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, catalog: CatalogProtocol) -> None:
        """Puts settings where nodes look for groups of parameters; all parameters at once stay as they were written."""
        for name, settings in self._settings.items():
            if f"params:{name}" in catalog:
                catalog.save(f"params:{name}", settings)  # Kedro warns of an entry that is replaced
            else:
                catalog[f"params:{name}"] = settings
        catalog.save("parameters", self._parameters)


class MissingInputsHook:
    """Stops a run before it begins, and before MLflow opens a run, if a file that it reads is not there."""

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Checks the pipeline's free inputs.

        Raises:
            KpnnError: naming each missing dataset, its file and what to do.
        """
        missing = []
        for name in sorted(pipeline.inputs()):
            if name.startswith("params:") or name == "parameters":
                continue
            if not catalog.exists(name) and not getattr(catalog.get(name), "optional", False):
                path = _path_of(catalog, name)
                missing.append(f"{name} ({path})" if path else name)
        if missing:
            raw = any("01_raw" in entry for entry in missing)
            advice = _WRITTEN_BY["raw data" if raw else "intermediate data"]
            raise KpnnError(f"nothing to read for {some_names(missing)}: {advice}")


def _path_of(catalog: CatalogProtocol, name: str) -> str:
    dataset = catalog.get(name)
    return str(dataset._describe().get("filepath", "")) if dataset is not None else ""
