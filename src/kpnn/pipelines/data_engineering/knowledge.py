"""One edge list from whatever knowledge the catalog gives."""

from __future__ import annotations

import pandas as pd

from kpnn.errors import PknError
from kpnn.pipelines.data_engineering.settings import DataEngineeringSettings
from kpnn.pkn.account import ReadAccount
from kpnn.pkn.assembly import assemble_edges, with_genes_named


def joined_knowledge(
    edges: pd.DataFrame | None,
    signalling: pd.DataFrame | None,
    regulon: pd.DataFrame | None,
    settings: DataEngineeringSettings,
) -> pd.DataFrame:
    """Takes the edge list, or builds one from a regulon, the signalling above it, and the receptors of each output.

    Args:
        edges: a whole network, or sets of genes; None where there is none.
        signalling: who acts on whom, or which set of genes holds which; None where there is none.
        regulon: regulators and their targets, or sets of genes; None where there is none.
        settings: the receptors of each output (or `new_roots`, which puts outputs above the roots of what is joined
            here), and how input nodes are named.

    Returns:
        `parent`, `child`, `sign` and perhaps `cost`; `attrs` hold `source`, the `sources` (tables by which
        names were changed among them) and the tables' `accounts`.

    Raises:
        PknError: the catalog gives too much or too little, or the tables do not fit each other.
    """
    if (edges is None) == (regulon is None) or (edges is not None and signalling is not None):
        raise PknError(
            "the catalog must give either `edges`, or `regulon` (a regulon or sets of genes) with or without "
            "`signalling` (or a hierarchy of the sets); set the filepath of what is not used to null"
        )
    tables = [table for table in (edges, signalling, regulon) if table is not None]
    files = [str(table.attrs.get("source", "table")) for table in tables]
    source = " and ".join(files)
    if edges is not None:
        joined = with_genes_named(edges, settings.input_suffix) if edges.attrs.get("children_are_genes") else edges
    else:
        assert regulon is not None
        receptors = settings.receptors or (None if signalling is None or settings.new_roots else {})
        joined = assemble_edges(signalling, regulon, receptors, suffix=settings.input_suffix, source=source)
    accounts = [table.attrs["account"] for table in tables if isinstance(table.attrs.get("account"), ReadAccount)]
    joined = joined.copy(deep=False)
    also_read = [path for table in tables for path in table.attrs.get("also_read", [])]
    joined.attrs = {"source": source, "sources": [*files, *also_read], "accounts": accounts}
    return joined
