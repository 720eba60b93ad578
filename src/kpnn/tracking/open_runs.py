"""Runs that are open in MLflow: whose they are, and closing those that nobody works on any more."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from mlflow import MlflowClient
from mlflow.entities import Run

from kpnn.processes import Process

_log = logging.getLogger(__name__)

PROCESS_TAG = "kpnn.process"
"""Tag of every run: host, number and start of the process that logs it."""

KIND_TAG = "mlflow.experimentKind"
"""Tag that says what an experiment is of. MLflow's newest UI shows what its menu (GenAI, Model training) or the address
asks for, whatever the tag says: `kpnn.tracking.server.runs_page`."""

VIEW = "kpnn-scores"
"""Name by which an address asks for the view of a study's scores."""

VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"
"""Tag by which MLflow's UI lists that view under `Views`."""

_COLUMNS = (
    "attributes.`Created`",
    "attributes.`Duration`",
    "metrics.`roc_auc`",
    "metrics.`roc_auc_full`",
    "metrics.`roc_auc_pruned`",
    "metrics.`parameter_compression_percent`",
    "params.`n_parameters`",
)
"""Of the view: scores of the arms and of the study, which MLflow's list does not show by itself."""

_CONTEXT = "MLFLOW_RUN_CONTEXT"  # tags that MLflow gives every run from its first moment


@contextmanager
def tagged_from_the_start(environment: dict[str, str]) -> Iterator[None]:
    """Within the block MLflow's runs carry the process's tag as soon as they are there.

    Args:
        environment: `os.environ`.
    """
    before = environment.get(_CONTEXT)
    environment[_CONTEXT] = json.dumps({**json.loads(before or "{}"), PROCESS_TAG: str(Process.this())})
    try:
        yield
    finally:
        del environment[_CONTEXT]
        if before is not None:
            environment[_CONTEXT] = before


def mark_experiment(client: MlflowClient, experiment_id: str) -> None:
    """Says that an experiment is of model training, unless someone has said what it is, and gives it a view of scores.

    Args:
        client: of the server.
        experiment_id: the experiment.
    """
    tags = client.get_experiment(experiment_id).tags
    kind = tags.get(KIND_TAG, "")
    if not kind or kind.endswith("_inferred"):
        client.set_experiment_tag(experiment_id, KIND_TAG, "custom_model_development")
    if VIEW_TAG not in tags:
        now = int(time.time() * 1000)
        state = json.dumps({"selectedColumns": _COLUMNS})
        view = {"name": "Scores", "createdAt": now, "updatedAt": now, "state": state}
        client.set_experiment_tag(experiment_id, VIEW_TAG, json.dumps(view))


def close_runs_of_dead_processes(client: MlflowClient, experiment_id: str) -> int:
    """Closes, as killed, the runs of processes of this machine that are over; returns how many.

    Args:
        client: of the server.
        experiment_id: the study's experiment.
    """
    closed = 0
    for run in _open_runs(client, experiment_id):
        process = Process.from_text(run.data.tags.get(PROCESS_TAG, ""))
        if process is not None and process.is_dead:
            client.set_terminated(run.info.run_id, "KILLED")
            closed += 1
    if closed:
        _log.warning("MLflow: %d runs of an earlier `kedro run` that was killed are closed as KILLED", closed)
    return closed


def close_own_runs(client: MlflowClient, experiment_id: str, status: str) -> None:
    """Closes every run that this process has open.

    Args:
        client: of the server.
        experiment_id: the study's experiment.
        status: `FAILED` or `KILLED`.
    """
    here = str(Process.this())
    for run in _open_runs(client, experiment_id):
        if run.data.tags.get(PROCESS_TAG) == here:
            client.set_terminated(run.info.run_id, status)


def _open_runs(client: MlflowClient, experiment_id: str) -> list[Run]:
    return list(client.search_runs([experiment_id], "attributes.status = 'RUNNING'", max_results=5000))
