"""Do node weights find the planted truth? Many simulated studies per scenario, full and pruned, method by method."""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from kpnn.interpretation import InterpretationSettings, TrainedFold, summarise_nodes, weigh_arm
from kpnn.pkn import Dag, Pkn, select_dag, shortest_path_dag
from kpnn.simulation import control_counts, simulate
from kpnn.training.data import LabelledCells
from kpnn.training.refitting import Refit, refit
from kpnn.training.settings import EvaluationSettings, Hyperparameters

METHODS = ("gradient", "conductance", "ablation", "contribution", "bias", "corrected")
SETTINGS: dict[str, dict[str, Any]] = {
    "single": {},
    "redundant": {"dropout": 0.2, "dropout_on": "nodes", "gene_dropout": 0.1, "node_dropout": 0.3},
    "redundant without node dropout": {},
    "uneven": {},
    "null": {},
    "deep": {},
}
TRAINING = EvaluationSettings()
COMMON = Hyperparameters(learning_rate=1e-2, dropout=0.2, kernel_l2=1e-4)


@dataclass(frozen=True, eq=False)
class Study:
    """One simulated study: cells, networks, truth."""

    counts: csr_matrix
    cells: LabelledCells
    dags: dict[str, Dag]
    predictive: tuple[str, ...]
    path: tuple[str, ...]

    def draw_control(self, seed: int) -> LabelledCells:
        """The same cells with control inputs."""
        cells = self.cells
        counts, _ = control_counts(self.counts, cells.labels[:, 0].astype(int), seed, flat_profile=True)
        return LabelledCells(counts.log1p(), cells.labels, cells.barcodes, cells.nodes, cells.outputs)


def draw(scenario: str, seed: int, n_cells: int) -> Study:
    simulation = simulate(scenario.split()[0], n_cells=n_cells, seed=seed)  # type: ignore[arg-type]
    adata = simulation.to_anndata()
    labels = simulation.labels.set_index("barcode").iloc[:, 0]
    adata = adata[labels.index]
    counts = csr_matrix(adata.X, dtype=np.float32)
    kept = np.flatnonzero(np.asarray(counts.sum(axis=0)).ravel() > 0)
    nodes = [f"{name}_gene" for name in adata.var_names]
    output = simulation.truth.output
    measured = [nodes[column] for column in kept]
    stated = Pkn.from_edges(
        simulation.edges, outputs=[output], inputs=sorted(set(nodes) & set(simulation.edges["child"]))
    )
    pkn = stated.pruned(measured)
    dags = {"full": shortest_path_dag(pkn), "pruned": select_dag(pkn, time_limit=20).dag}
    counts = counts[:, pd.Index(nodes).get_indexer(list(pkn.inputs))]
    y, barcodes = labels.to_numpy()[:, None].astype(np.float32), labels.index.to_numpy().astype(str)
    cells = LabelledCells(counts.log1p(), y, barcodes, pkn.inputs, (output,))
    truth = simulation.truth
    return Study(counts, cells, dags, truth.predictive_nodes, truth.path_nodes)


def train(study: Study, dag: Dag, seed: int, n_folds: int, settings: dict[str, Any]) -> list[TrainedFold]:
    rng = np.random.default_rng(seed)
    labels = study.cells.labels
    order = np.concatenate([rng.permutation(np.flatnonzero(labels[:, 0] == value)) for value in (0, 1)])
    held_out = [np.sort(order[number::n_folds]) for number in range(n_folds)]
    training = [np.setdiff1d(np.arange(len(labels)), part) for part in held_out]
    chosen = COMMON.model_copy(update=settings)
    models = refit([Refit(dag, chosen, part, seed + n) for n, part in enumerate(training)], study.cells, TRAINING)
    parts = enumerate(zip(models, training, held_out, strict=True))
    return [TrainedFold(0, number, *of_fold, chosen) for number, of_fold in parts]


def ranks_of(table: pd.DataFrame, method: str) -> pd.Series:
    """Rank of each node, 1 the heaviest."""
    column = {"gradient": "weight", "bias": "bias_mean_square"}.get(method, method)
    values = table.set_index("node")[column]
    values = values if method in ("contribution", "corrected", "ablation") else values.abs()
    return values.rank(ascending=False, method="min")


def judge(study: Study, dag: Dag, table: pd.DataFrame, per_fold: pd.DataFrame) -> list[dict[str, Any]]:
    planted = [node for node in study.predictive if node in set(dag.hidden)]
    truth = set(study.predictive) | set(study.path)
    others = table[~table["node"].isin(truth)]
    rows = []
    for method in METHODS:
        ranks = ranks_of(table, method)
        path = [node for node in (*study.predictive, *study.path) if node in ranks.index]
        row: dict[str, Any] = {
            "method": method,
            "worst_rank": float(ranks[planted].max()) if planted else float("nan"),
            "path_share": float((ranks[path] <= len(path)).mean()) if path else float("nan"),
            "path_rank": float(ranks[path].median()) if path else float("nan"),
        }
        if method in per_fold and planted:
            in_fold = [
                fold.set_index("node")[method].abs().rank(ascending=False, method="min")[planted].max()
                for _, fold in per_fold.groupby("fold")
            ]
            row["network_ranks"] = [float(rank) for rank in in_fold]
        rows.append(row)
    calls = {
        "false_calls": int(others["called"].sum()),
        "false_q": int((others["q_value"] < 0.05).sum()),
        "p_below_5_percent": float((others["p_value"] < 0.05).mean()) if len(others) else float("nan"),
        "unpredictive": len(others),
        "planted_called": float(table.set_index("node")["called"].reindex(planted).mean()) if planted else float("nan"),
    }
    return [row | calls for row in rows]


def measure(scenario: str, seeds: range, n_cells: int, n_folds: int, arms: tuple[str, ...]) -> pd.DataFrame:
    rows = []
    for seed in seeds:
        study = draw(scenario, seed, n_cells)
        known: dict[str, list[dict[str, Any]]] = {}
        for arm in arms:
            dag = study.dags[arm]
            if dag.fingerprint in known:  # nothing to prune: both arms are the same network
                rows += [row | {"arm": arm} for row in known[dag.fingerprint]]
                continue
            begun = time.perf_counter()
            folds = train(study, dag, 1000 * seed, n_folds, SETTINGS[scenario])
            how = InterpretationSettings(control_inputs=1, permuted_labels=0, seeds=0, alternative_dags=0, seed=seed)
            weights = weigh_arm(folds, study.cells, how, TRAINING, draw_control=study.draw_control)
            table = summarise_nodes(weights, dag, how)
            seconds = {"scenario": scenario, "arm": arm, "seed": seed, "seconds": time.perf_counter() - begun}
            known[dag.fingerprint] = [seconds | row for row in judge(study, dag, table, weights.per_fold)]
            rows += known[dag.fingerprint]
        print(f"{scenario}: {seed - seeds.start + 1} of {len(seeds)} studies", flush=True)
    return pd.DataFrame(rows)


def summary(results: pd.DataFrame) -> pd.DataFrame:
    """A row per scenario, arm and method: the share of studies and of single networks that find the truth."""
    rows = []
    for (scenario, arm, method), part in results.groupby(["scenario", "arm", "method"], sort=False):
        top = {"redundant": 3}.get(str(scenario).split()[0], 1)
        networks = (
            [rank for ranks in part["network_ranks"].dropna() for rank in ranks] if "network_ranks" in part else []
        )
        rows.append(
            {
                "scenario": scenario,
                "arm": arm,
                "method": method,
                "studies": len(part),
                "planted in top": top,
                "of studies": _share(part["worst_rank"].dropna() <= top),
                "of networks": _share(pd.Series(networks) <= top) if networks else float("nan"),
                "path among leaders": part["path_share"].mean(),
                "planted called": part["planted_called"].mean(),
                "nodes falsely called": part["false_calls"].sum() / max(1, part["unpredictive"].sum()),
                "studies with a false call": _share(part["false_calls"] > 0),
                "p < 0.05 of unpredictive": part["p_below_5_percent"].mean(),
            }
        )
    return pd.DataFrame(rows)


def _share(is_true: pd.Series) -> float:
    return float(is_true.mean()) if len(is_true) else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenarios", nargs="+", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--seeds", type=int, default=20, help="studies per scenario")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--cells", type=int, default=800)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--arms", nargs="+", default=["full", "pruned"])
    parser.add_argument("--json", type=Path, help="write every study's figures here")
    given = parser.parse_args()
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    results = pd.DataFrame()
    for name in given.scenarios:
        results = pd.concat(
            [results, measure(name, seeds, given.cells, given.folds, tuple(given.arms))], ignore_index=True
        )
        if given.json:
            given.json.write_text(json.dumps(results.to_dict("records")), encoding="utf-8")
        show(summary(results).round(3))
    print(f"\n{platform.machine()}, {os.cpu_count()} cores, {results['seconds'].mean():.1f} s a study and arm")


def show(table: pd.DataFrame) -> None:
    """Prints a table as Markdown."""
    columns = list(table)
    print("| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
    for row in table.itertuples(index=False, name=None):
        print("| " + " | ".join("–" if value != value else str(value) for value in row) + " |")


if __name__ == "__main__":
    main()
