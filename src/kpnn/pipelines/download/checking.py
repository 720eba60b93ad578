"""Whether a fetched file holds what the study says it holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kpnn.cells import open_expression, read_class_labels
from kpnn.errors import KpnnError, PknError, some_names
from kpnn.pipelines.download.fetching import DownloadError
from kpnn.pipelines.download.settings import RemoteFile
from kpnn.pkn.graph import leaves_of, roots_of
from kpnn.text_tables import read_string_table


def check_content(path: Path, name: str, file: RemoteFile) -> dict[str, Any]:
    """Reads a file as what it should be and compares it with what is expected of it.

    Args:
        path: the fetched file, under whatever name.
        name: the file's name.
        file: what it should be.

    Returns:
        What was found, by the names of `Expectation`.

    Raises:
        DownloadError: it is another kind of file, or holds something else.
    """
    try:
        found = {"edges": _edges, "class_labels": _class_labels, "expression": _expression}[file.kind](path, name)
    except DownloadError:
        raise
    except KpnnError as error:
        raise DownloadError(f"{name}: is not what it should be: {str(error).replace(str(path), name)}") from error
    expected = {key: value for key, value in file.expect.model_dump().items() if value is not None}
    wrong = [f"{key} {found.get(key)!r} instead of {value!r}" for key, value in expected.items() if found[key] != value]
    if wrong:
        raise DownloadError(f"{name}: does not hold what the study says: {some_names(wrong)}")
    return found


def _edges(path: Path, _: str) -> dict[str, Any]:
    table = read_string_table(path, PknError, needs=["parent", "child"])
    return {
        "edges": len(table),
        "nodes": len({*table["parent"], *table["child"]}),
        "inputs": len(leaves_of(table)),
        "outputs": tuple(roots_of(table)),
    }


def _class_labels(path: Path, _: str) -> dict[str, Any]:
    labels = read_class_labels(path)
    return {"cells": len(labels), "positives": {name: int(labels[name].sum()) for name in labels.columns[1:]}}


def _expression(path: Path, name: str) -> dict[str, Any]:
    if name.endswith(".h5"):
        expression = open_expression(path, format="tenx_h5")
    else:
        expression = open_expression(path, format="table", orientation="genes_by_cells")
    return {"cells": expression.n_cells, "genes": len(expression.genes)}
