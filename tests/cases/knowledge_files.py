"""The same small knowledge in every format that is read."""

from __future__ import annotations

import json
from pathlib import Path

import networkx as nx

ROWS = [
    {"parent": "JAK1", "child": "STAT1", "sign": 1, "level": "A", "references": "p1;p2;p3;p4", "n": 4},
    {"parent": "JAK1", "child": "STAT2", "sign": -1, "level": "B", "references": "p1", "n": 1},
    {"parent": "STAT1", "child": "IRF1", "sign": 1, "level": "C", "references": "p5;p6", "n": 2},
    {"parent": "STAT1_STAT2", "child": "IRF1", "sign": 1, "level": "A", "references": "", "n": ""},
]
"""Edges of proteins with evidence; the last parent is a complex."""

OBO = """format-version: 1.2

[Term]
id: GO:1
name: immune response
namespace: biological_process

[Term]
id: GO:2
name: response to interferon
namespace: biological_process
alt_id: GO:20
is_a: GO:1 ! immune response
relationship: regulates GO:3 ! chemotaxis

[Term]
id: GO:3
name: chemotaxis
namespace: biological_process
relationship: part_of GO:1 ! immune response

[Term]
id: GO:9
name: old
is_obsolete: true
is_a: GO:1

[Typedef]
id: part_of
name: part of
"""


def _gaf(symbol: str, term: str, qualifier: str, evidence: str) -> str:
    fields = ["UniProtKB", f"P_{symbol}", symbol, qualifier, term, "PMID:1", evidence, "", "P", "a name", "", "protein"]
    return "\t".join([*fields, "taxon:9606", "20250101", "UniProt", "", ""])


TEXTS = {
    "sets.gmt": "IFN\thttp://x\tIRF1\tSTAT1\tMX1\nTNF\thttp://y\tIRF1\tNFKB1\n",
    "go.obo": OBO,
    "goa.gaf": "!gaf-version: 2.2\n"
    + "\n".join(
        [
            _gaf("IRF1", "GO:2", "involved_in", "IDA"),
            _gaf("MX1", "GO:2", "involved_in", "IEA"),
            _gaf("ACTB", "GO:3", "NOT|involved_in", "IDA"),
            _gaf("CCL5", "GO:3", "involved_in", "IDA"),
        ]
    ),
    "Ensembl2Reactome.txt": 'ENSG1\tR-HSA-2\thttp://u\tInterferon "alpha" signalling\tTAS\tHomo sapiens\n'
    'ENSG2\tR-HSA-2\thttp://u\tInterferon "alpha" signalling\tIEA\tHomo sapiens\n'
    "ENSMUSG1\tR-MMU-2\thttp://u\tInterferon signalling\tIEA\tMus musculus\n",
    "ReactomePathwaysRelation.txt": "R-HSA-1\tR-HSA-2\nR-HSA-1\tR-HSA-3\nR-MMU-1\tR-MMU-2\n",
}


def write(folder: Path, name: str) -> Path:
    """Writes the file of that name; `edges` with an ending is `ROWS` in that format."""
    path = folder / name
    if name in TEXTS:
        path.write_text(TEXTS[name])
    elif path.suffix == ".csv":
        lines = [",".join(map(str, row.values())) for row in ROWS]
        path.write_text("\n".join([",".join(ROWS[0]), *lines]) + "\n")
    elif path.suffix == ".sif":
        path.write_text("".join(f"{row['parent']}\t{row['sign']}\t{row['child']}\n" for row in ROWS))
    elif path.suffix == ".graphml":
        graph = nx.MultiDiGraph()
        for row in ROWS:
            ends = (row["parent"], row["child"])
            graph.add_edge(*ends, **{key: str(value) for key, value in row.items() if key not in ("parent", "child")})
        nx.write_graphml(graph, path)
    else:
        edges = [
            {
                "source": [row["parent"]],
                "target": [row["child"]],
                "attributes": {key: value for key, value in row.items() if key not in ("parent", "child")},
            }
            for row in ROWS
        ]
        path.write_text(json.dumps({"vertices": {}, "edges": edges}))
    return path
