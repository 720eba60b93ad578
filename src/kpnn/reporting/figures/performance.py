"""Figures of how well the arms predict, what they save, and how the controls do."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from kpnn.reporting.figures.curves import calibration_curve, precision_recall_band, prevalence, roc_band
from kpnn.reporting.figures.style import GREEN, MUTED, Figure, add_reference, look_of, new_plot, translucent
from kpnn.reporting.outputs import base_metric
from kpnn.reporting.study import ArmTables

_METRIC_NAMES = {
    "roc_auc": "ROC-AUC",
    "average_precision": "average precision",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "brier": "Brier score",
    "log_loss": "log loss",
}


def metric_label(metric: str) -> str:
    """A metric's name as people write it, with the output that it is of; says where less is better."""
    base, output = base_metric(metric)
    name = f"{_METRIC_NAMES.get(base, base)}{f': {output}' if output else ''}"
    return f"{name} (less is better)" if base in ("brier", "log_loss") else name


def scores_figure(comparison: pd.DataFrame) -> Figure:
    """Every score of every arm with its 95 % interval over cells and training."""
    metrics = list(dict.fromkeys(comparison["metric"]))
    arms = list(dict.fromkeys(comparison["arm"]))
    plot = new_plot("score (no unit)", "", height=90 + 46 * len(metrics))
    for position, arm in enumerate(arms):
        rows = comparison[comparison["arm"] == arm].set_index("metric").loc[metrics]
        look = look_of(arm, position)
        offset = (position - (len(arms) - 1) / 2) * 0.26
        plot.add_scatter(
            x=rows["mean"],
            y=np.arange(len(metrics)) + offset,
            error_x={
                "type": "data",
                "symmetric": False,
                "array": rows["upper"] - rows["mean"],
                "arrayminus": rows["mean"] - rows["lower"],
                "thickness": 2,
                "width": 4,
            },
            mode="markers",
            name=arm,
            marker={"color": look.colour, "symbol": look.marker, "size": 10},
            customdata=np.column_stack([rows["lower"], rows["upper"], rows["mean"], rows["sd"].fillna(0)]),
            hovertemplate=(
                f"{arm}: %{{x:.3f}}, 95 %% interval %{{customdata[0]:.3f}} to %{{customdata[1]:.3f}}<br>"
                "mean over folds %{customdata[2]:.3f}, sd %{customdata[3]:.3f}<extra></extra>"
            ).replace("%%", "%"),
        )
    ticks = {
        "tickvals": list(range(len(metrics))),
        "ticktext": [metric_label(m).replace(" (", "<br>(") for m in metrics],
    }
    plot.update_yaxes(**ticks, range=[len(metrics) - 0.5, -0.5], zeroline=False)
    return Figure(
        "scores",
        "Scores with intervals",
        "Each score by arm, the mean over folds; bars are 95 % intervals over cells and training. "
        "Intervals that overlap widely: the arms are hard to tell apart by that score.",
        plot,
    )


def fold_figure(arms: tuple[ArmTables, ...]) -> Figure:
    """ROC-AUC of each fold, the same fold joined across the arms."""
    plot = new_plot("", "ROC-AUC of a fold (no unit)")
    names = [arm.name for arm in arms]
    by_fold = {arm.name: arm.roc_auc_by_fold for arm in arms}
    folds = sorted(set().union(*(set(values.index) for values in by_fold.values())))
    for repeat, fold in folds:
        there = [name for name in names if (repeat, fold) in by_fold[name].index]
        plot.add_scatter(
            x=there,
            y=[by_fold[name][(repeat, fold)] for name in there],
            mode="lines",
            line={"color": MUTED, "width": 1},
            showlegend=False,
            hoverinfo="skip",
        )
    for position, name in enumerate(names):
        look, values = look_of(name, position), by_fold[name]
        plot.add_scatter(
            x=[name] * len(values),
            y=values.to_numpy(),
            mode="markers",
            name=name,
            marker={"color": look.colour, "symbol": look.marker, "size": 10},
            text=[f"repeat {repeat}, fold {fold}" for repeat, fold in values.index],
            hovertemplate=f"{name}, %{{text}}: %{{y:.4f}}<extra></extra>",
        )
    plot.update_layout(showlegend=False)
    plot.update_xaxes(type="category", range=[-0.5, len(names) - 0.5])
    return Figure(
        "folds",
        "The same folds in each arm",
        "ROC-AUC of every held-out fold; a line joins the same fold in both arms. Lines that mostly fall to the right: "
        "the second arm predicts worse.",
        plot,
    )


def roc_figure(arms: tuple[ArmTables, ...], output: str) -> Figure:
    """Mean ROC curve of each arm with its spread over folds."""
    plot = _curve_plot("false positive rate (share of class 0)", "true positive rate (share of class 1)")
    add_reference(plot, (0, 1), (0, 1), "guessing")
    for position, arm in enumerate(arms):
        _add_band(plot, arm.name, position, roc_band(arm, output), "FPR %{x:.2f}, TPR %{y:.3f}")
    return Figure(
        f"roc_{output}",
        f"ROC curve: {output}",
        f"Mean over folds of the receiver operating characteristic for {output}; bands are one standard deviation over "
        "folds. Nearer the upper left corner is better; the dotted diagonal is guessing.",
        plot,
    )


def precision_recall_figure(arms: tuple[ArmTables, ...], output: str) -> Figure:
    """Mean precision-recall curve of each arm with its spread over folds."""
    plot = _curve_plot("recall (share of class 1 found)", "precision (share of calls that are right)")
    if arms:
        add_reference(plot, (0, 1), (prevalence(arms[0], output),) * 2, "guessing")
    for position, arm in enumerate(arms):
        _add_band(plot, arm.name, position, precision_recall_band(arm, output), "recall %{x:.2f}, precision %{y:.3f}")
    return Figure(
        f"precision_recall_{output}",
        f"Precision and recall: {output}",
        f"Mean over folds of the precision at each recall for {output}; bands are one standard deviation over folds. "
        "Nearer the upper right corner is better; the dotted line is guessing.",
        plot,
    )


def calibration_figure(arms: tuple[ArmTables, ...], output: str) -> Figure:
    """How often a predicted probability comes true."""
    plot = _curve_plot("predicted probability", "observed share of class 1")
    add_reference(plot, (0, 1), (0, 1), "calibrated")
    for position, arm in enumerate(arms):
        look, curve = look_of(arm.name, position), calibration_curve(arm, output)
        plot.add_scatter(
            x=curve["predicted"],
            y=curve["observed"],
            mode="lines+markers",
            name=arm.name,
            line={"color": look.colour, "dash": look.dash, "width": 2},
            marker={"color": look.colour, "symbol": look.marker, "size": 8},
            text=curve["n_cells"],
            hovertemplate=f"{arm.name}: predicted %{{x:.2f}}, observed %{{y:.2f}}, %{{text}} cells<extra></extra>",
        )
    return Figure(
        f"calibration_{output}",
        f"Calibration: {output}",
        f"Out-of-fold cells in ten bins of their predicted probability for {output}: mean prediction against the share "
        "that is of class 1. On the dotted diagonal a probability means what it says.",
        plot,
    )


def _curve_plot(x: str, y: str) -> go.Figure:
    plot = new_plot(x, y)
    plot.update_xaxes(range=[-0.01, 1.01])
    plot.update_yaxes(range=[-0.02, 1.02])
    return plot


def _add_band(plot: go.Figure, name: str, position: int, band: pd.DataFrame, values: str) -> None:
    look = look_of(name, position)
    plot.add_scatter(
        x=[*band["x"], *band["x"][::-1]],
        y=[*band["upper"].round(4), *band["lower"].round(4)[::-1]],
        fill="toself",
        fillcolor=translucent(look.colour),
        line={"width": 0},
        hoverinfo="skip",
        showlegend=False,
        name=f"{name}, spread",
    )
    plot.add_scatter(
        x=band["x"],
        y=band["mean"].round(4),
        mode="lines",
        name=name,
        line={"color": look.colour, "dash": look.dash, "width": 2.5},
        hovertemplate=f"{name}: {values}<extra></extra>",
    )


def sizes_figure(sizes: pd.DataFrame) -> Figure:
    """Neurons, edges and parameters of PKN, full and pruned."""
    plot = new_plot("number (logarithmic scale)", "", height=330)
    looks = {"neurons": ("#56606f", ""), "edges": ("#56B4E9", "/"), "parameters": ("#E69F00", "x")}
    for column, (colour, pattern) in looks.items():
        known = sizes[sizes[column].notna()]
        plot.add_bar(
            y=known["network"],
            x=known[column].astype(int),
            name=column,
            orientation="h",
            marker={"color": colour, "pattern": {"shape": pattern, "size": 6}},
            text=[f"{value:,}" for value in known[column].astype(int)],
            textposition="outside",
            cliponaxis=False,
            hovertemplate=f"%{{y}}: %{{x:,}} {column}<extra></extra>",
        )
    plot.update_layout(barmode="group", margin={"r": 60})
    plot.update_xaxes(type="log")
    plot.update_yaxes(categoryorder="array", categoryarray=list(sizes["network"])[::-1])
    return Figure(
        "sizes",
        "From the PKN to the pruned network",
        "Neurons, edges and trainable parameters of the PKN (pruned to measured genes), of the full network and of the "
        "selected one. The PKN itself has no parameters.",
        plot,
    )


def controls_figure(controls: pd.DataFrame, arms: tuple[ArmTables, ...]) -> Figure:
    """ROC-AUC of the controls beside the arms, best first.

    Args:
        controls: a row per control, replicate and arm; see `kpnn.reporting.standing.controls_table`.
        arms: the arms.
    """
    once = controls.drop_duplicates(["control", "replicate"])
    values = {str(name): rows["roc_auc"].to_numpy(dtype=float) for name, rows in once.groupby("control", sort=False)}
    for arm in arms:
        values[arm.name] = np.array([arm.scores().mean])
    order = sorted(values, key=lambda name: float(np.nanmean(values[name])))
    plot = new_plot("ROC-AUC (mean over folds; no unit)", "", height=90 + 34 * len(order))
    for name in order:
        is_arm = any(arm.name == name for arm in arms)
        look = look_of(name) if is_arm else None
        plot.add_scatter(
            x=values[name],
            y=[name.replace("_", " ")] * len(values[name]),
            mode="markers",
            showlegend=False,
            marker={
                "color": look.colour if look else GREEN,
                "symbol": look.marker if look else "square-open",
                "size": 12 if is_arm else 8,
            },
            hovertemplate=f"{name}: %{{x:.3f}}<extra></extra>",
        )
    plot.update_yaxes(type="category")
    return Figure(
        "controls",
        "Against the controls",
        "Mean ROC-AUC of the arms (filled) and of each replicate of the controls (open squares), best on top. "
        "Networks from rewired PKNs have as many genes at each regulator, but other ones: where they predict as well "
        "as `pruned`, it is not the knowledge in the edges that predicts.",
        plot,
    )


def size_curve_figure(curve: pd.DataFrame) -> Figure:
    """ROC-AUC with its interval against the number of parameters.

    Args:
        curve: see `kpnn.reporting.standing.size_curve`.
    """
    plot = new_plot("parameters (logarithmic scale)", "ROC-AUC (mean over folds; no unit)")
    look, bars = look_of("pruned"), {"type": "data", "symmetric": False, "thickness": 2, "width": 4}
    plot.add_scatter(
        x=curve["n_parameters"],
        y=curve["roc_auc"],
        error_y=bars | {"array": curve["upper"] - curve["roc_auc"], "arrayminus": curve["roc_auc"] - curve["lower"]},
        mode="lines+markers",
        showlegend=False,
        line={"color": look.colour, "width": 2},
        marker={"color": look.colour, "symbol": look.marker, "size": 9},
        text=[f"{name.replace('_', ' ')}, {edges:,} edges" for name, edges in curve[["network", "n_edges"]].to_numpy()],
        hovertemplate="%{text}: %{x:,} parameters, ROC-AUC %{y:.3f}<extra></extra>",
    )
    plot.update_xaxes(type="log")
    return Figure(
        "size_curve",
        "How small can it be?",
        "Mean ROC-AUC of nested networks, from the smallest DAG to the full one, each trained and tuned by itself; "
        "bars are 95 % intervals over cells and training. Where the curve is flat, what is left out is not missed.",
        plot,
    )
