"""Time and memory of getting data in, side by side with scanpy and with memory, in one run.

    python benchmarks/data.py --parts tcr                # a twin of the TCR study's file; a few minutes
    python benchmarks/data.py --parts stream             # 500,000 cells x 20,000 genes from disk; half an hour, 6 GB

`tcr` writes a file with the study's shapes once and reads the labelled cells of it, ours and scanpy's with the
tutorial's steps taking turns. `stream` writes matched cells once, and trains a network on them from disk and on as many
as `--in-memory-cells` from memory. Every measurement is a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

DENSITY = 0.07


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def make_tcr(folder: Path, **_: Any) -> dict[str, float]:
    from kpnn.cells.formats.tenx_h5_writing import write_tenx_h5
    from kpnn.simulation import simulate

    study = simulate("tcr_like")
    names = (study.barcodes, study.symbols, study.gene_ids)
    write_tenx_h5(folder / "tcr.h5", study.counts, *names, layout="genome")
    study.labels.to_csv(folder / "tcr_labels.csv", index=False)
    study.edges.to_csv(folder / "tcr_edges.csv", index=False)
    return {"entries": study.counts.nnz}


def read_tcr_ours(folder: Path, **_: Any) -> dict[str, float]:
    import pandas as pd

    from kpnn.cells import Transform, match, open_expression, read_class_labels
    from kpnn.pkn import gene_of

    before, start = peak_megabytes(), time.perf_counter()
    labels, edges = read_class_labels(folder / "tcr_labels.csv"), pd.read_csv(folder / "tcr_edges.csv")
    genes = sorted(gene_of(node, "_gene") for node in set(edges["child"]) - set(edges["parent"]))
    matched = match(open_expression(folder / "tcr.h5"), labels, genes)
    values = Transform().apply(matched.counts, matched.totals)
    return {
        "seconds": time.perf_counter() - start,
        "peak_mb": peak_megabytes(),
        "imports_mb": before,
        "cells": values.shape[0],
        "genes": values.shape[1],
    }


def read_tcr_scanpy(folder: Path, **_: Any) -> dict[str, float]:
    import pandas as pd
    import scanpy as sc

    before, start = peak_megabytes(), time.perf_counter()
    labels, edges = pd.read_csv(folder / "tcr_labels.csv"), pd.read_csv(folder / "tcr_edges.csv")
    adata = sc.read_10x_h5(folder / "tcr.h5")
    read = time.perf_counter() - start
    genes = {name.split("_")[0] for name in set(edges["child"]) - set(edges["parent"])}
    sc.pp.log1p(adata)
    barcodes = sorted(set(adata.obs_names) & set(labels["barcode"]))
    matched = adata[adata.obs_names.isin(barcodes), adata.var_names.isin(genes)]
    frame = matched.to_df()
    matched = matched[:, matched.var_names.isin(set(frame.columns[frame.sum(axis=0) >= 1e-6]))]
    matched = matched[:, matched.to_df().sum(axis=0) != 0]
    frame = matched.to_df()
    frame = frame.T.groupby(level=0).max().T
    return {
        "seconds": time.perf_counter() - start,
        "read_seconds": read,
        "peak_mb": peak_megabytes(),
        "imports_mb": before,
        "cells": frame.shape[0],
        "genes": frame.shape[1],
    }


def stream_dag(n_genes: int) -> Any:
    """A DAG of 250 regulators and 50 kinases; every gene below two regulators."""
    import pandas as pd

    from kpnn.pkn import Dag

    rng = np.random.default_rng(0)
    rows = [("OUT", f"K{number:03d}") for number in range(50)]
    rows += [
        (f"K{parent:03d}", f"T{number:03d}") for number in range(250) for parent in {number % 50, (number * 7) % 50}
    ]
    for gene in range(n_genes):
        rows += [(f"T{parent:03d}", f"G{gene:05d}_gene") for parent in {gene % 250, int(rng.integers(250))}]
    return Dag.from_edges(pd.DataFrame(rows, columns=["parent", "child"]), outputs=["OUT"])


def make_stream(folder: Path, n_cells: int, n_genes: int, **_: Any) -> dict[str, float]:
    """Matched cells in which the first 200 genes differ between the classes; written block by block."""
    import h5py
    import pandas as pd
    import scipy.sparse as sp
    from anndata.io import write_elem

    rng, dag = np.random.default_rng(1), stream_dag(n_genes)
    labels = rng.integers(0, 2, n_cells).astype(np.int8)
    chance = np.full((2, n_genes), DENSITY, dtype=np.float32)
    chance[1, :200] *= 1.5
    with h5py.File(folder / "stream.h5ad", "w") as file:
        file.attrs["encoding-type"], file.attrs["encoding-version"] = "anndata", "0.1.0"
        write_elem(file, "obs", pd.DataFrame({"OUT": labels}, index=[f"cell{number}" for number in range(n_cells)]))
        write_elem(file, "var", pd.DataFrame({"node": dag.inputs}, index=[name[:-5] for name in dag.inputs]))
        group = file.create_group("X")
        group.attrs["encoding-type"], group.attrs["encoding-version"] = "csr_matrix", "0.1.0"
        group.attrs["shape"] = np.array([n_cells, n_genes])
        data = group.create_dataset("data", (0,), np.float32, maxshape=(None,), chunks=(1 << 18,))
        indices = group.create_dataset("indices", (0,), np.int32, maxshape=(None,), chunks=(1 << 18,))
        ends = [np.zeros(1, dtype=np.int64)]
        for start in range(0, n_cells, 2048):
            own = labels[start : start + 2048]
            block = sp.csr_matrix(rng.random((len(own), n_genes), dtype=np.float32) < chance[own])
            values = np.log1p(rng.integers(1, 6, block.nnz)).astype(np.float32)
            for node, array in ((data, values), (indices, block.indices.astype(np.int32))):
                node.resize((node.shape[0] + len(array),))
                node[-len(array) :] = array
            ends.append(ends[-1][-1] + block.indptr[1:].astype(np.int64))
        group["indptr"] = np.concatenate(ends)
    return {"entries": float(ends[-1][-1])}


def match_from_disk(folder: Path, n_cells: int, n_genes: int, **_: Any) -> dict[str, float]:
    """Two thirds of the cells and all genes of the same file, matched and written in bounded memory."""
    import pandas as pd

    from kpnn.cells import Transform, match, open_expression

    labels = pd.DataFrame({"barcode": [f"cell{number}" for number in range(n_cells) if number % 3], "OUT": 1})
    genes = [name[:-5] for name in stream_dag(n_genes).inputs]
    start = time.perf_counter()
    matched = match(open_expression(folder / "stream.h5ad"), labels, genes, in_memory_cells=0)
    matched.to_anndata(Transform(), [f"{gene}_gene" for gene in matched.genes]).write_h5ad(folder / "matched.h5ad")
    seconds = time.perf_counter() - start
    (folder / "matched.h5ad").unlink()
    return {"cells": len(labels), "seconds": seconds, "peak_mb": peak_megabytes()}


def train_from_disk(folder: Path, n_cells: int, n_genes: int, **_: Any) -> dict[str, float]:
    """Two epochs on all cells."""
    from kpnn.cells import CellsOnDisk
    from kpnn.nn import TrainingSettings, build_kpnn, fit_kpnns

    dag, cells, labels = stream_dag(n_genes), CellsOnDisk.open(folder / "stream.h5ad"), stream_labels(folder)

    def fit(rows: np.ndarray, settings: TrainingSettings) -> Any:
        models = [build_kpnn(dag)]
        return fit_kpnns(models, cells, labels, settings=[settings], training_rows=[rows])[0]

    fit(np.arange(2_000), TrainingSettings(max_epochs=1))
    history = fit(np.arange(n_cells), TrainingSettings(max_epochs=2, patience=None))
    start = time.perf_counter()
    sum(len(places) for _, places in cells.buffers(np.random.default_rng(0)))
    return {
        "cells": cells.n_cells,
        "epoch_seconds": float(np.min(history.seconds)),
        "first_epoch_seconds": float(history.seconds[0]),
        "reading_alone_seconds": time.perf_counter() - start,
        "loss": float(history.loss[-1]),
        "peak_mb": peak_megabytes(),
    }


def stream_labels(folder: Path) -> np.ndarray:
    import h5py

    with h5py.File(folder / "stream.h5ad") as file:
        return file["obs/OUT"][:].astype(np.float32)[:, None]


def train_from_memory(folder: Path, n_genes: int, in_memory_cells: int, **_: Any) -> dict[str, float]:
    import scipy.sparse as sp

    from kpnn.cells import CellsOnDisk
    from kpnn.nn import build_kpnn, fit_kpnn

    dag, labels = stream_dag(n_genes), stream_labels(folder)[:in_memory_cells]
    cells = CellsOnDisk.open(folder / "stream.h5ad").rows(np.arange(in_memory_cells))
    X = sp.vstack([expression for expression, _ in cells.buffers()], format="csr")
    fit_kpnn(build_kpnn(dag), X[:2_000], labels[:2_000], max_epochs=1)
    history = fit_kpnn(build_kpnn(dag), X, labels, max_epochs=2, patience=None)
    return {"cells": X.shape[0], "epoch_seconds": float(np.min(history.seconds)), "peak_mb": peak_megabytes()}


STEPS: dict[str, Callable[..., dict[str, float]]] = {
    "make_tcr": make_tcr,
    "read_tcr_ours": read_tcr_ours,
    "read_tcr_scanpy": read_tcr_scanpy,
    "make_stream": make_stream,
    "match_from_disk": match_from_disk,
    "train_from_disk": train_from_disk,
    "train_from_memory": train_from_memory,
}


def in_its_own_process(step: str, arguments: argparse.Namespace) -> dict[str, float]:
    command = [sys.executable, "-W", "ignore", __file__, "--folder", arguments.folder, "--step", step]
    for name in ("n_cells", "n_genes", "in_memory_cells"):
        command += [f"--{name.replace('_', '-')}", str(getattr(arguments, name))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{step} failed:\n{done.stderr[-3000:]}")
    result: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    print(step, {name: round(value, 3) for name, value in result.items()}, flush=True)
    return result


def measure_tcr(arguments: argparse.Namespace) -> list[str]:
    if not (Path(arguments.folder) / "tcr.h5").exists():
        in_its_own_process("make_tcr", arguments)
    turns = [
        (in_its_own_process("read_tcr_ours", arguments), in_its_own_process("read_tcr_scanpy", arguments))
        for _ in range(arguments.repeats)
    ]
    ours, theirs = ([turn[side] for turn in turns] for side in (0, 1))
    ratios = [one["seconds"] / other["seconds"] for one, other in turns]

    def row(name: str, results: list[dict[str, float]]) -> str:
        seconds = np.median([each["seconds"] for each in results])
        peak = max(each["peak_mb"] for each in results)
        size = f"{results[0]['cells']:,.0f} x {results[0]['genes']:,.0f}"
        return f"| {name} | {size} | {seconds:.2f} s | {peak:,.0f} MB | {results[0]['imports_mb']:,.0f} MB |"

    return [
        "| TCR twin, 1,474,560 barcodes x 64,370 genes | matrix | time (median) | peak memory | of it imports |",
        "|---|---|---|---|---|",
        row("kpnn", ours),
        row("scanpy.read_10x_h5 and the tutorial's steps", theirs),
        "",
        f"Ratio of the times, turn by turn: {', '.join(f'{ratio:.2f}' for ratio in ratios)}.",
    ]


def measure_stream(arguments: argparse.Namespace) -> list[str]:
    if not (Path(arguments.folder) / "stream.h5ad").exists():
        in_its_own_process("make_stream", arguments)
    matched = in_its_own_process("match_from_disk", arguments)
    disk = in_its_own_process("train_from_disk", arguments)
    memory = in_its_own_process("train_from_memory", arguments)
    rates = [1e6 * each["epoch_seconds"] / each["cells"] for each in (disk, memory)]
    return [
        f"| one epoch, {arguments.n_genes:,} genes at {DENSITY:.0%} density | cells | per cell | epoch | peak memory |",
        "|---|---|---|---|---|",
        f"| from disk | {disk['cells']:,.0f} | {rates[0]:.0f} µs | {disk['epoch_seconds']:.0f} s | "
        f"{disk['peak_mb']:,.0f} MB |",
        f"| from memory | {memory['cells']:,.0f} | {rates[1]:.0f} µs | {memory['epoch_seconds']:.0f} s | "
        f"{memory['peak_mb']:,.0f} MB |",
        "",
        f"Speed from disk over speed from memory: {rates[1] / rates[0]:.2f}. Reading and shuffling alone take "
        f"{disk['reading_alone_seconds']:.0f} s an epoch.",
        "",
        f"Matching {matched['cells']:,.0f} of the cells and writing them: {matched['seconds']:.0f} s, "
        f"{matched['peak_mb']:,.0f} MB.",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=("tcr", "stream"), default=["tcr", "stream"])
    parser.add_argument("--folder", default="build/benchmark_data", help="where the files are made and kept")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--n-cells", type=int, default=500_000)
    parser.add_argument("--n-genes", type=int, default=20_000)
    parser.add_argument("--in-memory-cells", type=int, default=100_000)
    parser.add_argument("--out", default=None, help="where to write the tables, in markdown")
    parser.add_argument("--step", choices=tuple(STEPS), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        options = {name: getattr(arguments, name) for name in ("n_cells", "n_genes", "in_memory_cells")}
        print(json.dumps(STEPS[arguments.step](Path(arguments.folder), **options)))
        return
    Path(arguments.folder).mkdir(parents=True, exist_ok=True)
    packages = ", ".join(f"{name} {metadata.version(name)}" for name in ("anndata", "h5py", "numpy", "scanpy", "scipy"))
    lines = [f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, {packages}", ""]
    measure = {"tcr": measure_tcr, "stream": measure_stream}
    for part in arguments.parts:
        lines += [*measure[part](arguments), ""]
    text = "\n".join(lines)
    print(text)
    if arguments.out:
        Path(arguments.out).write_text(text)


if __name__ == "__main__":
    main()
