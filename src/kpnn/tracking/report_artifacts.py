"""What of the report stands on an arm's run, under the same names in every arm, so that MLflow compares them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from matplotlib.image import imread
from mlflow import MlflowClient

from kpnn.tracking.runs import SERVER_ERRORS, _children

_log = logging.getLogger(__name__)


def log_arm_report(
    arm: str, images: Mapping[str, Path], tables: Mapping[str, pd.DataFrame], description: str
) -> str | None:
    """Logs an arm's figures and tables on its run below the active one.

    Args:
        arm: name of the arm.
        images: PNG files by key; the same keys in every arm stand beside each other in MLflow's image grid.
        tables: by name; MLflow's table view compares them between runs.
        description: Markdown that MLflow's page of the arm's run opens with.

    Returns:
        The run's id, or None where there is no active run, the arm has none, or the server failed.
    """
    active = mlflow.active_run()
    if active is None:
        return None
    client = MlflowClient()
    try:
        found = _children(client, active, level="arm", name=arm)
        if not found:
            return None
        run_id = found[0].info.run_id
        client.set_tag(run_id, "mlflow.note.content", description)
        for key, path in images.items():
            pixels = (np.asarray(imread(path))[..., :3] * 255).round().astype(np.uint8)
            client.log_image(run_id, pixels, key=key, step=0)
            client.log_artifact(run_id, str(path), "figures")
        for name, table in tables.items():
            client.log_table(run_id, table, f"tables/{name}.json")
    except SERVER_ERRORS as error:
        _log.warning("MLflow does not take the figures of `%s` (%s)", arm, str(error).splitlines()[0])
        return None
    return run_id


def log_study_table(name: str, table: pd.DataFrame) -> None:
    """Logs a table on the active run, as MLflow shows tables; nothing where there is no run or the server failed.

    Args:
        name: of the table.
        table: the table.
    """
    active = mlflow.active_run()
    if active is None:
        return
    try:
        MlflowClient().log_table(active.info.run_id, table, f"tables/{name}.json")
    except SERVER_ERRORS as error:
        _log.warning("MLflow does not take the table %s (%s)", name, str(error).splitlines()[0])
