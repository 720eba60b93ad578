"""Examples in docstrings and on pages show what really comes out."""

from __future__ import annotations

import doctest
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

MODULES = (
    "kpnn.errors",
    "kpnn.pkn.edge_table",
    "kpnn.pkn.input_nodes",
    "kpnn.pkn.network",
    "kpnn.pkn.dag",
    "kpnn.pkn.conversion",
    "kpnn.pkn.full_dag",
    "kpnn.pkn.lanes",
    "kpnn.pkn.largest_dag.search",
    "kpnn.pkn.output_inputs",
    "kpnn.pkn.rewiring",
    "kpnn.pkn.selection.dag_selection",
    "kpnn.pkn.selection.settings",
    "kpnn.pkn.selection.near_optimal.alternatives",
    "kpnn.pkn.selection.near_optimal.random_dags",
    "kpnn.pkn.selection.near_optimal.size_path",
    "kpnn.cells.account",
    "kpnn.cells.batches",
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
    "kpnn.nn.ensemble",
    "kpnn.nn.fit",
    "kpnn.nn.history",
    "kpnn.nn.layer",
    "kpnn.nn.loading",
    "kpnn.nn.normalization",
    "kpnn.nn.prediction",
    "kpnn.nn.settings",
    "kpnn.nn.weights",
    "kpnn.evaluation.comparison",
    "kpnn.evaluation.confusions",
    "kpnn.evaluation.intervals",
    "kpnn.evaluation.metrics",
    "kpnn.evaluation.scores",
    "kpnn.interpretation.arm",
    "kpnn.interpretation.rewired",
    "kpnn.interpretation.settings",
    "kpnn.interpretation.significance",
    "kpnn.interpretation.stability",
    "kpnn.interpretation.summary",
    "kpnn.interpretation.trained_fold",
    "kpnn.interpretation.weights",
    "kpnn.simulation.control",
    "kpnn.simulation.counts",
    "kpnn.simulation.dressing",
    "kpnn.reporting.comparing",
    "kpnn.reporting.report",
    "kpnn.reporting.study",
    "kpnn.simulation.scenarios",
    "kpnn.simulation.tcr_like",
    "kpnn.sklearn",
    "kpnn.training.controls",
    "kpnn.training.cross_validation",
    "kpnn.training.data",
    "kpnn.training.ensemble",
    "kpnn.training.results",
    "kpnn.training.settings",
    "kpnn.tracking.runs",
    "kpnn.tracking.serving",
    "kpnn.tl",
    "kpnn.pl",
)
FOLDS, ARM = "kpnn.interpretation.trained_fold.TrainedFold", "kpnn.interpretation.arm.weigh_arm"
STUDY = ("kpnn.reporting.study.ArmTables", "kpnn.reporting.study.Study")
TRAINED = "kpnn.training.cross_validation.cross_validate"
RUNNING_EXAMPLES = {
    "kpnn.interpretation.arm": (FOLDS, ARM),
    "kpnn.interpretation.rewired": (FOLDS,),
    "kpnn.interpretation.summary": (FOLDS, ARM),
    "kpnn.reporting.comparing": STUDY,
    "kpnn.reporting.report": STUDY,
    "kpnn.reporting.study": STUDY,
    "kpnn.tl": ("kpnn.tl.fit",),
    "kpnn.training.ensemble": (TRAINED,),
    "kpnn.training.results": (TRAINED,),
    "kpnn.tracking.runs": ("kpnn.tracking.runs.ArmTracker",),
}
"""Modules whose examples go on with the names of other examples, in this order."""


def names_left_by(examples: tuple[str, ...]) -> dict[str, Any]:
    """The names that examples define, each going on with those of the ones before."""
    found: dict[str, Any] = {}
    for dotted in examples:
        place, _, owner = dotted.rpartition(".")
        module = importlib.import_module(place)
        names = {**vars(module), **found}
        for example in doctest.DocTestParser().get_examples(getattr(module, owner).__doc__):
            exec(example.source, names)
        found |= {name: value for name, value in names.items() if name not in vars(module)}
    return found


@pytest.fixture
def _own_tracking() -> Iterator[None]:
    """Gives MLflow back to other tests as it was, whatever an example says about where runs are kept."""
    yield
    mlflow = sys.modules.get("mlflow")
    if mlflow is not None:
        while mlflow.active_run():
            mlflow.end_run()
        mlflow.set_tracking_uri(None)


@pytest.mark.usefixtures("_own_tracking")
@pytest.mark.parametrize("name", MODULES)
def test_examples_of_docstrings_hold(name: str) -> None:
    module = importlib.import_module(name)
    result = doctest.testmod(module, extraglobs=names_left_by(RUNNING_EXAMPLES.get(name, ())))
    assert result.attempted > 0
    assert result.failed == 0


def test_the_worked_example_of_five_nodes_holds(root: Path) -> None:
    result = doctest.testfile(str(root / "docs" / "how_it_works.md"), module_relative=False)
    assert result.attempted > 0
    assert result.failed == 0
