"""A node's place in networks without knowledge: the same test in networks whose PKN was rewired."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from kpnn.interpretation.enrichment import reaching
from kpnn.interpretation.frozen import FrozenNetwork
from kpnn.interpretation.significance import HeldOutEvidence, activity_test, together
from kpnn.interpretation.trained_fold import TrainedFold, expression_for
from kpnn.interpretation.weights import gradient_weights
from kpnn.training.data import LabelledCells

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
    tables = [no_rewired()]
    for number, folds in enumerate(replicates):
        dag = folds[0].dag
        reach, hidden = reaching(dag), set(dag.hidden)
        evidence = [_evidence(one, cells) for one in folds]
        for place, output in enumerate(dag.outputs):
            z = activity_test([of_fold[place] for of_fold in evidence]).z
            table = pd.DataFrame({"replicate": number, "node": dag.neurons, "output": output, "z": z})
            tables.append(table[table["node"].isin(hidden & reach[output])])
    filled = [table for table in tables if len(table)]
    return pd.concat(filled, ignore_index=True) if filled else tables[0]


def _evidence(fold: TrainedFold, cells: LabelledCells) -> list[HeldOutEvidence]:
    """What a fold's networks together say about the cells that they never saw, for each output."""
    rows = fold.held_out
    expression, labels = expression_for(fold.dag, cells, rows), cells.labels[rows]
    groups, depth = (None if known is None else known[rows] for known in (cells.groups, cells.depth))
    found = []
    for member in fold.members:
        network = FrozenNetwork.of(member)
        genes = network.genes_in(expression)
        act = network.run(genes).act
        found.append(
            [
                HeldOutEvidence(act, of_output, labels[:, place], groups, fold.repeat, depth)
                for place, of_output in enumerate(gradient_weights(network, genes))
            ]
        )
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
