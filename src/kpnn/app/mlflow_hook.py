"""MLflow in Kedro's life cycle: opened once, checked first, and never in the way of a result."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable
from typing import Any

import mlflow
from kedro.config import MissingConfigException
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from mlflow import MlflowClient
from mlflow.entities import Param
from mlflow.telemetry import set_telemetry_client
from pydantic import BaseModel, ValidationError

from kpnn.addresses import shown, without_credentials
from kpnn.errors import KpnnError, SettingsError
from kpnn.names import legal_name
from kpnn.tracking.failures import SERVER_ERRORS, failure
from kpnn.tracking.open_runs import (
    close_own_runs,
    close_runs_of_dead_processes,
    mark_experiment,
    tagged_from_the_start,
)
from kpnn.tracking.server import limit_requests, runs_page, server_problem
from kpnn.tracking.settings import ServerSettings

with warnings.catch_warnings(record=True):
    # On import MLflow warns, past every filter, of a model class in kedro-mlflow that is not used here.
    from kedro_mlflow.config.kedro_mlflow_config import KedroMlflowConfig, _validate_uri
    from kedro_mlflow.framework.hooks.mlflow_hook import MlflowHook
    from kedro_mlflow.framework.hooks.utils import _assert_mlflow_enabled

_log = logging.getLogger(__name__)

set_telemetry_client()  # kedro's plugins import MLflow earlier than `kpnn.app` can say that nothing is sent: ask anew

_LATER = "Results are kept on disk all the same; `kedro run --pipeline reporting` logs them once MLflow answers"


class ForgivingMlflowHook(MlflowHook):
    """kedro-mlflow's hook, but for when it opens MLflow, and for what a server that fails may do.

    Nothing is opened before a pipeline runs. A server that fails in mid-run does not end the run: results are on disk
    before they are logged, and `kedro run --pipeline reporting` logs them again. Whatever ends a run, none of its own
    is left open; those that a killed process left are closed at the next start.
    """

    def __init__(self) -> None:
        super().__init__()
        self._context: KedroContext | None = None
        self._settings = ServerSettings()
        self._experiment_id: str | None = None
        self._already_active_mlflow = False

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Reads `mlflow.yml`, for the run and for `kedro mlflow ui`; opens nothing.

        Raises:
            SettingsError: `mlflow.yml` says what cannot be.
        """
        self._context, self._experiment_id, self.run_id = context, None, None
        loader: Any = context.config_loader
        loader.config_patterns.setdefault("mlflow", ["mlflow*", "mlflow*/**", "**/mlflow*"])
        try:
            written = loader["mlflow"] or {}
        except MissingConfigException:
            written = {}
        try:
            config = KedroMlflowConfig.model_validate({**written})
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise SettingsError(f"mlflow.yml: {place}: {without_credentials(str(first['msg']))}") from None
        address = config.server.mlflow_tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or "mlruns"
        # Else kedro-mlflow opens the run once more at every node, and leaves all of these open.
        config.tracking.run.nested = False
        config.server.mlflow_tracking_uri = _validate_uri(project_path=context.project_path, uri=address)
        mlflow.set_tracking_uri(config.server.mlflow_tracking_uri)
        self.mlflow_config = config
        interactive: Any = context  # where kedro-mlflow's own commands look
        interactive.mlflow = config

    def problem(self, run_params: dict[str, Any], settings: ServerSettings) -> str | None:
        """Says why MLflow cannot be used for a run, if it is needed; where it is not, a warning does.

        Args:
            run_params: Kedro's, of the run.
            settings: what the run asks of the server.
        """
        self._settings = settings
        if not self._is_tracked(run_params):
            return None
        limit_requests(settings.request_seconds)
        problem = server_problem(self.mlflow_config.server.mlflow_tracking_uri, settings.connect_seconds)
        if problem is None:
            return None
        if settings.required:
            return f"MLflow at {problem}; mend it, name another in MLFLOW_TRACKING_URI, or set tracking.required=false"
        _log.warning("MLflow at %s. The run goes on without it. %s", problem, _LATER)
        self.mlflow_config.tracking.disable_tracking.pipelines = _names(run_params)
        return None

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Opens MLflow and the run's own run, unless the run is not tracked.

        Raises:
            KpnnError: the server failed since it was asked, and is required.
        """
        arguments = {"run_params": shown(run_params), "pipeline": pipeline, "catalog": catalog}
        if not self._is_tracked(run_params):
            super().before_pipeline_run(**arguments)
            return
        try:
            self._open()
            with tagged_from_the_start(os.environ):  # type: ignore[arg-type] # it is a dict of texts in all that matters
                super().before_pipeline_run(**arguments)
        except SERVER_ERRORS as error:
            if self._settings.required:
                raise KpnnError(f"MLflow cannot open a run: {failure(error)}") from None
            _log.warning("MLflow cannot open a run: %s. %s", failure(error), _LATER)
            self._give_up()

    def _open(self) -> None:
        assert self._context is not None
        try:
            super().after_context_created(self._context)
        except mlflow.exceptions.MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            super().after_context_created(self._context)  # another run made the experiment at the same moment
        self.mlflow_config.tracking.run.nested = False  # read anew
        self._experiment_id = self.mlflow_config.tracking.experiment._experiment.experiment_id
        mark_experiment(MlflowClient(), self._experiment_id)
        close_runs_of_dead_processes(MlflowClient(), self._experiment_id)

    @hook_impl
    def before_node_run(self, node: Node, catalog: CatalogProtocol, inputs: dict[str, Any], is_async: bool) -> None:
        """Logs the node's parameters, if the server takes them."""
        # All parameters at once are those of every group again, under longer names; settings are logged one by one.
        named = {
            name: shown(value.model_dump(mode="json") if isinstance(value, BaseModel) else value)
            for name, value in inputs.items()
            if name.startswith("params:")
        }
        self._try(super().before_node_run, node=node, catalog=catalog, inputs=named, is_async=is_async)

    def sanitize_param_name(self, name: str) -> str:
        """The name of a parameter as MLflow takes it; a user's own names may stand in it."""
        return legal_name(name)

    @hook_impl
    def after_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Closes the run, if the server takes it, and as failed what could not be logged whole."""
        self._try(super().after_pipeline_run, run_params=run_params, pipeline=pipeline, catalog=catalog)
        if self._experiment_id is not None and "report" in pipeline.all_outputs():
            address = self.mlflow_config.server.mlflow_tracking_uri
            served = "" if address.startswith("http") else ", once `make mlflow` serves them"
            _log.info("MLflow's runs%s: %s", served, runs_page(address, self._experiment_id))
        if not self._already_active_mlflow:
            self.close_runs("FAILED")

    @hook_impl
    def on_pipeline_error(
        self, error: Exception, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol
    ) -> None:
        """Closes the run, its arms and folds as failed; whatever goes wrong with that must not hide the error."""
        try:
            super().on_pipeline_error(error=error, run_params=run_params, pipeline=pipeline, catalog=catalog)
        except Exception as second:
            _log.debug("MLflow's run could not be closed: %s", second)
        self.close_runs("FAILED")

    def log_contents(self, digests: dict[str, str]) -> None:
        """Logs which results a run made, or was made from, on its own run.

        Args:
            digests: dataset -> SHA-256.
        """
        if self._is_mlflow_enabled and self.run_id is not None:
            parameters = [Param(f"sha256.{name}", digest) for name, digest in digests.items()]
            self._try(MlflowClient().log_batch, run_id=self.run_id, params=parameters)

    def close_runs(self, status: str) -> None:
        """Closes every run that this process has open, if the server takes it.

        Args:
            status: `FAILED` or `KILLED`.
        """
        if self._experiment_id is None:
            return
        try:
            while mlflow.active_run() is not None:
                mlflow.end_run(status)
            close_own_runs(MlflowClient(), self._experiment_id, status)
        except Exception as error:
            _log.debug("MLflow's runs could not be closed: %s", error)

    def _is_tracked(self, run_params: dict[str, Any]) -> bool:
        return bool(_assert_mlflow_enabled(_names(run_params), self.mlflow_config))

    def _give_up(self) -> None:
        self._is_mlflow_enabled = False  # asking again would wait for the server at every node
        self.run_id = None

    def _try(self, method: Callable[..., None], **arguments: Any) -> None:
        try:
            method(**arguments)
        except SERVER_ERRORS as error:
            _log.warning("MLflow's server fails (%s); the run goes on without it. %s", failure(error), _LATER)
            self._give_up()


def _names(run_params: dict[str, Any]) -> list[str]:
    names = run_params.get("pipeline_name") or run_params.get("pipeline_names") or ["__default__"]
    return [names] if isinstance(names, str) else list(names)
