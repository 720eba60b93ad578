"""The weights of an arm's networks, summarised node by node with their spread and their evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control, norm, rankdata
from scipy.stats import t as student_t

from kpnn.interpretation.arm import ArmWeights
from kpnn.interpretation.enrichment import reaching
from kpnn.interpretation.rewired import beside_rewired
from kpnn.interpretation.settings import InterpretationSettings
from kpnn.interpretation.stability import agreement, pair
from kpnn.pkn import Dag
from kpnn.tables import largest_first

_FOLD = ["repeat", "fold"]
CALLED_BELOW = 0.05
"""False discovery rate at which a node is called."""
_NEEDED = 0.01
"""Share of the ROC-AUC above 0.5 from which losing it without a node is more than next to nothing."""
_SPECIFIC_ABOVE = float(norm.isf(0.05))
"""z above which a node's genes differ more than as many random ones, of nodes whose activity differs anyway."""
_AGREED = 0.5
"""Correlation of a node's activations in two networks up to which they do not mean the same by it."""


def summarise_nodes(weights: ArmWeights, dag: Dag, settings: InterpretationSettings) -> pd.DataFrame:
    """One row per output and hidden node that can reach it, first what the networks and its genes both tell of.

    Args:
        weights: what `weigh_arm` returned.
        dag: the arm's DAG.
        settings: with which it was computed.

    Returns:
        `node`, `output`, `rank` (by `combined_z`; ties share the better rank), `combined_z`: `z` and `enrichment_z`
        added up and divided by the square root of 2; `z` over that where the genes cannot be compared, 0 where no
        network uses the node. It orders and tests nothing. Where a node tells little, `z` is mostly what networks
        learned of noise, and changes with their seeds; what its genes tell does not.

        Does the node's activity differ between the classes in unseen cells? `z`, `p_value` (see `activity_test`),
        `q_value` (Benjamini-Hochberg over the nodes of an output), `differs` (q-value below 0.05).

        Do the networks rest on the node? `conductance` and `permuted_conductance` (the same in networks trained on
        permuted labels), `rests` (the former is larger by more than a standard error; or without the node the networks
        lose ROC-AUC in held-out cells, at a one-sided level of 5 % over folds and at least a hundredth of what they
        have above 0.5; empty where no network was trained on permuted labels and nothing is lost).

        Where others carry what it would: is it more than its place? `specific`: its own genes differ more than as many
        random genes do, `enrichment_z` above 1.64 (5 %, one-sided); a node without genes of its own is not.

        Do they mean the same by it? `agreement`: the lowest correlation of the node's oriented activations in any two
        networks of the folds' models; of repeats the mean; NaN for a single network.

        `called`: its activity differs; the networks rest on it (or were not asked), or it is specific; and their
        agreement is above 0.5, where it is known.

        How large is it? `roc_auc` (with which the node's activity alone tells the classes of unseen cells) and
        `visible_roc_auc` (the smallest that would be found in four studies of five; the same for all nodes of an
        output; NaN where none would be).

        Does knowledge matter to it? `n_rewired`, `rewired_z`, `rewired_z_max`, `beyond_rewired`: the node's place in
        networks on rewired PKNs, see `beside_rewired`.

        Means over networks: `weight` (absolute gradient weight) and `weight_sd`; `share` (share of all absolute weights
        of its network) and `control_share` (the same with control inputs), `corrected` (share less control share),
        `structure` (the share is not larger than the control share by more than a standard error: what the node weighs
        its place gives it; empty without control inputs);
        `permuted_weight` (`weight` with permuted labels); `conductance`, `ablation`, `contribution`;
        `bias_mean_square`.

        The baseline without a network: `enrichment`, `enrichment_z`, `enrichment_p` (see `enrichment`),
        `enrichment_rank`.

        `n_networks`, `n_folds`, `top_folds` (in how many folds the node is among the top by that fold's z), `n_dags`,
        `top_dags` (optimal DAGs that hold the node, and in which it is among the top by weight); `n_children`,
        `n_genes` (children, and those of them that are genes).

    Examples:
        >>> # With the DAG of `TrainedFold` and the weights of `weigh_arm`
        >>> nodes = summarise_nodes(weights, dag, InterpretationSettings())
        >>> nodes[["node", "rank", "roc_auc", "differs", "rests", "weight"]].round(3)
            node  rank  roc_auc  differs  rests  weight
        0  ZAP70     1      1.0     True   True   0.653
        1    JUN     2      0.5    False   <NA>   0.163
    """
    table = _means_over_networks(weights)
    table = table.join(_tested(weights, dag, settings.top), how="inner")
    table = (
        table.join(_rested(weights, table.pop("output_roc_auc")))
        .join(_owed_to_structure(weights))
        .join(weights.enrichment.set_index(_KEYS))
    )
    table = table.join(beside_rewired(table["z"], weights.rewired))
    if len(weights.by_dag):
        by_dag = weights.by_dag.assign(size=weights.by_dag["gradient"].abs())
        table["n_dags"] = by_dag.groupby(_KEYS)["run"].nunique().reindex(table.index).fillna(0)
        table["top_dags"] = _times_in_top(by_dag, ["run"], "size", settings.top).reindex(table.index).fillna(0)
    children = dag.edges.assign(is_gene=dag.edges["child"].isin(set(dag.inputs))).groupby("parent")["is_gene"]
    names = table.index.get_level_values("node")
    table["n_children"] = children.size().reindex(names).fillna(0).to_numpy()
    table["n_genes"] = children.sum().reindex(names).fillna(0).to_numpy()
    table["specific"] = (table["enrichment_z"] > _SPECIFIC_ABOVE) & (table["n_genes"] > 0)
    rests_or_unasked = table["rests"].fillna(True).astype(bool)
    at_odds = table["agreement"] <= _AGREED
    table["called"] = table["differs"] & (rests_or_unasked | table["specific"]) & ~at_odds
    of_genes = table["enrichment_z"].fillna(0.0)
    table["combined_z"] = ((table["z"] + of_genes) / np.sqrt(2)).where(table["z"] != 0, 0.0)
    for rank, by in (("rank", "combined_z"), ("enrichment_rank", "enrichment")):
        table[rank] = table.groupby("output")[by].rank(ascending=False, method="min", na_option="bottom")
    table = table.reset_index()
    whole = [name for name in _WHOLE if name in table]
    table[whole] = table[whole].fillna(0).astype(int)
    order = [*_FIRST, *(name for name in table if name not in _FIRST)]
    return table[order].sort_values(["output", "rank", "node"], ignore_index=True)


_KEYS = ["output", "node"]
_FIRST = (
    "node",
    "output",
    "rank",
    "combined_z",
    "z",
    "p_value",
    "q_value",
    "roc_auc",
    "differs",
    "rests",
    "specific",
    "called",
    "structure",
)
_WHOLE = (
    "rank",
    "enrichment_rank",
    "n_networks",
    "n_folds",
    "top_folds",
    "n_rewired",
    "n_dags",
    "top_dags",
    "n_children",
    "n_genes",
)


def _means_over_networks(weights: ArmWeights) -> pd.DataFrame:
    per_fold = weights.per_fold.assign(size=weights.per_fold["gradient"].abs())
    table = per_fold.groupby(_KEYS).agg(
        weight=("size", "mean"),
        weight_sd=("size", "std"),
        conductance=("conductance", "mean"),
        ablation=("ablation", "mean"),
        contribution=("contribution", "mean"),
        n_networks=("fold", "size"),
    )
    table["n_folds"] = per_fold.drop_duplicates([*_KEYS, *_FOLD]).groupby(_KEYS).size()
    control, permuted = weights.control, weights.permuted
    for name, runs in (("share", weights.per_fold), ("control_share", control)):
        share = _share(runs, "gradient")
        table[name] = share.groupby([runs[key] for key in _KEYS]).mean() if len(runs) else np.nan
    table["corrected"] = table["share"] - table["control_share"]
    table["permuted_weight"] = (
        permuted["gradient"].abs().groupby([permuted[k] for k in _KEYS]).mean() if len(permuted) else np.nan
    )
    squared = weights.biases["bias"].pow(2).groupby(weights.biases["neuron"]).mean()
    table["bias_mean_square"] = table.index.get_level_values("node").map(squared)
    return table


def _tested(weights: ArmWeights, dag: Dag, top: int) -> pd.DataFrame:
    """`z`, `p_value`, `q_value` and what goes with them, of the hidden nodes that reach each output."""
    reach, hidden = reaching(dag), set(dag.hidden)
    tables = []
    for output, tested in weights.tests.items():
        own = hidden & reach[output]
        places = [place for place, name in enumerate(weights.neurons) if name in own]
        z, p_values, by_fold = tested.z[places], tested.p_value[places], tested.by_fold[:, places]
        q_values = false_discovery_control(p_values) if len(places) else p_values
        ranks = rankdata(-by_fold, axis=1, method="min") if len(places) else by_fold
        columns = {
            "z": z,
            "p_value": p_values,
            "q_value": q_values,
            "roc_auc": tested.roc_auc[places],
            "visible_roc_auc": tested.smallest_visible(len(places), CALLED_BELOW),
            "differs": q_values < CALLED_BELOW,
            "output_roc_auc": tested.roc_auc[weights.neurons.index(output)],
            "top_folds": ((ranks <= top) & (by_fold > 0)).sum(axis=0),
        }
        index = pd.MultiIndex.from_product([[output], [weights.neurons[place] for place in places]], names=_KEYS)
        tables.append(pd.DataFrame(columns, index=index))
    return pd.concat(tables)


def _rested(weights: ArmWeights, output_roc_auc: pd.Series) -> pd.DataFrame:
    """`permuted_conductance`, `rests`, `agreement`: what a node carries, and whether all networks mean the same by it.

    Conductances are compared as they are, in units of predicted probability. As shares of their sum they would fall for
    every node but the few that carry most, however much more flows through a node than in networks on noise.
    """
    compared = _beside(*(_by_fold(runs, runs["conductance"]) for runs in (weights.per_fold, weights.permuted)))
    names = {"other": "permuted_conductance", "is_larger": "rests"}
    table = compared.rename(columns=names)[list(names.values())].reindex(output_roc_auc.index)
    names_of_nodes = table.index.get_level_values("node")
    table["agreement"] = weights.agreement.mean().reindex(names_of_nodes).to_numpy()
    return table.assign(rests=table["rests"] | _needed(weights.per_fold, output_roc_auc))


def _needed(per_fold: pd.DataFrame, output_roc_auc: pd.Series) -> pd.Series:
    """Whether the networks lose a node's part of their ROC-AUC without it: clearly over folds, and not next to nothing.

    A node that all else passes through carries as large a share in networks on noise; what tells it is that nothing is
    predicted without it.
    """
    loss = per_fold.groupby([*_KEYS, *_FOLD])["ablation"].mean().groupby(_KEYS)
    mean, n_folds = loss.mean(), loss.count()
    error = loss.std() / np.sqrt(n_folds)
    is_clear = mean > error * student_t.ppf(0.95, np.maximum(n_folds - 1, 1))  # a single fold has no spread: False
    needed = is_clear.reindex(output_roc_auc.index) & (
        mean.reindex(output_roc_auc.index) >= _NEEDED * (output_roc_auc - 0.5)
    )
    return needed.astype("boolean")


def _owed_to_structure(weights: ArmWeights) -> pd.DataFrame:
    """`structure`: whether a node weighs no more than its place gives it."""
    compared = _beside(*(_by_fold(runs, _share(runs, "gradient")) for runs in (weights.per_fold, weights.control)))
    return pd.DataFrame({"structure": ~compared["is_larger"]})


def _beside(own: pd.Series, others: pd.Series) -> pd.DataFrame:
    """`other`, the mean of each node elsewhere, and whether its own mean `is_larger` by more than a standard error.

    Folds are the observations. Without other networks both are empty.
    """
    of_own, of_others = own.groupby(_KEYS), others.groupby(_KEYS)
    table = pd.DataFrame({"other": of_others.mean()}).reindex(of_own.size().index)
    if not len(others):
        return table.assign(is_larger=pd.array([pd.NA] * len(table), dtype="boolean"))
    squared = of_own.var() / of_own.size() + (of_others.var() / of_others.size()).reindex(table.index)
    error = np.sqrt(squared.fillna(0.0))  # a single fold has no spread
    return table.assign(is_larger=(of_own.mean() - table["other"] > error).astype("boolean"))


def _by_fold(runs: pd.DataFrame, values: pd.Series) -> pd.Series:
    """Values of the rows of a table, mean over a fold's networks, indexed by output, node and fold.

    A fold's networks share cells: their mean is one observation.
    """
    keys = [*_KEYS, *_FOLD]
    return values.astype(float).groupby([runs[name] for name in keys]).mean()


def _share(runs: pd.DataFrame, column: str) -> pd.Series:
    """Share of each absolute weight in its network's sum, row by row."""
    by_network = [name for name in ("repeat", "fold", "replicate", "run", "member") if name in runs]
    size = runs[column].abs()
    total = size.groupby([runs[name] for name in (*by_network, "output")]).transform("sum")
    return (size / total.where(total > 0)).fillna(0.0)


def _times_in_top(runs: pd.DataFrame, by: list[str], column: str, top: int) -> pd.Series:
    """In how many folds or runs, members averaged, a node is among the top; ties share ranks, 0 is never in the top."""
    mean = runs.groupby([*by, "output", "node"], sort=False)[column].mean().reset_index()
    rank = mean.groupby([*by, "output"])[column].rank(ascending=False, method="min")
    return ((rank <= top) & (mean[column] > 0)).groupby([mean["output"], mean["node"]]).sum()


def summarise_stability(weights: ArmWeights, settings: InterpretationSettings) -> pd.DataFrame:
    """How alike the rankings are between folds (by z and by each method), starts and optimal DAGs.

    Args:
        weights: of the arm.
        settings: how many nodes make the top.

    Returns:
        `between`, `method`, `output`, `rank_correlation`, `top_overlap`, `chance_overlap`, `k`, `n_pairs`, `n_shared`.

    Examples:
        >>> # With the weights of `weigh_arm`
        >>> table = summarise_stability(weights, InterpretationSettings(top=1))
        >>> table[["between", "method", "top_overlap", "chance_overlap", "n_shared"]]
          between        method  top_overlap  chance_overlap  n_shared
        0   folds      gradient          1.0             0.5         2
        1   folds   conductance          1.0             0.5         2
        2   folds      ablation          1.0             0.5         2
        3   folds  contribution          1.0             0.5         2
        4   folds             z          1.0             0.5         2
    """
    rows = []
    for output in weights.evidence:
        of_output = weights.per_fold[weights.per_fold["output"] == output]
        for method in ("gradient", "conductance", "ablation", "contribution"):
            rankings = {
                f"{repeat} {fold}": _by_node(table, method) for (repeat, fold), table in of_output.groupby(_FOLD)
            }
            rows.append(_stability_row("folds", method, output, rankings, settings.top))
        rows.append(_stability_row("folds", "z", output, _z_by_fold(weights, output), settings.top))
        for between, runs in (("seeds", weights.by_seed), ("optimal DAGs", weights.by_dag)):
            if len(runs):
                own = runs[runs["output"] == output]
                rankings = {str(run): _by_node(table, "gradient") for run, table in own.groupby("run")}
                rankings["this one"] = _first_fold(of_output)
                rows.append(_stability_row(between, "gradient", output, rankings, settings.top))
    return pd.DataFrame(rows)


def _z_by_fold(weights: ArmWeights, output: str) -> dict[str, pd.Series]:
    """Every fold by its own z; a node whose activity speaks against its use counts as 0."""
    weighed = set(weights.per_fold["node"])
    places = [place for place, name in enumerate(weights.neurons) if name in weighed]
    names = [weights.neurons[place] for place in places]
    by_fold = np.maximum(weights.tests[output].by_fold[:, places], 0.0)
    return {str(number): pd.Series(of_fold, index=names) for number, of_fold in enumerate(by_fold)}


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
        `output`, `rank_correlation`, `top_overlap`, `chance_overlap`, `n_shared`; n_shared 0 and NaN where they share
        no node.

    Examples:
        >>> full = pd.DataFrame({"node": ["ZAP70", "JUN", "FOS"], "output": "TCR", "weight": [0.3, 0.2, 0.1]})
        >>> pruned = pd.DataFrame({"node": ["ZAP70", "FOS"], "output": "TCR", "weight": [0.1, 0.4]})
        >>> agreement_of_arms(full, pruned, top=1)
          output  rank_correlation  top_overlap  chance_overlap  n_shared
        0    TCR               NaN          0.0             0.5         2
    """
    rows = []
    for output in dict.fromkeys(first["output"]):
        a, b = (table[table["output"] == output].set_index("node")["weight"] for table in (first, second))
        rows.append((output, *pair(a, b, top)))
    return pd.DataFrame(rows, columns=["output", "rank_correlation", "top_overlap", "chance_overlap", "n_shared"])


def summarise_runs(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Mean, sd and number over networks and folds of `weight`, largest absolute mean first.

    Args:
        table: with `repeat`, `fold`, `weight` and the keys, a row per fold and member.
        keys: what names a row: `gene`, `node`, `output`; or `parent`, `child`.

    Returns:
        A row for each key: `weight`, its sd and the number of networks, largest absolute mean first.

    Examples:
        >>> runs = pd.DataFrame({"repeat": 0, "fold": [0, 1, 0, 1], "gene": ["IL2", "IL2", "CD69", "CD69"]})
        >>> summarise_runs(runs.assign(weight=[0.1, 0.2, -0.5, -0.7]), ["gene"]).round(3)
           gene  weight     sd  n_networks  n_folds
        0  CD69   -0.60  0.141           2        2
        1   IL2    0.15  0.071           2        2
    """
    summary = table.groupby(keys, sort=False)["weight"].agg(weight="mean", sd="std", n_networks="size").reset_index()
    folds = table.drop_duplicates([*_FOLD, *keys]).groupby(keys, sort=False).size()
    summary["n_folds"] = folds.to_numpy()  # both in the order in which keys appear
    return largest_first(summary).reset_index(drop=True)
