"""Which kinds of files of edges there are, and what can be asked of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kpnn.errors import PknError
from kpnn.pkn.formats.gene_sets import read_gaf, read_gmt, read_reactome_genes, read_reactome_pathways
from kpnn.pkn.formats.graphs import read_corneto, read_graphml
from kpnn.pkn.formats.ontology import read_obo
from kpnn.pkn.formats.sif import read_sif
from kpnn.pkn.formats.stated import FIELDS, Stated
from kpnn.pkn.formats.tables import read_table

EdgeFormat = Literal["table", "sif", "graphml", "corneto", "gmt", "gaf", "obo", "reactome_genes", "reactome_pathways"]


@dataclass(frozen=True)
class FileFormat:
    """One kind of file.

    Attributes:
        read: reads it, given what the user calls its columns.
        called: what it is called in messages.
        fields: what `columns` may name.
        has_columns: whether it says more of an edge than `fields`, by which edges can be chosen and weighed.
        has_directions: whether the file's edges could be meant either way round, or be undirected. In sets of genes and
            ontologies it is settled which end is the parent.
        has_proteins: whether a node can be a complex of several.
        children_are_genes: whether children are genes, which as input nodes take the suffix.
    """

    read: Callable[[Path, Mapping[str, str | int]], Stated]
    called: str
    fields: tuple[str, ...] = ()
    has_columns: bool = True
    has_directions: bool = False
    has_proteins: bool = False
    children_are_genes: bool = False


_EDGE_FIELDS = ("sign", "cost", "stimulation", "inhibition", "directed")

FORMATS: dict[str, FileFormat] = {
    "table": FileFormat(read_table, "a table", FIELDS, has_directions=True, has_proteins=True),
    "sif": FileFormat(read_sif, "SIF", has_columns=False, has_directions=True, has_proteins=True),
    "graphml": FileFormat(read_graphml, "GraphML", _EDGE_FIELDS, has_directions=True, has_proteins=True),
    "corneto": FileFormat(read_corneto, "corneto's graph", _EDGE_FIELDS, has_directions=True, has_proteins=True),
    "gmt": FileFormat(read_gmt, "GMT", ("parent",), has_columns=False, children_are_genes=True),
    "gaf": FileFormat(read_gaf, "GAF", ("child",), children_are_genes=True),
    "obo": FileFormat(read_obo, "OBO"),
    "reactome_genes": FileFormat(
        read_reactome_genes, "Reactome's genes of pathways", ("parent",), children_are_genes=True
    ),
    "reactome_pathways": FileFormat(read_reactome_pathways, "Reactome's pathways"),
}

_ENDINGS = {
    ".sif": "sif",
    ".graphml": "graphml",
    ".xml": "graphml",
    ".json": "corneto",
    ".gmt": "gmt",
    ".gaf": "gaf",
    ".obo": "obo",
}


_ADVICE = {
    (".gml", ".gexf", ".net", ".dot", ".gv"): "is a graph of a kind that is not read; networkx reads it and writes "
    "GraphML (`networkx.write_graphml`)",
    (".cys", ".xgmml", ".cyjs", ".cx", ".cx2"): "is Cytoscape's; export the network as SIF or GraphML, or its table of "
    "edges as CSV",
    (".owl", ".sbml", ".kgml", ".gpml", ".biopax"): "is a model of pathways; export its edges as SIF or as a table",
    (".rds", ".rda", ".rdata"): "is R's; write it by `write.csv(edges, FILE, row.names = FALSE)`",
    (".gmx",): "has its sets as columns; turn it into GMT, a line per set",
    (".xlsx", ".xls"): "is a workbook; save the sheet as CSV",
    (".parquet", ".feather"): "is a table that is not text; write it as CSV",
}
"""What people bring that is not read, by the end of its name, and what to do."""


def format_of_name(path: Path) -> str:
    """The format that a file's name tells.

    Raises:
        PknError: it is a pickle, or of a kind that is well known and not read.
    """
    name = path.name.lower().removesuffix(".gz").removesuffix(".zip")
    if name.endswith((".pkl", ".pickle")):
        raise PknError(f"{path}: pickled graphs can run any program and are not read; save it with Graph.save_json")
    for endings, advice in _ADVICE.items():
        if name.endswith(endings):
            raise PknError(f"{path}: {advice}")
    for ending, found in _ENDINGS.items():
        if name.endswith(ending):
            return found
    if "reactomepathwaysrelation" in name:
        return "reactome_pathways"
    return "reactome_genes" if "2reactome" in name else "table"
