"""What the arms are judged against: random and alternative DAGs, shuffled knowledge, shuffled labels, baselines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from kpnn.pkn import Dag
from kpnn.training.data import LabelledCells

Estimator = Literal["kpnn", "logistic", "gradient_boosting"]


@dataclass(frozen=True, eq=False)
class Arm:
    """One thing under comparison.

    Attributes:
        name: such as `full`, `pruned` or `random_3`.
        dag: its network; for a baseline, the DAG whose genes it reads.
        estimator: `kpnn`, or a baseline without a network.
        permute_genes: seed with which the genes are given each other's places in the network; None: they are not.
        permute_labels: seed with which the cells are given each other's labels; None: they are not.
        initializer: how its weights start; None: as all others' do.
    """

    name: str
    dag: Dag
    estimator: Estimator = "kpnn"
    permute_genes: int | None = None
    permute_labels: int | None = None
    initializer: str | None = None

    def cells_seen(self, cells: LabelledCells) -> LabelledCells:
        """The cells as this arm sees them: the genes of its DAG, shuffled where it says so.

        Args:
            cells: all labelled cells.
        """
        seen = cells.restricted_to(self.dag.inputs)
        if self.permute_genes is not None:
            seen = seen.with_genes_in_places(np.random.default_rng(self.permute_genes).permutation(len(seen.nodes)))
        if self.permute_labels is not None:
            rng = np.random.default_rng(self.permute_labels)
            seen = seen.with_labels(permuted_labels(seen.labels, seen.groups, rng))
        return seen


def permuted_labels(labels: np.ndarray, groups: np.ndarray | None, rng: np.random.Generator) -> np.ndarray:
    """Labels exchanged between cells, so that they say nothing of a cell any more.

    Within groups, where one holds cells of different labels: donors differ by more than their cells' class. Where the
    cells of every group are labelled alike, groups exchange labels as wholes.

    Args:
        labels: shape (n_cells, n_outputs).
        groups: donor or sample of each cell, shape (n_cells,); None: all cells are exchanged.
        rng: draws the permutation.

    Returns:
        A copy, shape (n_cells, n_outputs).
    """
    if groups is None:
        return labels[rng.permutation(len(labels))]
    names, group_of = np.unique(groups, return_inverse=True)
    first = np.unique(group_of, return_index=True)[1]
    if (labels == labels[first[group_of]]).all():
        return labels[first[rng.permutation(len(names))][group_of]]
    permuted = labels.copy()
    for group in range(len(names)):
        rows = np.flatnonzero(group_of == group)
        permuted[rows] = labels[rng.permutation(rows)]
    return permuted


class ControlSettings(BaseModel):
    """Which controls and baselines run beside the arms; all are off by default.

    Attributes:
        random: number of random DAGs with as many neurons as the selected one.
        alternative: number of other optimal DAGs.
        permuted_genes: number of runs of the selected DAG with its gene names shuffled.
        permuted_labels: number of runs of the selected DAG with the cells' labels shuffled.
        logistic: L2 logistic regression on the same genes.
        gradient_boosting: gradient boosting on the same genes.
        dense: a fully connected network on the same genes.
        dense_hidden: its hidden neurons, all in one level.
        seed: of all shuffling and drawing.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    random: int = Field(0, ge=0)
    alternative: int = Field(0, ge=0)
    permuted_genes: int = Field(0, ge=0)
    permuted_labels: int = Field(0, ge=0)
    logistic: bool = False
    gradient_boosting: bool = False
    dense: bool = False
    dense_hidden: int = Field(64, ge=1)
    seed: int = Field(42, ge=0)


def control_arms(
    settings: ControlSettings, dag: Dag, random_dags: Sequence[Dag] = (), alternative_dags: Sequence[Dag] = ()
) -> list[Arm]:
    """Lists the controls and baselines that are switched on.

    Args:
        settings: which.
        dag: the selected DAG, which they are matched to.
        random_dags: drawn ones; at most `settings.random` are used.
        alternative_dags: other optima; at most `settings.alternative` are used.
    """
    seeds = np.random.SeedSequence(settings.seed).generate_state(settings.permuted_genes + settings.permuted_labels)
    gene_seeds, label_seeds = seeds[: settings.permuted_genes], seeds[settings.permuted_genes :]
    arms = [Arm(f"random_{i}", drawn) for i, drawn in enumerate(random_dags[: settings.random])]
    arms += [Arm(f"alternative_{i}", other) for i, other in enumerate(alternative_dags[: settings.alternative])]
    arms += [Arm(f"permuted_genes_{i}", dag, permute_genes=int(seed)) for i, seed in enumerate(gene_seeds)]
    arms += [Arm(f"permuted_labels_{i}", dag, permute_labels=int(seed)) for i, seed in enumerate(label_seeds)]
    if settings.logistic:
        arms.append(Arm("logistic", dag, estimator="logistic"))
    if settings.gradient_boosting:
        arms.append(Arm("gradient_boosting", dag, estimator="gradient_boosting"))
    if settings.dense:
        # Neurons that all read all genes must not start alike, or they stay alike.
        arms.append(Arm("dense", dense_dag(dag, settings.dense_hidden), initializer="glorot_uniform"))
    return arms


def dense_dag(dag: Dag, n_hidden: int) -> Dag:
    """One hidden level in which every neuron reads every gene.

    Args:
        dag: whose genes and outputs to take.
        n_hidden: number of hidden neurons.
    """
    hidden = [f"hidden_{i}" for i in range(n_hidden)]
    pairs = [(parent, child) for parent in hidden for child in dag.inputs]
    pairs += [(output, child) for output in dag.outputs for child in hidden]
    return Dag.from_edges(pd.DataFrame(pairs, columns=["parent", "child"]), outputs=dag.outputs)
