"""Node that trains what the nodes of the arm `full` are weighed beside: networks on rewired PKNs' full DAGs."""

from __future__ import annotations

import logging

import pandas as pd

from kpnn.errors import KpnnError
from kpnn.interpretation import InterpretationSettings, train_rewired
from kpnn.pipelines.reporting.weighing import RivalNetworks, TrainedArm
from kpnn.pipelines.rivals import rewired_full_seeds, rivals_of_kind

_log = logging.getLogger(__name__)


def train_rewired_full(arm: TrainedArm, rival_dags: pd.DataFrame, settings: InterpretationSettings) -> RivalNetworks:
    """Trains the full DAGs of rewired PKNs in every fold."""
    dags = rivals_of_kind(rival_dags, "rewired_full", arm.dag.outputs)[: settings.rewired_full]
    if not settings.rewired_full or not arm.folds:
        return RivalNetworks()
    if any(one.dag.fingerprint != arm.dag.fingerprint for one in arm.folds):
        return RivalNetworks(notes=["No networks on rewired PKNs: with top_genes every fold has genes of its own."])
    cells, training = arm.evaluation.labelled(arm.dag), arm.evaluation.settings
    rewired, notes = [], []
    if len(dags) < settings.rewired_full:
        notes.append(f"Of {settings.rewired_full} rewired PKNs {len(dags)} have a full DAG that can be trained.")
    for number, (dag, seed) in enumerate(zip(dags, rewired_full_seeds(settings), strict=False)):
        try:
            _log.info("Training on rewired PKN %d: %s edges", number, f"{len(dag.edges):,}")
            rewired += train_rewired([dag], arm.folds, cells, training, seed)
        except KpnnError as error:
            notes.append(f"No networks on rewired PKN {number}: {error}")
    return RivalNetworks(rewired=rewired, notes=notes)
