"""What `kpnn check` says, in lines of at most 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

from kpnn.app.check.dry_run import DryRun
from kpnn.app.check.estimate import estimate_work
from kpnn.cells.folds import FoldSettings
from kpnn.errors import some_names
from kpnn.interpretation import InterpretationSettings
from kpnn.pipelines.dag_pruning.settings import DagSelectionSettings
from kpnn.pkn.coverage import Coverage
from kpnn.settings_base import of_kind
from kpnn.training.controls import ControlSettings
from kpnn.training.settings import EvaluationSettings

WIDTH = 80
"""Columns of the terminal."""
_LABEL = 12
"""Columns of what stands before a text."""
_NO_CONTROLS = ("dense_hidden", "search", "seed")
"""Settings of controls that are not controls."""


def summary_lines(run: DryRun) -> list[str]:
    """Cells, genes, network, what a run will do and about how long it takes, warnings.

    Args:
        run: data engineering in memory.
    """
    return [
        f"Study {run.study}",
        *_section("Cells and genes", _cells(run.summary)),
        *_section("Network", _network(run.summary, run.pkn.outputs)),
        *_section("What a run does", _work(run)),
        *_section("Warnings", (line for text in _joined(run.warnings) for line in wrapped(text, "- "))),
    ]


def _joined(warnings: Iterable[str]) -> list[str]:
    """Warnings that differ in their first part only are one."""
    starts: dict[str, list[str]] = {}
    for text in warnings:
        start, _, rest = text.rpartition(": ")
        starts.setdefault(rest, []).append(start)
    return [": ".join(filter(None, ["; ".join(dict.fromkeys(of)), rest])) for rest, of in starts.items()]


def _section(title: str, lines: Iterable[str]) -> list[str]:
    told = list(lines)
    return ["", title, *told] if told else []


def _cells(summary: dict[str, Any]) -> Iterator[str]:
    yield f"  {'':<44}{'cells':>10}{'genes':>10}{'dropped':>11}"
    for step in summary["steps"]:
        dropped = f"{step['dropped']:,}" if step["dropped"] else ""
        for line in textwrap.wrap(step["name"], 42)[:-1]:
            yield f"  {line}"
        name = textwrap.wrap(step["name"], 42)[-1]
        yield f"  {name:<44}{step['cells']:>10,}{step['genes']:>10,}{dropped:>11}".rstrip()
        if step["examples"]:
            yield from wrapped(f"dropped: such as {', '.join(step['examples'][:3])}", "    ")
    labels = summary["labels"]
    sizes = labels["sizes"] or summary["classes"]
    yield from _said("classes", ", ".join(f"{name} {count:,}" for name, count in sizes.items()))
    yield from _said("", "each cell is of exactly one of them" if labels["one_of_k"] else labels["rule"])
    yield from _said("values", _transform(summary["transform"]))


def _transform(transform: dict[str, Any]) -> str:
    size = transform["library_size"]
    scaled = f"scaled to {size:,.0f} a cell" if size else "taken as they are, not scaled"
    return f"{scaled}; then ln(1 + value)" if transform["log1p"] else scaled


def _network(summary: dict[str, Any], outputs: tuple[str, ...]) -> Iterator[str]:
    yield f"  {'':<44}{'nodes':>10}{'edges':>10}{'inputs':>11}"
    for one in summary["network"]:
        yield f"  {one['name']:<44}{one['nodes']:>10,}{one['edges']:>10,}{one['inputs']:>11,}"
    below = summary["genes_per_output"]["full DAG"]
    if len(outputs) > 1 and len({below[output] for output in outputs}) == 1:
        yield from _said("outputs", f"{len(outputs)}, each above {below[outputs[0]]:,} genes")
    else:
        yield from _said("outputs", ", ".join(f"{output} above {below[output]:,} genes" for output in outputs))
    yield from _said("coverage", str(Coverage(**summary["coverage"])))


def _work(run: DryRun) -> Iterator[str]:
    folds, modelling = of_kind(run.settings, FoldSettings), of_kind(run.settings, EvaluationSettings)
    controls, weights = of_kind(run.settings, ControlSettings), of_kind(run.settings, InterpretationSettings)
    selection = of_kind(run.settings, DagSelectionSettings)
    n_folds = len(run.folds[["repeat", "fold"]].drop_duplicates())
    n_cells = run.folds["barcode"].nunique()
    together = f", cells of one {folds.group_by} together" if folds.group_by else ""
    repeats = f" ({folds.n_repeats} repeats)" if folds.n_repeats > 1 else ""
    lanes = selection.lanes_for(len(run.pkn.outputs), one_of_k=bool(run.summary["labels"]["one_of_k"]))
    paths = f", and paths for {lanes} lanes" if lanes > 1 else ""
    yield from _said("DAG", f"the smallest one, by {selection.solver}, in at most {selection.time_limit:g} s{paths}")
    yield from _said("folds", f"{n_folds}{repeats}{together}")
    yield from _said(
        "arms",
        f"full and pruned: {modelling.tuning.n_trials} trials in each fold, whose model is the mean of "
        f"{modelling.fit.ensemble} networks",
    )
    yield from _said("controls", some_names(_controls(controls), 12) or "none")
    further = f"{weights.replicates} further networks, " if weights.replicates else ""
    rewired = f"; `full` on {weights.rewired_full} rewired PKNs" if weights.rewired_full else ""
    yield from _said(
        "weights",
        f"in each fold {further}{weights.permuted_labels} network with permuted labels and {weights.control_inputs} on "
        f"control inputs; once {weights.seeds} further starts and up to {weights.alternative_dags} other optimal DAGs"
        f"{rewired}",
    )
    size = {"n_edges": len(run.full_dag.edges), "n_outputs": len(run.pkn.outputs)}
    work = estimate_work(run.settings, n_cells=n_cells, n_folds=n_folds, **size)
    cores = "one free core" if work.cores == 1 else f"{work.cores} free cores"
    yield from _said(
        "in all",
        f"about {work.networks:,} networks; estimated time {work.spoken} on {cores}, longer where other programs run",
    )


def _controls(controls: ControlSettings) -> Iterator[str]:
    for name, value in controls:
        if value and name not in _NO_CONTROLS:
            yield name.replace("_", " ") if value is True else f"{value} {name.replace('_', ' ')}"


def _said(label: str, text: str) -> list[str]:
    return wrapped(text, f"{label:<{_LABEL}}")


def wrapped(text: str, label: str) -> list[str]:
    """A text in lines of the terminal's width, the first after a label and the others below it.

    Args:
        text: what is said.
        label: what stands before it.
    """
    first = f"  {label}"
    return textwrap.wrap(
        text,
        WIDTH - 1,
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_on_hyphens=False,
        break_long_words=False,
    )
