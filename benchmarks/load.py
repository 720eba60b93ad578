"""Studies that are too large, and what they take: a network of a million edges, 300 outputs, 50 folds, 200,000 cells.

    python benchmarks/load.py network --edges 1000000        # select_dag: gap, time and memory
    python benchmarks/load.py outputs --outputs 300
    python benchmarks/load.py cells --cells 200000 --genes 20000 --folder /big   # writes a study, 1.6 GB
    python benchmarks/load.py cells --known 1500 --folder /big   # of whose genes the network knows so many, as Kang's

`network` and `outputs` measure the process that runs. `cells` lays out a project with raw files in a folder; run
`kedro run` there under `/usr/bin/time -v` (and `kpnn check` for its own estimate). 50 folds are the demo's:
`kedro run --params cross_validation.n_splits=50`.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import time
from pathlib import Path

import numpy as np
import pandas as pd

REPOSITORY = Path(__file__).resolve().parents[1]
DENSITY = 0.05
_CELLS_AT_ONCE = 2000


def layered_edges(
    rng: np.random.Generator, n_outputs: int, n_hidden: int, n_genes: int, n_edges: int, *, feedback: float = 0.1
) -> pd.DataFrame:
    """Outputs above five levels of hidden nodes with some feedback, genes below any of them, in about `n_edges` edges.

    Args:
        rng: draws the edges.
        n_outputs: number of outputs, each above four nodes of the first level.
        n_hidden: number of hidden nodes.
        n_genes: number of genes.
        n_edges: of the whole network.
        feedback: edges between any two hidden nodes, for each hidden node. Where many outputs have inputs of their own,
            paths through them may close cycles, and there is no DAG in which each input reaches all of its outputs.
    """
    level = np.sort(rng.integers(0, 5, n_hidden))
    firsts = np.searchsorted(level, np.arange(6))
    nodes = np.arange(n_hidden)
    above = [
        firsts[level[nodes] - 1]
        + (rng.random(n_hidden) * (firsts[level[nodes]] - firsts[level[nodes] - 1])).astype(int)
        for _ in range(3)
    ]
    lower = level > 0
    pairs = [np.stack([parents[lower], nodes[lower]], axis=1) for parents in above]
    back = rng.integers(0, n_hidden, (int(feedback * n_hidden), 2))
    hidden = np.concatenate([*pairs, back[back[:, 0] != back[:, 1]]])
    n_below = n_edges - len(hidden) - 4 * n_outputs
    below = np.stack([rng.integers(0, n_hidden, n_below), np.arange(n_below) % n_genes], axis=1)
    # A hidden node that stands above nothing would be an unmeasured leaf.
    below[:n_hidden, 0] = nodes
    heads = np.stack([np.repeat(np.arange(n_outputs), 4), rng.integers(0, max(1, firsts[1]), 4 * n_outputs)], axis=1)
    # Every node of the first level has an output above it, or it would be a root that is none.
    heads = np.concatenate([heads, np.stack([nodes[: firsts[1]] % n_outputs, nodes[: firsts[1]]], axis=1)])
    parts = [
        pd.DataFrame({"parent": _named("O", heads[:, 0]), "child": _named("H", heads[:, 1])}),
        pd.DataFrame({"parent": _named("H", hidden[:, 0]), "child": _named("H", hidden[:, 1])}),
        pd.DataFrame({"parent": _named("H", below[:, 0]), "child": _named("G", below[:, 1], "_gene")}),
    ]
    return pd.concat(parts).drop_duplicates(ignore_index=True)


def _named(prefix: str, numbers: np.ndarray, suffix: str = "") -> list[str]:
    return [f"{prefix}{number}{suffix}" for number in numbers.tolist()]


def measure_selection(edges: pd.DataFrame, seconds: float) -> dict[str, object]:
    """Selects a DAG and says what that took."""
    from kpnn.pkn import Pkn, select_dag

    begun = time.monotonic()
    pkn = Pkn.from_edges(edges, outputs=sorted({name for name in edges["parent"] if name.startswith("O")}))
    stated = time.monotonic() - begun
    begun, before = time.monotonic(), time.process_time()
    selection = select_dag(pkn, time_limit=seconds)
    took, computed = time.monotonic() - begun, time.process_time() - before
    selection.verify()
    return {
        "edges": len(pkn.edges),
        "nodes": len(pkn.nodes),
        "outputs": len(pkn.outputs),
        "status": selection.status,
        "objective": selection.objective,
        "bound": selection.bound,
        "gap": selection.gap,
        "seconds_to_state": round(stated, 1),
        "seconds": round(took, 1),
        "cpu_seconds": round(computed, 1),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def lay_out_cells(folder: Path, n_cells: int, n_genes: int, n_known: int) -> dict[str, object]:
    """A project whose demo study has so many cells, written block by block; genes below one regulator tell classes.

    Args:
        folder: of the project.
        n_cells: number of cells.
        n_genes: genes of the expression file.
        n_known: of these those that the network knows.
    """
    import h5py
    import scipy.sparse as sp
    from anndata.io import write_elem
    from scipy.optimize import brentq

    from kpnn.simulation.networks import signalling_network

    shutil.copytree(REPOSITORY / "conf", folder / "conf", ignore=shutil.ignore_patterns("local"))
    raw = folder / "data" / "01_raw" / "demo"
    for made in (folder / "conf" / "local", folder / "src", folder / "mlruns", raw):
        made.mkdir(parents=True)
    for file in ("pyproject.toml", ".telemetry"):  # without the second Kedro asks its makers first
        shutil.copy(REPOSITORY / file, folder)
    entry = "raw_expression:\n  type: kpnn.datasets.raw.ExpressionDataset\n  filepath: data/01_raw/demo/Data.h5ad\n"
    (folder / "conf" / "local" / "catalog.yml").write_text(entry + "  metadata: {kedro-viz: {layer: raw}}\n")
    rng = np.random.default_rng(0)
    plan = signalling_network(rng, n_signalling=100, n_regulators=300, n_genes=n_known, predictive_genes=60)
    plan.edges.to_csv(raw / "Edgelist.csv", index=False)
    genes = [name.removesuffix("_gene") for name in plan.genes]
    genes += [f"UNKNOWN{number}" for number in range(n_genes - n_known)]
    signs = plan.predictive_genes()
    change = np.zeros(n_genes)
    change[:n_known] = [signs.get(node, 0) for node in plan.genes]
    means = rng.lognormal(0, 1.5, n_genes)
    means *= brentq(lambda scale: np.mean(1 - np.exp(-scale * means)) - DENSITY, 1e-6, 10)
    means[change != 0] = np.maximum(means[change != 0], 0.1)
    chance = (65536 * (1 - np.exp(-np.stack([means, means * np.exp2(change)])))).astype(np.uint16)
    labels = rng.integers(0, 2, n_cells).astype(np.int8)
    barcodes = [f"cell{number}-1" for number in range(n_cells)]
    pd.DataFrame({"barcode": barcodes, "RECEPTOR": labels}).to_csv(raw / "ClassLabels.csv", index=False)
    with h5py.File(raw / "Data.h5ad", "w") as file:
        file.attrs["encoding-type"], file.attrs["encoding-version"] = "anndata", "0.1.0"
        write_elem(file, "obs", pd.DataFrame(index=barcodes))
        write_elem(file, "var", pd.DataFrame(index=genes))
        group = file.create_group("X")
        group.attrs["encoding-type"], group.attrs["encoding-version"] = "csr_matrix", "0.1.0"
        group.attrs["shape"] = np.array([n_cells, n_genes])
        arrays = [
            group.create_dataset(name, (0,), kind, maxshape=(None,), chunks=(1 << 18,))
            for name, kind in (("data", np.float32), ("indices", np.int32))
        ]
        ends = [np.zeros(1, dtype=np.int64)]
        for start in range(0, n_cells, _CELLS_AT_ONCE):
            own = labels[start : start + _CELLS_AT_ONCE]
            # Two random bytes an entry say whether there is a count: drawing each count takes ten times as long.
            bits = rng.integers(0, 1 << 16, (len(own), n_genes), dtype=np.uint16)
            block = sp.csr_matrix(bits < chance[own])
            counts = 1 + rng.poisson(means[block.indices])
            for node, values in zip(arrays, (counts, block.indices), strict=True):
                node.resize((node.shape[0] + block.nnz,))
                node[-block.nnz :] = values
            ends.append(ends[-1][-1] + block.indptr[1:].astype(np.int64))
        group["indptr"] = np.concatenate(ends)
    return {"cells": n_cells, "genes": n_genes, "entries": int(ends[-1][-1]), "edges": len(plan.edges)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["network", "outputs", "cells"])
    parser.add_argument("--edges", type=int, default=1_000_000)
    parser.add_argument("--outputs", type=int, default=300)
    parser.add_argument("--cells", type=int, default=200_000)
    parser.add_argument("--genes", type=int, default=20_000)
    parser.add_argument("--known", type=int, help="of the genes of `cells`, those that the network knows; default: all")
    parser.add_argument("--seconds", type=float, default=60, help="time limit of the selection")
    parser.add_argument("--folder", type=Path, default=Path("load"), help="of the project that `cells` lays out")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    if options.what == "network":
        found = measure_selection(layered_edges(rng, 1, 5000, options.genes, options.edges), options.seconds)
    elif options.what == "outputs":
        found = measure_selection(
            layered_edges(rng, options.outputs, 1200, 1400, 10_000, feedback=0.0), options.seconds
        )
    else:
        found = lay_out_cells(options.folder, options.cells, options.genes, options.known or options.genes)
    print(json.dumps(found, default=float))


if __name__ == "__main__":
    main()
