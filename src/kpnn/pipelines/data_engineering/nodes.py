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
from kpnn.errors import CellsError, PknError, SettingsError
from kpnn.files import sha256_of
from kpnn.pipelines.data_engineering.network import state_pkn
from kpnn.pipelines.data_engineering.parts import CheckedLabels, MatchedStudy, PreparedStudy, StatedNetwork
from kpnn.pipelines.data_engineering.settings import DataEngineeringSettings
from kpnn.pkn import Dag, Pkn, gene_of, most_edges_dag, shortest_path_dag
from kpnn.pkn.assembly import assemble_edges
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
    """Takes the edge list, or makes one from a signalling table, a regulon and the receptors of each output.

    Which of the two it is says the catalog: `edges`, or `signalling` and `regulon`; the others' filepath is null.
    """
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


def prepare_study(
    matched: MatchedStudy, settings: DataEngineeringSettings, cross_validation: FoldSettings
) -> PreparedStudy:
    """Splits the cells into folds and finds the full DAG: all of the PKN, or of one with cycles the part asked for."""
    groups = None if matched.groups is None else matched.groups.iloc[:, 0]
    folds = make_folds(matched.cells.labels, cross_validation, groups)
    if settings.full_dag == "shortest_paths":
        return PreparedStudy(matched, shortest_path_dag(matched.pkn), None, folds)
    largest = most_edges_dag(matched.pkn, time_limit=settings.full_dag_time_limit)
    logger.info(
        "full DAG: %s of %s edges, %s, %.1f s",
        f"{len(largest.dag.edges):,}",
        f"{len(matched.pkn.edges):,}",
        "proven to be the most" if largest.status == "optimal" else f"at most {largest.bound:,} fit",
        largest.seconds,
    )
    return PreparedStudy(matched, largest.dag, largest.bound, folds)


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
        "full_dag": _account_of_full_dag(study, settings),
        "classes": {name: int(matched.cells.labels[name].sum()) for name in matched.cells.labels},
        "transform": settings.transform_of(matched.cells).as_dict(),
        "depth": [asdict(one) for one in depth_by_class(matched.cells)],
        "control_inputs": settings.control_inputs,
        "files": {source: sha256_of(source) for source in matched.sources if source},
    }


def _account_of_full_dag(study: PreparedStudy, settings: DataEngineeringSettings) -> dict[str, Any]:
    """Which part of the network the full DAG is, and how large such a part can be."""
    n_edges, most = len(study.full_dag.edges), study.most_edges
    account = {"choice": settings.full_dag, "edges": n_edges, "edges_of_network": len(study.matched.pkn.edges)}
    if most is None:
        return account
    return {**account, "status": "optimal" if most <= n_edges else "time_limit", "bound": most}
