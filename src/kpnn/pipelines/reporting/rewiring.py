"""Node that trains what the nodes of the arm `full` are weighed beside: networks on rewired PKNs' full DAGs."""

from __future__ import annotations

import logging

import numpy as np

from kpnn.errors import KpnnError
from kpnn.interpretation import InterpretationSettings, train_rewired
from kpnn.pipelines.data_engineering.settings import DataEngineeringSettings
from kpnn.pipelines.reporting.weighing import RivalNetworks, TrainedArm
from kpnn.pkn import Dag, Pkn, most_edges_dag, rewired_pkn, shortest_path_dag

logger = logging.getLogger(__name__)

_REWIRED = 6
"""First number of the seeds, which no other network of interpretation has."""


def rewire_full(
    arm: TrainedArm, pkn: Pkn, settings: InterpretationSettings, data_engineering: DataEngineeringSettings
) -> RivalNetworks:
    """Rewires the PKN, takes its full DAG as the arm's was taken, and trains it in every fold; as often as asked."""
    if not settings.rewired_full or not arm.folds:
        return RivalNetworks()
    if any(one.dag.fingerprint != arm.dag.fingerprint for one in arm.folds):
        return RivalNetworks(notes=["No networks on rewired PKNs: with top_genes every fold has genes of its own."])
    cells, training = arm.evaluation.labelled(arm.dag), arm.evaluation.settings
    rewired, notes = [], []
    seeds = np.random.SeedSequence([settings.seed, _REWIRED]).generate_state(settings.rewired_full)
    for number, seed in enumerate(seeds):
        try:
            dag = _full_dag(rewired_pkn(pkn, int(seed)).pkn, data_engineering)
            logger.info("Training on rewired PKN %d: %s edges", number, f"{len(dag.edges):,}")
            rewired += train_rewired([dag], arm.folds, cells, training, int(seed))
        except KpnnError as error:
            notes.append(f"No networks on rewired PKN {number}: {error}")
    return RivalNetworks(rewired=rewired, notes=notes)


def _full_dag(pkn: Pkn, settings: DataEngineeringSettings) -> Dag:
    if settings.full_dag == "shortest_paths":
        return shortest_path_dag(pkn)
    return most_edges_dag(pkn, time_limit=settings.full_dag_time_limit).dag
