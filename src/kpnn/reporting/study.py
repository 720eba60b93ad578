"""What a report is made from: the arms' tables, their networks, and what is known about their nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pandas as pd

from kpnn.evaluation import ArmScores, are_exclusive, by_cell
from kpnn.handed_on import HandedOn
from kpnn.pkn import Dag, Pkn


@dataclass(frozen=True, eq=False)
class ArmTables(HandedOn):
    """One arm's tables over all of its folds.

    Attributes:
        name: such as `full` or `pruned`.
        predictions: out-of-fold: `repeat`, `fold`, `barcode`, `output`, `label`, `probability`.
        fold_metrics: one row per fold: `repeat`, `fold`, `protocol`, `seed`, scores, sizes, `hyperparameter_*`.
        learning_curves: `repeat`, `fold`, `epoch`, `loss`, `val_loss`.
        trials: `repeat`, `fold`, `trial`, `state`, `value` and the searched hyperparameters; empty if untuned.
        dag: the arm's network, where it is known.
        members: what each member of a fold's ensemble says about the same cells, where it is known: as `predictions`,
            without `label` and with `member`.

    Examples:
        >>> cells = pd.DataFrame({"repeat": 0, "fold": [0] * 40 + [1] * 40, "barcode": [f"c{i}" for i in range(80)]})
        >>> said = [0.2, 0.9, 0.6, 0.7, 0.1, 0.5, 0.8, 0.7] * 10
        >>> predictions = cells.assign(output="TCR", label=[0, 1] * 40, probability=said)
        >>> folds = pd.DataFrame({"repeat": 0, "fold": [0, 1], "roc_auc": 0.75, "n_edges": 5, "n_parameters": 8})
        >>> full = ArmTables("full", predictions, folds)
        >>> full.folds, full.outputs, full.size("n_edges"), len(full.cells_of(0, 1))
        ([(0, 0), (0, 1)], ['TCR'], 5, 40)
    """

    name: str
    predictions: pd.DataFrame
    fold_metrics: pd.DataFrame
    learning_curves: pd.DataFrame = field(default_factory=pd.DataFrame)
    trials: pd.DataFrame = field(default_factory=pd.DataFrame)
    dag: Dag | None = None
    members: pd.DataFrame | None = None

    @property
    def folds(self) -> list[tuple[int, int]]:
        """(repeat, fold) of every fold, in order."""
        pairs = self.fold_metrics[["repeat", "fold"]].itertuples(index=False, name=None)
        return sorted((int(repeat), int(fold)) for repeat, fold in pairs)

    @property
    def outputs(self) -> list[str]:
        """Output nodes, in the order of the predictions."""
        return list(dict.fromkeys(self.predictions["output"]))

    @cached_property
    def one_of_k(self) -> bool:
        """Whether its outputs are classes that exclude each other."""
        return len(self.outputs) > 1 and are_exclusive(*by_cell(self.predictions))

    def scores(self, metric: str = "roc_auc", folds: Sequence[tuple[int, int]] | None = None) -> ArmScores:
        """Its scores, with those of its ensembles' members where they are known.

        Args:
            metric: one of `kpnn.evaluation.METRICS`, or `balanced_accuracy` of classes that exclude each other.
            folds: repeat and fold of those that count; None: all.
        """
        if metric == "roc_auc" and (folds is None or folds == self.folds):
            return self._roc_auc
        return self._scored(metric, self.folds if folds is None else folds)

    @cached_property
    def _roc_auc(self) -> ArmScores:
        # Kept: every comparison, half of the figures and the words about each output's nodes ask for it.
        return self._scored("roc_auc", self.folds)

    def _scored(self, metric: str, folds: Sequence[tuple[int, int]]) -> ArmScores:
        members = None if self.members is None else _of_folds(self.members, folds)
        return ArmScores.from_predictions(self.name, _of_folds(self.predictions, folds), metric=metric, members=members)

    @cached_property
    def roc_auc_by_fold(self) -> pd.Series:
        """ROC-AUC of every fold, index `repeat` and `fold`; NaN of one that holds out cells of one class only."""
        return self.fold_metrics.set_index(["repeat", "fold"])["roc_auc"]

    @property
    def is_optimistic(self) -> bool:
        """Whether its networks were stopped on the cells that its scores are of, as the tutorial does."""
        return "protocol" in self.fold_metrics and bool((self.fold_metrics["protocol"] == "tutorial").any())

    def predictions_of(self, output: str) -> pd.DataFrame:
        """The rows of the predictions that are of one output.

        Args:
            output: its name.
        """
        return self.predictions[self.predictions["output"] == output]

    def size(self, name: str) -> int | None:
        """`n_edges`, `n_neurons` or `n_parameters` of the network; None for an arm without one.

        Args:
            name: which of the three.
        """
        if name not in self.fold_metrics or not len(self.fold_metrics):
            return None
        return int(self.fold_metrics[name].iloc[0])

    def cells_of(self, repeat: int, fold: int) -> frozenset[str]:
        """Barcodes that a fold held out.

        Args:
            repeat: number of the repeat, from 0.
            fold: number of the fold, from 0.
        """
        rows = (self.predictions["repeat"] == repeat) & (self.predictions["fold"] == fold)
        return frozenset(self.predictions.loc[rows, "barcode"])


def _of_folds(table: pd.DataFrame, folds: Sequence[tuple[int, int]]) -> pd.DataFrame:
    return table[pd.MultiIndex.from_frame(table[["repeat", "fold"]]).isin(folds)]


@dataclass(frozen=True, eq=False)
class Control:
    """One control or baseline, trained and scored on the arms' folds.

    Attributes:
        kind: such as `rewired`, `permuted_genes` or `logistic`.
        replicate: its number among those of its kind, from 0.
        tables: its results.

    Examples:
        >>> # With the arms of `ArmTables` and `Study`
        >>> from kpnn.reporting import answer
        >>> guess = ArmTables("logistic", predictions.assign(probability=0.5), folds)
        >>> with_control = Study(arms=(full, pruned), controls=(Control("logistic", 0, guess),))
        >>> answer(with_control).controls["control"].to_list()  # beside each arm
        ['logistic', 'logistic']
    """

    kind: str
    replicate: int
    tables: ArmTables


@dataclass(frozen=True, eq=False)
class Interpretation(HandedOn):
    """What an arm's networks say about their nodes; the tables are those of `kpnn.interpretation`.

    Attributes:
        arm: name of the arm.
        nodes: a row per hidden node and output: see `kpnn.interpretation.summarise_nodes`.
        per_fold: `repeat`, `fold`, `node`, `output`, `gradient`, `conductance`, `ablation`, `contribution`.
        biases: `repeat`, `fold`, `neuron`, `bias`.
        genes: `gene`, `node`, `output`, `weight`, `sd`, `n_folds`.
        edges: `parent`, `child`, `weight`, `sd`, `n_folds`.
        stability: `between`, `method`, `output`, `rank_correlation`, `top_overlap`, `chance_overlap`, `k`,
            `n_pairs`, `n_shared`.
        notes: what could not be weighed, in sentences.
        activations: `repeat`, `fold`, `barcode`, and a column for each of the nodes that the report opens with: its
            activation in held-out cells, the way round that speaks for the output; empty if not known.

    Examples:
        >>> nodes = pd.DataFrame({"node": ["ZAP70", "JUN"], "output": "TCR", "weight": [0.65, 0.16], "rank": [1, 2]})
        >>> found = Interpretation("full", nodes, per_fold=pd.DataFrame())
        >>> found.outputs, found.of_output("TCR")["node"].to_list()
        (['TCR'], ['ZAP70', 'JUN'])
    """

    arm: str
    nodes: pd.DataFrame
    per_fold: pd.DataFrame
    biases: pd.DataFrame = field(default_factory=pd.DataFrame)
    genes: pd.DataFrame = field(default_factory=pd.DataFrame)
    edges: pd.DataFrame = field(default_factory=pd.DataFrame)
    stability: pd.DataFrame = field(default_factory=pd.DataFrame)
    notes: tuple[str, ...] = ()
    activations: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def outputs(self) -> list[str]:
        """Output nodes that nodes were weighed for."""
        return list(dict.fromkeys(self.nodes["output"]))

    def of_output(self, output: str) -> pd.DataFrame:
        """The nodes' table for one output.

        Args:
            output: its name.
        """
        return self.nodes[self.nodes["output"] == output]


@dataclass(frozen=True, eq=False)
class Study(HandedOn):
    """What is known about a study; what is missing from it is said in words.

    Attributes:
        arms: results by arm; `full` first.
        pkn: the PKN pruned to measured genes.
        full_dag: DAG of the arm `full`.
        pruned_dag: the selected DAG.
        selection: status, objective, bound, gap, seconds of the DAG selection.
        data_summary: what became of cells, genes and edges, step by step.
        controls: the controls and baselines, and the networks of the size curve (kind `size_path`).
        membership: `node`, `membership` (in `all`, `some`, `none` of the optimal DAGs, or `unknown`); empty if not
            known.
        interpretations: by arm.
        versions: name and version of the software, and the machine.
        settings: parameters by name, for the record.
        made_from: SHA-256 of the results that the answer rests on, from the cells to the models, by dataset.
        missing: what does not exist, in sentences.
        groups: donor or sample of each cell, by barcode, where cells stay together in the folds.
        columns: what else is known about each cell, the groups among it, as text, index the barcodes.
        coordinates: place of each cell, two columns named for the axes, index the barcodes; empty if not known.

    Examples:
        >>> # With the arm of `ArmTables`
        >>> pruned = ArmTables("pruned", predictions, folds.assign(n_edges=3, n_parameters=5))
        >>> study = Study(arms=(full, pruned), settings={"seed": 42})
        >>> study.arm("pruned").size("n_parameters"), study.arm("rewired") is None
        (5, True)
    """

    arms: tuple[ArmTables, ...] = ()
    pkn: Pkn | None = None
    full_dag: Dag | None = None
    pruned_dag: Dag | None = None
    selection: Mapping[str, Any] = field(default_factory=dict)
    data_summary: Mapping[str, Any] = field(default_factory=dict)
    controls: tuple[Control, ...] = ()
    membership: pd.DataFrame = field(default_factory=pd.DataFrame)
    interpretations: tuple[Interpretation, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    made_from: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    groups: pd.Series | None = None
    columns: pd.DataFrame = field(default_factory=pd.DataFrame)
    coordinates: pd.DataFrame = field(default_factory=pd.DataFrame)

    def arm(self, name: str) -> ArmTables | None:
        """The arm of that name, or None where it does not exist.

        Args:
            name: `full`, `pruned` or a control.
        """
        return next((arm for arm in self.arms if arm.name == name), None)

    def interpretation(self, name: str) -> Interpretation | None:
        """What is known about the nodes of an arm, or None.

        Args:
            name: the arm.
        """
        return next((found for found in self.interpretations if found.arm == name), None)
