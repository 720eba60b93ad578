"""A PKN from what people have: signalling, a regulon, and the receptors of each class."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from difflib import get_close_matches

import pandas as pd

from kpnn.errors import PknError, some_names
from kpnn.pkn.edge_table import each_pair_once

_log = logging.getLogger(__name__)


def assemble_edges(
    signalling: pd.DataFrame | None,
    regulon: pd.DataFrame,
    receptors: Mapping[str, Sequence[str]] | None,
    *,
    suffix: str = "_gene",
    source: str = "signalling and regulon",
) -> pd.DataFrame:
    """Joins three kinds of knowledge to one edge list: output -> receptor -> ... -> regulator -> gene.

    Sets of genes are a regulon too, and the hierarchy of sets is its signalling. A protein and the gene that encodes it
    are two nodes: `MYC` regulates, `MYC_gene` is measured. Nodes that lie on no path from an output to a measured gene
    are left in; pruning to measured genes removes them.

    Args:
        signalling: `parent`, `child` and optionally `sign` and `cost`: which protein acts on which, or which set of
            genes holds which; None where a regulon alone is the knowledge.
        regulon: `parent` (regulator or set), `child` (gene) and optionally `sign` and `cost`.
        receptors: output node -> the proteins of `signalling` or regulators through which it is reached. One that is
            neither is left out with a warning. None: no outputs are put above the rest.
        suffix: what is appended to a target's name to name its input node.
        source: what to call the tables in errors.

    Returns:
        `parent`, `child`, `sign` (int8, 0 = unknown) and, where a table has it, `cost`; each pair once, joined as
        `kpnn.pkn.edge_table.each_pair_once` says.

    Raises:
        PknError: no output or receptor is named, none of an output's receptors is in either table, an output's name is
            a protein's, or no regulator is reached by signalling.
    """
    if not suffix:
        raise PknError(f"{source}: needs a suffix to tell a gene from the protein that it encodes")
    above = set() if signalling is None else set(signalling["parent"]) | set(signalling["child"])
    proteins = above | set(regulon["parent"])
    chosen = {} if receptors is None else _chosen(receptors, proteins, source)
    reached = above | {name for named in chosen.values() for name in named}
    if signalling is not None and not set(regulon["parent"]) & reached:
        raise PknError(
            f"{source}: no regulator (such as {some_names(regulon['parent'].unique(), 3)}) is a target of signalling "
            f"(such as {some_names(signalling['child'].unique(), 3)}); do both tables use the same names?"
        )
    tables = (
        [with_genes_named(regulon, suffix)] if signalling is None else [signalling, with_genes_named(regulon, suffix)]
    )
    from_outputs = [(output, name, 1) for output, named in chosen.items() for name in named]
    tables.append(pd.DataFrame(from_outputs, columns=["parent", "child", "sign"]))
    fields = ["parent", "child", "sign", *(["cost"] if any("cost" in table for table in tables) else [])]
    usual = {"sign": 0, "cost": 1.0}
    edges = pd.concat(
        [
            pd.DataFrame({field: table.get(field, usual.get(field)) for field in fields})
            for table in tables
            if len(table)
        ],
        ignore_index=True,
    )
    return each_pair_once(edges)[0].astype({"sign": "int8"})


def with_genes_named(edges: pd.DataFrame, suffix: str) -> pd.DataFrame:
    """Edges whose children are genes, with the names that input nodes have.

    Args:
        edges: `parent`, `child` and more.
        suffix: what is appended to a gene's name.
    """
    return edges.assign(child=edges["child"].astype(str) + suffix)


def with_new_roots(edges: pd.DataFrame, outputs: Sequence[str], *, source: str = "edges") -> pd.DataFrame:
    """Makes a root for each output that is not a node of the network: the parent of all of the network's own roots.

    Where several are made and the network has one root, they take its place: below it, each would be computed from the
    same one number, which cannot tell classes apart.

    Args:
        edges: columns `parent`, `child`, optionally `sign` and `cost`; new edges have an unknown sign and cost 1, or
            those of the root's own.
        outputs: nodes that predict the classes.
        source: what to call the edges in errors.

    Raises:
        PknError: the network has no roots but outputs.
    """
    nodes = {*edges["parent"], *edges["child"]}
    absent = [name for name in outputs if name not in nodes]
    if not absent:
        return edges
    roots = sorted({*edges["parent"]} - {*edges["child"]} - {*outputs})
    if not roots:
        raise PknError(
            f"{source}: there is no root to put {some_names(absent)} above: every node has a "
            f"parent; add edges from {absent[0]} down to the nodes that it is to be computed from"
        )
    if len(roots) == 1 and len(absent) > 1:
        of_root = edges["parent"] == roots[0]
        more = pd.concat([edges[of_root].assign(parent=output) for output in absent], ignore_index=True)
        below = edges[~of_root]
        _log.info("%s: %s made as roots in the place of %s", source, some_names(absent), roots[0])
    else:
        more = pd.DataFrame([(output, root) for output in absent for root in roots], columns=["parent", "child"])
        for column, value in (("sign", 0), ("cost", 1.0)):
            if column in edges:
                more[column] = value
        below = edges
        _log.info("%s: %s made as a root above %s", source, some_names(absent), some_names(roots))
    grown = pd.concat([below, more], ignore_index=True)
    grown.attrs = dict(edges.attrs)
    return grown


def _chosen(receptors: Mapping[str, Sequence[str]], proteins: set[str], source: str) -> dict[str, list[str]]:
    if not receptors or not all(receptors.values()):
        empty = [name for name, found in receptors.items() if not found]
        raise PknError(
            f"{source}: no receptors named{' for ' + some_names(empty) if empty else ''}; say in "
            "data_engineering.receptors through which proteins (or sets) each output is reached"
        )
    taken = [name for name in receptors if name in proteins]
    if taken:
        raise PknError(f"{source}: output {some_names(taken)} is the name of a protein; an output is a node of its own")
    return {output: _known(named, output, proteins, source) for output, named in receptors.items()}


def _known(receptors: Sequence[str], output: str, proteins: set[str], source: str) -> list[str]:
    """The receptors of an output that are proteins; says which are not, and what they may have been meant to be."""
    unknown = [name for name in receptors if name not in proteins]
    if not unknown:
        return list(receptors)
    said = some_names([_with_near_names(name, proteins) for name in unknown])
    if len(unknown) == len(receptors):
        raise PknError(f"{source}: receptor {said} of {output} is in neither table")
    _log.warning("%s: receptor %s of %s is in neither table and is left out", source, said, output)
    return [name for name in receptors if name in proteins]


def _with_near_names(name: str, proteins: set[str]) -> str:
    """A name, and in brackets up to three that are spelt much like it."""
    by_lower = {protein.lower(): protein for protein in sorted(proteins, reverse=True)}
    near = [by_lower[found] for found in get_close_matches(name.lower(), by_lower, n=3, cutoff=0.7)]
    return f"{name} (is it {', '.join(near)}?)" if near else name
