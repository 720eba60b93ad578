"""Which nodes of an edge list are inputs and which are outputs."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from kpnn.errors import PknError, some_names
from kpnn.pkn import Pkn


def state_pkn(edges: pd.DataFrame, outputs: Sequence[str], *, suffix: str, source: str) -> Pkn:
    """Makes a PKN whose inputs are the leaves with the suffix and whose outputs are the label columns.

    Args:
        edges: columns `parent`, `child`, optionally `sign` and `cost`.
        outputs: columns of the class labels.
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
        raise PknError(
            f"{source}: class label {some_names(absent)} is no node of the network; an output must be a root that "
            f"is also a column of the class labels (roots: {some_names(sorted(roots)) or 'none'})"
        )
    below = [name for name in outputs if name not in roots]
    if below:
        raise PknError(f"{source}: class label {some_names(below)} is no root of the network: it has parents")
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
            f"measured is not computed: call the protein {computed[0].removesuffix(suffix)!r} and keep the gene as a "
            f"leaf (or set data_engineering.input_suffix)"
        )
    return Pkn.from_edges(edges, inputs=inputs, outputs=outputs, source=source)
