"""Examples in docstrings and on pages show what really comes out."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

MODULES = (
    "kpnn.errors",
    "kpnn.pkn.input_nodes",
    "kpnn.pkn.network",
    "kpnn.pkn.dag",
    "kpnn.pkn.conversion",
    "kpnn.pkn.full_dag",
    "kpnn.pkn.rewiring",
    "kpnn.pkn.selection.dag_selection",
    "kpnn.pkn.selection.near_optimal.alternatives",
    "kpnn.pkn.selection.near_optimal.random_dags",
    "kpnn.pkn.selection.near_optimal.size_path",
    "kpnn.cells.account",
    "kpnn.cells.classes",
    "kpnn.cells.depth",
    "kpnn.cells.described",
    "kpnn.cells.expression",
    "kpnn.cells.folds",
    "kpnn.cells.formats",
    "kpnn.cells.formats.in_memory",
    "kpnn.cells.labelling",
    "kpnn.cells.labels",
    "kpnn.cells.matched",
    "kpnn.cells.matching",
    "kpnn.cells.store",
    "kpnn.cells.transforms",
    "kpnn.nn.build",
    "kpnn.nn.fit",
    "kpnn.nn.prediction",
    "kpnn.nn.weights",
    "kpnn.evaluation.comparison",
    "kpnn.interpretation.stability",
    "kpnn.interpretation.weights",
    "kpnn.simulation.scenarios",
    "kpnn.sklearn",
    "kpnn.tl",
    "kpnn.pl",
)
RUNNING_EXAMPLE = {"kpnn.tl": "fit"}
"""Modules whose examples go on with the names of one function's example."""


def names_left_by(module: ModuleType, function: str) -> dict[str, Any]:
    """The names that an example defines."""
    names = dict(vars(module))
    for example in doctest.DocTestParser().get_examples(getattr(module, function).__doc__):
        exec(example.source, names)
    return names


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_docstrings_hold(name: str) -> None:
    module = importlib.import_module(name)
    more = names_left_by(module, RUNNING_EXAMPLE[name]) if name in RUNNING_EXAMPLE else {}
    result = doctest.testmod(module, extraglobs=more)
    assert result.attempted > 0
    assert result.failed == 0


def test_the_worked_example_of_five_nodes_holds(root: Path) -> None:
    result = doctest.testfile(str(root / "docs" / "how_it_works.md"), module_relative=False)
    assert result.attempted > 0
    assert result.failed == 0
