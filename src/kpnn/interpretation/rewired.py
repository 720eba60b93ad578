"""A node's place in networks without knowledge: the same test in networks whose PKN was rewired."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from kpnn.interpretation.enrichment import reaching
from kpnn.interpretation.frozen import FrozenNetwork
from kpnn.interpretation.significance import HeldOutEvidence, activity_test, together
from kpnn.interpretation.trained_fold import HeldOutCells, TrainedFold, spread_over
from kpnn.interpretation.weights import gradient_weights
from kpnn.pkn import Dag
from kpnn.tables import rows_of_all
from kpnn.training.data import LabelledCells
from kpnn.training.refitting import Refit, refit
from kpnn.training.seeds import derived_seeds
from kpnn.training.settings import EvaluationSettings

if TYPE_CHECKING:
    import keras

_KEYS = ["output", "node"]


def no_rewired() -> pd.DataFrame:
    """The table of no rewired network."""
    return pd.DataFrame(columns=["replicate", "node", "output", "z"])


def nodes_in_rewired(replicates: Sequence[Sequence[TrainedFold]], cells: LabelledCells) -> pd.DataFrame:
    """Tests the nodes of networks on rewired PKNs as the arm's own are tested.

    Args:
        replicates: for each rewired PKN the trained folds.
        cells: with the genes of all their DAGs, in memory.

    Returns:
        `replicate`, `node`, `output`, `z` of the hidden nodes that reach the output.
    """
    tables = []
    for number, folds in enumerate(replicates):
        dag = folds[0].dag
        reach, hidden = reaching(dag), set(dag.hidden)
        evidence = [_evidence(one, cells) for one in folds]
        for place, output in enumerate(dag.outputs):
            z = activity_test([of_fold[place] for of_fold in evidence]).z
            table = pd.DataFrame({"replicate": number, "node": dag.neurons, "output": output, "z": z})
            tables.append(table[table["node"].isin(hidden & reach[output])])
    return rows_of_all(tables, list(no_rewired()))


def train_rewired(
    dags: Sequence[Dag],
    folds: Sequence[TrainedFold],
    cells: LabelledCells,
    training: EvaluationSettings,
    seed: int,
) -> list[list[TrainedFold]]:
    """Trains networks on rewired PKNs' DAGs as an arm's were: the same folds, hyperparameters and number of networks.

    The networks of a DAG are trained together.

    Args:
        dags: one of each rewired PKN.
        folds: of the arm.
        cells: with the genes of all DAGs.
        training: how the arm's networks were trained.
        seed: of everything drawn.

    Returns:
        For each DAG its folds.

    Examples:
        >>> # With the folds and cells of `TrainedFold`
        >>> edges = [("TCR", "ZAP70"), ("TCR", "JUN"), ("ZAP70", "IL2_gene"), ("JUN", "CD69_gene")]
        >>> rewired = Dag.from_edges(pd.DataFrame(edges, columns=["parent", "child"]), outputs=["TCR"])
        >>> training = EvaluationSettings.model_validate({"fit": {"max_epochs": 2, "ensemble": 1}})
        >>> [of_dag] = train_rewired([rewired], folds, cells, training, seed=42)
        >>> [(one.fold, one.dag.fingerprint == rewired.fingerprint, len(one.held_out)) for one in of_dag]
        [(0, True, 20), (1, True, 20)]
    """
    return [
        [
            replace(one, model=model)
            for one, model in zip(folds, _trained_on(dag, number, folds, cells, training, seed), strict=True)
        ]
        for number, dag in enumerate(dags)
    ]


def _trained_on(
    dag: Dag,
    number: int,
    folds: Sequence[TrainedFold],
    cells: LabelledCells,
    training: EvaluationSettings,
    seed: int,
) -> list[keras.Model]:
    refits = [
        Refit(dag, one.hyperparameters, one.training, own, len(one.members))
        for one, own in zip(folds, derived_seeds(len(folds), seed, number), strict=True)
    ]
    return refit(refits, cells, training)


def _evidence(fold: TrainedFold, cells: LabelledCells) -> list[HeldOutEvidence]:
    """What a fold's networks together say about the cells that they never saw, for each output."""
    held_out, found = HeldOutCells.of(fold, cells), []
    for member in fold.members:
        network = FrozenNetwork.of(member)
        genes = network.genes_in(held_out.expression)
        gradients = gradient_weights(network, genes[spread_over(len(genes))])
        found.append(held_out.evidence(network.run(genes).act, gradients))
    return [together(of_output) for of_output in zip(*found, strict=True)]


def beside_rewired(z: pd.Series, rewired: pd.DataFrame) -> pd.DataFrame:
    """Sets each node's z against its own place in networks without knowledge.

    Args:
        z: of the arm's nodes, indexed by output and node.
        rewired: what `nodes_in_rewired` returned.

    Returns:
        For the nodes of `z`: `n_rewired` (rewired networks that hold the node), `rewired_z` (mean of its z there),
        `rewired_z_max` (the highest), `beyond_rewired` (z less that mean, in standard deviations of a node's z over
        rewired networks, which the nodes of an output share; NaN where no node is in two of them).
    """
    of_node = rewired.astype({"z": float}).groupby(_KEYS)["z"]
    table = pd.DataFrame({"n_rewired": of_node.size(), "rewired_z": of_node.mean(), "rewired_z_max": of_node.max()})
    table["squares"] = of_node.var(ddof=0) * table["n_rewired"]
    of_output = table[table["n_rewired"] > 1].groupby("output")
    degrees = of_output["n_rewired"].sum() - of_output.size()
    sd = np.sqrt(of_output["squares"].sum() / degrees)
    table = table.reindex(z.index)
    spread = pd.Series(table.index.get_level_values("output"), index=table.index).map(sd).astype(float)
    # The mean of few networks is uncertain too.
    spread = spread * np.sqrt(1 + 1 / table["n_rewired"])
    table["beyond_rewired"] = (z - table["rewired_z"]) / spread.where(spread > 0)
    table["n_rewired"] = table["n_rewired"].fillna(0)
    return table.drop(columns="squares")
