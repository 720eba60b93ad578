"""Studies whose truth is known: simulated with a planted node and with what is in the way, and one of real cells."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from _studies import kang
from kpnn.cells import Transform
from kpnn.pkn import Dag, Pkn, select_dag, shortest_path_dag
from kpnn.simulation import control_counts, simulate
from kpnn.training.data import LabelledCells
from kpnn.training.settings import EvaluationSettings


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
    "single 1.5, ten nested donors": Condition("single", 1.5, donors=10, nested=True),
    "single 2, ten nested donors": Condition("single", 2.0, donors=10, nested=True),
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


@dataclass(frozen=True)
class Sizes:
    """How large a study is: cells, folds, networks a fold, further ones only to weigh nodes, and whether networks have
    the scenarios' own sizes.
    """

    cells: int
    folds: int
    members: int
    full: bool
    replicates: int = 0

    @property
    def training(self) -> EvaluationSettings:
        """How all networks are trained."""
        fit = {"ensemble": self.members, "max_epochs": 400, "patience": 20, "learning_rate_schedule": "plateau"}
        return EvaluationSettings.model_validate({"fit": fit})


@dataclass(frozen=True, eq=False)
class Study:
    """One study: cells, networks, truth, and hyperparameters other than the common ones.

    Attributes:
        counts: of the cells, before they were transformed.
        cells: what networks are trained on.
        dags: by arm.
        predictive: the planted nodes, or those known from biology.
        path: nodes between them and the output, in the network before any edge was made wrong.
        predictive_genes: input nodes whose genes answer to the class, wherever the network has them.
        training: hyperparameters other than the common ones.
    """

    counts: csr_matrix
    cells: LabelledCells
    dags: dict[str, Dag]
    predictive: tuple[str, ...]
    path: tuple[str, ...]
    predictive_genes: frozenset[str] = frozenset()
    training: dict[str, Any] = field(default_factory=dict)

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
        depth=totals,
    )
    truth = simulation.truth
    planted = not condition.unplanted
    predictive, path, genes = (
        (truth.predictive_nodes, truth.path_nodes, frozenset(truth.fold_changes)) if planted else ((), (), frozenset())
    )
    return Study(counts, cells, dags, predictive, path, genes, condition.training)


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


def interferon_study(_sizes: Sizes) -> Study:
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
    cells = LabelledCells(expression, y, barcodes, pkn.inputs, (str(labels.name),), depth=totals)
    return Study(counts[:, columns], cells, dags, ("STAT1", "STAT2", "IRF9"), ())


def demo_study(sizes: Sizes) -> Study:
    """Cells like the demo's, as many as asked for."""
    return draw(Condition("cyclic"), 42, sizes)


KNOWN = {"kang": interferon_study, "demo": demo_study}
"""Studies that are looked at one by one."""
