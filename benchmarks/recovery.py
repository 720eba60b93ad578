"""Do node weights find the planted truth, and name nothing where nothing is? Many simulated studies per condition."""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from _studies import kang
from kpnn.cells import Transform
from kpnn.interpretation import InterpretationSettings, TrainedFold, summarise_nodes, weigh_arm
from kpnn.pkn import Dag, Pkn, select_dag, shortest_path_dag
from kpnn.simulation import control_counts, simulate
from kpnn.training.data import LabelledCells
from kpnn.training.refitting import Refit, refit
from kpnn.training.settings import EvaluationSettings, Hyperparameters

RANKINGS = ("z", "weight", "conductance", "ablation", "contribution", "corrected", "enrichment")


@dataclass(frozen=True)
class Condition:
    """What is planted, and what is in the way.

    Attributes:
        scenario: of `kpnn.simulation.simulate`.
        fold_change: of predictive genes.
        positives: share of cells of class 1.
        depth: factor by which cells of class 1 have more counts.
        donors: number of donors with effects of their own on every gene; 0: none.
        nested: whether a donor's cells are all of one class.
        wrong_edges: share of gene edges that lead to a random node.
        unplanted: whether the labels are shuffled, so that nothing is there to be found.
        normalize: whether counts are scaled to the median library size.
        training: hyperparameters other than the common ones.
    """

    scenario: str
    fold_change: float = 2.0
    positives: float = 0.5
    depth: float = 1.0
    donors: int = 0
    nested: bool = False
    wrong_edges: float = 0.0
    unplanted: bool = False
    normalize: bool = True
    training: dict[str, Any] = field(default_factory=dict)


CONDITIONS = {
    "single 1.3": Condition("single", 1.3),
    "single 1.2": Condition("single", 1.2),
    "single 1.5, 10 % positives": Condition("single", 1.5, positives=0.1),
    "single 1.5, 20 % wrong edges, six crossed donors": Condition("single", 1.5, donors=6, wrong_edges=0.2),
    "uneven 1.5": Condition("uneven", 1.5),
    "cyclic 1.3": Condition("cyclic", 1.3),
    "null": Condition("null"),
    "null, uneven": Condition("uneven", unplanted=True),
    "null, library size": Condition("null", depth=1.3),
    "null, library size, not normalized": Condition("null", depth=1.3, normalize=False),
    "null, ten nested donors": Condition("null", donors=10, nested=True),
    "redundant 2": Condition("redundant", training={"dropout_on": "nodes", "gene_dropout": 0.1, "node_dropout": 0.3}),
    "deep 2": Condition("deep"),
}
SMALL = {
    "single": {"n_nodes": 51, "genes_per_node": 12},
    "redundant": {"n_nodes": 51, "genes_per_node": 12},
    "uneven": {"n_nodes": 51, "genes_per_node": 12},
    "deep": {"widths": [4, 8, 16, 32], "genes_per_node": 10},
}
# The first recipe of conf/base/parameters_modelling.yml, without a search.
COMMON = Hyperparameters(
    hidden_activation="sigmoid",
    initializer="conducting",
    input_normalization="common",
    weight_prior=3.0,
    learning_rate=1e-2,
    dropout=0.0,
)


@dataclass(frozen=True)
class Sizes:
    """How large a study is: cells, folds, networks a fold, and whether networks have the scenarios' own sizes."""

    cells: int
    folds: int
    members: int
    full: bool

    @property
    def training(self) -> EvaluationSettings:
        """How all networks are trained."""
        fit = {"ensemble": self.members, "max_epochs": 400, "patience": 20, "learning_rate_schedule": "plateau"}
        return EvaluationSettings.model_validate({"fit": fit})


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
        counts, _ = control_counts(self.counts, self.cells.labels[:, 0].astype(int), seed, flat_profile=True)
        return replace(self.cells, store=counts.log1p())


def draw(condition: Condition, seed: int, sizes: Sizes) -> Study:
    """Draws a study: the simulation, and by thinning its counts what is in the way."""
    rng = np.random.default_rng([seed, 1])
    network = {} if sizes.full else SMALL.get(condition.scenario, {})
    n_drawn = int(sizes.cells * max(1.0, 2 * (1 - condition.positives)))
    simulation = simulate(
        condition.scenario,  # type: ignore[arg-type]
        n_cells=n_drawn,
        fold_change=condition.fold_change,
        seed=seed,
        **network,
    )
    adata, output = simulation.to_anndata(), simulation.truth.output
    labels = simulation.labels.set_index("barcode").iloc[:, 0]
    labels = labels.loc[_kept(labels.to_numpy(), condition, sizes, rng)]
    y = rng.permutation(labels.to_numpy()) if condition.unplanted else labels.to_numpy()
    counts = csr_matrix(adata[labels.index].X, dtype=np.float32)
    donors = _donors(y, condition, rng)
    counts = _thinned(counts, y, donors, condition, rng)
    nodes = [f"{name}_gene" for name in adata.var_names]
    measured = [nodes[column] for column in np.flatnonzero(np.asarray(counts.sum(axis=0)).ravel() > 0)]
    edges = _rewired(simulation.edges, condition.wrong_edges, rng)
    stated = Pkn.from_edges(edges, outputs=[output], inputs=sorted(set(nodes) & set(edges["child"])))
    pkn = stated.pruned(measured)
    dags = {"full": shortest_path_dag(pkn), "pruned": select_dag(pkn, time_limit=20).dag}
    totals = np.asarray(counts.sum(axis=1)).ravel()
    counts = counts[:, pd.Index(nodes).get_indexer(list(pkn.inputs))]
    expression = Transform(float(np.median(totals)) if condition.normalize else None).apply(counts, totals)
    cells = LabelledCells(
        expression,
        y[:, None].astype(np.float32),
        labels.index.to_numpy().astype(str),
        pkn.inputs,
        (output,),
        donors,
        totals,
    )
    truth = simulation.truth
    planted = not condition.unplanted
    return Study(counts, cells, dags, truth.predictive_nodes if planted else (), truth.path_nodes if planted else ())


def _kept(y: np.ndarray, condition: Condition, sizes: Sizes, rng: np.random.Generator) -> np.ndarray:
    """Which cells are kept, so that class 1 has its share."""
    n_positive = round(sizes.cells * condition.positives)
    positive = rng.permutation(np.flatnonzero(y == 1))[:n_positive]
    negative = rng.permutation(np.flatnonzero(y == 0))[: sizes.cells - n_positive]
    kept = np.zeros(len(y), dtype=bool)
    kept[np.concatenate([positive, negative])] = True
    return kept


def _donors(y: np.ndarray, condition: Condition, rng: np.random.Generator) -> np.ndarray | None:
    if not condition.donors:
        return None
    if not condition.nested:
        return rng.integers(0, condition.donors, len(y)).astype(str)
    return (2 * rng.integers(0, condition.donors // 2, len(y)) + y).astype(int).astype(str)


def _thinned(
    counts: csr_matrix, y: np.ndarray, donors: np.ndarray | None, condition: Condition, rng: np.random.Generator
) -> csr_matrix:
    """Keeps each count with a probability: class 0 at 1 / depth, each donor's genes at rates of their own."""
    rates = np.where(y == 1, 1.0, 1 / condition.depth)[:, None]
    if donors is not None:
        of_donor = np.exp(-np.abs(rng.normal(0, 0.3, (condition.donors, counts.shape[1]))))
        rates = rates * of_donor[donors.astype(int)]
    if (rates == 1).all():
        return counts
    dense = counts.toarray().astype(int)
    return csr_matrix(rng.binomial(dense, np.broadcast_to(rates, dense.shape)), dtype=np.float32)


def _rewired(edges: pd.DataFrame, share: float, rng: np.random.Generator) -> pd.DataFrame:
    """A share of the gene edges exchange their parents at random: as many genes below each node, some wrong."""
    is_gene = edges["child"].str.endswith("_gene").to_numpy()
    chosen = np.flatnonzero(is_gene & (rng.random(len(edges)) < share))
    parents = edges["parent"].to_numpy().copy()
    parents[chosen] = rng.permutation(parents[chosen])
    return edges.assign(parent=parents).drop_duplicates(["parent", "child"])


def interferon_study() -> Study:
    """Blood cells with interferon-beta or not (Kang et al. 2018): the truth is known from biology, not planted."""
    raw = kang()
    labels = raw.labels.set_index("barcode").iloc[:, 0]
    counts = csr_matrix(raw.expression[labels.index].X, dtype=np.float32)
    nodes = pd.Index(raw.expression.var_names.astype(str) + "_gene")
    needed, size = (raw.parameters["data_engineering"][name] for name in ("min_cells_per_gene", "library_size"))
    measured = nodes[np.asarray((counts > 0).sum(axis=0)).ravel() >= needed]
    leaves = sorted(set(raw.edges["child"]) - set(raw.edges["parent"]))
    inputs = [name for name in leaves if name.endswith("_gene")]
    pkn = Pkn.from_edges(raw.edges, outputs=[str(labels.name)], inputs=inputs).pruned(measured)
    dags = {"full": shortest_path_dag(pkn), "pruned": select_dag(pkn, time_limit=30).dag}
    totals, columns = np.asarray(counts.sum(axis=1)).ravel(), nodes.get_indexer(list(pkn.inputs))
    expression = Transform(size).apply(counts, totals)[:, columns]
    y, barcodes = labels.to_numpy()[:, None].astype(np.float32), labels.index.to_numpy().astype(str)
    cells = LabelledCells(expression, y, barcodes, pkn.inputs, (str(labels.name),), None, totals)
    return Study(counts[:, columns], cells, dags, ("STAT1", "STAT2", "IRF9"), ())


def measure_interferon(sizes: Sizes, arms: Sequence[str]) -> None:
    """Prints where the known regulators stand among the nodes that have measured genes."""
    study = interferon_study()
    how = InterpretationSettings(control_inputs=0, permuted_labels=1, seeds=0, alternative_dags=0)
    for arm in arms:
        dag = study.dags[arm]
        folds = train(study, dag, 1, sizes, {})
        weights = weigh_arm(folds, study.cells, how, sizes.training, draw_control=study.draw_control)
        table = summarise_nodes(weights, dag, how)
        table = table[table["n_genes"] > 0].reset_index(drop=True)
        table.insert(0, "among nodes with genes", table.index + 1)
        shown = ["among nodes with genes", "node", "rank", "z", "differs", "rests", "called", "enrichment_rank"]
        print(f"\n{arm}:")
        show(table.loc[table["node"].isin(study.predictive), shown].round(3))


def train(study: Study, dag: Dag, seed: int, sizes: Sizes, settings: dict[str, Any]) -> list[TrainedFold]:
    """Trains the networks of every fold."""
    held_out = _held_out(study.cells, sizes.folds, np.random.default_rng(seed))
    training = [np.setdiff1d(np.arange(len(study.cells.labels)), part) for part in held_out]
    chosen = COMMON.model_copy(update=settings)
    refits = [Refit(dag, chosen, part, seed + n, sizes.members) for n, part in enumerate(training)]
    models = refit(refits, study.cells, sizes.training)
    parts = enumerate(zip(models, training, held_out, strict=True))
    return [TrainedFold(0, number, *of_fold, chosen) for number, of_fold in parts]


def _held_out(cells: LabelledCells, n_folds: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Cells of each fold: classes spread; nested donors whole, crossed donors spread."""
    y, donors = cells.labels[:, 0], cells.groups
    if donors is not None and pd.Series(y).groupby(donors).nunique().max() == 1:
        of_class = [rng.permutation(np.unique(donors[y == value])) for value in (0, 1)]
        fold_of = {name: place % n_folds for names in of_class for place, name in enumerate(names)}
        return [np.flatnonzero([fold_of[name] == number for name in donors]) for number in range(n_folds)]
    order = np.concatenate([rng.permutation(np.flatnonzero(y == value)) for value in (0, 1)])
    return [np.sort(order[number::n_folds]) for number in range(n_folds)]


def judge(study: Study, dag: Dag, table: pd.DataFrame) -> dict[str, Any]:
    """What is found, and what is named that is not there."""
    planted = [node for node in study.predictive if node in set(dag.hidden)]
    truth = set(study.predictive) | set(study.path)
    by_node, others = table.set_index("node"), table[~table["node"].isin(truth)]
    judged: dict[str, Any] = {
        "unpredictive": len(others),
        "false_calls": int(others["called"].sum()),
        "p_below_5_percent": float((others["p_value"] < 0.05).mean()),
        "p_below_1_percent": float((others["p_value"] < 0.01).mean()),
        "called": float(by_node["called"].reindex(planted).mean()) if planted else None,
        "differs": float(by_node["differs"].reindex(planted).mean()) if planted else None,
    }
    for ranking in RANKINGS:
        ranks = by_node[ranking].rank(ascending=False, method="min")
        known = [node for node in truth if node in ranks.index]
        judged[f"first by {ranking}"] = bool((ranks[planted] <= len(planted)).all()) if planted else None
        judged[f"leader by {ranking} is true"] = bool(ranks.reindex(known).min() == 1) if known else None
    return judged


def measure(name: str, seeds: range, sizes: Sizes, arms: Sequence[str]) -> list[dict[str, Any]]:
    """All studies of a condition."""
    rows: list[dict[str, Any]] = []
    condition = CONDITIONS[name]
    how = InterpretationSettings(control_inputs=1, permuted_labels=1, seeds=0, alternative_dags=0)
    for seed in seeds:
        study = draw(condition, seed, sizes)
        known: dict[str, dict[str, Any]] = {}
        for arm in arms:
            dag, begun = study.dags[arm], time.perf_counter()
            if dag.fingerprint not in known:  # where nothing can be pruned both arms are the same network
                folds = train(study, dag, 1000 * seed, sizes, condition.training)
                weights = weigh_arm(folds, study.cells, how, sizes.training, draw_control=study.draw_control)
                judged = judge(study, dag, summarise_nodes(weights, dag, how))
                known[dag.fingerprint] = judged | {"seconds": time.perf_counter() - begun}
            rows.append({"condition": name, "arm": arm, "seed": seed, **known[dag.fingerprint]})
        print(f"{name}: {seed - seeds.start + 1} of {len(seeds)} studies", flush=True)
    return rows


def summary(results: pd.DataFrame) -> pd.DataFrame:
    """A row per condition and arm."""
    rows = []
    for (condition, arm), part in results.groupby(["condition", "arm"], sort=False):
        row = {
            "condition": condition,
            "arm": arm,
            "studies": len(part),
            "planted called": part["called"].astype(float).mean(),
            "planted differs": part["differs"].astype(float).mean(),
            "with a false call": (part["false_calls"] > 0).mean(),
            "p < 0.05": np.average(part["p_below_5_percent"], weights=part["unpredictive"]),
            "p < 0.01": np.average(part["p_below_1_percent"], weights=part["unpredictive"]),
        }
        row |= {f"first by {name}": part[f"first by {name}"].astype(float).mean() for name in RANKINGS}
        row["planted or above it first by z"] = part["leader by z is true"].astype(float).mean()
        rows.append(row)
    return pd.DataFrame(rows)


def show(table: pd.DataFrame) -> None:
    """Prints a table as Markdown."""
    columns = list(table)
    print("| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
    for row in table.itertuples(index=False, name=None):
        print("| " + " | ".join("–" if value != value else str(value) for value in row) + " |")


def main() -> None:
    """Measures the conditions asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--conditions", nargs="+", default=list(CONDITIONS), choices=list(CONDITIONS))
    parser.add_argument("--seeds", type=int, default=20, help="studies per condition")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--cells", type=int, default=600)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--members", type=int, default=3, help="networks per fold")
    parser.add_argument("--full-size", action="store_true", help="networks of the scenarios' own sizes")
    parser.add_argument("--arms", nargs="+", default=["pruned"])
    parser.add_argument("--json", type=Path, help="write every study's figures here")
    parser.add_argument(
        "--kang", action="store_true", help="the known regulators of real cells, instead of simulations"
    )
    given = parser.parse_args()
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    sizes = Sizes(given.cells, given.folds, given.members, given.full_size)
    if given.kang:
        measure_interferon(sizes, given.arms)
        return
    rows: list[dict[str, Any]] = []
    for name in given.conditions:
        rows += measure(name, seeds, sizes, given.arms)
        if given.json:
            given.json.write_text(json.dumps({"sizes": asdict(sizes), "studies": rows}), encoding="utf-8")
    results = pd.DataFrame(rows)
    show(summary(results).round(3))
    print(f"\n{platform.machine()}, {os.cpu_count()} cores, {results['seconds'].mean():.1f} s a study and arm")


if __name__ == "__main__":
    main()
