"""The data that a study was made from, as MLflow lists them on its runs."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag

from kpnn.addresses import without_credentials
from kpnn.names import legal_name
from kpnn.tracking.failures import SERVER_ERRORS, failure
from kpnn.tracking.runs import child_runs

_log = logging.getLogger(__name__)

_LONGEST_DIGEST = 36  # characters that MLflow keeps


def log_data(files: Mapping[str, str | None]) -> None:
    """Logs raw files on the active run and on its arms' runs, so that MLflow shows and filters by them.

    Args:
        files: path or address -> SHA-256; files without one (of another package) are left out.
    """
    active = mlflow.active_run()
    if active is None:
        return
    data = [
        DatasetInput(
            Dataset(
                name=legal_name(path.rstrip("/").rpartition("/")[2]),
                digest=digest[:_LONGEST_DIGEST],
                source_type="local",
                source=json.dumps({"uri": without_credentials(path)}),
            ),
            [InputTag("mlflow.data.context", "raw")],
        )
        for path, digest in files.items()
        if digest
    ]
    client = MlflowClient()
    try:
        for run in (active, *child_runs(client, active, level="arm")):
            client.log_inputs(run.info.run_id, data)
    except SERVER_ERRORS as error:
        _log.warning("MLflow did not accept the names of the data (%s)", failure(error))
