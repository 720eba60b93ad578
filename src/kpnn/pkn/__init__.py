"""Prior knowledge networks: edge tables, pruning to measured genes, DAG selection."""

from kpnn.pkn.alternatives import Alternatives, enumerate_dags
from kpnn.pkn.dag import Dag
from kpnn.pkn.full_dag import extended_dag, induced_dag, shortest_path_dag
from kpnn.pkn.network import CleanUp, Pkn
from kpnn.pkn.random_dags import RandomDags, random_dags
from kpnn.pkn.select import DagSelection, select_dag
from kpnn.pkn.selection.settings import SelectionRules, SolveSettings
from kpnn.pkn.size_path import SizeStep, size_path

__all__ = [
    "Alternatives",
    "CleanUp",
    "Dag",
    "DagSelection",
    "Pkn",
    "RandomDags",
    "SelectionRules",
    "SizeStep",
    "SolveSettings",
    "enumerate_dags",
    "extended_dag",
    "induced_dag",
    "random_dags",
    "select_dag",
    "shortest_path_dag",
    "size_path",
]
