"""Which nodes of an edge list are inputs and which are outputs."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import pandas as pd

from kpnn.cells import ClassLabels
from kpnn.errors import PknError, SettingsError, near_names, some_names
from kpnn.pipelines.data_engineering.settings import DataEngineeringSettings
from kpnn.pkn import Pkn, gene_of

_log = logging.getLogger(__name__)

_TRUTH = frozenset({"0", "1", "true", "false", "yes", "no"})
"""Classes that say nothing without the name of their column."""


def name_outputs(
    labels: ClassLabels, edges: pd.DataFrame, settings: DataEngineeringSettings, *, source: str
) -> dict[str, str]:
    """Finds the node that predicts each label column: the one that the user names, or that is called so.

    One output that a column of classes gives may be called as its positive class or as that column.

    Args:
        labels: checked labels.
        edges: columns `parent` and `child`.
        settings: `output_nodes` and `new_roots`.
        source: what to call the edges in errors.

    Returns:
        Label column -> node. A node that the network lacks is `state_pkn`'s to refuse.

    Raises:
        SettingsError: `output_nodes` names a class that does not exist, or two outputs share one node.
    """
    nodes = {*edges["parent"], *edges["child"]}
    known = {name: [name] for name in labels.outputs}
    if labels.label is not None and len(labels.outputs) == 1:
        known[labels.outputs[0]].append(labels.label)
    every = [name for names in known.values() for name in names]
    strange = [name for name in settings.output_nodes if name not in every]
    if strange:
        raise SettingsError(
            f"data_engineering.output_nodes: no class {some_names(strange)}; {near_names(strange[0], every)}"
        )
    node_of = {}
    for output, names in known.items():
        asked = [settings.output_nodes[name] for name in names if name in settings.output_nodes]
        there = [name for name in names if name in nodes]
        made = names[-1] if output.casefold() in _TRUTH else output
        node_of[output] = (asked or there or [made])[0]
        if node_of[output] != output:
            _log.info("%s: class %s is predicted by node %s", source, output, node_of[output])
    chosen = list(node_of.values())
    twice = sorted({node for node in chosen if chosen.count(node) > 1})
    if twice:
        raise SettingsError(f"data_engineering.output_nodes: node {some_names(twice)} is to predict two classes")
    return node_of


def state_pkn(edges: pd.DataFrame, outputs: Sequence[str], *, suffix: str, source: str) -> Pkn:
    """Makes a PKN whose inputs are the leaves with the suffix and whose outputs are those of the labels.

    Args:
        edges: columns `parent`, `child`, optionally `sign` and `cost`.
        outputs: nodes that predict the classes.
        suffix: what ends the name of an input node; empty: every leaf is an input.
        source: what to call the edges in errors.

    Raises:
        PknError: a label column is not a root of the network, no leaf ends in the suffix, or a node that does has
            children.
    """
    parents, children = set(edges["parent"]), set(edges["child"])
    roots = parents - children
    absent = [name for name in outputs if name not in parents and name not in children]
    if absent:
        near = f" {near_names(absent[0], sorted(roots))}" if roots else ""
        raise PknError(
            f"{source}: class label {some_names(absent)} is not a node of the network; an output must be a root that "
            f"is also a class of the labels (roots: {some_names(sorted(roots)) or 'none'}).{near} Say which node "
            f"predicts it with data_engineering.output_nodes: {{{absent[0]}: NODE}}, or set "
            "data_engineering.new_roots: true to make a root for it"
        )
    below = [name for name in outputs if name not in roots]
    if below:
        genes_above = sorted(name for name in roots if suffix and name.endswith(suffix))
        turn = f"; its genes ({some_names(genes_above, 3)}) are: read it with `direction: child_to_parent`"
        raise PknError(
            f"{source}: class label {some_names(below)} is not a root of the network: it has parents"
            + (turn if genes_above else "")
        )
    leaves = sorted(children - parents)
    inputs = [name for name in leaves if name.endswith(suffix) and name != suffix]
    if not inputs:
        raise PknError(
            f"{source}: no leaf ends in {suffix!r}, the suffix of measured genes (data_engineering.input_suffix); "
            f"leaves: {some_names(leaves) or 'none'}"
        )
    computed = sorted(name for name in parents if suffix and name.endswith(suffix) and name not in outputs)
    if computed:
        raise PknError(
            f"{source}: {some_names(computed)} ends in {suffix!r} like a measured gene but has children; what is "
            f"measured is not computed: call the protein {gene_of(computed[0], suffix)!r} and keep the gene as a "
            f"leaf (or set data_engineering.input_suffix)"
        )
    return Pkn.from_edges(edges, inputs=inputs, outputs=outputs, source=source)
