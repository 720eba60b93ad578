"""Figures of how the networks were trained and tuned."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from kpnn.reporting.figures.style import Figure, Look, look_of, new_plot
from kpnn.reporting.study import ArmTables
from kpnn.training.results import mean_curve

_NOT_SEARCHED = ("repeat", "fold", "trial", "state", "value", "n_members", "n_epochs", "seconds")


def learning_curves_figure(arms: tuple[ArmTables, ...]) -> Figure | None:
    """Validation loss per epoch of every reported fit; None where no arm has any."""
    with_curves = [(position, arm) for position, arm in enumerate(arms) if "val_loss" in arm.learning_curves]
    if not with_curves:
        return None
    plot = new_plot("epoch", "validation loss (cross-entropy, nats per cell)")
    for position, arm in with_curves:
        for fold, curves in arm.learning_curves.groupby(["repeat", "fold"], sort=True):
            curve = mean_curve(curves)
            values = curve["epoch"], curve["val_loss"].astype(float)
            _add_fold(plot, look_of(arm.name, position), (arm.name, *fold), values, "epoch")
    return Figure(
        "learning_curves",
        "Learning curves",
        "Loss on the inner validation cells after each epoch, one line per fold: the mean over the networks of its "
        "model. The training of each stops when its loss no longer falls; the reported folds are never looked at.",
        plot,
    )


def tuning_figure(arms: tuple[ArmTables, ...]) -> Figure | None:
    """Best validation loss so far over the trials of each search; None where nothing was tuned."""
    tuned = [(position, arm) for position, arm in enumerate(arms) if "trial" in arm.trials and len(arm.trials)]
    if not tuned:
        return None
    plot = new_plot("trial", "best validation loss so far (nats per cell)")
    for position, arm in tuned:
        for fold, trials in arm.trials.groupby(["repeat", "fold"], sort=True):
            ordered = trials.sort_values("trial")
            best = ordered["value"].astype(float).where(ordered["state"].astype(str).str.upper() == "COMPLETE").cummin()
            values = ordered["trial"] + 1, best.ffill()
            _add_fold(plot, look_of(arm.name, position), (arm.name, *fold), values, "trial", shape="hv")
    return Figure(
        "tuning",
        "What the search found",
        "Lowest validation loss found so far, trial by trial, one line per fold. Lines that are flat at the end: more "
        "trials would hardly help.",
        plot,
    )


def _add_fold(
    plot: go.Figure,
    look: Look,
    fold: tuple[str, int, int],
    values: tuple[pd.Series, pd.Series],
    step: str,
    shape: str = "linear",
) -> None:
    """A fold's line; the first of an arm stands for all of them in the legend."""
    arm, repeat, number = fold
    plot.add_scatter(
        x=values[0],
        y=values[1].round(5),
        mode="lines",
        name=arm,
        legendgroup=arm,
        showlegend=all(trace.name != arm for trace in plot.data),
        line={"color": look.colour, "dash": look.dash, "width": 1.5, "shape": shape},
        hovertemplate=f"{arm}, repeat {repeat} fold {number}: {step} %{{x}}, %{{y:.4f}}<extra></extra>",
    )


def parameter_importances(arms: tuple[ArmTables, ...]) -> pd.DataFrame:
    """How much each searched hyperparameter explains of the validation loss.

    Returns:
        `arm`, `hyperparameter`, `importance`: the absolute rank correlation of its values with the loss of the finished
        trials (for categories the correlation ratio), averaged over folds; between 0 and 1.
    """
    rows = []
    for arm in arms:
        if "state" not in arm.trials:
            continue
        done = arm.trials[arm.trials["state"].astype(str).str.upper() == "COMPLETE"]
        for name in [column for column in done if column not in _NOT_SEARCHED]:
            found = [_association(trials[name], trials["value"].astype(float)) for _, trials in _by_fold(done)]
            known = [value for value in found if np.isfinite(value)]
            if known:
                rows.append({"arm": arm.name, "hyperparameter": name, "importance": float(np.mean(known))})
    return pd.DataFrame(rows, columns=["arm", "hyperparameter", "importance"])


def _by_fold(trials: pd.DataFrame) -> list[tuple[object, pd.DataFrame]]:
    return list(trials.groupby(["repeat", "fold"], sort=True))


def _association(values: pd.Series, loss: pd.Series) -> float:
    if len(values) < 4 or values.nunique() < 2 or loss.nunique() < 2:
        return float("nan")
    ranks = loss.rank()
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        return abs(float(values.rank().corr(ranks)))
    between = ranks.groupby(values.astype(str)).transform("mean")
    return float(np.sqrt(between.var(ddof=0) / ranks.var(ddof=0)))


def importances_figure(importances: pd.DataFrame) -> Figure | None:
    """Bars of `parameter_importances`; None where nothing was tuned."""
    if not len(importances):
        return None
    order = list(importances.groupby("hyperparameter")["importance"].mean().sort_values().index)
    arms = list(dict.fromkeys(importances["arm"]))
    plot = new_plot("rank correlation with the validation loss (0 to 1)", "", height=110 + 44 * len(order))
    for position, arm in enumerate(arms):
        rows = importances[importances["arm"] == arm].set_index("hyperparameter").reindex(order)
        look = look_of(arm, position)
        plot.add_bar(
            x=rows["importance"].round(3),
            y=order,
            name=arm,
            orientation="h",
            marker={"color": look.colour, "pattern": {"shape": "" if position == 0 else "/", "size": 6}},
            hovertemplate=f"{arm}, %{{y}}: %{{x:.2f}}<extra></extra>",
        )
    plot.update_layout(barmode="group")
    plot.update_xaxes(range=[0, 1])
    return Figure(
        "tuning_importances",
        "Which hyperparameters mattered",
        "How closely each searched hyperparameter goes with the validation loss over the finished trials (absolute "
        "rank correlation, mean over folds). Near 0: its value hardly mattered within the range searched.",
        plot,
    )
