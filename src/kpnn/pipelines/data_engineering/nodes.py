"""Nodes of the `data_engineering` pipeline.

Everything that can fail on bad input runs before `finish`, so that nothing is written unless all of it is right.
"""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pandas as pd

from kpnn.cells import Expression, StreamedMatch, check_class_labels, depth_by_class, match, warn_of_depth
from kpnn.cells.folds import FoldSettings, make_folds
from kpnn.errors import CellsError, SettingsError
from kpnn.files import sha256_of
from kpnn.pipelines.data_engineering.knowledge import joined_knowledge
from kpnn.pipelines.data_engineering.network import state_pkn
from kpnn.pipelines.data_engineering.parts import CheckedLabels, MatchedStudy, PreparedStudy, StatedNetwork
from kpnn.pipelines.data_engineering.settings import DataEngineeringSettings
from kpnn.pkn import Dag, Pkn, gene_of, shortest_path_dag
from kpnn.simulation import control_inputs

if TYPE_CHECKING:
    from anndata import AnnData

    from kpnn.cells import PendingCells

logger = logging.getLogger(__name__)


def check_labels(
    table: pd.DataFrame, settings: DataEngineeringSettings, cross_validation: FoldSettings
) -> CheckedLabels:
    """Validates the class labels: 0 or 1, each cell once; keeps the outputs asked for and the column of groups."""
    source, group_by = table.attrs.get("source", "class labels"), cross_validation.group_by
    checked = check_class_labels(table, source, group_by=group_by, outputs=settings.outputs)
    if group_by is None:
        return CheckedLabels(checked, None, source)
    if group_by not in checked:
        raise CellsError(f"cross_validation.group_by: the class labels have no column {group_by}")
    return CheckedLabels(checked.drop(columns=group_by), checked.set_index("barcode")[[group_by]], source)


def assemble_network(
    edges: pd.DataFrame | None,
    signalling: pd.DataFrame | None,
    regulon: pd.DataFrame | None,
    settings: DataEngineeringSettings,
) -> pd.DataFrame:
    """Takes the edge list, or makes one from a regulon or sets of genes, signalling and the receptors of each output.

    Which of the two it is says the catalog; the filepath of what is not used is null.
    """
    return joined_knowledge(edges, signalling, regulon, settings)


def state_network(edges: pd.DataFrame, labels: CheckedLabels, settings: DataEngineeringSettings) -> StatedNetwork:
    """Says which nodes of the edge list are inputs (leaves with the suffix) and outputs (the label columns)."""
    source = edges.attrs.get("source", "edges")
    pkn = state_pkn(edges, labels.outputs, suffix=settings.input_suffix, source=source)
    return StatedNetwork(pkn, tuple(edges.attrs.get("sources", [source])))


def match_cells(
    expression: Expression, labels: CheckedLabels, network: StatedNetwork, settings: DataEngineeringSettings
) -> MatchedStudy:
    """Brings the labelled cells and the PKN's genes together and prunes the PKN to what is measured."""
    node_of = {gene_of(node, settings.input_suffix): node for node in network.pkn.inputs}
    matched = match(
        expression,
        labels.table,
        node_of,
        join=settings.repeated_genes,
        limits=settings.limits,
        in_memory_cells=settings.in_memory_cells,
    )
    if settings.control_inputs and isinstance(matched, StreamedMatch):
        raise SettingsError("data_engineering.control_inputs needs the cells in memory; set in_memory_cells higher")
    pkn = network.pkn.pruned(node_of[gene] for gene in matched.genes)
    genes = list(pkn.genes(settings.input_suffix))
    cells = matched.restricted_to(genes, "genes that reach an output")
    return MatchedStudy(cells, labels.groups, network.pkn, pkn, (expression.source, labels.source, *network.sources))


def prepare_study(matched: MatchedStudy, cross_validation: FoldSettings) -> PreparedStudy:
    """Finds the full DAG (all of the PKN, or the shortest paths of one with cycles) and splits the cells into folds."""
    groups = None if matched.groups is None else matched.groups.iloc[:, 0]
    folds = make_folds(matched.cells.labels, cross_validation, groups)
    return PreparedStudy(matched, shortest_path_dag(matched.pkn), folds)


def finish(
    study: PreparedStudy, settings: DataEngineeringSettings
) -> tuple[AnnData | PendingCells, Pkn, Dag, pd.DataFrame]:
    """Hands over what later pipelines use: transformed cells, the PKN, the full DAG and the folds."""
    matched = study.matched
    for step in matched.cells.steps:
        logger.info("%s: %s cells, %s genes", step.name, f"{step.cells:,}", f"{step.genes:,}")
    transform = settings.transform_of(matched.cells)
    warn_of_depth(
        depth_by_class(matched.cells), scaled=transform.library_size is not None, grouped=matched.groups is not None
    )
    cells = matched.cells.to_anndata(transform, matched.pkn.inputs, matched.groups)
    if settings.control_inputs:
        cells = control_inputs(cells, cells.obs.columns[0], settings.control_seed)
    return cells, matched.pkn, study.full_dag, study.folds


def summarise_data(study: PreparedStudy, settings: DataEngineeringSettings) -> dict[str, Any]:
    """Says, for a person to read, what was dropped and why, and which files it all came from."""
    matched = study.matched
    networks: tuple[tuple[str, Pkn | Dag], ...] = (
        ("edge list", matched.stated_pkn),
        ("pruned to measured genes", matched.pkn),
        ("full DAG", study.full_dag),
    )
    return {
        "steps": [asdict(step) | {"examples": list(step.examples)} for step in matched.cells.steps],
        "network": [
            {"name": name, "nodes": len(net.nodes), "edges": len(net.edges), "inputs": len(net.inputs)}
            for name, net in networks
        ],
        "classes": {name: int(matched.cells.labels[name].sum()) for name in matched.cells.labels},
        "transform": settings.transform_of(matched.cells).as_dict(),
        "depth": [asdict(one) for one in depth_by_class(matched.cells)],
        "control_inputs": settings.control_inputs,
        "files": {source: sha256_of(source) for source in matched.sources if source},
    }
