"""Examples in docstrings and on pages show what really comes out."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

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
    "kpnn.cells.folds",
    "kpnn.nn.build",
    "kpnn.nn.weights",
    "kpnn.evaluation.comparison",
    "kpnn.interpretation.stability",
    "kpnn.interpretation.weights",
    "kpnn.simulation.scenarios",
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_docstrings_hold(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0
    assert result.failed == 0


def test_the_worked_example_of_five_nodes_holds(root: Path) -> None:
    result = doctest.testfile(str(root / "docs" / "how_it_works.md"), module_relative=False)
    assert result.attempted > 0
    assert result.failed == 0
