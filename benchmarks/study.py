"""A whole study on a simulated twin of the TCR data: the tutorial's protocol, the nested one, and the peer's time.

Run `python benchmarks/study.py` for the table in docs/benchmarks.md, or some parts of it: `--parts tutorial workers`.
The peer (`corneto.ml.build_dagnn`) is measured in a process of its own, one network of the full DAG on each backend:
building it, its first epoch and some later ones. Its whole study is then extrapolated: for every fold of both arms, one
build and as many epochs as ours took, scaled by the arm's number of edges.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from kpnn.cells.folds import FoldSettings, make_folds
from kpnn.pkn import Dag, Pkn, select_dag, shortest_path_dag
from kpnn.simulation import simulate
from kpnn.training.controls import Arm
from kpnn.training.cross_validation import cross_validate
from kpnn.training.data import LabelledCells
from kpnn.training.results import ArmResult, FoldStore
from kpnn.training.settings import EvaluationSettings

SEARCH_SPACE = {
    "dropout": {"type": "float", "low": 0.0, "high": 0.5},
    "kernel_l2": {"type": "float", "low": 1e-6, "high": 1e-2, "log": True},
    "bias_l2": {"type": "float", "low": 1e-6, "high": 1e-2, "log": True},
    "learning_rate": {"type": "float", "low": 3e-3, "high": 3e-2, "log": True},
}
TUTORIAL = {  # the tutorial's numbers
    "dropout": 0.2,
    "bias_l1": 1e-3,
    "bias_l2": 1e-2,
    "hidden_activation": "sigmoid",
    "learning_rate": 1e-3,
    "batch_size": 64,
}
TUTORIAL_FIT = {"max_epochs": 200, "patience": 10, "learning_rate_schedule": "constant"}


def draw_study(seed: int) -> tuple[LabelledCells, dict[str, Dag], pd.DataFrame]:
    """Draws cells, both arms' DAGs and five folds of the study's sizes, in a file of few barcodes."""
    simulation = simulate("tcr_like", seed=seed, n_barcodes=20_000, n_entries=5_000_000)
    adata = simulation.to_anndata()
    labels = simulation.labels.set_index("barcode")
    adata = adata[labels.index]
    output = simulation.truth.output
    counts = pd.DataFrame(adata.X.T.toarray(), index=adata.var_names).groupby(level=0).max()
    counts = counts[counts.sum(axis=1) > 0]
    pkn = Pkn.from_edges(simulation.edges, outputs=[output]).pruned([f"{gene}_gene" for gene in counts.index])
    expression = np.log1p(counts.loc[[node.removesuffix("_gene") for node in pkn.inputs]].to_numpy().T)
    cells = LabelledCells(
        csr_matrix(expression, dtype=np.float32),
        labels[[output]].to_numpy(np.float32),
        labels.index.to_numpy().astype(str),
        pkn.inputs,
        (output,),
    )
    dags = {"full": shortest_path_dag(pkn), "pruned": select_dag(pkn).dag}
    return cells, dags, make_folds(labels[[output]], FoldSettings())


def run_arms(
    study: tuple[LabelledCells, dict[str, Dag], pd.DataFrame], settings: dict[str, Any]
) -> tuple[float, dict[str, ArmResult]]:
    """Cross-validates both arms from nothing; returns the seconds and the results."""
    cells, dags, folds = study
    with tempfile.TemporaryDirectory() as folder:
        tuning = settings.get("tuning", {}) | {"storage": f"sqlite:///{folder}/optuna.db"}
        typed = EvaluationSettings.model_validate(settings | {"tuning": tuning})
        begun = time.perf_counter()
        results = {
            name: cross_validate(Arm(name, dag), cells, folds, typed, FoldStore(Path(folder) / name))
            for name, dag in dags.items()
        }
        return time.perf_counter() - begun, results


def describe(results: dict[str, ArmResult]) -> dict[str, Any]:
    return {
        name: {
            "roc_auc": result.mean_metrics()["roc_auc"],
            "epochs": [fold.n_epochs for fold in result.folds],
            "n_edges": result.folds[0].n_edges,
        }
        for name, result in results.items()
    }


def measure_tutorial(seed: int) -> dict[str, Any]:
    study = draw_study(seed)
    settings = {"protocol": "tutorial", "hyperparameters": TUTORIAL, "fit": TUTORIAL_FIT}
    seconds, results = run_arms(study, settings)
    return {"seconds": seconds, "arms": describe(results), "peak_gb": peak_gb()}


def measure_nested(seed: int) -> dict[str, Any]:
    study = draw_study(seed)
    settings = {
        "tuning": {"n_trials": 20, "search_space": SEARCH_SPACE},
        "execution": {"executor": "processes", "n_workers": 2},
    }
    seconds, results = run_arms(study, settings)
    return {"seconds": seconds, "arms": describe(results), "peak_gb": peak_gb()}


def measure_workers(seed: int) -> dict[str, Any]:
    """The same nested study (eight trials) with one worker of one thread, and with two workers on both cores."""
    study = draw_study(seed)
    found = {}
    for workers in (1, 2):
        settings = {
            "tuning": {"n_trials": 8, "search_space": SEARCH_SPACE},
            "execution": {"executor": "processes", "n_workers": workers}
            | ({"threads_per_fit": 1} if workers == 1 else {}),
        }
        found[str(workers)] = run_arms(study, settings)[0]
    return {"seconds": found, "ratio": found["1"] / found["2"]}


def measure_peer(seed: int, backend: str) -> dict[str, Any]:
    """Builds and trains the tutorial's network for a few epochs; needs KERAS_BACKEND set before Keras is imported."""
    import corneto
    import keras
    from corneto.ml import build_dagnn

    cells, dags, _ = draw_study(seed)
    dag = dags["full"]
    graph = corneto.Graph()
    for parent, child in zip(dag.edges["parent"], dag.edges["child"], strict=True):
        graph.add_edge(child, parent)
    begun = time.perf_counter()
    model = build_dagnn(
        graph,
        list(dag.inputs),
        list(dag.outputs),
        dropout=0.2,
        bias_reg_l1=1e-3,
        bias_reg_l2=1e-2,
        force_sign=False,
    )
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="binary_crossentropy")
    build = time.perf_counter() - begun
    X, y = cells.expression[:1388].toarray(), cells.labels[:1388]
    epochs = []
    for _ in range(3):
        begun = time.perf_counter()
        model.fit(X, y, epochs=1, batch_size=64, verbose=0)
        epochs.append(time.perf_counter() - begun)
    return {"backend": backend, "build": build, "first_epoch": epochs[0], "later_epoch": min(epochs[1:])}


def extrapolated(peer: dict[str, Any], tutorial: dict[str, Any]) -> float:
    """Seconds of the peer's whole study: each fold builds, compiles and trains as many epochs as ours did."""
    full_edges = tutorial["arms"]["full"]["n_edges"]
    total = 0.0
    for arm in tutorial["arms"].values():
        scale = arm["n_edges"] / full_edges
        for epochs in arm["epochs"]:
            total += scale * (peer["build"] + peer["first_epoch"] + (epochs - 1) * peer["later_epoch"])
    return total


def peak_gb() -> float:
    """Peak memory of this process plus that of its largest child, in GB."""
    kilobytes = sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return kilobytes / 1e6


def in_own_process(part: str, seed: int, environment: dict[str, str] | None = None) -> dict[str, Any]:
    command = [sys.executable, __file__, "--part", part, "--seed", str(seed)]
    done = subprocess.run(
        command, env={**os.environ, **(environment or {})}, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def report(found: dict[str, Any]) -> str:
    rows = ["| | measured | to reach |", "|---|---|---|"]
    tutorial = found["tutorial"]
    sizes = ", ".join(f"{name} {arm['n_edges']:,} edges" for name, arm in tutorial["arms"].items())
    aucs = ", ".join(f"{name} {arm['roc_auc']:.3f}" for name, arm in tutorial["arms"].items())
    rows.append(f"| tutorial's protocol, 2 arms x 5 folds, up to 200 epochs | {tutorial['seconds']:.1f} s | 150 s |")
    peers = found.get("peers", [])
    if peers:
        totals = {peer["backend"]: extrapolated(peer, tutorial) for peer in peers}
        fastest = min(totals, key=lambda backend: totals[backend])
        for peer in peers:
            rows.append(
                f"| `build_dagnn` on {peer['backend']}: build, first epoch, later epochs; the study extrapolated | "
                f"{peer['build']:.0f} s, {peer['first_epoch']:.1f} s, {peer['later_epoch']:.2f} s; "
                f"{totals[peer['backend']]:,.0f} s | |"
            )
        ratio = totals[fastest] / tutorial["seconds"]
        rows.append(f"| ratio to its fastest backend ({fastest}) | {ratio:.0f}x | 25x |")
    if "nested" in found:
        nested = found["nested"]
        rows.append(f"| nested, 20 trials per fold and arm, two workers | {nested['seconds']:.0f} s | 900 s |")
        rows.append(f"| its peak memory (main process + largest worker) | {nested['peak_gb']:.2f} GB | 3 GB |")
    if "workers" in found:
        workers = found["workers"]
        rows.append(
            f"| nested, 8 trials: one worker, two workers | {workers['seconds']['1']:.0f} s, "
            f"{workers['seconds']['2']:.0f} s: {workers['ratio']:.2f}x | 1.7x |"
        )
    about = f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}"
    epochs = {name: arm["epochs"] for name, arm in tutorial["arms"].items()}
    return "\n".join([*rows, "", f"{sizes}; ROC-AUC (tutorial's protocol) {aucs}; epochs {epochs}. {about}."])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", default=["tutorial", "nested", "workers", "peers"])
    parser.add_argument("--backends", nargs="+", default=["torch", "jax"], help="backends of the peer")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, help="write the table (.md) and the numbers (.json) beside it")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        backend = arguments.part.removeprefix("peer:")
        measures = {"tutorial": measure_tutorial, "nested": measure_nested, "workers": measure_workers}
        found = (
            measure_peer(arguments.seed, backend)
            if arguments.part.startswith("peer:")
            else measures[arguments.part](arguments.seed)
        )
        print(json.dumps(found))
        return
    results: dict[str, Any] = {}
    for part in ("tutorial", "nested", "workers"):
        if part in arguments.parts or part == "tutorial":
            results[part] = in_own_process(part, arguments.seed)
            print(f"{part}: {results[part]}", file=sys.stderr)
    if "peers" in arguments.parts:
        results["peers"] = []
        for backend in arguments.backends:
            peer = in_own_process(f"peer:{backend}", arguments.seed, {"KERAS_BACKEND": backend})
            results["peers"].append(peer)
            print(f"peer: {peer}", file=sys.stderr)
    table = report(results)
    print(table)
    if arguments.output:
        arguments.output.with_suffix(".md").write_text(table + "\n", encoding="utf-8")
        arguments.output.with_suffix(".json").write_text(json.dumps(results, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
