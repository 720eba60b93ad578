"""A PKN from what people have: signalling, a regulon, and the receptors of each class."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from difflib import get_close_matches

import pandas as pd

from kpnn.errors import PknError, some_names

_log = logging.getLogger(__name__)


def assemble_edges(
    signalling: pd.DataFrame,
    regulon: pd.DataFrame,
    receptors: Mapping[str, Sequence[str]],
    *,
    suffix: str = "_gene",
    source: str = "signalling and regulon",
) -> pd.DataFrame:
    """Joins three kinds of knowledge to one edge list: output -> receptor -> ... -> regulator -> gene.

    A protein and the gene that encodes it are two nodes: `MYC` regulates, `MYC_gene` is measured. Nodes that lie on
    no path from an output to a measured gene are left in; pruning to measured genes removes them.

    Args:
        signalling: `parent`, `child` and optionally `sign`: which protein acts on which.
        regulon: `parent` (regulator), `child` (target gene) and optionally `sign`.
        receptors: output node -> the proteins of `signalling` or regulators through which it is reached. One that is
            neither is left out with a warning.
        suffix: what is appended to a target's name to name its input node.
        source: what to call the tables in errors.

    Returns:
        `parent`, `child`, `sign` (int8, 0 = unknown), each pair once. Where a pair stands several times its known
        sign is kept; where those disagree it is unknown.

    Raises:
        PknError: no output or receptor is named, none of an output's receptors is in either table, an output's name is
            a protein's, or no regulator is reached by signalling.
    """
    if not suffix:
        raise PknError(f"{source}: needs a suffix to tell a gene from the protein that it encodes")
    proteins = set(signalling["parent"]) | set(signalling["child"]) | set(regulon["parent"])
    if not receptors or not all(receptors.values()):
        empty = [name for name, found in receptors.items() if not found]
        raise PknError(f"{source}: no receptors named{' for ' + some_names(empty) if empty else ''}")
    taken = [name for name in receptors if name in proteins]
    if taken:
        raise PknError(f"{source}: output {some_names(taken)} is the name of a protein; an output is a node of its own")
    receptors = {output: _known(named, output, proteins, source) for output, named in receptors.items()}
    if not set(regulon["parent"]) & (
        set(signalling["child"]) | {name for named in receptors.values() for name in named}
    ):
        raise PknError(
            f"{source}: no regulator (such as {some_names(regulon['parent'].unique(), 3)}) is a target of signalling "
            f"(such as {some_names(signalling['child'].unique(), 3)}); do both tables use the same names?"
        )
    from_outputs = [(output, name, 1) for output, named in receptors.items() for name in named]
    edges = pd.concat(
        [
            _signed(signalling),
            _signed(regulon).assign(child=regulon["child"].astype(str) + suffix),
            pd.DataFrame(from_outputs, columns=["parent", "child", "sign"]),
        ],
        ignore_index=True,
    )
    return _each_pair_once(edges)


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


def _signed(table: pd.DataFrame) -> pd.DataFrame:
    return table[["parent", "child"]].assign(sign=table.get("sign", 0))


def _each_pair_once(edges: pd.DataFrame) -> pd.DataFrame:
    known = edges[edges["sign"] != 0].groupby(["parent", "child"])["sign"].agg(["min", "max"])
    sign = known["min"].where(known["min"] == known["max"], 0)
    pairs = edges[["parent", "child"]].drop_duplicates(ignore_index=True)
    keys = pd.MultiIndex.from_frame(pairs)
    return pairs.assign(sign=sign.reindex(keys).fillna(0).to_numpy().astype("int8"))
