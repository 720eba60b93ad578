"""What `data_engineering` does with three files, without a project around it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from kpnn.cells import Matched, Transform, check_class_labels, match, open_expression
from kpnn.errors import CellsError
from kpnn.pipelines.data_engineering.network import state_pkn
from kpnn.pkn import Pkn
from kpnn.pkn.assembly import assemble_edges
from kpnn.pkn.readers import read_edges
from kpnn.text_tables import read_string_table


def options_of(catalog: dict[str, Any], entry: str) -> tuple[str | None, dict[str, Any]]:
    """The path of a catalog entry and its other options."""
    options = dict(catalog.get(entry) or {})
    options.pop("type", None)
    return options.pop("filepath", None), options


def engineered(
    folder: Path, *, outputs: list[str] | None = None, group_by: str | None = None, transform: Transform | None = None
) -> tuple[Matched, Pkn]:
    """Reads a case's files as its catalog says, and brings them together."""
    catalog = yaml.safe_load((folder / "conf" / "catalog.yml").read_text().replace("CASE", str(folder)))
    parameters = {}
    if (folder / "conf" / "parameters.yml").is_file():
        parameters = yaml.safe_load((folder / "conf" / "parameters.yml").read_text())
    tables = {}
    for entry in ("edges", "signalling", "regulon"):
        path, options = options_of(catalog, entry)
        tables[entry] = None if path is None else read_edges(path, **options)
    edges = tables["edges"]
    if edges is None:
        receptors = parameters["data_engineering"]["receptors"]
        edges = assemble_edges(tables["signalling"], tables["regulon"], receptors)
    path, _ = options_of(catalog, "class_labels")
    labels = check_class_labels(
        read_string_table(path, CellsError, needs=["barcode"]), str(path), outputs=outputs, group_by=group_by
    ).drop(columns=[group_by] if group_by else [])
    pkn = state_pkn(edges, list(labels.columns[1:]), suffix="_gene", source="edges")
    path, options = options_of(catalog, "raw_expression")
    matched = match(open_expression(path, **options), labels, [name.removesuffix("_gene") for name in pkn.inputs])
    matched.to_anndata(transform or Transform(), [f"{gene}_gene" for gene in matched.genes])
    return matched, pkn


def signs_by_pair(edges: pd.DataFrame) -> dict[tuple[str, str], int]:
    """The signs of an edge table, by parent and child."""
    return {(row.parent, row.child): int(row.sign) for row in edges.itertuples()}
