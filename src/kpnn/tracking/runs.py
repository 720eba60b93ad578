"""MLflow runs of a study: the parent (one `kedro run`), under it one run per arm, under that one per fold.

Everything logged here is on disk first. A tracking server that fails is reported once and not asked again in the
same arm; `kedro run --pipeline reporting` logs again whatever the active parent run does not hold.
"""

from __future__ import annotations

import json
import logging
import re
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.environment_variables import MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR

from kpnn.names import legal_names
from kpnn.processes import Process
from kpnn.tracking.failures import SERVER_ERRORS, failure
from kpnn.tracking.open_runs import PROCESS_TAG
from kpnn.tracking.serving import PREPARATION, Served, library
from kpnn.training.results import ArmResult, FoldResult, mean_curve

_log = logging.getLogger(__name__)

_MOST_PER_CALL = 900  # MLflow takes at most 1,000 metrics in one call
_MOST_PARAMETERS = 100  # and so many parameters
_TRIAL_METRICS = ("value", "seconds", "n_members", "n_epochs")


class ArmTracker:
    """Logs one arm below the active run, fold by fold, while it is trained.

    Without an active run, or after the server failed, every method does nothing.

    Examples:
        >>> import pandas as pd
        >>> from kpnn.training.results import predictions_table
        >>> store = tempfile.TemporaryDirectory()
        >>> address = f"sqlite:///{store.name}/mlflow.db"
        >>> mlflow.set_tracking_uri(address)
        >>> experiment = mlflow.create_experiment("kpnn-demo", f"{store.name}/artifacts")
        >>> said = predictions_table(np.array(["c1", "c2"]), ["TCR"], np.array([[0], [1]]), np.array([[0.2], [0.8]]))
        >>> curve = pd.DataFrame({"member": 0, "epoch": [1, 2], "loss": [0.7, 0.5], "val_loss": [0.7, 0.6]})
        >>> sizes = {"n_edges": 1, "n_neurons": 1, "n_parameters": 2, "seconds": 1.5}
        >>> found = {"predictions": said, "metrics": {"roc_auc": 1.0}, "history": curve, "trials": pd.DataFrame()}
        >>> fold = FoldResult("full", 0, 0, "nested", seed=42, hyperparameters={"dropout": 0.1}, **found, **sizes)
        >>> with mlflow.start_run(experiment_id=experiment):  # the study's
        ...     tracker = ArmTracker("full")
        ...     tracker.log_fold(fold)  # each as soon as it is trained
        ...     tracker.finish(ArmResult("full", (fold,)))
        >>> of_arm = mlflow.search_runs([experiment], "tags.`kpnn.arm` = 'full'", output_format="list")
        >>> sorted((run.info.run_name, run.info.status, run.data.metrics["roc_auc"]) for run in of_arm)
        [('full', 'FINISHED', 1.0), ('repeat_0_fold_0', 'FINISHED', 1.0)]
    """

    def __init__(
        self,
        arm: str,
        served: Served | None = None,
        *,
        trial_runs: bool = False,
        is_control: bool = False,
    ) -> None:
        """Opens the arm's run, or goes on with the one that the active run already has.

        Args:
            arm: name of the arm, which names the run.
            served: what its models read and predict; None: they are kept as files only.
            trial_runs: log each Optuna trial as a run below its fold.
            is_control: the run is told apart from the arms' (`kpnn.level` is `control`) and has none for its folds:
                there may be a dozen controls.
        """
        active = mlflow.active_run()
        self._arm = arm
        self._level = "control" if is_control else "arm"
        self._trial_runs = trial_runs
        self._served = served
        self._client = MlflowClient()
        self._run_id: str | None = None
        self._logged_folds: set[str] = set()
        self._finished = False
        if active is None:
            return
        with self._tolerating_failures():
            self._open(active)

    def _open(self, parent: Run) -> None:
        existing = child_runs(self._client, parent, level=self._level, name=self._arm)
        if existing:
            self._run_id = existing[0].info.run_id
            self._finished = existing[0].info.status == "FINISHED"
            folds = child_runs(self._client, existing[0], level="fold")
            self._logged_folds = {run.info.run_name for run in folds if run.info.status == "FINISHED"}
        else:
            self._run_id = _create_child(
                self._client, parent, self._arm, {"kpnn.level": self._level, "kpnn.arm": self._arm}
            )

    def log_fold(self, result: FoldResult) -> None:
        """Logs a finished fold: hyperparameters, scores, learning curve, trials and the `.keras` file.

        Args:
            result: the fold.
        """
        if self._run_id is None or self._level == "control" or result.name in self._logged_folds:
            return
        with self._tolerating_failures():
            arm_run = self._client.get_run(self._run_id)
            tags = {
                "kpnn.level": "fold",
                "kpnn.arm": self._arm,
                "kpnn.repeat": str(result.repeat),
                "kpnn.fold": str(result.fold),
            }
            run_id = _create_child(self._client, arm_run, result.name, tags)
            parameters = {"seed": result.seed, "protocol": result.protocol} | result.hyperparameters
            sizes = {"n_epochs": float(result.n_epochs), "seconds": result.seconds}
            _log_batch(self._client, run_id, parameters, result.metrics | sizes)
            _log_curve(self._client, run_id, result)
            with tempfile.TemporaryDirectory() as folder:
                for path in _fold_files(result, Path(folder)):
                    self._client.log_artifact(run_id, str(path))
            if self._served is not None:
                _log_model("model", run_id, [result], self._served, travels=False)
            if self._trial_runs:
                self._log_trials(self._client.get_run(run_id), result)
            self._client.set_terminated(run_id)
            self._logged_folds.add(result.name)

    def _log_trials(self, fold_run: Run, result: FoldResult) -> None:
        for trial in result.trials.to_dict("records"):
            tags = {"kpnn.level": "trial", "kpnn.arm": self._arm, "kpnn.state": trial.pop("state")}
            run_id = _create_child(self._client, fold_run, f"trial_{trial.pop('trial')}", tags)
            metrics = {name: trial.pop(name) for name in _TRIAL_METRICS if name in trial}
            _log_batch(self._client, run_id, trial, metrics)
            self._client.set_terminated(run_id)

    def finish(self, result: ArmResult) -> None:
        """Logs the arm's sizes, and the mean and sd over folds of every score; then closes its run.

        Args:
            result: all folds.
        """
        left = [] if self._level == "control" else [one for one in result.folds if one.name not in self._logged_folds]
        if self._finished and not left:
            return
        for fold in left:
            self.log_fold(fold)
        if self._run_id is None:
            return
        with self._tolerating_failures():
            parameters = result.sizes() | {"protocol": result.protocol} | _hyperparameters(result.folds)
            _log_batch(self._client, self._run_id, parameters, result.mean_metrics())
            if self._served is not None:
                address = _log_model(
                    self._model_name(self._run_id), self._run_id, result.folds, self._served, travels=True
                )
                if address is not None:
                    self._client.set_tag(self._run_id, "kpnn.model", address)
            self._client.set_terminated(self._run_id)
            self._finished = True

    def _model_name(self, run_id: str) -> str:
        """`<study>-<arm>`; the study's experiment is called `kpnn-<study>`."""
        run = self._client.get_run(run_id)
        experiment = self._client.get_experiment(run.info.experiment_id).name
        return re.sub(r"[^\w\-]", "_", f"{experiment.removeprefix('kpnn-')}-{self._arm}")

    @contextmanager
    def _tolerating_failures(self) -> Iterator[None]:
        try:
            yield
        except SERVER_ERRORS as error:
            self._run_id = None
            _log.warning(
                "MLflow did not accept the results of `%s` (%s). They are on disk; log them again with "
                "`kedro run --pipeline reporting`",
                self._arm,
                failure(error),
            )


def register_best_arm(name: str) -> str | None:
    """Registers the model (the mean of its folds' networks) of the active run's arm with the highest mean ROC-AUC.

    Args:
        name: of the registered model.

    Returns:
        The arm's name, or None where there is no active run, no model, or the server failed.

    Examples:
        >>> # With the experiment and the fold of `ArmTracker`
        >>> mlflow.set_tracking_uri(address)
        >>> from dataclasses import replace
        >>> from kpnn.cells import Transform
        >>> from kpnn.nn import build_kpnn
        >>> from kpnn.pkn import Dag
        >>> from kpnn.training.fitting import keras_bytes
        >>> dag = Dag.from_edges(pd.DataFrame({"parent": ["TCR"], "child": ["CD69_gene"]}), outputs=["TCR"])
        >>> trained = replace(fold, model=keras_bytes(build_kpnn(dag)))
        >>> with mlflow.start_run(experiment_id=experiment):
        ...     ArmTracker("full", Served(["CD69"], ["TCR"], Transform())).finish(ArmResult("full", (trained,)))
        ...     register_best_arm("demo")
        'full'
        >>> mlflow.pyfunc.load_model("models:/demo/1").metadata.signature.outputs.input_names()
        ['TCR']
    """
    active = mlflow.active_run()
    if active is None:
        return None
    try:
        arms = [run for run in child_runs(MlflowClient(), active, level="arm") if "kpnn.model" in run.data.tags]
        if not arms:
            return None
        best = max(arms, key=lambda run: run.data.metrics["roc_auc"])
        mlflow.register_model(best.data.tags["kpnn.model"], name, tags={"kpnn.arm": best.info.run_name})
    except SERVER_ERRORS as error:
        _log.warning("MLflow does not register `%s` (%s)", name, failure(error))
        return None
    return str(best.info.run_name)


def log_study(
    metrics: Mapping[str, float],
    parameters: Mapping[str, Any],
    tags: Mapping[str, str],
    files: Sequence[Path],
    description: str,
) -> str | None:
    """Logs what belongs to the whole study on the active run.

    Args:
        metrics: by name.
        parameters: by name.
        tags: by name, for filtering.
        files: artifacts.
        description: Markdown that MLflow's page of the run opens with.

    Returns:
        The run's id, or None where there is no active run or the server failed.

    Examples:
        >>> # With the experiment of `ArmTracker`
        >>> mlflow.set_tracking_uri(address)
        >>> with mlflow.start_run(experiment_id=experiment):
        ...     run_id = log_study({"compression": 51.3}, {"solver": "HIGHS"}, {"kpnn.equal": "true"}, [], "As good.")
        >>> run = mlflow.get_run(run_id)
        >>> run.data.metrics, run.data.params, run.data.tags["mlflow.note.content"]
        ({'compression': 51.3}, {'solver': 'HIGHS'}, 'As good.')
    """
    active = mlflow.active_run()
    if active is None:
        return None
    client, run_id = MlflowClient(), active.info.run_id
    try:
        _log_batch(client, run_id, parameters, metrics)
        for name, value in {"kpnn.level": "parent", "mlflow.note.content": description, **tags}.items():
            client.set_tag(run_id, name, value)
        for path in files:
            if path.exists():
                client.log_artifact(run_id, str(path))
    except SERVER_ERRORS as error:
        _log.warning(
            "MLflow did not accept the study's results (%s). They are on disk; log them again with "
            "`kedro run --pipeline reporting`",
            failure(error),
        )
        return None
    return run_id


def child_runs(client: MlflowClient, parent: Run, level: str, name: str | None = None) -> list[Run]:
    """The runs right below a run.

    Args:
        client: of the server.
        parent: such as the study's run.
        level: `arm`, `control`, `fold` or `trial`.
        name: of the run; None: of any name.
    """
    conditions = [f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'", f"tags.`kpnn.level` = '{level}'"]
    if name is not None:
        conditions.append(f"attributes.run_name = '{name}'")
    return list(client.search_runs([parent.info.experiment_id], " and ".join(conditions), max_results=5000))


def _create_child(client: MlflowClient, parent: Run, name: str, tags: dict[str, str]) -> str:
    user = parent.data.tags.get("mlflow.user", "")
    own = {"mlflow.parentRunId": parent.info.run_id, "mlflow.user": user, PROCESS_TAG: str(Process.this())}
    tags = {**own, **tags}
    return client.create_run(parent.info.experiment_id, tags=tags, run_name=name).info.run_id


def _log_batch(client: MlflowClient, run_id: str, parameters: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
    """Logs parameters and metrics, whatever their names; a name that MLflow does not take is kept in a tag."""
    now = int(time.time() * 1000)
    of_metrics, of_parameters = legal_names(metrics), legal_names(parameters)
    points = [Metric(of_metrics[name], float(v), now, 0) for name, v in metrics.items() if np.isfinite(v)]
    texts = [Param(of_parameters[name], str(value)) for name, value in parameters.items()]
    renamed = {legal: name for name, legal in (of_parameters | of_metrics).items() if legal != name}
    if renamed:
        client.set_tag(run_id, "kpnn.names", json.dumps(renamed, ensure_ascii=False))
    for start in range(0, max(len(points), len(texts)), _MOST_PARAMETERS):
        part = slice(start, start + _MOST_PARAMETERS)
        client.log_batch(run_id, points[part], texts[part], list[RunTag]())


def _hyperparameters(folds: Sequence[FoldResult]) -> dict[str, str]:
    """What an arm's folds were trained with, by name: the one value, or each with the number of its folds."""
    names = dict.fromkeys(name for fold in folds for name in fold.hyperparameters)
    found = {}
    for name in names:
        counts = Counter(_short(fold.hyperparameters.get(name)) for fold in folds)
        several = ", ".join(f"{value} ({count})" for value, count in counts.most_common())
        found[name] = several if len(counts) > 1 else next(iter(counts))
    return found


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _log_curve(client: MlflowClient, run_id: str, result: FoldResult) -> None:
    """Logs the mean learning curve of the fold's networks."""
    now = int(time.time() * 1000)
    points = [
        Metric(name, float(row[name]), now, int(row["epoch"]))
        for row in mean_curve(result.history).to_dict("records")
        for name in ("loss", "val_loss")
        if np.isfinite(row[name])
    ]
    for start in range(0, len(points), _MOST_PER_CALL):
        client.log_batch(run_id, points[start : start + _MOST_PER_CALL])


def _log_model(name: str, run_id: str, results: Sequence[FoldResult], served: Served, *, travels: bool) -> str | None:
    """Logs the folds' networks as one MLflow model that `mlflow.pyfunc.load_model` opens; returns its address."""
    networks = {result.name: result.model for result in results if result.model is not None}
    if not networks:
        return None
    MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR.set(False)
    with (
        tempfile.TemporaryDirectory() as folder,
        library(travels=travels) as needed,
        mlflow.start_run(run_id=run_id, nested=True),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", message=".*input example.*", category=UserWarning)
        paths = {name: Path(folder) / f"{name}.keras" for name in networks}
        for fold, path in paths.items():
            path.write_bytes(networks[fold])
        paths[PREPARATION] = served.write_preparation(Path(folder))
        info = mlflow.pyfunc.log_model(
            name=name,
            python_model=str(Path(__file__).with_name("served_model.py")),
            artifacts={fold: str(path) for fold, path in paths.items()},
            signature=served.signature,
            input_example=served.example if travels else None,  # MLflow predicts it once, which takes seconds
            **needed,
        )
    return str(info.model_uri)


def _fold_files(result: FoldResult, folder: Path) -> Iterator[Path]:
    if result.model is not None:
        path = folder / "model.keras"
        path.write_bytes(result.model)
        yield path
    if len(result.trials):
        path = folder / "trials.csv"
        result.trials.to_csv(path, index=False)
        yield path
