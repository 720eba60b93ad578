"""What the folds' own networks weigh, each on the cells that it never saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from kpnn.doings import counted, within
from kpnn.interpretation.concordance import lowest_over_networks
from kpnn.interpretation.enrichment import enrichment
from kpnn.interpretation.frozen import FrozenNetwork
from kpnn.interpretation.significance import ActivityTest, HeldOutEvidence, activity_test, contribution, together
from kpnn.interpretation.trained_fold import HeldOutCells, TrainedFold, spread_over
from kpnn.interpretation.weights import ablation_weights, as_table, conductance_weights, gene_weights, gradient_weights
from kpnn.pkn import inputs_below
from kpnn.stopping import stop_if_asked
from kpnn.training.data import LabelledCells
from kpnn.training.orientation import common_signs, oriented
from kpnn.training.results import fold_name

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, eq=False)
class HeldOutWeights:
    """What the folds' networks weigh, on the cells that each of them never saw.

    Every table has a row per fold and network, `repeat`, `fold`, `member`: first the members of the fold's model (a
    single network is member 0), then what was trained for the weights alone.

    Attributes:
        per_fold: `node`, `output`, `gradient`, `conductance`, `ablation`, `contribution`.
        evidence: output -> evidence of each fold, its members together, the neurons in the order of `neurons`.
        neurons: names of the neurons that all folds share.
        n_genes: number of genes below each of them (the most of any fold), shape (n_neurons,).
        biases: `neuron`, `bias`.
        genes: `gene`, `node`, `output`, `weight`.
        edges: `parent`, `child`, `weight`; positive where the child, oriented, speaks for what the parent speaks for.
        activations: `repeat`, `fold` and `barcode` as index, a column per neuron: its oriented activation in cells
            that the fold held out, mean over networks.
        agreement: `repeat` as index, a column per neuron: the lowest correlation, over all cells, of its oriented
            activations in two networks of the folds' models, see `lowest_over_networks`.
        enrichment: `node`, `output`, `enrichment`, `enrichment_z`, `enrichment_p`, which no network is asked for.
    """

    per_fold: pd.DataFrame
    evidence: dict[str, list[HeldOutEvidence]]
    neurons: tuple[str, ...]
    n_genes: np.ndarray
    biases: pd.DataFrame
    genes: pd.DataFrame
    edges: pd.DataFrame
    activations: pd.DataFrame
    agreement: pd.DataFrame
    enrichment: pd.DataFrame

    @cached_property
    def tests(self) -> dict[str, ActivityTest]:
        """The test of every neuron's activity, by output."""
        # Kept: nodes and the stability of their ranking both ask for it, and it ranks all cells by every neuron.
        return {output: activity_test(of_folds, self.n_genes) for output, of_folds in self.evidence.items()}


@dataclass(frozen=True, eq=False)
class _OfMember:
    """What one network weighs: its tables by name, evidence per output, oriented activations of the shared neurons."""

    tables: dict[str, pd.DataFrame]
    evidence: list[HeldOutEvidence]
    activations: np.ndarray


def weigh_held_out(
    folds: Sequence[TrainedFold],
    cells: LabelledCells,
    seed: int,
    further: Sequence[Sequence[keras.Model]] = (),
) -> HeldOutWeights:
    """Weighs the nodes, genes and edges of each fold's networks on the cells that they never saw.

    Args:
        folds: at least one.
        cells: all cells, in memory.
        seed: of what is drawn: random gene sets that enrichment is compared with, cells that networks are compared on.
        further: for each fold more single networks on its training cells; none by default.
    """
    neurons = _shared_neurons(folds)
    evidence: dict[str, list[HeldOutEvidence]] = {output: [] for output in folds[0].dag.outputs}
    tables: dict[str, list[pd.DataFrame]] = {name: [] for name in ("per_fold", "biases", "genes", "edges")}
    activations = []
    for trained, more in zip(folds, further or [()] * len(folds), strict=True):
        held_out = HeldOutCells.of(trained, cells)
        of_fold = within(fold_name(trained.repeat, trained.fold))
        with of_fold, counted((*trained.members, *more), "weighing the nodes of network") as members:
            found = [_weigh_member(member, held_out, neurons) for member in members]
        for number, output in enumerate(evidence):
            evidence[output].append(together([one.evidence[number] for one in found]))
        for name, parts in tables.items():
            parts += [_named(one.tables[name], trained, member) for member, one in enumerate(found)]
        index = pd.MultiIndex.from_product(
            [[trained.repeat], [trained.fold], cells.barcodes[trained.held_out]], names=["repeat", "fold", "barcode"]
        )
        mean = np.mean([one.activations for one in found], axis=0)
        activations.append(pd.DataFrame(mean, index=index, columns=list(neurons)))
    whole = {name: pd.concat(parts, ignore_index=True) for name, parts in tables.items()}
    return HeldOutWeights(
        evidence=evidence,
        neurons=neurons,
        n_genes=_genes_below(folds, neurons),
        activations=pd.concat(activations),
        agreement=lowest_over_networks(folds, cells, neurons, seed),
        enrichment=enrichment(folds[0].dag, cells, seed),
        **whole,
    )


def _shared_neurons(folds: Sequence[TrainedFold]) -> tuple[str, ...]:
    """Neurons of every fold: all of them, unless each fold chose its own genes."""
    common = set(folds[0].dag.neurons).intersection(*(fold.dag.neurons for fold in folds))
    return tuple(sorted(common))


def _genes_below(folds: Sequence[TrainedFold], neurons: Sequence[str]) -> np.ndarray:
    """Most genes that a fold's DAG has below each neuron, shape (n_neurons,)."""
    # Most often all folds have one DAG.
    of_dags = [inputs_below(dag) for dag in {fold.dag.fingerprint: fold.dag for fold in folds}.values()]
    return np.array([max(of_dag[neuron] for of_dag in of_dags) for neuron in neurons])


def _weigh_member(member: keras.Model, cells: HeldOutCells, neurons: Sequence[str]) -> _OfMember:
    from kpnn.nn import biases

    stop_if_asked()
    network = FrozenNetwork.of(member)
    genes, some = network.genes_in(cells.expression), spread_over(len(cells.labels))
    gradients, act = gradient_weights(network, genes[some]), network.run(genes).act
    found = cells.evidence(act, gradients)
    columns = {
        "gradient": gradients,
        "conductance": conductance_weights(network, cells.expression[some]),
        "ablation": ablation_weights(network, genes, cells.labels),
        "contribution": np.stack([contribution(one) for one in found]),
    }
    weights = as_table(network, gradients, "gradient")
    for name, values in columns.items():
        weights[name] = as_table(network, values, name)[name]
    signs = common_signs(gradients, np.stack([one.difference for one in found]))
    places = network.places_of(neurons)
    tables = {
        "per_fold": weights,
        "biases": biases(member).rename("bias").reset_index(),
        "genes": gene_weights(member, cells.expression[some]),
        "edges": _oriented_edges(member, dict(zip(network.dag.neurons, signs, strict=True))),
    }
    shared = [replace(one, activations=act[:, places], gradient=one.gradient[places]) for one in found]
    return _OfMember(tables, shared, oriented(act, signs, network.at_rest)[:, places])


def _oriented_edges(member: keras.Model, sign_of: dict[str, float]) -> pd.DataFrame:
    """Edge weights as they are once every neuron speaks for the output; genes stay as they are measured."""
    from kpnn.nn import edge_weights

    edges = edge_weights(member).rename("weight").reset_index()
    both = edges["parent"].map(sign_of) * edges["child"].map(sign_of).fillna(1.0)
    return edges.assign(weight=edges["weight"] * both)


def _named(table: pd.DataFrame, trained: TrainedFold, member: int) -> pd.DataFrame:
    table = table.copy()
    for place, (name, value) in enumerate((("repeat", trained.repeat), ("fold", trained.fold), ("member", member))):
        table.insert(place, name, value)
    return table
