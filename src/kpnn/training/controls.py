"""What the arms are judged against: rewired and shuffled knowledge, other DAGs, shuffled labels, baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from kpnn.pkn import Dag, Pkn
from kpnn.settings_base import Settings
from kpnn.training.activities import regulon_of
from kpnn.training.data import LabelledCells
from kpnn.training.settings import EvaluationSettings, Hyperparameters

_MOST_EDGES_TOGETHER = 100_000
"""Of larger networks reading the cells is a small part of the work, and each takes its memory."""

Estimator = Literal["kpnn", "logistic", "gradient_boosting", "tf_activity"]


@dataclass(frozen=True, eq=False)
class Arm:
    """One thing under comparison.

    Attributes:
        name: such as `full`, `pruned` or `rewired_3`.
        dag: its network; for a baseline, the DAG whose genes it reads; for activities, the regulon.
        estimator: `kpnn`, or a baseline without a network.
        permute_labels: seed with which the cells are given each other's labels; None: they are not.
        initializer: how its weights start; None: as all others' do.
        recipes: hyperparameters by the fold's name, such as `repeat_0_fold_3`, where they are not searched.

    Examples:
        >>> edges = [("TCR", "ZAP70"), ("TCR", "JUN"), ("ZAP70", "CD69_gene"), ("JUN", "IL2_gene")]
        >>> dag = Dag.from_edges(pd.DataFrame(edges, columns=["parent", "child"]), outputs=["TCR"])
        >>> labels = np.array([[0], [1]], dtype=np.float32)
        >>> cells = LabelledCells(np.array([[1, 2], [3, 4]]), labels, np.array(["a", "b"]), dag.inputs, dag.outputs)
        >>> Arm("pruned", dag).cells_seen(cells).expression.toarray().tolist()
        [[1.0, 2.0], [3.0, 4.0]]
        >>> Arm("permuted_labels_0", dag, permute_labels=3).cells_seen(cells).labels.ravel().tolist()
        [1.0, 0.0]
    """

    name: str
    dag: Dag
    estimator: Estimator = "kpnn"
    permute_labels: int | None = None
    initializer: str | None = None
    recipes: Mapping[str, Hyperparameters] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """What all controls of one kind share of their names: `rewired` of `rewired_3`."""
        return self.name.rpartition("_")[0] if self._is_numbered else self.name

    @property
    def replicate(self) -> int:
        """Its number among the controls of its kind, from 0."""
        return int(self.name.rpartition("_")[2]) if self._is_numbered else 0

    @property
    def _is_numbered(self) -> bool:
        return self.name.rpartition("_")[2].isdigit()

    def settings_of(self, fold: str, settings: EvaluationSettings) -> EvaluationSettings:
        """The settings under which a fold of this arm is trained: by its recipe, without a search, where it has one.

        Args:
            fold: name of the fold.
            settings: of all arms.
        """
        if self.initializer is not None:
            settings = settings.with_initializer(self.initializer)
        if fold not in self.recipes:
            return settings
        unsearched = settings.tuning.model_copy(update={"n_trials": 0})
        return settings.model_copy(update={"hyperparameters": self.recipes[fold], "tuning": unsearched})

    def trained_with(self, fold: str, settings: EvaluationSettings) -> object:
        """Equal for arms whose networks of a fold may read the cells together; None where they are better alone.

        Args:
            fold: name of the fold.
            settings: of all arms.
        """
        if self.estimator != "kpnn" or settings.top_genes is not None or self.settings_of(fold, settings).searches:
            return None
        if len(self.dag.edges) > _MOST_EDGES_TOGETHER:
            return None
        return self.dag.inputs, self.permute_labels

    def cells_seen(self, cells: LabelledCells) -> LabelledCells:
        """The cells as this arm sees them: with the genes of its DAG, their labels shuffled where it says so.

        Args:
            cells: all labelled cells.
        """
        seen = cells.restricted_to(self.dag.inputs)
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


class ControlSettings(Settings):
    """Which controls and baselines run beside the arms.

    Attributes:
        rewired: number of DAGs selected from rewired PKNs.
        alternative: number of other optimal DAGs.
        permuted_genes: number of runs of the selected DAG with its gene names shuffled.
        permuted_labels: number of runs of the selected DAG with the cells' labels shuffled.
        logistic: L2 logistic regression on the same genes.
        gradient_boosting: gradient boosting on the same genes.
        tf_activity: logistic regression on the activities of the PKN's regulators, estimated by decoupler.
        dense: a fully connected network on the same genes.
        dense_hidden: its hidden neurons, all in one level.
        size_curve: the DAGs of the size path, from the smallest to the full one.
        search: whether networks among the controls search for hyperparameters of their own; else they take those that
            the selected DAG's search found in the same fold. The size curve and the dense network search always.
        seed: of all shuffling and drawing.

    Examples:
        >>> ControlSettings(permuted_labels=3, logistic=False).rewired
        5
    """

    rewired: int = Field(5, ge=0, le=10_000)
    alternative: int = Field(0, ge=0, le=10_000)
    permuted_genes: int = Field(5, ge=0, le=10_000)
    permuted_labels: int = Field(0, ge=0, le=10_000)
    logistic: bool = True
    gradient_boosting: bool = False
    tf_activity: bool = False
    dense: bool = False
    dense_hidden: int = Field(64, ge=1, le=100_000)
    size_curve: bool = False
    search: bool = False
    seed: int = Field(42, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _random_is_alternative(cls, values: object) -> object:
        if isinstance(values, Mapping) and "random" in values:
            raise ValueError(
                "`random` is gone: it drew other optimal DAGs of the same PKN, which `alternative` does; `rewired` "
                "asks whether any network of that kind would do"
            )
        return values

    @model_validator(mode="after")
    def _activities_can_be_estimated(self) -> ControlSettings:
        if self.tf_activity and find_spec("decoupler") is None:
            raise ValueError("`tf_activity` needs decoupler: pip install 'kpnn[activity]', or set it to false")
        return self


@dataclass(frozen=True, eq=False)
class Rivals:
    """DAGs that are trained beside the selected one.

    Attributes:
        rewired: selected from rewired PKNs.
        alternative: other optimal ones.
        size_path: from the smallest to the full one.
    """

    rewired: Sequence[Dag] = ()
    alternative: Sequence[Dag] = ()
    size_path: Sequence[Dag] = ()


def control_arms(
    settings: ControlSettings,
    dag: Dag,
    rivals: Rivals | None = None,
    recipes: Mapping[str, Hyperparameters] | None = None,
) -> list[Arm]:
    """Lists the controls with a network that are switched on: other networks, shuffled genes, shuffled labels.

    Args:
        settings: which.
        dag: the selected DAG, which they are matched to.
        rivals: other DAGs; of each kind at most as many as `settings` asks for are used.
        recipes: hyperparameters found for the selected DAG, by the fold's name; not used where controls search.

    Returns:
        One for each network that is switched on and, of other DAGs, there.

    Examples:
        >>> edges = [("TCR", "ZAP70"), ("TCR", "JUN"), ("ZAP70", "CD69_gene"), ("JUN", "IL2_gene")]
        >>> dag = Dag.from_edges(pd.DataFrame(edges, columns=["parent", "child"]), outputs=["TCR"])
        >>> [arm.name for arm in control_arms(ControlSettings(permuted_genes=2), dag)]
        ['permuted_genes_0', 'permuted_genes_1']
    """
    rivals = rivals or Rivals()
    found = {} if recipes is None or settings.search else recipes
    seeds = np.random.SeedSequence(settings.seed).generate_state(settings.permuted_genes + settings.permuted_labels)
    gene_seeds, label_seeds = seeds[: settings.permuted_genes], seeds[settings.permuted_genes :]
    arms = [Arm(f"rewired_{i}", other) for i, other in enumerate(rivals.rewired[: settings.rewired])]
    arms += [Arm(f"alternative_{i}", other) for i, other in enumerate(rivals.alternative[: settings.alternative])]
    shuffled = (dag.with_inputs_shuffled(np.random.default_rng(int(seed))) for seed in gene_seeds)
    arms += [Arm(f"permuted_genes_{i}", other) for i, other in enumerate(shuffled)]
    arms += [Arm(f"permuted_labels_{i}", dag, permute_labels=int(seed)) for i, seed in enumerate(label_seeds)]
    arms = [replace(arm, recipes=found) for arm in arms]
    if settings.size_curve:
        arms += [Arm(f"size_path_{i}", step) for i, step in enumerate(rivals.size_path)]
    return arms


def baseline_arms(settings: ControlSettings, dag: Dag, pkn: Pkn | Dag) -> list[Arm]:
    """Lists the baselines that are switched on: classifiers that know nothing of pathways.

    Args:
        settings: which.
        dag: the selected DAG, whose genes they read.
        pkn: whose regulators `tf_activity` reads.

    Raises:
        SettingsError: `tf_activity` is on, and no regulator has enough genes.
    """
    arms = []
    if settings.logistic:
        arms.append(Arm("logistic", dag, estimator="logistic"))
    if settings.gradient_boosting:
        arms.append(Arm("gradient_boosting", dag, estimator="gradient_boosting"))
    if settings.tf_activity:
        arms.append(Arm("tf_activity", regulon_of(pkn), estimator="tf_activity"))
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
