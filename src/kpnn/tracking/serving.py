"""What a logged model needs to take raw counts by gene name, in any environment."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import AnyType

from kpnn import __version__
from kpnn.cells import DEPTH, Transform

PREPARATION = "preparation"
"""Artifact of a model beside its networks: what is done to counts before they are read."""


@dataclass(frozen=True, eq=False)
class Served:
    """How an arm's models are served.

    Attributes:
        genes: names of the genes that they read.
        outputs: names of the outputs that they predict.
        transform: what was done to the training cells' counts.
        example: a few cells' counts, one column per gene and, where it is known, `total_counts`; None: there are none.

    Examples:
        >>> served = Served(["CD69", "IL2"], ["TCR"], Transform(library_size=1e4))
        >>> served.signature.inputs.input_names(), served.signature.outputs.input_names()
        (['CD69', 'IL2', 'total_counts'], ['TCR'])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     print(served.write_preparation(Path(folder)).read_text())
        {"transform": {"library_size": 10000.0, "log1p": true}}
    """

    genes: Sequence[str]
    outputs: Sequence[str]
    transform: Transform
    example: pd.DataFrame | None = None

    @property
    def signature(self) -> ModelSignature:
        """Columns, none of which must be there for MLflow: the model itself says what is missing, and of what.

        Of any type, as MLflow takes no whole numbers of 64 bits for `double`, and counts are whole numbers.
        """
        names = [*self.genes, *([] if DEPTH in self.genes else [DEPTH])]
        columns: list[ColSpec | TensorSpec] = [ColSpec(AnyType(), name, required=False) for name in names]
        parameters = [ParamSpec("missing_genes", "string", "error"), ParamSpec("transformed", "boolean", False)]
        return ModelSignature(
            Schema(columns), Schema([ColSpec("double", name) for name in self.outputs]), ParamSchema(parameters)
        )

    def write_preparation(self, folder: Path) -> Path:
        """Writes what `served_model` reads; returns the file.

        Args:
            folder: where to.
        """
        path = folder / f"{PREPARATION}.json"
        path.write_text(json.dumps({"transform": self.transform.as_dict()}), encoding="utf-8")
        return path


@contextmanager
def library(*, travels: bool) -> Iterator[dict[str, Any]]:
    """The library and what it needs, as `mlflow.pyfunc.log_model` takes them.

    Args:
        travels: the sources go with the model, so that a server needs no kpnn on a package index, and a later version
            of it does not change what the model says; else this version is named.

    Yields:
        `pip_requirements`, and `code_paths` where they travel.
    """
    if not travels:
        yield {"pip_requirements": [f"kpnn=={__version__}"]}
        return
    package = Path(__file__).parents[1]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / package.name
        shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__", "*.nbi", "*.nbc"))
        yield {"code_paths": [str(copy)], "pip_requirements": _requirements()}


def _requirements() -> list[str]:
    """What the library needs, without its extras."""
    try:
        stated = requires("kpnn") or []
    except PackageNotFoundError:  # run from its sources
        return [f"kpnn=={__version__}"]
    return [one for one in stated if "extra ==" not in one]
