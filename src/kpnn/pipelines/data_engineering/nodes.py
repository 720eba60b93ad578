"""Nodes of the `data_engineering` pipeline.

Everything that can fail on bad input runs before `finish`, so that nothing is written unless all of it is right.
"""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pandas as pd

from kpnn.cells import (
    DEPTH,
    BatchByClass,
    Expression,
    StreamedMatch,
    batch_columns,
    batch_warnings,
    batches_by_class,
    depth_by_class,
    depth_by_column,
    described_cells,
    label_cells,
    match,
    warn_of_depth,
)
from kpnn.cells.folds import FoldSettings, make_folds
from kpnn.errors import SettingsError
from kpnn.files import sha256_of
from kpnn.pipelines.data_engineering.embedding import read_embedding, with_embedding
from kpnn.pipelines.data_engineering.network import name_outputs, state_pkn
from kpnn.pipelines.data_engineering.parts import CheckedLabels, MatchedStudy, PreparedStudy, StatedNetwork
from kpnn.pipelines.data_engineering.settings import COMPUTED, DataEngineeringSettings
from kpnn.pipelines.output_genes import log_genes_per_output
from kpnn.pkn import Dag, Pkn, gene_of, inputs_per_output, most_edges_dag, shortest_path_dag
from kpnn.pkn.assembly import with_new_roots
from kpnn.pkn.coverage import Coverage
from kpnn.simulation import control_inputs

if TYPE_CHECKING:
    from anndata import AnnData

    from kpnn.cells import Matched, PendingCells

_log = logging.getLogger(__name__)


def check_labels(
    table: pd.DataFrame | None,
    expression: Expression,
    settings: DataEngineeringSettings,
    cross_validation: FoldSettings,
) -> CheckedLabels:
    """Finds class labels and the column of groups, in their own table or in the cells' `obs`, and validates them."""
    found = label_cells(table, expression, settings, cross_validation.group_by)
    return CheckedLabels(found, expression, batch_columns(table, expression, found))


def state_network(edges: pd.DataFrame, labels: CheckedLabels, settings: DataEngineeringSettings) -> StatedNetwork:
    """Says which nodes of the edge list are inputs (leaves with the suffix) and outputs (those of the labels)."""
    source = edges.attrs.get("source", "edges")
    node_of = name_outputs(labels.of_cells, edges, settings, source=source)
    outputs = list(node_of.values())
    grown = with_new_roots(edges, outputs, source=source) if settings.new_roots else edges
    pkn = state_pkn(grown, outputs, suffix=settings.input_suffix, source=source)
    sources, accounts = (
        tuple(edges.attrs.get(what, usual)) for what, usual in (("sources", [source]), ("accounts", []))
    )
    return StatedNetwork(pkn, sources, node_of, accounts)


def match_cells(labels: CheckedLabels, network: StatedNetwork, settings: DataEngineeringSettings) -> MatchedStudy:
    """Brings the labelled cells and the PKN's genes together and prunes the PKN to what is measured."""
    node_of = {gene_of(node, settings.input_suffix): node for node in network.pkn.inputs}
    named, expression = labels.of_cells.named(network.node_of), labels.expression
    matched = match(
        expression,
        named.table,
        node_of,
        join=settings.repeated_genes,
        limits=settings.limits,
        in_memory_cells=settings.in_memory_cells,
    )
    coverage = Coverage.of(node_of, expression.genes)  # a table has genes once `match` has settled which side they are
    if settings.control_inputs and isinstance(matched, StreamedMatch):
        raise SettingsError("data_engineering.control_inputs needs the cells in memory; set in_memory_cells higher")
    pkn = network.pkn.pruned(node_of[gene] for gene in matched.genes)
    genes = list(pkn.genes(settings.input_suffix))
    cells = matched.restricted_to(genes, "genes that reach an output")
    _log.info("%s", coverage)
    sources = (expression.source, named.source, *network.sources)
    columns = _columns(cells, labels, settings)
    embedding = read_embedding(expression, cells, settings.embedding)
    return MatchedStudy(
        cells, named, network.pkn, pkn, sources, columns, coverage, network.accounts, labels.batches, embedding
    )


def _columns(cells: Matched | StreamedMatch, labels: CheckedLabels, settings: DataEngineeringSettings) -> pd.DataFrame:
    """The cells' groups and the columns that are to describe them, unless the matched cells have these already."""
    groups, taken = labels.of_cells.groups, {*cells.labels, DEPTH}
    if groups is not None:
        taken |= {*groups}
    wanted = [name for name in settings.describe_by if name not in taken]
    found = described_cells(labels.expression, wanted, cells.labels.index)
    return found if groups is None else groups.reindex(cells.labels.index).join(found)


def prepare_study(
    matched: MatchedStudy, settings: DataEngineeringSettings, cross_validation: FoldSettings
) -> PreparedStudy:
    """Splits the cells into folds and finds the full DAG: all of the PKN, or of one with cycles the part asked for."""
    groups = None if matched.labels.groups is None else matched.labels.groups.iloc[:, 0]
    folds = make_folds(matched.cells.labels, cross_validation, groups)
    if settings.full_dag == "shortest_paths":
        return PreparedStudy(matched, shortest_path_dag(matched.pkn), None, folds)
    largest = most_edges_dag(matched.pkn, time_limit=settings.full_dag_time_limit)
    _log.info(
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
        _log.info("%s: %s cells, %s genes", step.name, f"{step.cells:,}", f"{step.genes:,}")
    _log.info("cells of each class: %s", ", ".join(f"{name} {n:,}" for name, n in _class_sizes(matched).items()))
    log_genes_per_output("full", study.full_dag, matched.pkn)
    transform = settings.transform_of(matched.cells)
    groups = matched.labels.groups
    origin = matched.cells.origin  # values that are not counts any more were scaled by somebody else
    scaled = transform.library_size is not None or origin.is_logged or not origin.has_counts
    warn_of_depth(depth_by_class(matched.cells), scaled=scaled, grouped=groups is not None)
    for sentence in batch_warnings(_batches_by_class(matched)):
        _log.warning("%s", sentence)
    cells = matched.cells.to_anndata(transform, matched.pkn.inputs, matched.columns, one_of_k=matched.labels.one_of_k)
    if settings.control_inputs:
        cells = control_inputs(cells, cells.obs.columns[0], settings.control_seed)
    cells = with_embedding(cells, matched.embedding, compute=settings.embedding == COMPUTED)
    return cells, matched.pkn, study.full_dag, study.folds


def _batches_by_class(matched: MatchedStudy) -> tuple[BatchByClass, ...]:
    groups = matched.labels.groups
    return batches_by_class(matched.cells.labels, matched.batches, None if groups is None else groups.columns[0])


def _known_of_cells(matched: MatchedStudy) -> pd.DataFrame:
    """The columns that describe the cells, and those that hold donors or batches."""
    return matched.columns.join(matched.batches.drop(columns=matched.columns.columns, errors="ignore"))


def _summary_of_labels(matched: MatchedStudy) -> dict[str, Any]:
    """Which rule made the labels, and how many of the matched cells each class has under the user's own name."""
    labels = matched.labels
    sizes = (
        {} if labels.of_cell is None else labels.of_cell.reindex(matched.cells.labels.index).value_counts().to_dict()
    )
    return {"rule": labels.rule, "one_of_k": labels.one_of_k, "sizes": {str(name): int(n) for name, n in sizes.items()}}


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
        "coverage": asdict(matched.coverage),
        "network_files": [asdict(account) | {"said": str(account)} for account in matched.accounts],
        "genes_per_output": {name: inputs_per_output(net) for name, net in networks},
        "classes": _class_sizes(matched),
        "labels": _summary_of_labels(matched),
        "transform": settings.transform_of(matched.cells).as_dict(),
        "depth": [asdict(one) for one in depth_by_class(matched.cells)],
        "depth_by_column": [asdict(one) for one in depth_by_column(matched.cells, _known_of_cells(matched))],
        "batches": [asdict(one) for one in _batches_by_class(matched)],
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


def _class_sizes(matched: MatchedStudy) -> dict[str, int]:
    """Number of cells of each output's class."""
    return {name: int(matched.cells.labels[name].sum()) for name in matched.cells.labels}
