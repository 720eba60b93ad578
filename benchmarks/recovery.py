"""Do node weights find the planted truth, and name nothing where nothing is? Many simulated studies per condition."""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd

from _planted import CONDITIONS, KNOWN, Sizes, Study, draw
from kpnn.interpretation import InterpretationSettings, TrainedFold, summarise_nodes, weigh_arm
from kpnn.interpretation.concordance import lowest_correlations
from kpnn.interpretation.frozen import FrozenNetwork
from kpnn.interpretation.trained_fold import expression_for
from kpnn.interpretation.weights import gradient_weights
from kpnn.pkn import Dag
from kpnn.pkn.graph import reached_names
from kpnn.training.data import LabelledCells
from kpnn.training.orientation import common_signs, oriented
from kpnn.training.refitting import Refit, refit
from kpnn.training.settings import Hyperparameters

RANKINGS = ("combined_z", "z", "weight", "conductance", "ablation", "contribution", "corrected", "enrichment")

# The first recipe of conf/base/parameters_modelling.yml, without a search.
COMMON = Hyperparameters(
    hidden_activation="sigmoid",
    initializer="conducting",
    input_normalization="common",
    weight_prior=3.0,
    learning_rate=1e-2,
    dropout=0.0,
)


def measure_known(study: Study, sizes: Sizes, arms: Sequence[str]) -> None:
    """Prints where the known nodes stand in two runs of other seeds, and how alike these runs are."""
    for arm in arms:
        runs = [weighed(study, arm, seed, sizes, splits=splits) for seed, splits in ((1, 1), (2, 1), (3, 2))]
        rows = []
        for seed, (folds, table) in enumerate(runs, 1):
            with_genes = table[table["n_genes"] > 0].reset_index(drop=True)
            with_genes.insert(0, "among nodes with genes", with_genes["rank"].rank(method="min"))
            known = with_genes[with_genes["node"].isin(study.predictive)]
            shown = [
                "node",
                "among nodes with genes",
                "rank",
                "combined_z",
                "z",
                "enrichment_z",
                "roc_auc",
                "differs",
                "agreement",
                "rests",
                "specific",
                "called",
            ]
            rows.append(known[[*shown, "structure", "enrichment_rank"]].assign(seed=seed))
            called = list(table.loc[table["called"], "node"])
            lowest = lowest_over_folds(folds, study.cells, called)
            print(f"\n{arm}, seed {seed}: {len(called)} of {len(table)} nodes called: {', '.join(called[:12])}")
            print(
                f"oriented activations of called nodes, lowest correlation of two networks: {lowest.min():.2f}; ",
                end="",
            )
            print(f"nodes of which every pair is above 0.5: {(lowest > 0.5).sum()} of {len(lowest)}")
        show(pd.concat(rows).round(3))
        first, *others = (table.set_index("node") for _, table in runs)
        for other, words in zip(others, ("other seeds", "other seeds and other folds"), strict=True):
            correlation, of_z = (
                first[by].corr(other[by].reindex(first.index), method="spearman") for by in ("combined_z", "z")
            )
            changed = first.index[first["called"] != other["called"].reindex(first.index)]
            print(
                f"{arm}, {words}: rank correlation of combined_z {correlation:.3f} (of z {of_z:.3f}); "
                f"called in one run only: {list(changed)}"
            )
            telling = first["differs"] | other["differs"].reindex(first.index)
            apart = (
                first["combined_z"].corr(other["combined_z"].reindex(first.index)[rows], method="spearman")
                for rows in (telling, ~telling)
            )
            print(f"  of {telling.sum()} that differ {next(apart):.3f}, of {(~telling).sum()} others {next(apart):.3f}")


def weighed(
    study: Study, arm: str, seed: int, sizes: Sizes, *, splits: int | None = None
) -> tuple[list[TrainedFold], pd.DataFrame]:
    """One run on a study: its networks, and their nodes; the splits into folds may have a seed of their own."""
    how = InterpretationSettings(
        control_inputs=1, permuted_labels=1, replicates=sizes.replicates, seeds=0, alternative_dags=0, seed=seed
    )
    held_out = _held_out(study.cells, sizes.folds, np.random.default_rng(1000 * (splits or seed)))
    folds = train(study, study.dags[arm], 1000 * seed, sizes, held_out)
    weights = weigh_arm(folds, study.cells, how, sizes.training, draw_control=study.draw_control)
    return folds, summarise_nodes(weights, study.dags[arm], how)


def lowest_over_folds(folds: Sequence[TrainedFold], cells: LabelledCells, nodes: Sequence[str]) -> np.ndarray:
    """For each node the lowest correlation, over all cells, of its oriented activations in two networks."""
    if not nodes:
        return np.zeros(0)
    places = [folds[0].dag.neurons.index(node) for node in nodes]
    expression = expression_for(folds[0].dag, cells, np.arange(len(cells.labels)))
    found = []
    for member in [member for fold in folds for member in fold.members]:
        network = FrozenNetwork.of(member)
        genes = network.genes_in(expression)
        signs = common_signs(gradient_weights(network, genes))
        found.append(oriented(network.run(genes).act, signs, network.at_rest)[:, places])
    return lowest_correlations(np.stack(found))


def train(study: Study, dag: Dag, seed: int, sizes: Sizes, held_out: list[np.ndarray]) -> list[TrainedFold]:
    """Trains the networks of every fold."""
    training = [np.setdiff1d(np.arange(len(study.cells.labels)), part) for part in held_out]
    chosen = COMMON.model_copy(update=study.training)
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
    """What is found, and what is named that is not there.

    A node that has planted genes below it, by a wrong edge or because it stands above the planted node, differs in
    truth: calls of such nodes are counted apart, and p-values are those of nodes without.
    """
    planted = [node for node in study.predictive if node in set(dag.hidden)]
    truth = set(study.predictive) | set(study.path)
    genes = genes_below(dag)
    holders = {node for node, below in genes.items() if below & study.predictive_genes}
    by_node = table.set_index("node")
    others = by_node[~by_node.index.isin(truth)]
    empty = others[~others.index.isin(holders)]
    sharing = [node for node in others.index[others["called"]] if node in holders]
    judged: dict[str, Any] = {
        "unpredictive": len(empty),
        "false_calls": int(empty["called"].sum()),
        "sharing_calls": len(sharing),
        "sharing": [len(genes[node] & study.predictive_genes) / len(genes[node]) for node in sharing],
        "p_below_5_percent": float((empty["p_value"] < 0.05).mean()),
        "p_below_1_percent": float((empty["p_value"] < 0.01).mean()),
        "called": float(by_node["called"].reindex(planted).mean()) if planted else None,
        "differs": float(by_node["differs"].reindex(planted).mean()) if planted else None,
    }
    for ranking in RANKINGS:
        ranks = by_node[ranking].rank(ascending=False, method="min")
        known = [node for node in truth if node in ranks.index]
        judged[f"first by {ranking}"] = bool((ranks[planted] <= len(planted)).all()) if planted else None
        judged[f"leader by {ranking} is true"] = bool(ranks.reindex(known).min() == 1) if known else None
    return judged


def genes_below(dag: Dag) -> dict[str, set[str]]:
    """The input nodes that each hidden node is reached by."""
    children = dag.edges.groupby("parent")["child"].agg(list).to_dict()
    inputs = set(dag.inputs)
    return {node: reached_names(children, node) & inputs for node in dag.hidden}


def measure(name: str, seeds: range, sizes: Sizes, arms: Sequence[str]) -> list[dict[str, Any]]:
    """All studies of a condition."""
    rows: list[dict[str, Any]] = []
    condition = CONDITIONS[name]
    for seed in seeds:
        study = draw(condition, seed, sizes)
        known: dict[str, dict[str, Any]] = {}
        for arm in arms:
            dag, begun = study.dags[arm], time.perf_counter()
            if dag.fingerprint not in known:  # where nothing can be pruned both arms are the same network
                folds, table = weighed(study, arm, seed, sizes)
                judged = judge(study, dag, table)
                called = [node for node in study.predictive if node in set(table.loc[table["called"], "node"])]
                judged["lowest correlation"] = lowest_over_folds(folds, study.cells, called).min(initial=np.inf)
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
            "with a call that shares planted genes": (part["sharing_calls"] > 0).mean(),
            "least share of planted genes": min(chain.from_iterable(part["sharing"]), default=np.nan),
            "p < 0.05": np.average(part["p_below_5_percent"], weights=part["unpredictive"]),
            "p < 0.01": np.average(part["p_below_1_percent"], weights=part["unpredictive"]),
        }
        row |= {f"first by {name}": part[f"first by {name}"].astype(float).mean() for name in RANKINGS}
        row["pairs of networks above 0.5"] = (
            part["lowest correlation"][np.isfinite(part["lowest correlation"])] > 0.5
        ).mean()
        row["planted or above it first"] = part["leader by combined_z is true"].astype(float).mean()
        rows.append(row)
    return pd.DataFrame(rows)


def of_docs(results: pd.DataFrame) -> pd.DataFrame:
    """The table of docs/interpretation.md: a row per condition, shares as percent, studies as numbers."""
    rows, order = [], [name for name in CONDITIONS if name in set(results["condition"])]
    for condition in order:
        part = results[results["condition"] == condition]
        n_studies, whole = len(part), part.assign(called=part["called"].astype(float))
        row = {"condition": condition, "planted called": _percent(whole["called"].mean())}
        for name in ("combined_z", "z", "weight", "contribution", "enrichment"):
            row[f"first by `{name}`"] = _percent(part[f"first by {name}"].astype(float).mean())
        row["with a false call"] = f"{(part['false_calls'] > 0).sum()} of {n_studies}"
        sharing = f"{(part['sharing_calls'] > 0).sum()} of {n_studies}"
        row["with a call that shares planted genes"] = "–" if part["called"].isna().all() else sharing
        for level in (5, 1):
            share = np.average(part[f"p_below_{level}_percent"], weights=part["unpredictive"])
            row[f"p < 0.0{level}"] = f"{100 * share:.1f} %"
        rows.append(row)
    return pd.DataFrame(rows)


def _percent(share: float) -> str:
    return "–" if share != share else f"{100 * share:.0f} %"


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
    parser.add_argument("--studies", type=int, default=20, help="studies per condition")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--cells", type=int, default=600)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--members", type=int, default=3, help="networks per fold")
    parser.add_argument("--replicates", type=int, default=0, help="further networks per fold, only to weigh nodes")
    parser.add_argument("--full-size", action="store_true", help="networks of the scenarios' own sizes")
    parser.add_argument("--arms", nargs="+", default=["pruned"])
    parser.add_argument("--json", type=Path, help="write every study's figures here")
    parser.add_argument(
        "--known",
        choices=list(KNOWN),
        help="the known nodes of one study in two runs of other seeds: kang (real cells) or demo",
    )
    parser.add_argument("--show", type=Path, help="print the documentation's table of figures that --json wrote")
    given = parser.parse_args()
    if given.show:
        show(of_docs(pd.DataFrame(json.loads(given.show.read_text(encoding="utf-8"))["studies"])))
        return
    seeds = range(given.first_seed, given.first_seed + given.studies)
    sizes = Sizes(given.cells, given.folds, given.members, given.full_size, given.replicates)
    if given.known:
        measure_known(KNOWN[given.known](sizes), sizes, given.arms)
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
