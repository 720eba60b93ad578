"""What of the report stands on an arm's run, under the same names in every arm, so that MLflow compares them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

import mlflow
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from mlflow import MlflowClient

from kpnn.tracking.failures import SERVER_ERRORS, failure
from kpnn.tracking.runs import child_runs

_log = logging.getLogger(__name__)

_DPI = 150


@dataclass(frozen=True, eq=False)
class ArmArtifacts:
    """What of the report stands on an arm's run.

    Attributes:
        images: by key; the same keys in every arm stand beside each other in MLflow's image grid.
        plots: interactive figures by name.
        tables: by name; MLflow's table view compares them between runs.
        description: Markdown that MLflow's page of the arm's run opens with.
    """

    images: Mapping[str, Figure] = field(default_factory=dict)
    plots: Mapping[str, go.Figure] = field(default_factory=dict)
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    description: str = ""


def log_arm_report(arm: str, artifacts: ArmArtifacts) -> str | None:
    """Logs an arm's figures and tables on its run below the active one.

    Images and tables also stand beside each other outside of any folder (`roc.png`, `node_weights.csv`): MLflow's page
    that compares runs shows such files only.

    Args:
        arm: name of the arm.
        artifacts: what to log.

    Returns:
        The run's id, or None where there is no active run, the arm has none, or the server failed.
    """
    active = mlflow.active_run()
    if active is None:
        return None
    client = MlflowClient()
    try:
        found = child_runs(client, active, level="arm", name=arm)
        if not found:
            return None
        run_id = found[0].info.run_id
        client.set_tag(run_id, "mlflow.note.content", artifacts.description)
        for key, image in artifacts.images.items():
            client.log_image(run_id, _pixels(image), key=key, step=0)
            for place in (f"figures/{key}.png", f"{key}.png"):
                client.log_figure(run_id, image, place, save_kwargs={"dpi": _DPI})
        for name, plot in artifacts.plots.items():
            client.log_figure(run_id, plot, f"figures/{name}.html")
        for name, table in artifacts.tables.items():
            client.log_table(run_id, table, f"tables/{name}.json")
            client.log_text(run_id, table.to_csv(index=False), f"{name}.csv")
    except SERVER_ERRORS as error:
        _log.warning("MLflow did not accept the figures of `%s` (%s)", arm, failure(error))
        return None
    return run_id


def _pixels(image: Figure) -> np.ndarray:
    image.set_dpi(_DPI)
    canvas = FigureCanvasAgg(image)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


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
        _log.warning("MLflow did not accept the table %s (%s)", name, failure(error))
