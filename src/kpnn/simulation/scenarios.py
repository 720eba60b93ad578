"""Data with a planted truth: networks, labels and counts of one scenario."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import scipy.sparse as sp

from kpnn.errors import SettingsError
from kpnn.simulation.counts import CountModel, draw_barcodes, draw_counts
from kpnn.simulation.networks import Plan, deep_network, flat_network, signalling_network

if TYPE_CHECKING:
    from anndata import AnnData

Scenario = Literal["single", "redundant", "uneven", "deep", "cyclic", "null"]


@dataclass(frozen=True)
class Truth:
    """What was planted.

    Attributes:
        scenario: name of the scenario.
        seed: seed of the draw.
        output: the output node.
        predictive_nodes: nodes whose genes answer to the class.
        path_nodes: nodes between them and the output.
        fold_changes: predictive gene -> fold change of class 1 over class 0.
    """

    scenario: str
    seed: int
    output: str
    predictive_nodes: tuple[str, ...]
    path_nodes: tuple[str, ...]
    fold_changes: dict[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The fields as JSON holds them."""
        return {
            "scenario": self.scenario,
            "seed": self.seed,
            "output": self.output,
            "predictive_nodes": list(self.predictive_nodes),
            "path_nodes": list(self.path_nodes),
            "fold_changes": self.fold_changes,
        }


@dataclass(frozen=True, eq=False)
class Simulation:
    """Raw data as a study would bring them, and the truth behind them.

    Attributes:
        counts: cells x genes, int32 CSR.
        barcodes: names of the cells.
        symbols: gene symbols, which may repeat.
        gene_ids: gene identifiers.
        edges: `parent`, `child`, `sign`.
        labels: `barcode` and the output's 0/1 column.
        truth: what was planted.
    """

    counts: sp.csr_matrix
    barcodes: pd.Index
    symbols: pd.Index
    gene_ids: pd.Index
    edges: pd.DataFrame
    labels: pd.DataFrame
    truth: Truth

    def to_anndata(self) -> AnnData:
        """The expression as AnnData, cells x genes, `var["gene_ids"]` the identifiers."""
        from anndata import AnnData

        var = pd.DataFrame({"gene_ids": self.gene_ids.to_numpy()}, index=self.symbols)
        return AnnData(self.counts.astype(np.float32), obs=pd.DataFrame(index=self.barcodes), var=var)


def simulate(
    scenario: Scenario = "cyclic",
    *,
    n_cells: int = 800,
    fold_change: float = 2.0,
    seed: int = 42,
    count_model: CountModel | None = None,
    n_unlabelled: int = 0,
    **network: Any,
) -> Simulation:
    """Draws the data of one scenario.

    Args:
        scenario: what is planted where; see `docs/data.md`.
        n_cells: number of labelled cells, half of them of class 1.
        fold_change: of a predictive gene between the classes, > 1; genes below an edge of sign -1 fall by it.
        seed: everything is drawn from it.
        count_model: how counts are drawn.
        n_unlabelled: cells in the file that no label names.
        **network: sizes of the network, where a scenario has any.

    Raises:
        SettingsError: a size or number that makes no sense.
    """
    if n_cells < 4 or n_unlabelled < 0:
        raise SettingsError(f"n_cells must be at least 4 and n_unlabelled at least 0; found {n_cells}, {n_unlabelled}")
    if not fold_change > 1:
        raise SettingsError(f"fold_change must be above 1, found {fold_change}")
    rng = np.random.default_rng(seed)
    plan = _plan(scenario, rng, network)
    signs = {} if scenario == "null" else plan.predictive_genes()
    log_fold_changes = np.array([signs.get(gene, 0) * np.log(fold_change) for gene in plan.genes])
    modules = pd.factorize(pd.Series(list(plan.module_of.values())))[0]
    classes = rng.permutation(np.arange(n_cells) % 2)
    with_unlabelled = np.concatenate([classes, rng.integers(0, 2, n_unlabelled)])
    counts = draw_counts(rng, with_unlabelled, log_fold_changes, modules, count_model or CountModel())
    barcodes = pd.Index(draw_barcodes(rng, len(with_unlabelled)))
    symbols = pd.Index([gene.removesuffix("_gene") for gene in plan.genes])
    truth = Truth(
        scenario,
        seed,
        plan.output,
        () if scenario == "null" else plan.predictive_nodes,
        () if scenario == "null" else tuple(plan.path_nodes()),
        {gene: float(fold_change**sign) for gene, sign in signs.items()},
    )
    order = rng.permutation(len(barcodes))
    labels = pd.DataFrame({"barcode": barcodes[:n_cells], plan.output: classes.astype(np.int8)})
    return Simulation(
        counts[order],
        barcodes[order],
        symbols,
        pd.Index([f"ENSG{number:011d}" for number in range(1, len(symbols) + 1)]),
        plan.edges,
        labels,
        truth,
    )


def _plan(scenario: str, rng: np.random.Generator, network: dict[str, Any]) -> Plan:
    if scenario in ("single", "redundant", "uneven"):
        sizes = {"n_nodes": 101, "genes_per_node": 37} | network
        numbers = [int(sizes.pop("genes_per_node"))] * int(sizes.pop("n_nodes"))
        _refuse(scenario, sizes)
        if scenario == "uneven":
            # From one gene to hundreds; the predictive node has the middling number.
            spread = np.geomspace(1, 12 * numbers[0], len(numbers) - 1).round().astype(int).clip(1)
            numbers = [numbers[0] // 2, *(int(number) for number in rng.permutation(spread))]
        return flat_network(rng, numbers, [0, 1] if scenario == "redundant" else [0])
    if scenario == "deep":
        sizes = {"widths": [4, 10, 25, 60], "genes_per_node": 15} | network
        plan = deep_network(rng, sizes.pop("widths"), sizes.pop("genes_per_node"))
        _refuse(scenario, sizes)
        return plan
    if scenario in ("cyclic", "null"):
        sizes = {"n_signalling": 30, "n_regulators": 40, "n_genes": 500, "predictive_genes": 20} | network
        _refuse(scenario, {name: value for name, value in sizes.items() if name not in _SIGNALLING})
        return signalling_network(rng, **sizes)
    raise SettingsError(f"no scenario {scenario}")


_SIGNALLING = ("n_signalling", "n_regulators", "n_genes", "predictive_genes", "with_cycles")


def _refuse(scenario: str, left_over: dict[str, Any]) -> None:
    if left_over:
        raise SettingsError(f"scenario {scenario} has no size {', '.join(left_over)}")
