"""Nodes of the `data_engineering` pipeline.

Everything that can fail on bad input runs before the last node, the only one whose outputs are kept on disk.
"""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pandas as pd

from kpnn.cells import Expression, Matched, PendingCells, StreamedMatch, check_class_labels, match
from kpnn.cells.folds import FoldSettings, make_folds
from kpnn.errors import CellsError, PknError, SettingsError
from kpnn.files import sha256_of
from kpnn.pipelines.data_engineering.network import state_pkn
from kpnn.pipelines.data_engineering.settings import DataEngineeringSettings
from kpnn.pipelines.validation import validated
from kpnn.pkn import Dag, Pkn, gene_of, shortest_path_dag
from kpnn.pkn.assembly import assemble_edges
from kpnn.simulation import control_inputs

if TYPE_CHECKING:
    from anndata import AnnData

logger = logging.getLogger(__name__)


def check_labels(table: pd.DataFrame, parameters: dict[str, Any], cross_validation: dict[str, Any]) -> pd.DataFrame:
    """Validates the class labels: 0 or 1, each cell once; keeps the outputs asked for and the column of groups."""
    settings = validated(DataEngineeringSettings, parameters, "data_engineering")
    folds = validated(FoldSettings, cross_validation, "cross_validation")
    return check_class_labels(
        table, table.attrs.get("source", "class labels"), group_by=folds.group_by, outputs=settings.outputs
    )


def assemble_network(
    edges: pd.DataFrame | None,
    signalling: pd.DataFrame | None,
    regulon: pd.DataFrame | None,
    parameters: dict[str, Any],
) -> pd.DataFrame:
    """Takes the edge list, or makes one from a signalling table, a regulon and the receptors of each output.

    Which of the two it is says the catalog: `edges`, or `signalling` and `regulon`; the others' filepath is null.
    """
    settings = validated(DataEngineeringSettings, parameters, "data_engineering")
    if edges is not None and signalling is None and regulon is None:
        return edges
    if edges is not None or signalling is None or regulon is None:
        raise PknError(
            "the catalog must give either `edges`, or `signalling` and `regulon`; set the filepath of what is not "
            "used to null"
        )
    files = [str(table.attrs.get("source", "table")) for table in (signalling, regulon)]
    source = " and ".join(files)
    assembled = assemble_edges(signalling, regulon, settings.receptors, suffix=settings.input_suffix, source=source)
    assembled.attrs["source"], assembled.attrs["sources"] = source, files
    return assembled


def state_network(
    edges: pd.DataFrame, labels: pd.DataFrame, parameters: dict[str, Any], cross_validation: dict[str, Any]
) -> Pkn:
    """Says which nodes of the edge list are inputs (leaves with the suffix) and outputs (the label columns)."""
    settings = validated(DataEngineeringSettings, parameters, "data_engineering")
    outputs = _outputs(labels, cross_validation)
    return state_pkn(edges, outputs, suffix=settings.input_suffix, source=edges.attrs.get("source", "edges"))


def match_cells(
    expression: Expression,
    labels: pd.DataFrame,
    stated_pkn: Pkn,
    parameters: dict[str, Any],
    cross_validation: dict[str, Any],
) -> tuple[Matched | StreamedMatch, Pkn]:
    """Brings the labelled cells and the PKN's genes together and prunes the PKN to what is measured."""
    settings = validated(DataEngineeringSettings, parameters, "data_engineering")
    node_of = {gene_of(node, settings.input_suffix): node for node in stated_pkn.inputs}
    matched = match(
        expression,
        labels[["barcode", *_outputs(labels, cross_validation)]],
        node_of,
        join=settings.repeated_genes,
        limits=settings.limits,
        in_memory_cells=settings.in_memory_cells,
    )
    pkn = stated_pkn.pruned(node_of[gene] for gene in matched.genes)
    genes = list(pkn.genes(settings.input_suffix))
    return matched.restricted_to(genes, "genes that reach an output"), pkn


def find_full_dag(pkn: Pkn) -> Dag:
    """All of the PKN where it has no cycle, else the edges on shortest paths from the outputs."""
    return shortest_path_dag(pkn)


def split_cells(
    labels: pd.DataFrame, matched: Matched | StreamedMatch, cross_validation: dict[str, Any]
) -> pd.DataFrame:
    """Assigns every matched cell to one outer fold per repeat."""
    settings = validated(FoldSettings, cross_validation, "cross_validation")
    groups = None
    if settings.group_by is not None:
        if settings.group_by not in labels:
            raise CellsError(f"cross_validation.group_by: the class labels have no column {settings.group_by}")
        groups = labels.set_index("barcode")[settings.group_by]
    return make_folds(matched.labels, settings, groups)


def finish(
    expression: Expression,
    class_labels: pd.DataFrame,
    edges: pd.DataFrame,
    stated_pkn: Pkn,
    labels: pd.DataFrame,
    matched: Matched | StreamedMatch,
    pkn: Pkn,
    full_dag: Dag,
    folds: pd.DataFrame,
    parameters: dict[str, Any],
    cross_validation: dict[str, Any],
) -> tuple[AnnData | PendingCells, Pkn, Dag, pd.DataFrame, dict[str, Any]]:
    """Hands over what later pipelines use, with a summary that a person reads."""
    settings = validated(DataEngineeringSettings, parameters, "data_engineering")
    group_by = cross_validation.get("group_by")
    groups = None if group_by is None else labels.set_index("barcode")[[group_by]]
    cells = matched.to_anndata(settings.transform, pkn.inputs, groups)
    if settings.control_inputs:
        cells = _with_control_inputs(cells, settings)
    for step in matched.steps:
        logger.info("%s: %s cells, %s genes", step.name, f"{step.cells:,}", f"{step.genes:,}")
    network_files = edges.attrs.get("sources", [edges.attrs.get("source")])
    sources = [expression.source, class_labels.attrs.get("source"), *network_files]
    summary = {
        "steps": [asdict(step) | {"examples": list(step.examples)} for step in matched.steps],
        "network": _network_account(stated_pkn, pkn, full_dag),
        "classes": {name: int(matched.labels[name].sum()) for name in matched.labels},
        "transform": settings.transform.as_dict(),
        "control_inputs": settings.control_inputs,
        "files": {source: sha256_of(source) for source in sources if source},
    }
    return cells, pkn, full_dag, folds, summary


def _with_control_inputs(cells: AnnData | PendingCells, settings: DataEngineeringSettings) -> AnnData:
    if isinstance(cells, PendingCells):
        raise SettingsError("data_engineering.control_inputs needs the cells in memory; set in_memory_cells higher")
    return control_inputs(cells, cells.obs.columns[0], settings.control_seed)


def _network_account(stated: Pkn, pkn: Pkn, full_dag: Dag) -> list[dict[str, Any]]:
    return [
        {"name": name, "nodes": len(net.nodes), "edges": len(net.edges), "inputs": len(net.inputs)}
        for name, net in (("edge list", stated), ("pruned to measured genes", pkn), ("full DAG", full_dag))
    ]


def _outputs(labels: pd.DataFrame, cross_validation: dict[str, Any]) -> list[str]:
    return [name for name in labels.columns if name not in ("barcode", cross_validation.get("group_by"))]
