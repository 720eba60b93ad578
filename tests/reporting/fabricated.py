"""A small study made up from nothing: two arms that see the same folds, their DAGs and node weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from kpnn.evaluation import score
from kpnn.pkn import Dag, Pkn
from kpnn.reporting import ArmTables, Control, Interpretation, Study
from kpnn.training.results import wide_predictions


def make_dag(n_hidden: int, n_genes: int, seed: int, outputs: tuple[str, ...] = ("OUT",), name: str = "N") -> Dag:
    rng = np.random.default_rng(seed)
    hidden = [f"{name}{number:03d}" for number in range(n_hidden)]
    rows = [(output, hidden[0]) for output in outputs]
    for number, node in enumerate(hidden[1:], 1):
        rows += [(hidden[int(parent)], node) for parent in rng.integers(number, size=2)]
    rows += [(hidden[int(rng.integers(n_hidden))], f"G{gene}_gene") for gene in range(n_genes)]
    rows += [(node, f"G{number % n_genes}_gene") for number, node in enumerate(hidden)]
    return Dag.from_edges(pd.DataFrame(rows, columns=["parent", "child"]).drop_duplicates(), outputs=outputs)


def make_arm(
    name: str,
    dag: Dag,
    *,
    seed: int = 0,
    strength: float = 1.5,
    n_cells: int = 200,
    n_folds: int = 5,
    shift: int = 0,
) -> ArmTables:
    rng = np.random.default_rng(seed)
    cells, n_outputs = [f"cell{number}" for number in range(n_cells)], len(dag.outputs)
    labels = np.random.default_rng(99).permuted(np.tile(np.arange(n_cells) % 2, (n_outputs, 1)), axis=1).T
    logits = strength * (2 * labels - 1) + rng.normal(size=labels.shape)
    probabilities = 1 / (1 + np.exp(-logits))
    fold_of = (np.arange(n_cells) + shift) // 2 % n_folds
    parts, metrics = [], []
    for fold in range(n_folds):
        rows = np.flatnonzero(fold_of == fold)
        frame = pd.DataFrame(
            {
                "repeat": 0,
                "fold": fold,
                "barcode": np.repeat(np.array(cells, dtype=object)[rows], n_outputs),
                "output": list(dag.outputs) * len(rows),
                "label": labels[rows].ravel(),
                "probability": probabilities[rows].ravel(),
            }
        )
        parts.append(frame)
        y, p, outputs, _ = wide_predictions(frame)
        sizes = {"n_edges": len(dag.edges), "n_neurons": len(dag.neurons), "n_parameters": dag.n_parameters}
        one = {"arm": name, "repeat": 0, "fold": fold, "protocol": "nested", "seed": 7 + fold}
        metrics.append(one | score(y, p, outputs) | sizes | {"seconds": 1.0, "n_epochs": 3})
    curves = pd.DataFrame(
        [
            {"repeat": 0, "fold": fold, "epoch": epoch, "loss": 0.7 / epoch, "val_loss": 0.8 / epoch}
            for fold in range(n_folds)
            for epoch in (1, 2, 3)
        ]
    )
    trials = pd.DataFrame(
        [
            {"repeat": 0, "fold": fold, "trial": trial, "state": "COMPLETE", "value": float(rng.random())}
            | {"dropout": float(rng.random()), "optimizer": "adam" if trial % 2 else "sgd"}
            for fold in range(n_folds)
            for trial in range(6)
        ]
    )
    return ArmTables(name, pd.concat(parts, ignore_index=True), pd.DataFrame(metrics), curves, trials, dag)


def make_interpretation(arm: str, dag: Dag, seed: int = 0, n_folds: int = 5) -> Interpretation:
    rng = np.random.default_rng(seed)
    per_fold = pd.DataFrame(
        [
            {"repeat": 0, "fold": fold, "node": node, "output": output, "gradient": float(rng.normal() / (1 + number))}
            for fold in range(n_folds)
            for output in dag.outputs
            for number, node in enumerate(dag.hidden)
        ]
    )
    nodes = (
        per_fold.assign(weight=per_fold["gradient"].abs()).groupby(["node", "output"], as_index=False)["weight"].mean()
    )
    nodes["rank"] = nodes.groupby("output")["weight"].rank(ascending=False, method="first").astype(int)
    nodes = nodes.assign(weight_sd=0.01, share=0.1, control_share=0.05, corrected=0.05, q_value=0.2, n_folds=n_folds)
    nodes = nodes.assign(called=nodes["rank"] == 1, top_folds=n_folds, n_genes=3, structure=False, z=10.0)
    nodes = nodes.assign(roc_auc=0.9, visible_roc_auc=0.6, n_rewired=2, rewired_z=1.0, beyond_rewired=4.5)
    biases = pd.DataFrame(
        [
            {"repeat": 0, "fold": fold, "neuron": neuron, "bias": float(rng.normal())}
            for fold in range(n_folds)
            for neuron in dag.neurons
        ]
    )
    inputs = [(node.removesuffix("_gene"), node) for node in dag.inputs]
    genes = pd.DataFrame(
        [
            {"gene": gene, "node": node, "output": output, "weight": float(rng.normal()), "sd": 0.1, "n_folds": n_folds}
            for output in dag.outputs
            for gene, node in inputs
        ]
    )
    edges = dag.edges[["parent", "child"]].assign(weight=rng.normal(size=len(dag.edges)), sd=0.1, n_folds=n_folds)
    stability = pd.DataFrame(
        [{"between": "folds", "method": "gradient", "output": o, "rank_correlation": 0.8, "top_overlap": 0.7, "k": 10}
         for o in dag.outputs]
    )  # fmt: skip
    called = list(dict.fromkeys(nodes.loc[nodes["called"], "node"]))
    activations = pd.DataFrame({"repeat": 0, "fold": np.arange(200) // 2 % n_folds})
    activations["barcode"] = [f"cell{number}" for number in range(200)]
    activations[called] = rng.random((200, len(called)))
    return Interpretation(arm, nodes, per_fold, biases, genes, edges, stability, activations=activations)


def make_study(
    n_hidden: int = 30, n_genes: int = 60, outputs: tuple[str, ...] = ("OUT",), n_cells: int = 200, n_folds: int = 5
) -> Study:
    full_dag, pruned_dag = make_dag(n_hidden, n_genes, 1, outputs), make_dag(n_hidden // 2, n_genes, 2, outputs)
    hidden = sorted(set(full_dag.hidden) | set(pruned_dag.hidden))
    membership = pd.DataFrame({"node": hidden, "membership": "some"})
    sizes: dict[str, Any] = {"n_cells": n_cells, "n_folds": n_folds}
    weaker = sizes | {"strength": 0.5}
    return Study(
        arms=(make_arm("full", full_dag, **sizes), make_arm("pruned", pruned_dag, seed=1, **sizes)),
        pkn=Pkn.from_edges(full_dag.edges, outputs=full_dag.outputs),
        full_dag=full_dag,
        pruned_dag=pruned_dag,
        selection={"status": "optimal", "objective": 10.0, "bound": 10.0, "gap": 0.0, "seconds": {"total": 0.1}},
        data_summary={
            "steps": [{"name": "labelled cells", "cells": 200, "genes": 60, "dropped": 0, "examples": []}],
            "network": [{"name": "edge list", "nodes": 90, "edges": 120, "inputs": 60}],
            "classes": dict.fromkeys(outputs, 100),
            "files": {"Data.h5": "ab" * 32},
        },
        controls=(
            *(Control("rewired", k, make_arm(f"rewired_{k}", pruned_dag, seed=5 + k, **weaker)) for k in range(2)),
            Control("logistic", 0, make_arm("logistic", pruned_dag, seed=9, strength=2.0, **sizes)),
        ),
        membership=membership,
        interpretations=(make_interpretation("full", full_dag), make_interpretation("pruned", pruned_dag, 1)),
        versions={"kpnn": "0.1.0"},
        settings={"modelling": {"seed": 42}},
    )
