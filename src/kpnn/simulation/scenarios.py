"""Data with a planted truth: networks, labels and counts of one scenario."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import scipy.sparse as sp

from kpnn.errors import SettingsError
from kpnn.pkn import gene_of
from kpnn.simulation.counts import CountModel, draw_barcodes, draw_counts
from kpnn.simulation.dressing import Dressing, dress
from kpnn.simulation.networks import Plan, deep_network, flat_network, signalling_network
from kpnn.simulation.tcr_like import TcrShape, tcr_file, tcr_network

if TYPE_CHECKING:
    from anndata import AnnData

Scenario = Literal["single", "redundant", "uneven", "deep", "cyclic", "tcr_like", "null"]

_SUFFIX = "_gene"


@dataclass(frozen=True)
class Truth:
    """What was planted.

    Attributes:
        scenario: name of the scenario.
        seed: seed of the draw.
        output: the output node.
        predictive_nodes: nodes whose genes answer to the class.
        path_nodes: nodes between them and the output.
        fold_changes: predictive input node -> fold change of class 1 over class 0.

    Examples:
        >>> data = simulate("single", n_cells=20, n_nodes=5, genes_per_node=3, fold_change=2.0)
        >>> data.truth.output, data.truth.predictive_nodes, data.truth.fold_changes
        ('OUT', ('NODE1',), {'GENE01_gene': 0.5, 'GENE02_gene': 2.0, 'GENE03_gene': 0.5})
    """

    scenario: str
    seed: int
    output: str
    predictive_nodes: tuple[str, ...]
    path_nodes: tuple[str, ...]
    fold_changes: dict[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The fields by name."""
        return asdict(self)


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
        layout: which of 10x's layouts the study's file has.

    Examples:
        >>> data = simulate("single", n_cells=20, n_nodes=5, genes_per_node=3)
        >>> data.labels.columns.tolist(), int(data.labels["OUT"].sum())
        (['barcode', 'OUT'], 10)
        >>> len(data.edges), len(data.symbols)  # each of 5 nodes below the output, each of 15 genes below one of them
        (20, 15)
    """

    counts: sp.csr_matrix
    barcodes: pd.Index
    symbols: pd.Index
    gene_ids: pd.Index
    edges: pd.DataFrame
    labels: pd.DataFrame
    truth: Truth
    layout: Literal["genome", "features"] = "features"

    def to_anndata(self) -> AnnData:
        """The expression as AnnData, cells x genes; `var["gene_ids"]` the identifiers, `uns["layout"]` the layout."""
        from anndata import AnnData

        var = pd.DataFrame({"gene_ids": self.gene_ids.to_numpy()}, index=self.symbols)
        return AnnData(self.counts, obs=pd.DataFrame(index=self.barcodes), var=var, uns={"layout": self.layout})


def simulate(
    scenario: Scenario = "cyclic",
    *,
    n_cells: int = 800,
    fold_change: float = 2.0,
    seed: int = 42,
    count_model: CountModel | None = None,
    n_unlabelled: int = 0,
    dressing: Dressing | None = None,
    **network: Any,
) -> Simulation:
    """Draws the data of one scenario.

    Args:
        scenario: what is planted where: `single` (one of 101 hidden nodes), `redundant` (two nodes share the signal),
            `uneven` (hidden nodes from one to hundreds of genes), `deep` (the signal enters four levels down),
            `cyclic` (feedback among kinases), `tcr_like` (shapes and file of the TCR study), `null` (nothing).
        n_cells: number of labelled cells, half of them of class 1; of `tcr_like` the network sizes say it.
        fold_change: of a predictive gene between the classes, > 1; genes below an edge of sign -1 fall by it.
        seed: everything is drawn from it.
        count_model: how counts are drawn.
        n_unlabelled: cells in the file that no label names.
        dressing: how the file's genes differ from the network's; not for `tcr_like`, which has its own.
        **network: sizes of the network other than the scenario's own; for `tcr_like` the fields of `TcrShape`.

    Returns:
        Counts, labels, edges and the planted truth.

    Raises:
        SettingsError: a size or number that makes no sense.

    Examples:
        >>> data = simulate("single", n_cells=20, n_nodes=5, genes_per_node=3)
        >>> data.counts.shape, len(data.truth.predictive_nodes)
        ((20, 15), 1)
    """
    if n_cells < 4 or n_unlabelled < 0:
        raise SettingsError(f"n_cells must be at least 4 and n_unlabelled at least 0; found {n_cells}, {n_unlabelled}")
    if not fold_change > 1:
        raise SettingsError(f"fold_change must be above 1, found {fold_change}")
    rng = np.random.default_rng(seed)
    if scenario == "tcr_like":
        return _simulate_tcr(rng, fold_change, seed, count_model, _shape(network))
    plan = _plan(scenario, rng, network)
    signs = {} if scenario == "null" else plan.predictive_genes()
    log_fold_changes = np.array([signs.get(gene, 0) * np.log(fold_change) for gene in plan.genes])
    modules = pd.factorize(pd.Series(list(plan.module_of.values())))[0]
    classes = rng.permutation(np.arange(n_cells) % 2)
    with_unlabelled = np.concatenate([classes, rng.integers(0, 2, n_unlabelled)])
    counts = draw_counts(rng, with_unlabelled, log_fold_changes, modules, count_model or CountModel())
    names = [gene_of(gene, _SUFFIX) for gene in plan.genes]
    counts, symbols = dress(rng, counts, names, log_fold_changes != 0, dressing or Dressing())
    barcodes = pd.Index(draw_barcodes(rng, len(with_unlabelled)))
    order = rng.permutation(len(barcodes))
    return Simulation(
        counts[order],
        barcodes[order],
        pd.Index(symbols),
        _identifiers(len(symbols)),
        plan.edges,
        pd.DataFrame({"barcode": barcodes[:n_cells], plan.output: classes.astype(np.int8)}),
        _truth(scenario, seed, plan, signs, fold_change),
    )


def _simulate_tcr(
    rng: np.random.Generator, fold_change: float, seed: int, model: CountModel | None, shape: TcrShape
) -> Simulation:
    plan = tcr_network(rng, shape)
    signs = plan.predictive_genes()
    log_fold_changes = np.array([signs.get(gene, 0) * np.log(fold_change) for gene in plan.genes])
    # Real droplets are sparser than the other scenarios: about a sixth of the genes are seen in a cell.
    sparse = CountModel(log_mean=-1.6, log_mean_sd=1.6)
    file = tcr_file(rng, shape, plan, log_fold_changes, model or sparse)
    labels = pd.DataFrame({"barcode": file.barcodes[file.labelled], plan.output: file.classes.astype(np.int8)})
    return Simulation(
        file.counts,
        file.barcodes,
        file.symbols,
        file.gene_ids,
        plan.edges,
        labels,
        _truth("tcr_like", seed, plan, signs, fold_change),
        layout="genome",
    )


def _truth(scenario: str, seed: int, plan: Plan, signs: dict[str, int], fold_change: float) -> Truth:
    if not signs:
        return Truth(scenario, seed, plan.output, (), ())
    fold_changes = {gene: float(fold_change**sign) for gene, sign in signs.items()}
    return Truth(scenario, seed, plan.output, plan.predictive_nodes, tuple(plan.path_nodes()), fold_changes)


def _identifiers(n: int) -> pd.Index:
    return pd.Index([f"ENSG{number:011d}" for number in range(1, n + 1)])


def _plan(scenario: str, rng: np.random.Generator, sizes: dict[str, Any]) -> Plan:
    if scenario not in _SIZES:
        raise SettingsError(f"no scenario {scenario} (there are {', '.join([*_SIZES, 'tcr_like'])})")
    check_sizes(scenario, sizes)
    chosen = _SIZES[scenario] | sizes
    if scenario in ("cyclic", "null"):
        return signalling_network(rng, **chosen)
    if scenario == "deep":
        return deep_network(rng, **chosen)
    n_nodes, genes_per_node = int(chosen["n_nodes"]), int(chosen["genes_per_node"])
    if n_nodes < 2 or genes_per_node < 1:
        raise SettingsError(f"needs at least 2 nodes and 1 gene per node, found {n_nodes} and {genes_per_node}")
    numbers: Sequence[int] = [genes_per_node] * n_nodes
    if scenario == "uneven":
        # From one gene to hundreds; the predictive node has a middling number.
        spread = np.geomspace(1, 12 * genes_per_node, n_nodes - 1).round().astype(int)
        numbers = [max(1, genes_per_node // 2), *(int(number) for number in rng.permutation(spread))]
    return flat_network(rng, numbers, [0, 1] if scenario == "redundant" else [0])


_MOST = 100_000_000
_SIZES: dict[str, dict[str, Any]] = {
    "single": {"n_nodes": 101, "genes_per_node": 37},
    "redundant": {"n_nodes": 101, "genes_per_node": 37},
    "uneven": {"n_nodes": 101, "genes_per_node": 37},
    "deep": {"widths": [4, 10, 25, 60], "genes_per_node": 15},
    "cyclic": {"n_signalling": 30, "n_regulators": 40, "n_genes": 500, "predictive_genes": 20},
    "null": {"n_signalling": 30, "n_regulators": 40, "n_genes": 500, "predictive_genes": 20},
}


def check_sizes(scenario: str, sizes: Mapping[str, Any]) -> None:
    """Checks the sizes of a scenario's network, as `simulate` takes them; how they fit together shows as it is drawn.

    Args:
        scenario: one of `simulate`'s.
        sizes: by name; those that are not named are the scenario's own.

    Raises:
        SettingsError: the scenario has no such size, or one is no whole number of a believable size (of `widths`:
            several).

    Examples:
        >>> check_sizes("single", {"n_nodes": 5})
        >>> check_sizes("single", {"nodes": 5})
        Traceback (most recent call last):
        kpnn.errors.SettingsError: scenario single has no size nodes (it has n_nodes, genes_per_node)
    """
    known = TcrShape.__dataclass_fields__ if scenario == "tcr_like" else _SIZES[scenario]
    strange = sorted(set(map(str, sizes)) - set(known))
    if strange:
        raise SettingsError(f"scenario {scenario} has no size {', '.join(strange)} (it has {', '.join(known)})")
    for name, size in sizes.items():
        numbers = size if name == "widths" and isinstance(size, list | tuple) and size else [size]
        if not all(_is_a_size(number) for number in numbers):
            raise SettingsError(f"{name} must be a whole number from 0 to {_MOST:,}, found {size!r}")


def _is_a_size(number: Any) -> bool:
    return isinstance(number, Integral) and not isinstance(number, bool) and 0 <= int(number) <= _MOST


def _shape(sizes: dict[str, Any]) -> TcrShape:
    check_sizes("tcr_like", sizes)
    return TcrShape(**sizes)
