"""Edge lists and gene sets as people have them.

`formats` only says what a file holds, as text. What a sign, a cost, an undirected edge or a direction means is
decided once, for all of them, in `edge_rules`; what can be asked of which format, in `edge_options`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from kpnn.pkn.edge_options import Complexes, CostRule, Direction, Limits, Rename, Undirected, checked_options
from kpnn.pkn.edge_rules import apply_edge_rules
from kpnn.pkn.formats import FORMATS, EdgeFormat, format_of_name

__all__ = ["Complexes", "CostRule", "Direction", "EdgeFormat", "Limits", "Rename", "Undirected", "read_edges"]


def read_edges(
    path: str | Path,
    *,
    format: EdgeFormat | None = None,
    columns: Mapping[str, str | int] | None = None,
    direction: Direction = "parent_to_child",
    undirected: Undirected = "error",
    complexes: Complexes = "keep",
    only: Mapping[str | int, Any] | None = None,
    costs: CostRule | Mapping[str, Any] | None = None,
    rename: Rename | Mapping[str, Any] | None = None,
    sizes: Limits | Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Reads an edge list, or sets of genes as edges from a set to its genes.

    An option that files of a format cannot honour is an error.

    Args:
        path: the file; text may be gzipped, or alone in a zip archive.
        format: `table` (CSV or TSV, among them OmniPath's, CollecTRI's and DoRothEA's), `sif`, `graphml`, `corneto`
            (JSON, as `Graph.save_json` writes it), `gmt`, `gaf` (GO's annotations), `obo` (GO's terms),
            `reactome_genes` (`Ensembl2Reactome.txt`...) or `reactome_pathways` (`ReactomePathwaysRelation.txt`); by
            default told by the name.
        columns: which columns of a table are `parent`, `child`, and optionally `sign`, `cost`, `directed` (yes or no),
            or `stimulation` and `inhibition` (two columns of yes and no, as OmniPath has them), where they have other
            names. Numbers, counted from 1, are columns of a table without a header. Of graphs: which attributes of an
            edge are `sign`, `cost`, `directed`, `stimulation`, `inhibition`. Of GMT: whether `parent` is the set's
            `name` or its `description`; of GAF, whether `child` is `symbol` or `id`; of Reactome's genes, whether
            `parent` is `pathway` or `name`.
        direction: whether an edge's source (or `parent` column) is the parent (regulator -> target, the usual way) or
            the child (the computing direction).
        undirected: what to do with edges that have no direction: `error`, or `drop` them with a warning.
        complexes: a complex of proteins (`COMPLEX:A_B`, or `A_B` where A and B are nodes themselves) is a node of its
            own (`keep`), its edges are those of its `members`, or they are left out (`drop`).
        only: column -> value, values, or `{at_least: ..., at_most: ...}`: edges that have none of these are left out.
        costs: what an edge costs by its evidence; see `CostRule`.
        rename: a table by which names are changed; see `Rename`.
        sizes: how many children (genes of a set, targets of a regulator) a parent must have, `{at_least:, at_most:}`.

    Returns:
        `parent`, `child`, `sign` (1, -1, 0 = unknown), and `cost` where there is one; in the file's order, repeated
        edges and those from a node to itself included. `attrs["account"]` is a `ReadAccount`.

    Raises:
        PknError: the file is unusable; file, line and what was found are in the message.
    """
    place = Path(path)
    asked = {
        "columns": columns,
        "direction": direction,
        "undirected": undirected,
        "complexes": complexes,
        "only": only,
        "costs": costs,
        "rename": rename,
        "sizes": sizes,
    }
    options = checked_options(path, format or format_of_name(place), asked)
    return apply_edge_rules(FORMATS[options.format].read(place, options.columns), place, options)
