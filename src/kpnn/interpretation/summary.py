"""The weights of an arm's networks, summarised node by node with their spread and their evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

from kpnn.interpretation.arm import ArmWeights
from kpnn.interpretation.settings import InterpretationSettings
from kpnn.interpretation.significance import permutation_p_values
from kpnn.interpretation.stability import agreement, pair
from kpnn.pkn import Dag

_MOST_PERMUTATIONS = 50_000
_FOLD = ["repeat", "fold"]
CALLED_BELOW = 0.05
"""False discovery rate at which a node is called."""


def summarise_nodes(weights: ArmWeights, dag: Dag, settings: InterpretationSettings) -> pd.DataFrame:
    """One row per hidden node and output, the heaviest first.

    Args:
        weights: what `weigh_arm` returned.
        dag: the arm's DAG.
        settings: with which it was computed.

    Returns:
        `node`, `output`, `rank`; `weight` (mean over folds of the absolute gradient weight: the sign of a neuron is not
        the same in every network) and `weight_sd`; `share` (mean share of all
        absolute weights of its network) and `control_share` (the same with control inputs), `corrected` (share less
        control share); `permuted_weight` (mean absolute gradient with permuted labels); `conductance`, `ablation`,
        `contribution` (means); `bias_mean_square`; `p_value`, `q_value` (label permutations of held-out cells,
        Benjamini-Hochberg over the nodes of an output) and `called` (q-value below 0.05 and more weight than the
        structure alone gives); `n_folds`, `top_folds`, `n_dags`, `top_dags` (folds and optimal DAGs that hold the node,
        and in which it is among the top); `n_children`, `n_genes` (children, and those of them that are genes).
    """
    per_fold = weights.per_fold.assign(size=weights.per_fold["gradient"].abs())
    keys = ["output", "node"]
    grouped = per_fold.groupby(keys)
    table = grouped.agg(
        weight=("size", "mean"),
        weight_sd=("size", "std"),
        conductance=("conductance", "mean"),
        ablation=("ablation", "mean"),
        contribution=("contribution", "mean"),
        n_networks=("fold", "size"),
    )
    table["n_folds"] = per_fold.drop_duplicates([*keys, "repeat", "fold"]).groupby(keys).size()
    table["share"] = _share(weights.per_fold).groupby(keys).mean()
    table["control_share"] = _share(weights.control).groupby(keys).mean() if len(weights.control) else np.nan
    table["corrected"] = table["share"] - table["control_share"]
    permuted = weights.permuted
    table["permuted_weight"] = (
        permuted["gradient"].abs().groupby([permuted[k] for k in keys]).mean() if len(permuted) else np.nan
    )
    squared = weights.biases["bias"].pow(2).groupby(weights.biases["neuron"]).mean()
    table["bias_mean_square"] = table.index.get_level_values("node").map(squared)
    table[["p_value", "q_value"]] = _significance(weights, dag, settings).reindex(table.index)
    more_than_structure = table["corrected"].isna() | (table["corrected"] > 0)
    table["called"] = (table["q_value"] < CALLED_BELOW) & more_than_structure
    table["top_folds"] = _times_in_top(per_fold, _FOLD, "size", settings.top).reindex(table.index).fillna(0)
    if len(weights.by_dag):
        by_dag = weights.by_dag.assign(size=weights.by_dag["gradient"].abs())
        table["n_dags"] = by_dag.groupby(keys)["run"].nunique().reindex(table.index).fillna(0)
        table["top_dags"] = _times_in_top(by_dag, ["run"], "size", settings.top).reindex(table.index).fillna(0)
    children = dag.edges.assign(is_gene=dag.edges["child"].isin(set(dag.inputs))).groupby("parent")["is_gene"]
    names = table.index.get_level_values("node")
    table["n_children"] = children.size().reindex(names).fillna(0).to_numpy()
    table["n_genes"] = children.sum().reindex(names).fillna(0).to_numpy()
    table["rank"] = table.groupby("output")["weight"].rank(ascending=False, method="first")
    table = table.reset_index()
    whole = [name for name in _WHOLE if name in table]
    table[whole] = table[whole].astype(int)
    first = ["node", "output", "rank"]
    order = [*first, *(name for name in table if name not in first)]
    return table[order].sort_values(["output", "rank"], ignore_index=True)


_WHOLE = ("rank", "n_networks", "n_folds", "top_folds", "n_dags", "top_dags", "n_children", "n_genes")


def _share(runs: pd.DataFrame) -> pd.Series:
    """Share of each absolute gradient in its network's sum, indexed by output and node."""
    by_network = [name for name in ("repeat", "fold", "replicate", "run", "member") if name in runs]
    size = runs["gradient"].abs()
    total = size.groupby([runs[name] for name in (*by_network, "output")]).transform("sum")
    share = (size / total.where(total > 0)).fillna(0.0)
    share.index = pd.MultiIndex.from_frame(runs[["output", "node"]])
    return share


def _significance(weights: ArmWeights, dag: Dag, settings: InterpretationSettings) -> pd.DataFrame:
    hidden = [place for place, name in enumerate(weights.neurons) if name in set(dag.hidden)]
    n_permutations = max(settings.permutations, min(80 * len(hidden), _MOST_PERMUTATIONS))
    tables = []
    for output, evidence in weights.evidence.items():
        p_values = permutation_p_values(evidence, n_permutations, settings.seed)[hidden]
        index = pd.MultiIndex.from_product([[output], [weights.neurons[place] for place in hidden]])
        values = {"p_value": p_values, "q_value": false_discovery_control(p_values)}
        tables.append(pd.DataFrame(values, index=index.set_names(["output", "node"])))
    return pd.concat(tables)


def _times_in_top(runs: pd.DataFrame, by: list[str], column: str, top: int) -> pd.Series:
    """In how many folds or runs, members averaged, a node is among the top; ties share ranks, 0 is never in the top."""
    mean = runs.groupby([*by, "output", "node"], sort=False)[column].mean().reset_index()
    rank = mean.groupby([*by, "output"])[column].rank(ascending=False, method="min")
    return ((rank <= top) & (mean[column] > 0)).groupby([mean["output"], mean["node"]]).sum()


def summarise_stability(weights: ArmWeights, settings: InterpretationSettings) -> pd.DataFrame:
    """How alike the rankings are between folds (by each method), starts and optimal DAGs.

    Returns:
        `between`, `method`, `output`, `rank_correlation`, `top_overlap`, `k`, `n_pairs`, `n_shared`.
    """
    rows = []
    for output in weights.evidence:
        of_output = weights.per_fold[weights.per_fold["output"] == output]
        for method in ("gradient", "conductance", "ablation", "contribution"):
            rankings = {
                f"{repeat} {fold}": _by_node(table, method) for (repeat, fold), table in of_output.groupby(_FOLD)
            }
            rows.append(_stability_row("folds", method, output, rankings, settings.top))
        for between, runs in (("seeds", weights.by_seed), ("optimal DAGs", weights.by_dag)):
            if len(runs):
                own = runs[runs["output"] == output]
                rankings = {str(run): _by_node(table, "gradient") for run, table in own.groupby("run")}
                rankings["this one"] = _first_fold(of_output)
                rows.append(_stability_row(between, "gradient", output, rankings, settings.top))
    return pd.DataFrame(rows)


def _first_fold(of_output: pd.DataFrame) -> pd.Series:
    """Gradient weights of the first fold's network, on whose cells the others were trained."""
    _, first = next(iter(of_output.groupby(_FOLD, sort=True)))
    return _by_node(first, "gradient")


def _by_node(table: pd.DataFrame, method: str) -> pd.Series:
    """Mean over members of each node's weight; without its sign where that is arbitrary."""
    sizes = table[method] if method in ("ablation", "contribution") else table[method].abs()
    return sizes.groupby(table["node"]).mean().dropna()


def _stability_row(
    between: str, method: str, output: str, rankings: Mapping[str, pd.Series], top: int
) -> dict[str, object]:
    return {"between": between, "method": method, "output": output, **asdict(agreement(rankings, top))}


def agreement_of_arms(first: pd.DataFrame, second: pd.DataFrame, top: int = 10) -> pd.DataFrame:
    """How alike two arms weigh the nodes that both have.

    Args:
        first: what `summarise_nodes` returned for one arm.
        second: for the other.
        top: size of the top.

    Returns:
        `output`, `rank_correlation`, `top_overlap`, `n_shared`; n_shared 0 and NaN where they share no node.
    """
    rows = []
    for output in dict.fromkeys(first["output"]):
        a, b = (table[table["output"] == output].set_index("node")["weight"] for table in (first, second))
        correlation, overlap, n_shared = pair(a, b, top)
        values = {"output": output, "rank_correlation": correlation, "top_overlap": overlap, "n_shared": n_shared}
        rows.append(values)
    return pd.DataFrame(rows, columns=["output", "rank_correlation", "top_overlap", "n_shared"])


def summarise_runs(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Mean, sd and number over networks and folds of `weight`, largest absolute mean first.

    Args:
        table: with `repeat`, `fold`, `weight` and the keys, a row per fold and member.
        keys: what names a row: `gene`, `node`, `output`; or `parent`, `child`.
    """
    summary = table.groupby(keys, sort=False)["weight"].agg(weight="mean", sd="std", n_networks="size").reset_index()
    folds = table.drop_duplicates([*_FOLD, *keys]).groupby(keys, sort=False).size()
    summary["n_folds"] = folds.to_numpy()  # both in the order in which keys appear
    return summary.reindex(summary["weight"].abs().sort_values(ascending=False, kind="stable").index).reset_index(
        drop=True
    )
