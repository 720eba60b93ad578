"""The reference of the library: a page per room, and all errors with what they say."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from plain_text import escaped

ROOMS = (
    *("pkn", "cells", "nn", "evaluation", "training", "interpretation", "simulation", "reporting"),
    *("tracking", "datasets", "sklearn", "tl", "pl"),
)
"""The library's packages, in the order in which a study goes through them, and its faces for others' conventions."""

NAMES_OF_TRAINING = (
    "kpnn.cells.folds.FoldSettings",
    "kpnn.cells.folds.make_folds",
    "kpnn.training.data.LabelledCells",
    "kpnn.training.settings.EvaluationSettings",
    "kpnn.training.settings.Hyperparameters",
    "kpnn.training.settings.TuningSettings",
    "kpnn.training.controls.ControlSettings",
    "kpnn.training.controls.Arm",
    "kpnn.training.controls.control_arms",
    "kpnn.training.cross_validation.cross_validate",
    "kpnn.training.results.FoldStore",
    "kpnn.training.results.FoldResult",
    "kpnn.training.results.ArmResult",
    "kpnn.training.ensemble.predict_ensemble",
)
"""`kpnn.training` has no `__all__`: what a notebook needs of it."""

NAMES_OF_DATASETS = (
    "kpnn.datasets.raw.ExpressionDataset",
    "kpnn.datasets.raw.ScanpyDataset",
    "kpnn.datasets.raw.ClassLabelsDataset",
    "kpnn.datasets.raw.EdgeListDataset",
    "kpnn.datasets.cells.MatchedCellsDataset",
    "kpnn.datasets.cells.AnnDataDataset",
    "kpnn.datasets.networks.PknDataset",
    "kpnn.datasets.networks.DagDataset",
    "kpnn.datasets.fold_store.FoldStoreDataset",
    "kpnn.datasets.tables.TableDataset",
    "kpnn.datasets.documents.JSONDataset",
    "kpnn.datasets.documents.PlotlyDataset",
    "kpnn.datasets.documents.TextDataset",
    "kpnn.datasets.files.FilesDataset",
    "kpnn.datasets.base.FileDataset",
)
"""What `type` may say in a catalog, and what all of them share."""

LISTED = {"training": NAMES_OF_TRAINING, "datasets": NAMES_OF_DATASETS}
"""Rooms without `__all__`."""

_OF_A_FILE = ("source", "path", "filepath", "folder", "matrix", "place")
"""What sources call the file or table that a message speaks of."""
_FILE, _ELSE = "FILE", "…"


@dataclass(frozen=True)
class ErrorMessage:
    """One `raise` in the sources.

    Attributes:
        error: class of the error.
        room: package that raises it.
        message: what it says; `FILE` for the file or table that it speaks of, `…` where something else is filled in.
    """

    error: str
    room: str
    message: str


def public_names(room: str) -> list[str]:
    """The dotted names that a room's page describes.

    Args:
        room: one of `ROOMS`.
    """
    if room in LISTED:
        return list(LISTED[room])
    return [f"kpnn.{room}.{name}" for name in importlib.import_module(f"kpnn.{room}").__all__]


def api_page(room: str) -> str:
    """A room's page, as Markdown that mkdocstrings fills in.

    Args:
        room: one of `ROOMS`.
    """
    lines = [f"# kpnn.{room}", "", f"{(importlib.import_module(f'kpnn.{room}').__doc__ or '').strip()}", ""]
    for name in public_names(room):
        lines += [f"::: {name}", ""]
    return "\n".join(lines)


def errors_page(source: Path) -> str:
    """The page of errors, as Markdown.

    Args:
        source: the folder `src/kpnn`.
    """
    lines = [
        "# Errors",
        "",
        "Whatever a user can cause and mend is a `KpnnError`: one message that says what was found, where, and what "
        "to do. On the command line it stands alone, without a traceback (`kedro run` ends with code 1; with 2 where a "
        "parameter or an option is wrong). Search this page for a part of the message that you see; `FILE` stands for "
        "the file or table that is read, `…` for names and numbers.",
        "",
    ]
    messages = list(error_messages(source))
    for name, text in _error_classes(source):
        of_class = [one for one in messages if one.error == name]
        lines += [f"## {name}", "", text, ""]
        for room in dict.fromkeys(one.room for one in of_class):
            lines += [f"**{room}**", ""]
            lines += [f"- {escaped(one.message)}" for one in of_class if one.room == room]
            lines.append("")
    return "\n".join(lines)


def error_messages(source: Path) -> Iterator[ErrorMessage]:
    """Every message that is raised directly, once each, in the order of rooms and files.

    Args:
        source: the folder `src/kpnn`.
    """
    known = {name for name, _ in _error_classes(source)}
    seen = set()
    for path in sorted(source.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args):
                continue
            name = node.exc.func.id if isinstance(node.exc.func, ast.Name) else ""
            message = _words(node.exc.args[0])
            if name in known and _says_something(message) and (name, message) not in seen:
                seen.add((name, message))
                yield ErrorMessage(name, ".".join(("kpnn", *path.relative_to(source).parts[:-1])), message)


def _error_classes(source: Path) -> list[tuple[str, str]]:
    tree = ast.parse((source / "errors.py").read_text(encoding="utf-8"))
    return [(node.name, ast.get_docstring(node) or "") for node in tree.body if isinstance(node, ast.ClassDef)]


def _says_something(message: str) -> bool:
    """Whether anything is left of a message without what is filled in, and where."""
    return any(letter.isalpha() for letter in message.replace(_FILE, "").replace("line", ""))


def _words(node: ast.expr) -> str:
    """The text of a literal, with `FILE` and `…` for what is filled in."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(map(_words, node.values))
    if isinstance(node, ast.FormattedValue):
        filled = node.value.id if isinstance(node.value, ast.Name) else getattr(node.value, "attr", "")
        return _FILE if filled.removeprefix("_") in _OF_A_FILE else _ELSE
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _words(node.left) + _words(node.right)
    return _ELSE
