"""The study's network: from which files it is made, what its genes are called, and which nodes are its outputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from kpnn.app.init.networks import NetworkFile, look_at_network
from kpnn.cells.labelling import ClassLabels
from kpnn.errors import SettingsError, some_names
from kpnn.pipelines.data_engineering.knowledge import joined_knowledge
from kpnn.pipelines.data_engineering.network import name_outputs
from kpnn.pipelines.data_engineering.settings import DataEngineeringSettings
from kpnn.pkn import gene_of
from kpnn.pkn.graph import leaves_of, roots_of

SUFFIX = "_gene"
_TAKEN = "_class"
"""What is added to an output's name where a protein has it already."""


@dataclass(frozen=True)
class NetworkFiles:
    """The files of knowledge that the user names.

    Attributes:
        network: one list of edges from the class down to the genes.
        signalling: or who acts on whom, above the regulon.
        regulon: which regulator binds which gene.
        receptors: with signalling, the proteins below each output; under the empty name, below all outputs.
        gene_sets: or sets of genes (GMT).
    """

    network: Path | None = None
    signalling: Path | None = None
    regulon: Path | None = None
    receptors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    gene_sets: Path | None = None

    def named(self) -> dict[str, Path]:
        """Entry of the catalog -> file.

        Raises:
            SettingsError: none of the three ways is taken, or several, or one by half.
        """
        assembled = [self.signalling, self.regulon, self.receptors or None]
        ways = [self.network is not None, any(part is not None for part in assembled), self.gene_sets is not None]
        if sum(ways) != 1:
            raise SettingsError(
                "name the network in one of three ways: --network edges.csv; or --regulon, with --signalling and "
                "--receptors above it; or --gene-sets sets.gmt"
            )
        if not ways[1]:
            path = self.network or self.gene_sets
            assert path is not None
            return {"edges": path}
        if self.regulon is None:
            raise SettingsError("--regulon is needed too: which regulator binds which gene, such as CollecTRI")
        if (self.signalling is None) != (not self.receptors):
            missing = "--signalling" if self.signalling is None else "--receptors"
            raise SettingsError(f"{missing} is needed too: --signalling and --receptors say what is above the regulon")
        pair = {"signalling": self.signalling, "regulon": self.regulon}
        return {name: path for name, path in pair.items() if path is not None}


@dataclass(frozen=True, eq=False)
class Knowledge:
    """The study's network.

    Attributes:
        entries: entry of the catalog -> its file.
        parameters: of `data_engineering`, where they differ from the defaults.
        genes: names of the genes that it knows, sorted.
        notes: what was seen and decided, for a person.
    """

    entries: Mapping[str, NetworkFile]
    parameters: dict[str, Any]
    genes: list[str] = field(repr=False)
    notes: tuple[str, ...] = ()


def read_files(files: NetworkFiles) -> dict[str, NetworkFile]:
    """Entry of the catalog -> its file, read.

    Raises:
        PknError: a file is unusable.
        SettingsError: the files make no network.
    """
    return {name: look_at_network(path) for name, path in files.named().items()}


def names_in(entries: Mapping[str, NetworkFile]) -> list[str]:
    """Every name that a gene may have in the files, to tell genes from cells in a table."""
    nodes = {name for file in entries.values() for side in ("parent", "child") for name in file.edges[side]}
    return sorted(nodes | {gene_of(name, SUFFIX) for name in nodes})


def ends_of(entries: Mapping[str, NetworkFile]) -> set[str]:
    """Nodes without parents or without children in one of the files, whichever way round it lies."""
    return {name for file in entries.values() for name in (*roots_of(file.edges), *leaves_of(file.edges))}


def make_knowledge(
    files: NetworkFiles, entries: Mapping[str, NetworkFile], labels: ClassLabels, measured: Iterable[str]
) -> Knowledge:
    """Decides how the files make a network that predicts these labels.

    Args:
        files: as the user named them.
        entries: the same, read.
        labels: what is to be predicted.
        measured: names of the genes of the expression file.

    Raises:
        PknError: no receptor of an output is known; near names are in the message.
        SettingsError: receptors are named for an output that does not exist.
    """
    parameters: dict[str, Any] = {}
    notes: list[str] = []
    if "edges" in entries and not entries["edges"].children_are_genes:
        edges, suffix = _right_way_round(entries["edges"], set(measured))
        entries = {"edges": edges}
        if not suffix:
            parameters["input_suffix"] = ""
            notes.append(f"no node is named GENE{SUFFIX}: every leaf that is measured is an input")
    if files.receptors:
        more, told = _receptors(files, entries, labels.outputs)
        parameters, notes = parameters | more, [*notes, *told]
    tables = {name: file.edges for name, file in entries.items()}
    network = joined_knowledge(
        tables.get("edges"), tables.get("signalling"), tables.get("regulon"), DataEngineeringSettings(**parameters)
    )
    if not files.receptors:
        more, told = _output_nodes(labels, network)
        parameters, notes = parameters | more, [*notes, *told]
    suffix = parameters.get("input_suffix", SUFFIX)
    genes = sorted(gene_of(name, suffix) for name in leaves_of(network) if name.endswith(suffix))
    return Knowledge(entries, parameters, genes, tuple(notes))


def _right_way_round(file: NetworkFile, measured: set[str]) -> tuple[NetworkFile, str]:
    """The file, turned where its genes stand above its other nodes; and what ends the names of genes in it."""
    nodes = {*file.edges["parent"], *file.edges["child"]}
    suffix = SUFFIX if any(name.endswith(SUFFIX) for name in nodes) else ""
    is_gene = {name for name in nodes if (name.endswith(suffix) if suffix else name in measured)}
    below, above = (len(is_gene.intersection(ends)) for ends in (leaves_of(file.edges), roots_of(file.edges)))
    return (file.turned() if above > below else file), suffix


def _output_nodes(labels: ClassLabels, network: pd.DataFrame) -> tuple[dict[str, Any], list[str]]:
    """Which nodes predict the outputs, as parameters and in words."""
    nodes = {*network["parent"], *network["child"]}
    node_of = name_outputs(labels, network, DataEngineeringSettings(), source="the network")
    roots = roots_of(network)
    # A protein of that name is not the class.
    inner = {output: node + _TAKEN for output, node in node_of.items() if node in nodes and node not in roots}
    absent = [output for output, node in node_of.items() if node not in roots]
    told = [f"class {output} is predicted by the node {node}" for output, node in node_of.items() if node in roots]
    told += [f"class {output} is called {name}: a node of its name has parents" for output, name in inner.items()]
    if not absent:
        return {}, told
    if len(node_of) == 1 and len(roots) == 1:
        return {"output_nodes": {absent[0]: roots[0]}}, [f"class {absent[0]}: the network's one root, {roots[0]}"]
    roots = [root for root in roots if root not in node_of.values()]
    if len(roots) == 1 and len(absent) > 1:
        where = f"in the place of the network's one root, {roots[0]}"
    elif len(roots) == 1:
        where = f"above the one root, {roots[0]}"
    else:
        where = f"above all {len(roots):,} roots ({some_names(roots, 3)})"
    told.append(
        f"class {absent[0]}: no root has that name, so one is made {where}"
        if len(absent) == 1
        else f"{len(absent)} classes ({some_names(absent, 3)}): no roots have these names, so one is made for each "
        f"{where}"
    )
    return {"new_roots": True, **({"output_nodes": inner} if inner else {})}, told


def _receptors(
    files: NetworkFiles, entries: Mapping[str, NetworkFile], outputs: list[str]
) -> tuple[dict[str, Any], list[str]]:
    """The proteins below each output, as parameters and in words."""
    strange = sorted(set(files.receptors) - {"", *outputs})
    if strange:
        raise SettingsError(
            f"--receptors {some_names(strange)}=...: there is no such class (classes: {some_names(outputs)})"
        )
    proteins = {name for file in entries.values() for name in file.edges["parent"]}
    proteins |= set(entries["signalling"].edges["child"])
    common = files.receptors.get("", ())
    node_of = {output: output + _TAKEN if output in proteins else output for output in outputs}
    receptors = {node_of[output]: list(files.receptors.get(output, common)) for output in outputs}
    renamed = {output: node for output, node in node_of.items() if node != output}
    told = [f"{output}: a root above {some_names(names)}" for output, names in receptors.items()]
    return {"receptors": receptors, **({"output_nodes": renamed} if renamed else {})}, told
