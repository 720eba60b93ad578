"""What complexes and evidence change in the smallest DAG: where STAT1, STAT2 and IRF9 hang in interferon's network."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from anndata import read_h5ad

from _studies import REAL_DATA
from kpnn.pkn import Pkn, select_dag
from kpnn.pkn.assembly import assemble_edges
from kpnn.pkn.readers import read_edges

RECEPTORS = ("IFNAR1", "IFNAR2", "JAK1", "TYK2")
WATCHED = ("STAT1", "STAT2", "IRF9")
LEVELS = {"column": "confidence", "rule": "levels", "levels": {"A": 1.0, "B": 1.5, "C": 2.0}}
VARIANTS: dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
    "as they come": ({}, {}),
    "complexes: members": ({"complexes": "members"}, {}),
    "costs by confidence": ({}, {"costs": LEVELS}),
    "both": ({"complexes": "members"}, {"costs": LEVELS}),
}
"""Options of the signalling table and of the regulon."""


def measured_genes() -> set[str]:
    """Input nodes of the genes that are seen in 20 cells of Kang's study."""
    cells = read_h5ad(REAL_DATA / "kang" / "expression.h5ad")
    seen_in = np.asarray((cells.X > 0).sum(axis=0)).ravel()
    return {f"{gene}_gene" for gene in cells.var_names[seen_in >= 20]}


def main() -> None:
    """Prints one line for each way to read the same two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--time-limit", type=float, default=60.0, help="seconds for each selection")
    limit = parser.parse_args().time_limit
    measured = measured_genes()
    for name, (of_signalling, of_regulon) in VARIANTS.items():
        signalling = read_edges(REAL_DATA / "signalling_human.csv.gz", **of_signalling)
        regulon = read_edges(REAL_DATA / "kang" / "dorothea_abc.csv.gz", **of_regulon)
        edges = assemble_edges(signalling, regulon, {"IFN": RECEPTORS})
        inputs = {child for child in edges["child"] if child.endswith("_gene")}
        pkn = Pkn.from_edges(edges, inputs=inputs, outputs=["IFN"]).pruned(measured)
        start = time.perf_counter()
        selection = select_dag(pkn, time_limit=limit)
        seconds = time.perf_counter() - start
        kept = selection.dag.edges
        above = {node: sorted(kept.loc[kept["child"] == node, "parent"]) for node in WATCHED}
        print(
            f"{name}: PKN {len(pkn.edges):,} edges, DAG {len(kept):,} edges, {len(selection.dag.neurons)} neurons, "
            f"{selection.status}, gap {100 * selection.gap:.2f} %, {seconds:.0f} s; parents: {above}",
            flush=True,
        )


if __name__ == "__main__":
    main()
