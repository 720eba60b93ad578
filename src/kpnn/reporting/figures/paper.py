"""Figures for a paper, drawn in matplotlib: ROC curves with bands, paired folds, heaviest nodes, the selected DAG."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure as Canvas
from matplotlib.style import context

from kpnn.evaluation import confusion_matrix
from kpnn.reporting.figures.classes import shares_of
from kpnn.reporting.figures.curves import roc_band
from kpnn.reporting.figures.network import NetworkLayout
from kpnn.reporting.figures.nodes import heaviest
from kpnn.reporting.figures.style import (
    BLUE,
    GREEN,
    INK,
    LINE,
    MUTED,
    ORANGE,
    PAPER,
    PURPLE,
    SKY,
    TINT,
    VERMILLION,
    look_of,
)
from kpnn.reporting.node_words import nodes_may_be_named
from kpnn.reporting.study import ArmTables, Interpretation, Study

FORMATS = ("pdf", "svg", "png")

_DASHES = {"solid": "-", "dash": "--", "dot": ":", "dashdot": "-.", "longdash": (0, (8, 3))}
_OF_OUTPUTS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
_NAMED = 8
"""Outputs with a name in the legend of one arm's ROC curves: those that are predicted worst."""
_MARKERS = {"circle": "o", "diamond": "D", "square": "s", "triangle-up": "^", "cross": "P"}
_STYLE = {
    "font.size": 8,
    "axes.titlesize": 9,
    "legend.fontsize": 7.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "pdf.fonttype": 42,  # text stays text, as journals ask
    "svg.fonttype": "none",
    "svg.hashsalt": "kpnn",
}
_PIXELS = 96.0
"""Pixels of the layout to the inch."""


def paper_figures(study: Study, layout: NetworkLayout | None, most: int = 20) -> dict[str, Canvas]:
    """Every figure that a paper shows, by name, as far as the study has what it takes.

    Args:
        study: what is there.
        layout: the selected DAG, laid out.
        most: nodes in the figures of the heaviest ones.
    """
    drawn = {}
    for output in study.arms[0].outputs if study.arms else ():
        drawn[f"roc_{output}"] = draw_roc(tuple(arm for arm in study.arms if output in arm.outputs), output)
    if len(study.arms) > 1:
        drawn["folds"] = draw_folds(study.arms)
    drawn |= {f"confusions_{arm.name}": draw_confusions(arm) for arm in study.arms if arm.one_of_k}
    for weighed in study.interpretations:
        for output in (name for name in weighed.outputs if nodes_may_be_named(study, weighed, name)):
            drawn[f"top_nodes_{weighed.arm}_{output}"] = draw_top_nodes(weighed, output, most)
    if layout is not None:
        drawn["network"] = draw_network_on_paper(layout)
    return drawn


def as_files(figures: Mapping[str, Canvas]) -> dict[str, bytes]:
    """Each figure as PDF, SVG and PNG: content by file name; the same figure gives the same bytes."""
    files = {}
    for name, canvas in figures.items():
        for kind in FORMATS:
            content = io.BytesIO()
            undated = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(kind, {})
            with context(_STYLE):
                canvas.savefig(content, format=kind, dpi=200, metadata=undated)
            files[f"{file_name(name)}.{kind}"] = content.getvalue()
    return files


def file_name(name: str) -> str:
    """A name that every file system takes; two names that differ stay different."""
    legal = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in name)
    return legal if legal == name else f"{legal}_{hashlib.sha256(name.encode()).hexdigest()[:6]}"


@context(_STYLE)
def draw_roc(arms: tuple[ArmTables, ...], output: str) -> Canvas:
    """Mean ROC curve of each arm over folds, with a band of one standard deviation."""
    canvas, axes = _new(3.5, 3.3)
    axes.plot([0, 1], [0, 1], ":", color=MUTED, lw=1, label="guessing")
    for position, arm in enumerate(arms):
        look, band = look_of(arm.name, position), roc_band(arm, output)
        axes.fill_between(band["x"], band["lower"], band["upper"], color=look.colour, alpha=0.18, lw=0)
        mean = arm.scores().mean
        label = f"{arm.name}, ROC-AUC {mean:.3f}" if len(arm.outputs) == 1 else arm.name
        axes.plot(band["x"], band["mean"], linestyle=_DASHES[look.dash], color=look.colour, lw=1.6, label=label)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02), aspect="equal")
    axes.set(xlabel="false positive rate", ylabel="true positive rate", title=_plain(output))
    axes.legend(loc="lower right")
    return canvas


@context(_STYLE)
def draw_roc_of_outputs(arm: ArmTables) -> Canvas:
    """Mean ROC curve of each of an arm's outputs over folds; the legend names those that are predicted worst."""
    canvas, axes = _new(3.9, 3.6)
    axes.plot([0, 1], [0, 1], ":", color=MUTED, lw=1, label="guessing")
    means = arm.fold_metrics[[f"roc_auc_{output}" for output in arm.outputs]].mean()
    named = set(np.argsort(means.to_numpy(), kind="stable")[:_NAMED].tolist())
    dashes = list(_DASHES.values())
    for position, (output, mean) in enumerate(zip(arm.outputs, means, strict=True)):
        band, turn = roc_band(arm, output), position // len(_OF_OUTPUTS)
        colour, dash = _OF_OUTPUTS[position % len(_OF_OUTPUTS)], dashes[turn % len(dashes)]
        label = f"{_plain(output)} {mean:.3f}" if position in named else None
        axes.plot(band["x"], band["mean"], lw=1.4, label=label, color=colour, linestyle=dash)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02), aspect="equal")
    title = f"{arm.name}: mean ROC-AUC {arm.scores().mean:.3f}"
    axes.set(xlabel="false positive rate", ylabel="true positive rate", title=_plain(title))
    axes.legend(loc="lower right")
    return canvas


@context(_STYLE)
def draw_folds(arms: tuple[ArmTables, ...]) -> Canvas:
    """ROC-AUC of every fold, the same fold joined across the arms."""
    canvas, axes = _new(1.0 + 0.9 * len(arms), 3.0)
    by_fold = pd.DataFrame({arm.name: arm.roc_auc_by_fold for arm in arms})
    for values in by_fold.to_numpy():
        axes.plot(range(len(arms)), values, color=LINE, lw=1, zorder=1)
    for position, arm in enumerate(arms):
        look, values = look_of(arm.name, position), by_fold[arm.name].dropna()
        axes.scatter(np.full(len(values), position), values, s=26, color=look.colour, marker=_MARKERS[look.marker])
    axes.set_xticks(range(len(arms)), [_plain(arm.name) for arm in arms])
    axes.set(xlim=(-0.5, len(arms) - 0.5), ylabel="ROC-AUC of a fold")
    return canvas


@context(_STYLE)
def draw_confusions(arm: ArmTables) -> Canvas:
    """Shares of each class's held-out cells by what they are called, with the number of cells of the class."""
    matrix = confusion_matrix(arm.predictions)
    shares, names = shares_of(matrix), [_plain(str(name)) for name in matrix.index]
    size = 1.6 + 0.45 * len(names)
    canvas, axes = _new(size + 0.6, size)
    axes.imshow(shares, vmin=0, vmax=1, cmap=LinearSegmentedColormap.from_list("share", [PAPER, TINT, BLUE]))
    for row, column in np.argwhere(np.isfinite(shares)):
        colour = PAPER if shares[row, column] > 0.55 else INK
        axes.text(column, row, f"{shares[row, column]:.2f}", ha="center", va="center", color=colour, fontsize=7)
    cells = matrix.sum(axis=1)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), [f"{name} ({n:,})" for name, n in zip(names, cells, strict=True)])
    axes.set(xlabel="called", ylabel="class (cells)", title=_plain(arm.name))
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return canvas


@context(_STYLE)
def draw_top_nodes(weighed: Interpretation, output: str, most: int) -> Canvas:
    """The heaviest nodes: ticks are folds, marks their mean, filled where a node is called."""
    top = heaviest(weighed, output, most).iloc[::-1]
    canvas, axes = _new(4.2, 0.8 + 0.19 * len(top))
    look = look_of(weighed.arm)
    place = {node: number for number, node in enumerate(top["node"])}
    folds = weighed.per_fold[(weighed.per_fold["output"] == output) & weighed.per_fold["node"].isin(list(place))]
    axes.scatter(folds["gradient"].abs(), folds["node"].map(place), marker="|", s=36, lw=0.8, color=look.colour)
    for called, face, words in ((True, look.colour, "called"), (False, "white", "not called")):
        rows = top[top["called"] == called]
        if len(rows):
            at = rows["node"].map(place)
            axes.scatter(
                rows["weight"], at, marker="D", s=26, color=face, edgecolors=look.colour, label=words, zorder=3
            )
    axes.set_yticks(range(len(place)), [_plain(node) for node in place])
    axes.set(xlabel="change of probability per unit of activation", title=f"{_plain(weighed.arm)}: {_plain(output)}")
    axes.set_xlim(left=0)
    axes.legend(loc="lower right")
    return canvas


@context(_STYLE)
def draw_network_on_paper(layout: NetworkLayout) -> Canvas:
    """The selected DAG by levels: outputs left, the heavier the darker, called nodes ringed."""
    nodes, rows = layout.nodes[layout.nodes["kept"]], layout.rows(kept_only=True)
    width, height = layout.width / _PIXELS + 0.3, max(1.6, 0.19 * (rows + 2) + 0.3)
    canvas = Canvas(figsize=(width, height))
    axes = canvas.add_axes((0, 0, 1, 1))
    for across, down in zip(*layout.curves(layout.edges[layout.edges["kept"]]), strict=True):
        axes.plot(across, down, color=LINE, lw=0.7, zorder=1)
    heaviest_hidden = nodes.loc[~nodes["is_output"], "weight"].max()
    shades = LinearSegmentedColormap.from_list("weight", [TINT, BLUE])
    for marker, part in (("s", nodes[nodes["is_output"]]), ("o", nodes[~nodes["is_output"]])):
        weight = (part["weight"] / heaviest_hidden).fillna(0.0).mask(part["is_output"], 1.0)
        rings = [VERMILLION if called else BLUE for called in part["called"]]
        widths = [1.8 if called else 0.7 for called in part["called"]]
        sizes = 26 + 1.5 * part["n_genes"].clip(upper=60)
        faces = shades(weight.to_numpy(dtype=float))
        axes.scatter(
            part["x"], part["row"], s=sizes, c=faces, marker=marker, edgecolors=rings, linewidths=widths, zorder=2
        )
    for node in nodes.itertuples():
        at = (node.x, node.row)
        axes.annotate(_plain(node.node), at, (6, 0), textcoords="offset points", va="center", fontsize=7.5)
    axes.set(xlim=(-20, layout.width), ylim=(rows + 1, -1))
    axes.axis("off")
    return canvas


def _new(width: float, height: float) -> tuple[Canvas, Axes]:
    canvas = Canvas(figsize=(width, height), layout="constrained")
    return canvas, canvas.add_subplot()


def _plain(name: str) -> str:
    """A user's name for matplotlib, which reads mathematics between dollar signs."""
    return name.replace("$", r"\$")
