"""Nodes that draw what the nodes of the arm `full` are weighed beside: full DAGs of rewired PKNs."""

from __future__ import annotations

import logging

import pandas as pd

from kpnn.errors import KpnnError
from kpnn.interpretation import InterpretationSettings
from kpnn.pipelines.data_engineering.settings import DataEngineeringSettings
from kpnn.pipelines.rivals import rewired_full_seeds, rival_table
from kpnn.pkn import Dag, Pkn, most_edges_dag, rewired_pkn, shortest_path_dag
from kpnn.tables import stacked

_log = logging.getLogger(__name__)


def rewire_full(pkn: Pkn, settings: InterpretationSettings, data_engineering: DataEngineeringSettings) -> list[Dag]:
    """Rewires the PKN and takes its full DAG as the study's was taken; as often as asked."""
    found = []
    for number, seed in enumerate(rewired_full_seeds(settings)):
        try:
            found.append(_full_dag(rewired_pkn(pkn, seed).pkn, data_engineering))
        except KpnnError as error:
            _log.warning("interpretation.rewired_full: rewired PKN %d is left out: %s", number, error)
    return found


def join_rivals(of_selection: pd.DataFrame, rewired_full: list[Dag]) -> pd.DataFrame:
    """Joins the rivals of the selected DAG with those of the full one."""
    return stacked((of_selection, rival_table({"rewired_full": rewired_full})), list(of_selection))


def _full_dag(pkn: Pkn, settings: DataEngineeringSettings) -> Dag:
    if settings.full_dag == "shortest_paths":
        return shortest_path_dag(pkn)
    return most_edges_dag(pkn, time_limit=settings.full_dag_time_limit).dag
