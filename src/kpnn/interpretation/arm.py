"""What one arm's networks say about their nodes: weights per fold on held-out cells, controls, stability."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from kpnn.interpretation.frozen import FrozenNetwork
from kpnn.interpretation.refit import control_inputs, refitted
from kpnn.interpretation.significance import HeldOutEvidence, contribution
from kpnn.interpretation.weights import ablation_weights, as_table, conductance_weights, gene_weights, gradient_weights
from kpnn.pkn import Dag

if TYPE_CHECKING:
    import keras

    from kpnn.nn import TrainingSettings

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Cells:
    """Labelled cells as networks read them.

    Attributes:
        expression: transformed expression, cells x input nodes.
        labels: 0/1, shape (n_cells, n_outputs), in the order of the DAG's outputs.
        nodes: input node of each column.
    """

    expression: csr_array
    labels: np.ndarray
    nodes: tuple[str, ...]

    def of(self, dag: Dag, rows: np.ndarray | None = None) -> csr_array:
        """Expression in the order of a DAG's inputs, of all cells or of some rows."""
        columns = pd.Index(self.nodes).get_indexer(list(dag.inputs))
        return self.expression[:, columns] if rows is None else self.expression[rows][:, columns]


@dataclass(frozen=True, eq=False)
class TrainedFold:
    """A fold's network and its cells.

    Attributes:
        repeat: from 0.
        fold: from 0.
        model: the trained network.
        training: rows of the cells it was trained on.
        held_out: rows of the cells it never saw.
        how: epochs, patience, batches and learning rate it was trained with.
    """

    repeat: int
    fold: int
    model: keras.Model
    training: np.ndarray
    held_out: np.ndarray
    how: TrainingSettings


@dataclass(frozen=True)
class Extent:
    """How much is trained again.

    Attributes:
        control_inputs: networks per fold on control inputs (every gene equally predictive).
        permuted_labels: networks per fold on permuted labels.
        seeds: further networks on the first fold's cells, from other starts.
        alternative_dags: networks on the first fold's cells, each on another optimal DAG.
        permutations: permutations of held-out labels behind the p-values, or 80 per neuron where that is more, so that
            the smallest p-value survives the correction for the number of nodes.
        seed: of everything drawn.
        top: how many nodes make the top.
    """

    control_inputs: int = 1
    permuted_labels: int = 1
    seeds: int = 4
    alternative_dags: int = 8
    permutations: int = 10_000
    seed: int = 42
    top: int = 10


@dataclass(frozen=True, eq=False)
class ArmWeights:
    """Everything that was computed for an arm, network by network.

    Attributes:
        per_fold: `repeat`, `fold`, `node`, `output`, `gradient`, `conductance`, `ablation`, `contribution`.
        control: as `per_fold` with `replicate` and `gradient`, of networks on control inputs.
        permuted: likewise, of networks on permuted labels.
        evidence: output -> evidence of each fold, the neurons in the order of `neurons`.
        neurons: names of the neurons that all folds share.
        biases: `repeat`, `fold`, `neuron`, `bias`.
        genes: `repeat`, `fold`, `gene`, `node`, `output`, `weight`.
        edges: `repeat`, `fold`, `parent`, `child`, `weight`.
        by_seed: `run`, `node`, `output`, `gradient` of networks from other starts.
        by_dag: likewise, of networks on other optimal DAGs.
    """

    per_fold: pd.DataFrame
    control: pd.DataFrame
    permuted: pd.DataFrame
    evidence: dict[str, list[HeldOutEvidence]]
    neurons: tuple[str, ...]
    biases: pd.DataFrame
    genes: pd.DataFrame
    edges: pd.DataFrame
    by_seed: pd.DataFrame = field(default_factory=pd.DataFrame)
    by_dag: pd.DataFrame = field(default_factory=pd.DataFrame)


def weigh_arm(
    folds: Sequence[TrainedFold], cells: Cells, extent: Extent, alternatives: Sequence[Dag] = ()
) -> ArmWeights:
    """Computes all weights of an arm.

    Args:
        folds: at least one trained fold; folds without a model are simply not here.
        cells: all cells.
        extent: how much is trained again.
        alternatives: other optimal DAGs with the same inputs and outputs.
    """
    from kpnn.nn import biases, edge_weights

    neurons = _shared_neurons(folds)
    outputs = _network(folds[0]).dag.outputs
    evidence: dict[str, list[HeldOutEvidence]] = {output: [] for output in outputs}
    per_fold, bias_tables, gene_tables, edge_tables = [], [], [], []
    for trained in folds:
        network = _network(trained)
        held_out = cells.of(network.dag, trained.held_out)
        labels = cells.labels[trained.held_out]
        table, found = _weights_of(network, held_out, labels)
        place_of = {name: place for place, name in enumerate(network.dag.neurons)}
        places = [place_of[name] for name in neurons]
        for output, one in zip(outputs, found, strict=True):
            evidence[output].append(HeldOutEvidence(one.activations[:, places], one.gradient[places], one.labels))
        per_fold.append(_named(table, trained))
        bias_tables.append(_named(biases(trained.model).rename("bias").reset_index(), trained))
        gene_tables.append(_named(gene_weights(trained.model, held_out), trained))
        edge_tables.append(_named(edge_weights(trained.model).rename("weight").reset_index(), trained))
    control = _retrained(folds, cells, extent.control_inputs, _on_control_inputs, extent.seed)
    permuted = _retrained(folds, cells, extent.permuted_labels, _on_permuted_labels, extent.seed)
    first = folds[0]
    starts = np.random.SeedSequence([extent.seed, 3]).generate_state(max(1, extent.seeds))[: extent.seeds]
    by_seed = _runs((_refit_real(first, cells, int(seed >> 1)) for seed in starts), first, cells)
    others = list(alternatives)[: extent.alternative_dags]
    by_dag = _runs((_refit_real(first, cells, extent.seed, dag) for dag in others), first, cells)
    return ArmWeights(
        pd.concat(per_fold, ignore_index=True),
        control,
        permuted,
        evidence,
        neurons,
        pd.concat(bias_tables, ignore_index=True),
        pd.concat(gene_tables, ignore_index=True),
        pd.concat(edge_tables, ignore_index=True),
        by_seed,
        by_dag,
    )


def _network(trained: TrainedFold) -> FrozenNetwork:
    return FrozenNetwork.of(trained.model)


def _shared_neurons(folds: Sequence[TrainedFold]) -> tuple[str, ...]:
    """Neurons of every fold: all of them, unless each fold chose its own genes."""
    from kpnn.nn import dag_of

    common = set(dag_of(folds[0].model).neurons).intersection(*(dag_of(fold.model).neurons for fold in folds))
    return tuple(sorted(common))


def _weights_of(
    network: FrozenNetwork, cells: csr_array, labels: np.ndarray
) -> tuple[pd.DataFrame, list[HeldOutEvidence]]:
    genes = network.genes_in(cells)
    gradients = gradient_weights(network, genes)
    activations = network.run(genes).act
    found = [HeldOutEvidence(activations, gradients[j], labels[:, j]) for j in range(labels.shape[1])]
    columns = {
        "gradient": gradients,
        "conductance": conductance_weights(network, cells),
        "ablation": ablation_weights(network, genes, labels),
        "contribution": np.stack([contribution(one) for one in found]),
    }
    table = as_table(network, gradients, "gradient")
    for name, values in columns.items():
        table[name] = as_table(network, values, name)[name]
    return table, found


Data = Callable[[TrainedFold, Cells, Dag, int], tuple[csr_array, np.ndarray, csr_array]]
"""Training cells, their labels, and the cells on which weights are then taken."""


def _on_control_inputs(
    trained: TrainedFold, cells: Cells, dag: Dag, seed: int
) -> tuple[csr_array, np.ndarray, csr_array]:
    labels = cells.labels[trained.training]
    seen = control_inputs(labels, len(dag.inputs), seed)
    unseen = control_inputs(cells.labels[trained.held_out], len(dag.inputs), seed + 1)
    return seen, labels, unseen


def _on_permuted_labels(
    trained: TrainedFold, cells: Cells, dag: Dag, seed: int
) -> tuple[csr_array, np.ndarray, csr_array]:
    order = np.random.default_rng(seed).permutation(len(trained.training))
    labels = cells.labels[trained.training][order]
    return cells.of(dag, trained.training), labels, cells.of(dag, trained.held_out)


def _retrained(folds: Sequence[TrainedFold], cells: Cells, times: int, data: Data, seed: int) -> pd.DataFrame:
    """Gradient weights of networks that were trained on other data, fold by fold."""
    tables = []
    for number, trained in enumerate(folds):
        dag = _network(trained).dag
        for replicate in range(times):
            kind = 1 if data is _on_control_inputs else 2
            drawn = int(np.random.SeedSequence([seed, kind, number, replicate]).generate_state(1)[0] >> 1)
            seen, labels, unseen = data(trained, cells, dag, drawn)
            model = refitted(trained.model, seen, labels, trained.how, seed=drawn)
            network = FrozenNetwork.of(model)
            table = as_table(network, gradient_weights(network, network.genes_in(unseen)), "gradient")
            tables.append(_named(table, trained).assign(replicate=replicate))
    columns = ["repeat", "fold", "node", "output", "gradient", "replicate"]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


def _refit_real(trained: TrainedFold, cells: Cells, seed: int, dag: Dag | None = None) -> keras.Model:
    own = dag or _network(trained).dag
    labels = cells.labels[trained.training]
    return refitted(trained.model, cells.of(own, trained.training), labels, trained.how, seed=seed, dag=dag)


def _runs(models: Iterator[keras.Model], first: TrainedFold, cells: Cells) -> pd.DataFrame:
    tables = []
    for run, model in enumerate(models):
        network = FrozenNetwork.of(model)
        genes = network.genes_in(cells.of(network.dag, first.held_out))
        tables.append(as_table(network, gradient_weights(network, genes), "gradient").assign(run=run))
    columns = ["run", "node", "output", "gradient"]
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)


def _named(table: pd.DataFrame, trained: TrainedFold) -> pd.DataFrame:
    table = table.copy()
    table.insert(0, "repeat", trained.repeat)
    table.insert(1, "fold", trained.fold)
    return table
