"""Time and memory of building and training a KPNN, side by side with the peers in one run.

    python benchmarks/training.py                    # everything, each part in a process of its own; half an hour
    python benchmarks/training.py --parts torch batch

The peers are `corneto.ml.build_dagnn` (trained by Keras) and, where it is installed, kpnn2's PackedLinear (trained by
a plain loop on torch). Parts: `torch` and `jax` (build and epochs, without and with dropout, networks taking turns),
`batch` (eight fits one after another and as one batch), `growth` (edges, cells, depth), `memory` (peak of a process
that trains from CSR). `gpu_torch` and `gpu_jax`, left out unless asked for, need a GPU: Keras's own `fit` of the same
models there, beside `fit_kpnn` on that machine's processor.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

PARTS = ("torch", "jax", "batch", "growth", "memory")
GPU_PARTS = ("gpu_torch", "gpu_jax")
CELLS, BATCH_SIZE = 1388, 64
PENALTY: dict[str, Any] = {"bias_l1": 1e-3, "bias_l2": 1e-2}


def seconds_of(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def our_fit(dag: Any, X: Any, y: np.ndarray, epochs: int = 1, **settings: Any) -> Callable[[], float]:
    """Returns a function that trains a new network and returns the median time of an epoch."""
    from kpnn.nn import build_kpnn, fit_kpnn

    model = build_kpnn(dag, **PENALTY, **settings)

    def fit() -> float:
        return float(np.median(fit_kpnn(model, X, y, max_epochs=epochs, batch_size=BATCH_SIZE).seconds))

    return fit


def build_peer(dag: Any, dropout: float) -> Any:
    import corneto
    import keras
    from corneto.ml import build_dagnn

    graph = corneto.Graph()
    for parent, child in zip(dag.edges["parent"], dag.edges["child"], strict=True):
        graph.add_edge(child, parent)
    names = {"bias_reg_l1": PENALTY["bias_l1"], "bias_reg_l2": PENALTY["bias_l2"]}
    model = build_dagnn(graph, list(dag.inputs), list(dag.outputs), dropout=dropout, force_sign=False, **names)
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="binary_crossentropy")
    return model


def build_kpnn2(dag: Any, X: np.ndarray, y: np.ndarray) -> Callable[[], float]:
    """Returns a function that trains kpnn2's layers for one epoch and returns its time."""
    import torch

    kpnn2: Any = importlib.import_module("kpnn2")  # not among the project's dependencies
    spec = kpnn2.parse_layered(dag.edges[["child", "parent"]].set_axis(["source", "target"], axis=1))
    layers = torch.nn.ModuleList([kpnn2.PackedLinear.from_hop(hop) for hop in spec.hops])
    features, labels = torch.as_tensor(X), torch.as_tensor(y)[:, None]
    optimizer = torch.optim.Adam(layers.parameters(), lr=1e-3)
    loss_function = torch.nn.BCEWithLogitsLoss()

    def epoch() -> float:
        start = time.perf_counter()
        order = torch.randperm(len(features))
        for first in range(0, len(features), BATCH_SIZE):
            rows = order[first : first + BATCH_SIZE]
            saved = {0: features[rows]}
            for depth, (hop, layer) in enumerate(zip(spec.hops, layers, strict=True), start=1):
                z = layer(kpnn2.gather_hop_inputs(saved, hop))
                saved[depth] = torch.sigmoid(z)
            optimizer.zero_grad()
            loss_function(z, labels[rows]).backward()
            optimizer.step()
        return time.perf_counter() - start

    return epoch


def measure_peers(backend: str, rounds: int, with_build_dagnn: bool = True) -> dict[str, Any]:
    """Build and epochs of all networks that run on a backend; in each round every network trains in turn."""
    from _instances import sparse_cells, tcr_twin

    dag = tcr_twin()
    X, y = sparse_cells(CELLS, len(dag.inputs))
    dense = X.toarray()
    result: dict[str, Any] = {"edges": len(dag.edges), "neurons": len(dag.neurons)}
    from kpnn.nn import build_kpnn

    result["build"] = {"kpnn": min(seconds_of(lambda: build_kpnn(dag)) for _ in range(5))}
    first: dict[str, float] = {}
    networks: dict[str, Callable[[], float]] = {}
    for dropout, name in ((0.0, "no dropout"), (0.2, "dropout")):
        fit = our_fit(dag, X, y, epochs=5, dropout=dropout)
        first[f"kpnn, {name}"] = seconds_of(our_fit(dag, X, y, dropout=dropout))
        networks[f"kpnn, {name}"] = fit
    if backend == "torch":
        standard = {"input_normalization": "standard", "dropout": 0.2}
        networks["kpnn, dropout, standard normalization"] = our_fit(dag, X, y, epochs=5, **standard)
        networks["kpnn, node dropout"] = our_fit(dag, X, y, epochs=5, dropout=0.2, dropout_on="nodes")
        try:
            start = time.perf_counter()
            epoch = build_kpnn2(dag, dense, y)
            result["build"]["kpnn2"] = time.perf_counter() - start
            first["kpnn2, no dropout"] = epoch()
            networks["kpnn2, no dropout"] = epoch
        except ImportError:
            print("kpnn2 is not installed: left out", file=sys.stderr)
    for dropout, name in ((0.0, "no dropout"), (0.2, "dropout")) if with_build_dagnn else ():
        start = time.perf_counter()
        model = build_peer(dag, dropout)
        result["build"][f"build_dagnn, {name}"] = time.perf_counter() - start

        def epoch(model: Any = model) -> float:
            return seconds_of(lambda: model.fit(dense, y, epochs=1, batch_size=BATCH_SIZE, verbose=0))

        first[f"build_dagnn, {name}"] = epoch()
        networks[f"build_dagnn, {name}"] = epoch
    times: dict[str, list[float]] = {name: [] for name in networks}
    cpu: dict[str, list[float]] = {name: [] for name in networks}
    for _ in range(rounds):
        for name, train in networks.items():
            start = time.process_time()
            times[name].append(train())
            epochs = 5 if name.startswith("kpnn,") else 1
            cpu[name].append((time.process_time() - start) / epochs)
    return {**result, "first_epoch": first, "epochs": times, "cpu": cpu}


def measure_batch(rounds: int) -> dict[str, Any]:
    """Eight fits that differ in seed, dropout, penalty and cells: one after another, and as one batch."""
    from _instances import sparse_cells, tcr_twin
    from kpnn.nn import TrainingSettings, build_kpnn, edge_weights, fit_kpnns

    dag = tcr_twin()
    X, y = sparse_cells(CELLS, len(dag.inputs))
    generator = np.random.default_rng(0)
    rows = [np.sort(generator.choice(CELLS, int(0.8 * CELLS), replace=False)) for _ in range(8)]
    settings = [TrainingSettings(max_epochs=4, seed=place, batch_size=BATCH_SIZE) for place in range(8)]

    def build() -> list[Any]:
        return [build_kpnn(dag, seed=place, dropout=0.05 * place, kernel_l2=1e-4 * place) for place in range(8)]

    fit_kpnns(build(), X, y, training_rows=rows, settings=TrainingSettings(max_epochs=1))
    found: dict[str, Any] = {"alone": [], "batch": [], "same_bits": True}
    for _ in range(rounds):
        alone, batch = build(), build()
        start = time.perf_counter(), time.process_time()
        for place, model in enumerate(alone):
            fit_kpnns([model], X, y, training_rows=[rows[place]], settings=settings[place])
        middle = time.perf_counter(), time.process_time()
        fit_kpnns(batch, X, y, training_rows=rows, settings=settings)
        end = time.perf_counter(), time.process_time()
        found["alone"].append([middle[0] - start[0], middle[1] - start[1]])
        found["batch"].append([end[0] - middle[0], end[1] - middle[1]])
        found["same_bits"] &= all(edge_weights(a).equals(edge_weights(b)) for a, b in zip(alone, batch, strict=True))
    return found


def measure_growth(rounds: int) -> dict[str, Any]:
    """CPU seconds of a fit of one epoch (it runs on one core) by number of edges, number of cells, and depth."""
    from _instances import layered_dag, sparse_cells, tcr_twin

    result: dict[str, Any] = {"edges": {}, "cells": {}, "depth": {}}

    def epoch(dag: Any, X: Any, y: np.ndarray, **settings: Any) -> float:
        fit = our_fit(dag, X, y, **settings)
        times = []
        for _ in range(1 + rounds):
            start = time.process_time()
            fit()
            times.append(time.process_time() - start)
        return min(times)

    for size in (10_000, 30_000, 100_000, 300_000, 1_350_000):
        dag = layered_dag(
            n_neurons=1000, n_genes=min(20_000, size // 2), n_gene_edges=size, n_neuron_edges=size // 10, depth=7
        )
        X, y = sparse_cells(512, len(dag.inputs))
        result["edges"][len(dag.edges)] = [epoch(dag, X, y), epoch(dag, X, y, dropout=0.2)]
    dag = tcr_twin()
    for n_cells in (500, 1000, 2000, 4000, 8000, 16_000):
        X, y = sparse_cells(n_cells, len(dag.inputs))
        result["cells"][n_cells] = [epoch(dag, X, y), epoch(dag, X, y, dropout=0.2)]
    X, y = sparse_cells(CELLS, 12_459)
    for depth in (7, 30):
        deep = layered_dag(n_neurons=308, n_genes=12_459, n_gene_edges=25_100, n_neuron_edges=900, depth=depth)
        result["depth"][depth] = [epoch(deep, X, y), epoch(deep, X, y, dropout=0.2), len(deep.edges)]
    return result


def gpu_name() -> str | None:
    """The GPU that this process's Keras backend computes on; None where it has none."""
    if os.environ.get("KERAS_BACKEND") == "jax":
        import jax

        devices = [device for device in jax.devices() if device.platform == "gpu"]
        return str(devices[0].device_kind) if devices else None
    import torch

    return str(torch.cuda.get_device_name(0)) if torch.cuda.is_available() else None


def measure_gpu(rounds: int) -> dict[str, Any]:
    """An epoch by Keras's own `fit` on the GPU and by `fit_kpnn` on the processor, of the same new model."""
    from _instances import layered_dag, sparse_cells, tcr_twin
    from kpnn.nn import adapt_normalization, build_kpnn, fit_kpnn, predict

    name = gpu_name()
    if name is None:
        raise SystemExit("no GPU that this Keras backend sees; leave gpu_torch and gpu_jax out")
    import keras

    result: dict[str, Any] = {"gpu": name, "epochs": []}
    large = layered_dag(n_neurons=1000, n_genes=20_000, n_gene_edges=300_000, n_neuron_edges=30_000, depth=7)
    for dag, n_cells in ((tcr_twin(), CELLS), (large, CELLS), (tcr_twin(), 20_000)):
        X, y = sparse_cells(n_cells, len(dag.inputs))
        dense = X.toarray()
        for batch_size in (64, 1024):
            row: dict[str, Any] = {"edges": len(dag.edges), "cells": n_cells, "batch": batch_size}
            ours, on_gpu = build_kpnn(dag, **PENALTY), build_kpnn(dag, **PENALTY)
            row["fit_kpnn"] = [
                float(fit_kpnn(ours, X, y, max_epochs=1, batch_size=batch_size).seconds[0]) for _ in range(1 + rounds)
            ]
            adapt_normalization(on_gpu, X)
            on_gpu.compile(optimizer=keras.optimizers.Adam(1e-3), loss="binary_crossentropy")

            def epoch(model: Any = on_gpu, cells: Any = dense, labels: Any = y, size: int = batch_size) -> float:
                return seconds_of(lambda: model.fit(cells, labels, epochs=1, batch_size=size, verbose=0))

            row["keras"] = [epoch() for _ in range(1 + rounds)]
            told = predict(on_gpu, X).to_numpy().ravel()  # by the processor, from the weights that the GPU made
            itself = np.asarray(on_gpu.predict(dense, batch_size=1024, verbose=0)).ravel()
            row["largest difference of predictions"] = float(np.abs(told - itself).max())
            result["epochs"].append(row)
            print(row, file=sys.stderr, flush=True)
    return result


def measure_memory() -> dict[str, Any]:
    """Peak resident memory of this process before and after training from 20,000 x 20,000 cells at 10 % density."""
    # As in an installation without the JAX extra: Keras imports JAX wherever it finds it, and it takes 110 MiB.
    sys.modules["jax"] = None  # type: ignore[assignment]
    import resource

    from _instances import layered_dag, sparse_cells
    from kpnn.nn import TrainingSettings, build_kpnn, fit_kpnns, predict

    def peak() -> float:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    result = {"imports, MiB": peak()}
    dag = layered_dag(n_neurons=400, n_genes=20_000, n_gene_edges=40_000, n_neuron_edges=1000, depth=7)
    X, y = sparse_cells(20_000, 20_000)
    result["matrix alone, MiB"] = (X.data.nbytes + X.indices.nbytes + X.indptr.nbytes) / 2**20
    result["with the matrix, MiB"] = peak()
    rows = np.arange(20_000)
    settings = TrainingSettings(max_epochs=1)
    for normalization in (None, "standard"):
        model = build_kpnn(dag, dropout=0.2, input_normalization=normalization)
        split: dict[str, Any] = {"training_rows": [rows[:16_000]], "validation_rows": [rows[16_000:]]}
        history = fit_kpnns([model], X, y, settings=settings, **split)[0]
        predict(model, X)
        name = f"{normalization or 'no'} normalization"
        result[f"peak after training and predicting, {name}, MiB"] = peak()
        result[f"epoch, {name}, s"] = float(history.seconds[0])
    return result


def machine() -> dict[str, Any]:
    names = ("torch", "jax", "keras", "numba", "numpy", "corneto", "kpnn2")
    versions = {}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = lines[0] if lines else model
    cores = len(os.sched_getaffinity(0))
    return {"processor": model, "cores": cores, "python": platform.python_version(), **versions}


def table(header: list[str], rows: list[list[Any]]) -> str:
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(str(each) for each in row) + " |" for row in rows]
    return "\n".join(lines)


def brief(seconds: float) -> str:
    return f"{seconds:.3f}" if seconds < 10 else f"{seconds:.1f}"


def peers_report(backend: str, found: dict[str, Any]) -> str:
    """Times by the least disturbed round, and how many times faster than each peer."""
    least = {name: min(times) for name, times in found["epochs"].items()}
    rows = []
    for name, seconds in least.items():
        dropout = "no dropout" if "no dropout" in name else "dropout"
        row = [name, brief(found["first_epoch"][name]) if name in found["first_epoch"] else "", brief(seconds)]
        row.append(brief(min(found["cpu"][name])))
        for peer in (f"build_dagnn, {dropout}", "kpnn2, no dropout"):
            row.append(f"{least[peer] / seconds:.1f}x" if peer in least else "")
        rows.append(row)
    header = ["network", "first epoch, s", "later epochs, s", "CPU s", "faster than build_dagnn", "than kpnn2"]
    builds = ", ".join(f"{name} {brief(seconds)} s" for name, seconds in found["build"].items())
    size = f"{found['neurons']} neurons, {found['edges']:,} edges"
    return f"Keras on {backend}; {size}.\n\nBuild: {builds}.\n\n{table(header, rows)}"


def gpu_report(backend: str, found: dict[str, Any]) -> str:
    """The least disturbed epoch after the first, and how many times faster the GPU is."""
    rows = []
    for row in found["epochs"]:
        ours, keras = min(row["fit_kpnn"][1:]), min(row["keras"][1:])
        sizes = [f"{row['edges']:,}", f"{row['cells']:,}", str(row["batch"])]
        rows.append([*sizes, brief(ours), brief(row["keras"][0]), brief(keras), f"{ours / keras:.2f}x"])
    header = ["edges", "cells", "batch", "`fit_kpnn`, one core, s", "GPU, first epoch, s", "GPU, s", "GPU faster"]
    return f"Keras on {backend}, {found['gpu']}.\n\n{table(header, rows)}"


def report(part: str, found: dict[str, Any]) -> str:
    if part in ("torch", "jax"):
        return peers_report(part, found)
    if part in GPU_PARTS:
        return gpu_report(part.removeprefix("gpu_"), found)
    if part == "batch":
        # A round counts as undisturbed where the process got the cores that it asked for.
        rows = []
        for (alone, alone_cpu), (batch, batch_cpu) in zip(found["alone"], found["batch"], strict=True):
            shares = alone_cpu / alone, batch_cpu / batch
            rows.append([brief(alone), brief(batch), f"{batch / alone:.2f}", *(f"{share:.2f}" for share in shares)])
        free = [float(row[2]) for row in rows if float(row[3]) > 0.95 and float(row[4]) > 1.8]
        cpu = np.sum(found["batch"], axis=0)[1] / np.sum(found["alone"], axis=0)[1]
        header = ["eight alone, s", "batch of eight, s", "ratio", "cores used alone", "cores used by the batch"]
        ratio = f"median ratio {np.median(free):.2f} of {len(free)}" if free else "none"
        summary = f"Undisturbed rounds: {ratio}. CPU time of the batch by that of the eight: {cpu:.2f}."
        return table(header, rows) + f"\n\n{summary} Same weights bit for bit: {found['same_bits']}."
    if part == "growth":
        tables = []
        for name in ("edges", "cells", "depth"):
            rows = [
                [f"{int(size):,}", brief(times[0]), brief(times[1]), f"{times[0] / int(size) * 1e6:.2f}"]
                for size, times in found[name].items()
            ]
            unit = "" if name == "depth" else f", and microseconds an epoch per {name[:-1]}"
            header = [name, "epoch, CPU s", "with dropout, CPU s", "us each" if unit else "-"]
            tables.append(table(header, rows if unit else [[*row[:3], ""] for row in rows]))
        return "\n\n".join(tables)
    return table(["what", "value"], [[name, f"{value:.1f}"] for name, value in found.items()])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS + GPU_PARTS, default=list(PARTS))
    parser.add_argument("--rounds", type=int, default=3, help="how often every network takes its turn")
    parser.add_argument("--out", type=Path, help="folder for a .md and a .json file of each part")
    parser.add_argument("--without-build-dagnn", action="store_true", help="leave that peer out: it takes minutes")
    parser.add_argument("--here", action="store_true", help="measure in this process (one part)")
    arguments = parser.parse_args()
    for part in arguments.parts:
        if not arguments.here:
            environment = {**os.environ, "KERAS_BACKEND": "jax" if part.endswith("jax") else "torch"}
            command = [sys.executable, __file__, "--here", "--parts", part, "--rounds", str(arguments.rounds)]
            command += ["--out", str(arguments.out)] if arguments.out else []
            command += ["--without-build-dagnn"] if arguments.without_build_dagnn else []
            subprocess.run(command, env=environment, check=True)
            continue
        measured = {
            "torch": lambda: measure_peers("torch", arguments.rounds, not arguments.without_build_dagnn),
            "jax": lambda: measure_peers("jax", arguments.rounds, not arguments.without_build_dagnn),
            "batch": lambda: measure_batch(arguments.rounds),
            "growth": lambda: measure_growth(arguments.rounds),
            "memory": measure_memory,
            **dict.fromkeys(GPU_PARTS, lambda: measure_gpu(arguments.rounds)),
        }[part]()
        text = f"### {part}\n\n{report(part, measured)}\n\n{machine()}\n"
        print(text, flush=True)
        if arguments.out:
            arguments.out.mkdir(parents=True, exist_ok=True)
            (arguments.out / f"training_{part}.md").write_text(text)
            (arguments.out / f"training_{part}.json").write_text(
                json.dumps({**measured, "machine": machine()}, indent=1)
            )


if __name__ == "__main__":
    main()
